//! Pools: a worker thread that owns a model, behind a bounded queue. Whoever is more urgent goes first, and tenants have equal shares (`share`).

use std::time::Duration;

mod batch;
mod batching;
mod blocks;
pub(crate) mod budget;
mod draft;
pub(crate) mod embed;
pub(crate) mod generate;
mod pair;
mod queue;
mod rerank;
mod schedule;
mod share;
mod stream;
mod worker;

pub use embed::{EmbedPool, Embeddings, Truncate};
pub use generate::{GeneratePool, GenerateRequest, Prompt};
pub use pair::PairPool;
pub use rerank::{Relevances, RerankPool};
pub use share::Priority;
pub use stream::{Event, FinishReason, Generation, Usage};

/// Why a pool did not do what was asked. None of them carries text of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// Too much is waiting already. The time comes from how fast the queue has moved lately.
    #[error("the model's queue is full; try again in {} ms", retry_after.as_millis())]
    QueueFull {
        /// When a place is likely to be free.
        retry_after: Duration,
    },
    /// The request's deadline passed before the work was done.
    #[error("the deadline passed before the model had finished")]
    DeadlineExceeded,
    /// Whoever asked has left.
    #[error("the request was cancelled")]
    Cancelled,
    /// The input does not fit the model.
    #[error("the input has {tokens} tokens, the model takes {limit}; shorten it")]
    TooLong {
        /// Length of the input; where counting stopped early, a lower bound.
        tokens: usize,
        /// Longest input.
        limit: usize,
    },
    /// A setting of the request is out of range, or the conversation does not fit the model's template.
    #[error("{0}")]
    Refused(String),
    /// The pool is shutting down, or gave up after repeated failures.
    #[error("the model's pool has stopped; start it again")]
    Stopped,
    /// The computation failed. The pool goes on with the next request.
    #[error("the model failed: {0}")]
    Failed(String),
}

/// How a pool is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Requests that may wait; one more is refused with [`PoolError::QueueFull`].
    pub queue: usize,
    /// Threads that compute; 0 takes one per core. See the crate's "Why" for what holds.
    pub threads: usize,
    /// Longest sequence of a generation pool, prompt and answer together; never more than the model was trained for.
    pub context_tokens: usize,
    /// How much state a generation pool keeps, in sequences of `context_tokens`: for those under way, and so that a prompt which
    /// starts like a recent one of the same salt skips the shared part. Shorter sequences share the room; memory is taken as it is
    /// needed. At least 1.
    pub sequences: usize,
    /// Where the seeds of requests that name none start from. Pass a random number; the same one gives the same seeds.
    pub entropy: u64,
    /// Whether a generation pool guesses the next tokens from the text before them, where that pays. The text is the same either way; only the
    /// time differs.
    pub guesses: bool,
    /// How exactly an embedding pool computes.
    pub precision: Precision,
    /// Which vector instructions a pool uses.
    pub instructions: Instructions,
    /// What a generation pool computes on.
    pub device: Accelerator,
}

/// What computes beside the processor. A build has what its features say; another is refused when a pool starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// Nothing: our own kernels on the processor.
    #[default]
    None,
    /// A processor of NVIDIA's, by its number.
    Cuda(usize),
    /// One of Apple's, by its number.
    Metal(usize),
    /// What the tests hold the path of the others on: candle's own processor, or where the build has its feature, the device.
    #[cfg(test)]
    Candle,
}

/// How exactly vectors are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Products of 8-bit integers with a scale per 128 numbers, everything else in 32-bit floats.
    #[default]
    Int8,
    /// 32-bit floats throughout: several times slower, and what the other is measured against.
    Float32,
}

/// Which vector instructions are used. What is computed is the same to the last bit; only the time differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instructions {
    /// The best that this processor has.
    #[default]
    Best,
    /// None beyond AVX-512 with VNNI: no tiles.
    Avx512,
    /// None beyond AVX2, for a processor that slows down under wider ones.
    Avx2,
    /// None that is not in every processor of the architecture.
    Portable,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            queue: 64,
            threads: 0,
            context_tokens: 4096,
            sequences: 4,
            entropy: 0,
            guesses: true,
            precision: Precision::default(),
            instructions: Instructions::default(),
            device: Accelerator::default(),
        }
    }
}
