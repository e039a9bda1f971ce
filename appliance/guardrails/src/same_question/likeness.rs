//! How likely it is that two questions ask the same: how far the known one stands out among the curated questions, and whether either has a
//! word that finds no like in the other.
//!
//! # Why
//! - **Not how alike they are.** A question that only looks like another shares more of its words than a true paraphrase does. Learned
//!   without bounds, weights punish likeness itself; bounded so that likeness never counts against, they come out as nothing. What is
//!   left is the distance to the next curated question, and the word that nothing corresponds to.

use super::{Details, kind};
use crate::vectors::{dot, inside};

/// A curated question that may be the one asked.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The question, in the wording that is likest to the asked one.
    pub question: &'a str,
    /// Cosine of the two questions, -1 to 1.
    pub similarity: f32,
    /// The same of the likest other curated question; any less where there is none.
    pub next: f32,
    /// [`least_found`] of the tokens of the two, where the embedding model has them.
    pub least: f32,
}

/// Of the tokens of two questions the one that finds least: how like its likest token in the other is, -1 to 1. The tokens have two vectors of
/// `width` numbers, of which the first is looked at; those that the model adds at either end are passed over.
pub fn least_found(asked: &[f32], known: &[f32], width: usize) -> f32 {
    let (asked, known) = (upper(asked, width), upper(known, width));
    let best = |one: &[f32], others: &[&[f32]]| others.iter().map(|other| dot(one, other)).fold(-1.0, f32::max);
    let found = asked.iter().map(|one| best(one, &known)).chain(known.iter().map(|one| best(one, &asked)));
    if asked.is_empty() || known.is_empty() { -1.0 } else { found.fold(1.0, f32::min) }
}

fn upper(rows: &[f32], width: usize) -> Vec<&[f32]> {
    inside(rows, width).chunks_exact((2 * width).max(1)).filter_map(|token| token.get(..width)).collect()
}

/// The names of the features, in their order.
pub const NAMES: [&str; 3] = ["margin", "least_token", "kind"];

/// What is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Features(pub [f32; NAMES.len()]);

/// One for each feature, in the order of [`NAMES`]. Learned on four invented sites, 1,440 questions of which half ask the same as one of 180
/// curated ones and half only look like it (`models/training/selection`, `same.py`), beside all-MiniLM-L6-v2.
const WEIGHTS: [f32; NAMES.len()] = [5.04, 1.2, -1.05];
/// What is added.
const BIAS: f32 = -0.87;

/// How like the next curated question is to a paraphrase of another, at least, in three quarters of the cases on those sites.
const TYPICAL: f32 = 0.36;

impl Features {
    /// Of an asked question and a known one.
    pub fn of(asked: &str, known: &Known<'_>) -> Self {
        let (one, other) = (Details::of(asked), Details::of(known.question));
        let differs = kind::differ(kind::kind(&one.words), kind::kind(&other.words));
        // Among few curated questions, one stands out for no merit of its own.
        let next = known.next.max(TYPICAL);
        Self([known.similarity - next, known.least, if differs { 1.0 } else { 0.0 }])
    }

    /// How likely it is that they ask the same, 0 to 1, where as many questions do as only look like it. What is no number makes it 0.
    pub fn likely(&self) -> f32 {
        let logit = WEIGHTS.iter().zip(self.0).fold(BIAS, |sum, (weight, value)| sum + weight * value);
        let likely = 1.0 / (1.0 + (-logit).exp());
        if likely.is_nan() { 0.0 } else { likely }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(tokens: &[[f32; 2]]) -> Vec<f32> {
        let of = |token: &[f32; 2]| [token[0], token[1], 9.0, 9.0];
        let added = [0.0; 4];
        [added].into_iter().chain(tokens.iter().map(of)).chain([added]).flatten().collect()
    }

    #[test]
    fn the_token_without_a_like_counts_whichever_question_it_stands_in() {
        let (one, other) = (rows(&[[1.0, 0.0], [0.0, 1.0]]), rows(&[[1.0, 0.0]]));
        assert_eq!(least_found(&one, &other, 2), 0.0);
        assert_eq!(least_found(&other, &one, 2), 0.0);
        assert_eq!(least_found(&one, &one, 2), 1.0);
        assert_eq!(least_found(&one, &rows(&[]), 2), -1.0);
        assert_eq!(least_found(&[], &one, 2), -1.0);
    }

    #[test]
    fn standing_out_makes_it_likelier_and_no_number_makes_it_nothing() {
        let known = |similarity, next, least| Known { question: "When do you close?", similarity, next, least };
        let likely = |known| Features::of("how late are you open", &known).likely();
        assert!(likely(known(0.7, 0.4, 0.6)) > likely(known(0.7, 0.6, 0.6)));
        assert_eq!(likely(known(0.5, -1.0, 0.6)), likely(known(0.5, 0.3, 0.6)));
        assert!(likely(known(0.7, 0.3, 0.6)) > likely(known(0.7, 0.3, 0.1)));
        assert_eq!(likely(known(f32::NAN, 0.3, 0.6)), 0.0);
    }
}
