//! The one formula by which meaning and words become a score.
//!
//! `score = cos(q, d) - BETA * (mean . d) + W * bm25(d) * sqrt(coverage(d))`, for each passage by itself.
//!
//! # Why these constants
//! - `W`: MiniLM was trained as a softmax of 20 times the cosine, so 20 times the cosine is a logit; BM25 divided by
//!   k1 + 1 = 2.2 is a sum of log-odds. Log-odds add, so W = 1 / (20 * 2.2). Measured, 0.020 to 0.030 is a plateau.
//! - `BETA`: what a passage shares with the average passage says nothing about this question (a prior, taken out at
//!   half its weight). 0.25 to 0.5 is a plateau; at 0 consumer medication questions lose 0.016 nDCG@10.
//! - The root of coverage: words count in proportion as the question is met by more than one of them.
//! - Measured and not taken: min-max and z scores per query (0.02 to 0.07 nDCG@10 worse on medication questions),
//!   reciprocal ranks (0.07 worse there), a bonus for further passages of the same document (0.01 to 0.02 worse).

use super::Question;
use crate::index::Index;
use crate::query::Mode;

const W: f32 = 1.0 / 44.0;
const BETA: f32 = 0.5;

/// Vectors below which the mean is mostly noise: it counts in proportion n / (n + this). A precaution, not measured.
const FEW: f32 = 50.0;

/// The direction whose inner product with a passage is its meaning score: the question less the prior. `None` by
/// words alone. By meaning alone it is the question itself, the plain cosine that everybody means by that.
pub(super) fn direction(question: &Question<'_>, index: &Index) -> Option<Vec<f32>> {
    match question.mode {
        Mode::Words => None,
        Mode::Meaning => Some(question.vector.to_vec()),
        Mode::Hybrid => {
            #[expect(clippy::cast_precision_loss, reason = "a count, for a ratio")]
            let rows = index.segments.iter().map(|segment| segment.rows()).sum::<usize>() as f32;
            let beta = BETA * rows / (rows + FEW);
            Some(question.vector.iter().zip(&index.mean).map(|(q, mean)| q - beta * mean).collect())
        }
    }
}

/// The score of a passage.
pub(super) fn score(mode: Mode, centred: f32, bm25: f32, coverage: f32) -> f32 {
    match mode {
        Mode::Meaning => centred,
        Mode::Words => bm25,
        Mode::Hybrid => W.mul_add(bm25 * coverage.max(0.0).sqrt(), centred),
    }
}
