//! The port through which a cross-encoder is reached: a model that reads a question and a text together.
//!
//! Two implementations live in this repository: `wiring` adapts the pool, and the tests of the API play one.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::model::{ModelName, Priority};

/// A model that says how well texts answer a question.
pub trait Rerank: Send + Sync {
    /// Which model this is, for replies, audit entries and `/v1/models`.
    fn identity(&self) -> ModelName;

    /// By text, in their order: how well it answers the query, from 0 to 1. The end of a text that is too long is not read.
    /// Dropping the future cancels what has not been computed. It fails with [`RerankError`] when the model does not say it.
    fn rerank(&self, query: String, texts: Vec<String>, who: Asking) -> Answer;
}

/// What a cross-encoder will say.
pub type Answer = BoxFuture<'static, Result<Relevances, RerankError>>;

/// Who asks, for what their shares of the model go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Of the tenant.
    pub salt: u64,
    /// How urgent it is.
    pub priority: Priority,
}

/// What a cross-encoder says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relevances {
    /// One per text, from 0 to 1.
    pub scores: Vec<f32>,
    /// Tokens read.
    pub tokens: usize,
}

/// Why it says nothing. None carries text of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RerankError {
    /// Too much waits.
    #[error("the reranking model is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The query alone is more than half of what the model reads.
    #[error("the query has {tokens} tokens, {limit} are read")]
    TooLong {
        /// Tokens of the query; where counting stopped early, a lower bound.
        tokens: usize,
        /// Most tokens of a query.
        limit: usize,
    },
    /// The model failed.
    #[error("the reranking model failed: {0}")]
    Failed(String),
}
