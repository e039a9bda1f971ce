//! Where requests come in.

pub mod problem;
