//! The guardrails on suites of our own: made from templates, or written line by line. Each test holds floors and prints
//! its figures (`cargo test -p cloister-tests --test guardrails -- --nocapture`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::format_push_string,
    reason = "every function here is a part of a test"
)]

mod guardrails {
    mod attacks;
    mod grounding;
    mod perturbation;
}
