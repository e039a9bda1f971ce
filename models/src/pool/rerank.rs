//! The pool of cross-encoders.

use std::time::Instant;

use super::embed::EmbedPool;
use super::share::Priority;
use super::{PoolError, PoolOptions};
use crate::error::LoadError;
use crate::manifest::{ModelIdentity, Task};
use crate::registry::Verified;

/// The answer of a pool of cross-encoders.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relevances {
    /// By text, in their order: how well it answers the query, from 0 to 1.
    pub scores: Vec<f32>,
    /// Tokens computed, special ones included.
    pub tokens: usize,
}

/// Runs one cross-encoder: a model that reads a query and a text together. Cheap to clone; the worker ends with the last clone.
///
/// What waits, and in which order, is the embedding pool's doing: a pair is a sequence like any other.
#[derive(Clone)]
pub struct RerankPool {
    pool: EmbedPool,
}

impl RerankPool {
    /// Loads the model and starts its worker.
    ///
    /// # Errors
    /// [`LoadError`] where the files are not what they must be, the architecture is unknown or the machine too small.
    pub fn start(model: Verified, options: &PoolOptions) -> Result<Self, LoadError> {
        Ok(Self { pool: EmbedPool::of_task(&model, Task::Rerank, options)? })
    }

    /// The same pool, asked on behalf of a tenant. Whoever is not named has one share together.
    #[must_use]
    pub fn of_tenant(&self, tenant: u64) -> Self {
        Self { pool: self.pool.of_tenant(tenant) }
    }

    /// The same pool, asked with another urgency; at first it is [`Priority::Interactive`].
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self { pool: self.pool.with_priority(priority) }
    }

    /// Which weights compute the scores.
    #[must_use]
    pub fn identity(&self) -> &ModelIdentity {
        self.pool.identity()
    }

    /// Longest query and text together in tokens, special ones included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.pool.max_tokens()
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
    }

    /// Whether the worker still takes requests.
    #[must_use]
    pub fn serving(&self) -> bool {
        self.pool.serving()
    }

    /// How well each text answers the query. The end of a text that is too long is not read. Dropping the future cancels what
    /// has not been computed.
    ///
    /// # Errors
    /// [`PoolError`]; [`PoolError::TooLong`] for a query over half of [`RerankPool::max_tokens`].
    pub async fn rerank(&self, query: String, texts: Vec<String>, deadline: Instant) -> Result<Relevances, PoolError> {
        let bytes = query.len() + texts.iter().map(String::len).sum::<usize>();
        let found = self.pool.run(bytes, deadline, move |inner| {
            let query = inner.query(&query)?;
            texts.iter().map(|text| inner.pair(&query, text)).collect()
        });
        Ok(found.await?.into())
    }

    /// The same for a thread that may block. Panics where called from inside an async task.
    ///
    /// # Errors
    /// As [`RerankPool::rerank`].
    pub fn rerank_blocking(&self, query: &str, texts: &[String], deadline: Instant) -> Result<Relevances, PoolError> {
        let found = self.pool.run_blocking(deadline, |inner| {
            let query = inner.query(query)?;
            texts.iter().map(|text| inner.pair(&query, text)).collect()
        })?;
        Ok(found.into())
    }
}

impl From<super::embed::Embeddings> for Relevances {
    /// Cross-encoders are trained to give the logarithm of the odds that the text answers the query.
    fn from(found: super::embed::Embeddings) -> Self {
        let score = |vector: &Vec<f32>| 1.0 / (1.0 + (-vector.first().copied().unwrap_or_default()).exp());
        Self { scores: found.vectors.iter().map(score).collect(), tokens: found.tokens }
    }
}

#[cfg(test)]
mod tests;
