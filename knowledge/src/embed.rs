//! The port through which text becomes vectors. The program adapts its embedding pool to it; tests hash words.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Turns text into vectors of unit length.
pub trait Embed: Send + Sync {
    /// Which model this is. Vectors of different models are never compared.
    fn identity(&self) -> EmbedIdentity;

    /// How many tokens the model sees in `text`, those that it adds included.
    fn count_tokens(&self, text: &str) -> usize;

    /// One vector per text, of `identity().dimensions` numbers and length one. Blocks until done.
    ///
    /// # Errors
    /// [`EmbedError::Busy`] where the pool's queue is full; anything else is [`EmbedError::Failed`].
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError>;

    /// For each text, and in it for each token that the model sees, those that it adds included: what the last layer leaves and what the
    /// layer half way up does, two vectors of `identity().dimensions` numbers and length one. Blocks until done.
    ///
    /// # Errors
    /// As [`Embed::embed`]; [`EmbedError::Failed`] too where the model tells no tokens apart, as those of tests.
    fn embed_tokens(&self, _texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Err(EmbedError::Failed("it has no vectors of tokens".to_owned()))
    }

    /// Whether an adapter has taught the model to read two texts together.
    fn reads_pairs(&self) -> bool {
        false
    }

    /// What the model makes of two texts that it reads together: the adapter's outputs for each pair, in their order. Of a first text no more
    /// is read than half of what the model sees, and the end of a second one is not read where both are too long together. Blocks until
    /// done.
    ///
    /// # Errors
    /// As [`Embed::embed`]; [`EmbedError::Failed`] too where no adapter belongs to the model.
    fn read_pairs(&self, _pairs: &[(String, String)]) -> Result<Vec<Vec<f32>>, EmbedError> {
        Err(EmbedError::Failed("it reads no two texts together".to_owned()))
    }
}

/// An embedding model, as an index remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedIdentity {
    /// The registry's name for it.
    pub name: String,
    /// SHA-256 over its files, in hexadecimal.
    pub sha256: String,
    /// Numbers per vector.
    pub dimensions: usize,
    /// The longest text that it sees whole, in tokens.
    pub max_tokens: usize,
}

/// Why there are no vectors.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbedError {
    /// Too much is waiting already.
    #[error("the embedding queue is full: try again in {} s", .retry_after.as_secs_f32().ceil())]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The engine failed, in its own words, without the text.
    #[error("the embedding engine failed: {0}")]
    Failed(String),
}
