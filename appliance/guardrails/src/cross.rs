//! What two texts are to each other, told by reading both together: whether a sentence answers a question, and whether two questions ask the
//! same. A cross-encoder, made of the embedding model itself by an [`ADAPTER`] of low rank: some weights beside each of its matrices, and
//! a head. `models/training/cross` says how they came about and how far they carry.
//!
//! **What it is not:** a model that runs here; whoever has it hands its outputs to [`Read::of`]. Nor is it a judge of what is true or whole: the
//! best of two sentences that answer it hardly knows, and exact facts it does not read.
//!
//! # Why
//! - **Two texts read together tell what two vectors cannot.** A vector says what a text is about. "What does a flu shot cost?" is as
//!   near to "Flu shots are given on weekdays." as to the price.
//! - **An adapter and no second model.** What is learned fits into a file that a repository can hold, and a hospital installs no other
//!   weights than those that it has. Beside another embedding model there is none, and likeness and words decide.
//!
//! ```
//! use cloister_guardrails::cross::Read;
//! assert_eq!(Read::of(&[1.5, -2.0]), Some(Read { answers: 1.5, same: -2.0 }));
//! assert_eq!((Read::of(&[f32::NAN, 0.0]), Read::of(&[])), (None, None));
//! ```

/// The adapter: a safetensors file as the pool of adapted models takes it.
pub const ADAPTER: &[u8] = include_bytes!("cross/adapter.safetensors");

/// Outputs of the adapter, in this order: answers, asks the same.
pub const OUTPUTS: usize = 2;

/// SHA-256 of the embedding model that it belongs to, as its manifest makes it.
const TRUNK: &str = "0bc312444ef45971c199eb8d59ef2ff96e2f970524bb299dfa2e1dbfec6a5ef3";

/// Whether [`ADAPTER`] belongs to the embedding model whose manifest has that SHA-256.
pub fn is_learned_beside(model: &str) -> bool {
    model == TRUNK
}

/// The outputs for two texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Read {
    /// For a question and a sentence under its heading, the logarithm of the odds that the sentence answers the question.
    /// [`selection::answers`](crate::selection::answers) makes of it how likely that is.
    pub answers: f32,
    /// For an asked question and a curated one, the logarithm of the odds that they ask the same.
    /// [`same_question`](crate::same_question) makes of it how likely that is.
    pub same: f32,
}

impl Read {
    /// What the outputs say; none where they are not two finite numbers.
    pub fn of(outputs: &[f32]) -> Option<Self> {
        let outputs: [f32; OUTPUTS] = outputs.try_into().ok()?;
        let [answers, same] = Some(outputs).filter(|outputs| outputs.iter().all(|output| output.is_finite()))?;
        Some(Self { answers, same })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_another_number_and_what_is_no_number_are_refused() {
        for outputs in [&[][..], &[0.0], &[0.0; 4], &[f32::INFINITY, 0.0], &[5.0, f32::NEG_INFINITY]] {
            assert_eq!(Read::of(outputs), None);
        }
    }

    #[test]
    fn the_adapter_stays_below_the_size_that_the_repository_takes() {
        assert!(ADAPTER.len() < 8 << 20);
    }
}
