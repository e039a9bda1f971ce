//! The pool of cross-encoders as the port that the pipeline owns.

use std::time::{Duration, Instant};

use cloister_models::{PoolError, Priority as PoolPriority, RerankPool};

use crate::pipeline::{
    Priority,
    model::ModelName,
    rerank::{Answer, Asking, Relevances, Rerank, RerankError},
};

/// When to try again after a deadline passed in the queue.
const AFTER_DEADLINE: Duration = Duration::from_secs(5);

/// The pool behind the pipeline's port.
#[derive(Clone)]
pub struct PoolRerank {
    pool: RerankPool,
    patience: Duration,
}

impl PoolRerank {
    /// Lends `pool`; a call that takes longer than `patience` fails.
    pub const fn new(pool: RerankPool, patience: Duration) -> Self {
        Self { pool, patience }
    }

    /// Whether the worker still takes requests.
    pub fn serving(&self) -> bool {
        self.pool.serving()
    }
}

impl Rerank for PoolRerank {
    fn identity(&self) -> ModelName {
        let identity = self.pool.identity();
        ModelName { name: identity.name.clone(), sha256: identity.sha256.clone() }
    }

    fn rerank(&self, query: String, texts: Vec<String>, who: Asking) -> Answer {
        let priority = match who.priority {
            Priority::Interactive => PoolPriority::Interactive,
            Priority::Batch => PoolPriority::Batch,
        };
        let pool = self.pool.of_tenant(who.salt).with_priority(priority);
        let deadline = Instant::now() + self.patience;
        Box::pin(async move {
            match pool.rerank(query, texts, deadline).await {
                Ok(found) => Ok(Relevances { scores: found.scores, tokens: found.tokens }),
                Err(PoolError::QueueFull { retry_after }) => Err(RerankError::Busy { retry_after }),
                // Waiting took all the time there was: the pool is as good as full.
                Err(PoolError::DeadlineExceeded) => Err(RerankError::Busy { retry_after: AFTER_DEADLINE }),
                Err(PoolError::TooLong { tokens, limit }) => Err(RerankError::TooLong { tokens, limit }),
                Err(fault) => Err(RerankError::Failed(fault.to_string())),
            }
        })
    }
}
