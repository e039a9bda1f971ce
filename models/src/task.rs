//! What a model can do, without a word about how: one trait per task.
//!
//! This is the seam between serving and computing. Pools know these traits only, so that kernels of our own can stand
//! where candle stands now, and tests can stand a scripted model there.

pub mod embed;
pub mod generate;

/// Why a step of a model failed. Carries shapes and names, never text that was computed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StepError(pub String);

#[cfg(test)]
pub(crate) mod scripted;
