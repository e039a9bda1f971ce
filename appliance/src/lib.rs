//! The program Cloister as a library.

pub mod api;
pub mod edge;
pub mod governed;
pub mod identity;
pub mod pipeline;
pub mod session;
pub mod wiring;
