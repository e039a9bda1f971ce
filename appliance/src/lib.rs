//! The program Cloister as a library.

pub mod pipeline;
pub mod session;
