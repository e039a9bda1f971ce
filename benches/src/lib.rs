//! The room for what is measured: the program `generation` times prompts and answers as a pool serves them, in turn with
//! llama.cpp on the same file; the program `embed` times embedding, in turn with ONNX Runtime, and holds 8-bit vectors
//! against those of floats; `examples/trust.rs` times what governing costs a search. This library reads corpora from JSON lines.
//!
//! **What it is not:** no test. Nothing here passes or fails by the clock, and no product code depends on it.
//!
//! ```
//! let line = r#"{"id": "a", "question": "How early?", "answer": "Three days."}"#;
//! assert_eq!(cloister_benches::field(line, "answer").as_deref(), Some("Three days."));
//! ```
//!
//! # Why
//! - A figure counts as a ratio against a peer in the same run: machines are shared and noisy.
//! - Benches link the rooms that they measure; only what measures the program's own wrapper links the program.

/// A field of a line of JSON that is text.
pub fn field(line: &str, name: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    value.get(name)?.as_str().map(ToOwned::to_owned)
}
