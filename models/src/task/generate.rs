//! Tokens to the next token's logits.

use super::StepError;

/// New tokens of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The blocks that hold the sequence, from its beginning, with room for the new tokens.
    pub blocks: &'a [u32],
    /// Tokens that the blocks hold already.
    pub position: usize,
    /// The tokens that follow; at least one.
    pub tokens: &'a [u32],
    /// After how many of them, the last ones, the logits are wanted; no more than there are.
    pub logits: usize,
}

/// A model that continues token sequences. Called from one thread. It keeps the state of sequences in blocks of a fixed number of
/// tokens; which block belongs to which sequence is the caller's affair, and several may share one.
pub trait StepTokens: Send {
    /// Number of logits.
    fn vocabulary(&self) -> usize;

    /// Longest sequence, in tokens.
    fn context_tokens(&self) -> usize;

    /// Tokens of a block.
    fn block_tokens(&self) -> usize;

    /// Number of blocks.
    fn blocks(&self) -> usize;

    /// Computes the new tokens of some sequences, which share no block that is written. Writes the rows of logits that each piece
    /// wants, in their order. A row depends on its own sequence's tokens up to it alone, to the last bit. Tokens may be given again from an
    /// earlier position on: what was there is written over.
    ///
    /// # Errors
    /// [`StepError`] where the computation fails, or a piece does not fit its blocks, its tokens or [`StepTokens::context_tokens`].
    fn step(&mut self, pieces: &[Piece<'_>], logits: &mut Vec<f32>) -> Result<(), StepError>;
}
