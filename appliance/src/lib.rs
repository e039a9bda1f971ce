//! The program Cloister as a library: one question's way from the socket to a cited answer, and the commands around it.
//!
//! **What it is not:** it computes no model (`cloister-models`), searches no index (`cloister-knowledge`), and keeps no
//! record or key by itself (`cloister-governance`). It brings them together, in one place: [`wiring`].
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     cloister::run(std::env::args_os())
//! }
//! ```
//!
//! # Why
//! - A handler extracts, calls [`governed`], shapes the reply: authentication, authorisation and the record stand in one
//!   place, and a route without an action does not compile.
//! - Ports point inwards: the pipeline owns [`pipeline::Generate`] and [`pipeline::Knowledge`], and [`wiring`] adapts the
//!   other rooms to them, so that the whole walk is tested with scripted models.
//! - No HTTP client is linked. `cloister ask` writes its one request to the one address that it is given.

pub mod api;
pub mod batch;
pub mod capture;
mod cli;
pub mod config;
pub mod core_dump;
pub mod cpu;
pub mod doctor;
pub mod edge;
pub mod evaluation;
pub mod export;
pub mod governed;
pub mod identity;
pub mod pipeline;
pub mod session;
pub mod wiring;

pub use cli::{run, run_serving};
