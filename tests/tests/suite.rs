//! The end-to-end suite: one program, real TLS, real store, real small models. One file per scenario.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "every function here is a part of a test"
)]

mod suite {
    mod asking;
    mod audit;
    mod crash;
    mod demo;
    mod init;
    mod isolation;
    mod load;
    mod openai_clients;
    pub(crate) mod site;
}
