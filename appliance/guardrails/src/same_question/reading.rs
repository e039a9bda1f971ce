//! How likely it is that two questions ask the same: by what comes of reading both together, and by how far the known one stands out among the
//! curated questions.
//!
//! # Why
//! - **Not how alike they are.** A question that only looks like another shares more of its words than a true paraphrase does. Learned
//!   without bounds, weights punish likeness itself; bounded so that likeness never counts against, they come out as nothing. What is
//!   left is the distance to the next curated question, and reading.

/// A curated question that may be the one asked.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The question, in the wording that is likest to the asked one.
    pub question: &'a str,
    /// Cosine of the two questions, -1 to 1.
    pub similarity: f32,
    /// The same of the likest other curated question; any less where there is none.
    pub next: f32,
    /// The logarithm of the odds that they ask the same, of reading both together ([`cross::Read`](crate::cross::Read)).
    pub read: f32,
}

/// The names of the features, in their order.
pub const NAMES: [&str; 2] = ["read", "margin"];

/// One for each feature, in the order of [`NAMES`]. Learned on four invented sites that the reader has not learned from, 504 questions
/// that ask the same as one of 138 curated ones and 504 that only look like it (`models/training/selection`, `same.py`).
const WEIGHTS: [f32; NAMES.len()] = [0.64, 8.92];
/// What is added.
const BIAS: f32 = -0.03;

/// How like the next curated question is to a paraphrase of another, at least, in three quarters of the cases on those sites.
const TYPICAL: f32 = 0.36;

impl Known<'_> {
    /// What is weighed, in the order of [`NAMES`].
    pub fn features(&self) -> [f32; NAMES.len()] {
        // Among few curated questions, one stands out for no merit of its own.
        let next = if self.next < TYPICAL { TYPICAL } else { self.next }; // not a number: stays none
        [self.read, self.similarity - next]
    }

    /// How likely it is that it asks the same, 0 to 1, where as many questions do as only look like it. What is no number makes it 0.
    pub fn likely(&self) -> f32 {
        let logit = WEIGHTS.iter().zip(self.features()).fold(BIAS, |sum, (weight, value)| sum + weight * value);
        let likely = 1.0 / (1.0 + (-logit).exp());
        if likely.is_nan() { 0.0 } else { likely }
    }
}

/// Curated questions beside each other: `near` are the nearest ones, two at least where there are two, each in its likest wording with its cosine,
/// the likest first, and `read` is what came of reading the first few of them together with the asked one.
pub fn beside<'a>(near: &[(&'a str, f32)], read: &[f32]) -> Vec<Known<'a>> {
    let next = |at: usize| near.get(usize::from(at == 0)).map_or(-1.0, |(_, similarity)| *similarity);
    let told = near.iter().zip(read).enumerate();
    told.map(|(at, ((question, similarity), read))| Known {
        question,
        similarity: *similarity,
        next: next(at),
        read: *read,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_standing_out_make_it_likelier_and_no_number_makes_it_nothing() {
        let likely = |similarity, next, read| Known { question: "When do you close?", similarity, next, read }.likely();
        assert!(likely(0.7, 0.4, 0.6) > likely(0.7, 0.6, 0.6));
        assert_eq!(likely(0.5, -1.0, 0.6), likely(0.5, 0.3, 0.6));
        assert!(likely(0.7, 0.3, 0.6) > likely(0.7, 0.3, -0.6));
        for unknown in [likely(f32::NAN, 0.3, 0.6), likely(0.7, f32::NAN, 0.6), likely(0.7, 0.3, f32::NAN)] {
            assert_eq!(unknown, 0.0);
        }
    }

    #[test]
    fn each_stands_beside_the_likest_of_the_others() {
        let known = beside(&[("a", 0.9), ("b", 0.7), ("c", 0.6)], &[1.0, 2.0]);
        let told: Vec<_> =
            known.iter().map(|known| (known.question, known.similarity, known.next, known.read)).collect();
        assert_eq!(told, [("a", 0.9, 0.7, 1.0), ("b", 0.7, 0.9, 2.0)]);
        assert_eq!(beside(&[("a", 0.9)], &[1.0])[0].next, -1.0);
    }
}
