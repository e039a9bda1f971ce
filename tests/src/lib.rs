//! The end-to-end suite of Cloister: what is needed to run the program as its user would and to talk to it over TLS.
//!
//! **What it is not:** nothing of the product lives here, and nothing here is used by it. The client below speaks just
//! enough HTTP/1.1 for tests; it is blocking, and one connection serves one request.
//!
//! ```no_run
//! use cloister_tests::{Client, Program};
//! let program = Program::new("cloister-under-test");
//! let site = program.site();
//! let server = site.serve();
//! let client = Client::new(&server, site.key("agent"));
//! assert_eq!(client.get("/livez").status, 200);
//! ```
//!
//! # Why
//! - The program under test is a child process, not a router in this process: signals, sockets, exit codes and the
//!   parsing child are then the real ones.
//! - It holds the read end of a pipe from the test and ends when the test does, so that no run leaves one behind.

mod canary;
mod client;
mod program;

pub use canary::{Canaries, Encoding, Leak, identifiers};
pub use client::{Client, Reply, Stream};
pub use program::{Program, Server, Site, everything};
