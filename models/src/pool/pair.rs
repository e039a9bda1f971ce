//! The pool that reads two texts together with an adapted embedding model.

use std::time::Instant;

use super::embed::{EmbedPool, Embeddings};
use super::share::Priority;
use super::{PoolError, PoolOptions};
use crate::error::LoadError;
use crate::registry::Verified;

/// Runs an embedding model that an adapter has made a cross-encoder of several outputs. Cheap to clone; the worker ends with the
/// last clone.
///
/// What an output means is the adapter's doing. What waits, and in which order, is the embedding pool's: a pair is a sequence
/// like any other.
#[derive(Clone)]
pub struct PairPool {
    pool: EmbedPool,
}

impl PairPool {
    /// Loads an embedding model with an adapter, a safetensors file of low-rank additions and a head, and starts its worker.
    ///
    /// # Errors
    /// [`LoadError`] as for [`EmbedPool::start`], and where the adapter is not one of this model.
    pub fn start(model: &Verified, adapter: &[u8], options: &PoolOptions) -> Result<Self, LoadError> {
        Ok(Self { pool: EmbedPool::adapted(model, adapter, options)? })
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

    /// How many numbers it gives for a pair.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.pool.dimensions()
    }

    /// Whether the worker still takes requests.
    #[must_use]
    pub fn serving(&self) -> bool {
        self.pool.serving()
    }

    /// The outputs for each pair, in their order. Of a first text no more is read than half of what the embedding model takes, and the end
    /// of a second one is not read where both are too long together. Panics where called from inside an async task.
    ///
    /// # Errors
    /// [`PoolError`].
    pub fn read_blocking(&self, pairs: &[(String, String)], deadline: Instant) -> Result<Embeddings, PoolError> {
        self.pool.run_blocking(deadline, |inner| {
            let mut sequences = Vec::with_capacity(pairs.len());
            // Many texts are read beside one.
            for same in pairs.chunk_by(|(one, _), (other, _)| one == other) {
                let Some((first, _)) = same.first() else { continue };
                let first = inner.beginning(first)?;
                for (_, second) in same {
                    sequences.push(inner.pair(&first, second)?);
                }
            }
            Ok(sequences)
        })
    }
}

#[cfg(test)]
mod tests;
