//! The embedding pool as the port that `knowledge` owns.

use std::time::{Duration, Instant};

use cloister_knowledge::{Embed, EmbedError, EmbedIdentity};
use cloister_models::{EmbedPool, Embeddings, PairPool, PoolError, Priority, Truncate};

/// When to try again after a deadline passed in the queue.
const AFTER_DEADLINE: Duration = Duration::from_secs(5);

/// The embedding pool behind `knowledge`'s port.
#[derive(Clone)]
pub struct PoolEmbed {
    pool: EmbedPool,
    pairs: Option<PairPool>,
    patience: Duration,
}

impl PoolEmbed {
    /// Lends `pool`; a call that takes longer than `patience` fails.
    pub const fn new(pool: EmbedPool, patience: Duration) -> Self {
        Self { pool, pairs: None, patience }
    }

    /// Lends what reads two texts together, too.
    #[must_use]
    pub fn with_pairs(self, pairs: PairPool) -> Self {
        Self { pairs: Some(pairs), ..self }
    }

    /// The same on behalf of whoever has this salt, as urgent as that, with another patience.
    pub fn lent(&self, salt: u64, priority: Priority, patience: Duration) -> Self {
        let pairs = self.pairs.as_ref().map(|pairs| pairs.of_tenant(salt).with_priority(priority));
        Self { pool: self.pool.of_tenant(salt).with_priority(priority), pairs, patience }
    }

    /// Whether the workers still take requests.
    pub fn serving(&self) -> bool {
        self.pool.serving() && self.pairs.as_ref().is_none_or(PairPool::serving)
    }

    /// The pool itself, for the API faces that count tokens.
    pub const fn pool(&self) -> &EmbedPool {
        &self.pool
    }
}

impl Embed for PoolEmbed {
    fn identity(&self) -> EmbedIdentity {
        let identity = self.pool.identity();
        EmbedIdentity {
            name: identity.name.clone(),
            sha256: identity.sha256.clone(),
            dimensions: self.pool.dimensions(),
            max_tokens: self.pool.max_tokens(),
        }
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.pool.count_tokens(text)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        // The end of an over-long text is left out: chunks are cut to fit, and a long question begins with its point.
        vectors(self.pool.embed_blocking(texts, Truncate::End, Instant::now() + self.patience))
    }

    fn embed_tokens(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        vectors(self.pool.embed_tokens_blocking(texts, Truncate::End, Instant::now() + self.patience))
    }

    fn reads_pairs(&self) -> bool {
        self.pairs.is_some()
    }

    fn read_pairs(&self, pairs: &[(String, String)]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let missing = || EmbedError::Failed("no adapter belongs to the embedding model".to_owned());
        let pool = self.pairs.as_ref().ok_or_else(missing)?;
        vectors(pool.read_blocking(pairs, Instant::now() + self.patience))
    }
}

fn vectors(done: Result<Embeddings, PoolError>) -> Result<Vec<Vec<f32>>, EmbedError> {
    match done {
        Ok(done) => Ok(done.vectors),
        Err(PoolError::QueueFull { retry_after }) => Err(EmbedError::Busy { retry_after }),
        // Waiting took all the time there was: the pool is as good as full.
        Err(PoolError::DeadlineExceeded) => Err(EmbedError::Busy { retry_after: AFTER_DEADLINE }),
        Err(fault) => Err(EmbedError::Failed(fault.to_string())),
    }
}
