//! Tokens to the next token's logits.

use super::StepError;

/// A model that continues token sequences. Called from one thread. It keeps the state of a fixed number of sequences,
/// each in a slot that the caller names.
pub trait StepTokens: Send {
    /// Number of logits.
    fn vocabulary(&self) -> usize;

    /// Longest sequence a slot holds, in tokens.
    fn context_tokens(&self) -> usize;

    /// Number of slots.
    fn slots(&self) -> usize;

    /// Cuts the slot's sequence back to `position` tokens, appends `tokens`, and writes the logits after the last of
    /// them into `logits` where it is given. `tokens` is not empty; `position` is at most what the slot holds.
    ///
    /// # Errors
    /// [`StepError`] where the computation fails, or the sequence would grow past [`StepTokens::context_tokens`].
    fn feed(
        &mut self,
        slot: usize,
        position: usize,
        tokens: &[u32],
        logits: Option<&mut Vec<f32>>,
    ) -> Result<(), StepError>;

    /// Makes the first `tokens` tokens of one slot the contents of another.
    ///
    /// # Errors
    /// [`StepError`] where a slot does not exist or holds fewer tokens.
    fn copy_prefix(&mut self, from: usize, to: usize, tokens: usize) -> Result<(), StepError>;

    /// Forgets every sequence: called after a failure, when what the slots hold is not known.
    fn reset(&mut self);
}
