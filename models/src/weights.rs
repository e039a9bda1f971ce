//! Weights.
pub(crate) mod gguf;
