//! Text to vectors, and two texts to a score.

use super::StepError;

/// The tokens of one text, or of two of which the second is judged by the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// All of them, special ones included.
    pub tokens: Vec<u32>,
    /// Where the second text begins, for models that mark its tokens; the number of tokens where there is none.
    pub second: usize,
    /// What it becomes.
    pub yields: Yields,
}

/// What a sequence becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Yields {
    /// One vector, or the score of a pair.
    #[default]
    Whole,
    /// For each of its tokens, one after the other, what the last layer leaves and then what the layer half way up leaves: two
    /// L2-normalised vectors. A model that scores pairs has none.
    Tokens,
}

impl Sequence {
    /// One text.
    #[must_use]
    pub const fn one(tokens: Vec<u32>) -> Self {
        let second = tokens.len();
        Self { tokens, second, yields: Yields::Whole }
    }

    /// The same, to become [`Yields::Tokens`].
    #[must_use]
    pub fn by_token(self) -> Self {
        Self { yields: Yields::Tokens, ..self }
    }

    /// Whether it yields [`Yields::Tokens`].
    pub(crate) fn is_by_token(&self) -> bool {
        self.yields == Yields::Tokens
    }

    /// How many tokens.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// A model that turns token sequences into vectors. Called from one thread.
pub trait EncodeText: Send {
    /// Length of every vector: 1 where it is the score of a pair.
    fn dimensions(&self) -> usize;

    /// Longest sequence, special tokens included.
    fn max_tokens(&self) -> usize;

    /// How many tokens at a time make good use of the machine.
    fn batch_tokens(&self) -> usize {
        2048
    }

    /// One vector of [`EncodeText::dimensions`] numbers per sequence, in the same order: L2-normalised, or the score of a
    /// pair; or twice as many as it has tokens, where it yields [`Yields::Tokens`]. Sequences are not empty and not longer than
    /// [`EncodeText::max_tokens`]. The vector of a sequence depends on no other in the batch.
    ///
    /// # Errors
    /// [`StepError`] where the computation fails.
    fn encode(&mut self, batch: &[Sequence]) -> Result<Vec<Vec<f32>>, StepError>;
}
