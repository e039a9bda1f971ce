//! Text to vectors.

use super::StepError;

/// A model that turns token sequences into vectors. Called from one thread.
pub trait EncodeText: Send {
    /// Length of every vector.
    fn dimensions(&self) -> usize;

    /// Longest sequence, special tokens included.
    fn max_tokens(&self) -> usize;

    /// How many tokens at a time make good use of the machine.
    fn batch_tokens(&self) -> usize {
        2048
    }

    /// One L2-normalised vector of [`EncodeText::dimensions`] numbers per sequence, in the same order. Sequences are
    /// not empty and not longer than [`EncodeText::max_tokens`]. The vector of a sequence depends on no other in the batch.
    ///
    /// # Errors
    /// [`StepError`] where the computation fails.
    fn encode(&mut self, batch: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, StepError>;
}
