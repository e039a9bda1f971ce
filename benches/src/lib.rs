//! The room for what is measured. The program `report` runs the end-to-end workloads, writes what it found as a page, a table and
//! JSON, and holds two reports against each other; `plan` holds what `cloister plan` computes against what is measured;
//! `generation` times prompts and answers in turn with llama.cpp on the same file; `embed` times embedding in turn with ONNX Runtime, and
//! holds 8-bit vectors against those of floats. `benches/kernels.rs` times the kernels, `examples/trust.rs` what governing costs a search.
//!
//! **What it is not:** no test. Nothing here passes or fails by the clock, and no product code depends on it.
//!
//! ```
//! use cloister_benches::statistics::{median, strict};
//! let (before, after) = ([10.1, 9.9, 10.0, 10.2, 9.8], [12.1, 11.9, 12.0, 12.2, 11.8]);
//! let ratio = strict(&before, &after, 0.01).expect("five rounds above 0 on each side");
//! assert!(ratio.low > 1.1 && median(&after) == 12.0);
//! ```
//!
//! # Why
//! - A figure counts as a ratio against a peer in the same run: machines are shared and noisy.
//! - What stands on top may depend on everything, and nothing on it: so there is no `cloister bench`, but programs of this package.
//! - Benches link the rooms that they measure; only what measures the program's own wrapper links the program.

pub mod ask;
pub mod compare;
pub mod machine;
pub mod report;
pub mod statistics;
pub mod text;
pub mod workload;

/// Why a bench could not measure, in words.
pub type Failure = Box<dyn std::error::Error>;

/// A field of a line of JSON that is text.
pub fn field(line: &str, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    value.get(name)?.as_str().map(ToOwned::to_owned)
}
