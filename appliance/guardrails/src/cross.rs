//! Whether a sentence answers a question, told by reading both together: a cross-encoder, made of the embedding model itself by an
//! [`ADAPTER`] of low rank: some ten thousand weights beside each of its matrices, and a head. `models/training/cross` says how they came about
//! and how far they carry.
//!
//! **What it is not:** a model that runs here; whoever has it hands its outputs to [`answers`]. Nor is it a judge of what is true or whole: the
//! best of two sentences that answer it hardly knows, and exact facts it does not read.
//!
//! # Why
//! - **Two texts read together tell what two vectors cannot.** A vector says what a text is about. "What does a flu shot cost?" is as
//!   near to "Flu shots are given on weekdays." as to the price.
//! - **An adapter and no second model.** What is learned fits into a file that a repository can hold, and a hospital installs no other
//!   weights than those that it has. Beside another embedding model there is none, and likeness and words decide.
//!
//! ```
//! use cloister_guardrails::cross::answers;
//! assert_eq!(answers(&[1.5]), Some(1.5));
//! assert_eq!((answers(&[f32::NAN]), answers(&[])), (None, None));
//! ```

/// The adapter: a safetensors file as the pool of adapted models takes it.
pub const ADAPTER: &[u8] = include_bytes!("cross/adapter.safetensors");

/// SHA-256 of the embedding model that it belongs to, as its manifest makes it.
const TRUNK: &str = "0bc312444ef45971c199eb8d59ef2ff96e2f970524bb299dfa2e1dbfec6a5ef3";

/// Whether [`ADAPTER`] belongs to the embedding model whose manifest has that SHA-256.
pub fn is_learned_beside(model: &str) -> bool {
    model == TRUNK
}

/// Of the outputs for a question and a sentence under its heading, the logarithm of the odds that the sentence answers the question; none where
/// they are not one finite number. [`selection::answers`](crate::selection::answers) makes of it how likely that is.
pub fn answers(outputs: &[f32]) -> Option<f32> {
    let [answers] = *outputs else { return None };
    answers.is_finite().then_some(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_another_number_and_what_is_no_number_are_refused() {
        for outputs in [&[][..], &[0.0; 2], &[f32::INFINITY]] {
            assert_eq!(answers(outputs), None);
        }
    }

    #[test]
    fn the_adapter_stays_below_the_size_that_the_repository_takes() {
        assert!(ADAPTER.len() < 25 << 20);
    }
}
