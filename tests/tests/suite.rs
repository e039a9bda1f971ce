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
    mod accounts;
    mod asking;
    mod audit;
    mod aws_clients;
    mod backup;
    mod batches;
    mod break_glass;
    mod canaries;
    mod captures;
    mod core_dumps;
    mod crash;
    mod demo;
    mod export;
    mod guarding;
    mod guardrail_versions;
    mod init;
    mod isolation;
    mod keys;
    mod kills;
    mod load;
    mod oidc;
    mod openai_clients;
    mod policy;
    mod revoking;
    pub(crate) mod site;
}
