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

use super::{Hit, Question};
use crate::index::Index;
use crate::query::{Mode, Strength};

const W: f32 = 1.0 / 44.0;
const BETA: f32 = 0.5;

/// Vectors below which the mean is mostly noise: it counts in proportion n / (n + this). A precaution, not measured.
const FEW: f32 = 50.0;

/// Passages by which evidence is judged, and how much a fully covered question adds to a cosine. Between 0.15 and 0.5
/// the share makes no difference that was measured.
const TOP: usize = 3;
const COVERAGE_SHARE: f32 = 0.25;

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

/// BM25's k1 + 1 in FTS5, where k1 is 1.2: the factor by which one word's frequency can raise its weight at most.
const SATURATION: f32 = 2.2;

/// BM25 as a share of the highest that the question can reach, 0 to 1.
pub(crate) fn share_of_highest(bm25: f32, idf_sum: f32) -> f32 {
    if idf_sum > 0.0 { (bm25 / (SATURATION * idf_sum)).clamp(0.0, 1.0) } else { 0.0 }
}

/// What the passages on top say about whether the question can be answered at all.
pub(crate) fn judge<'a>(hits: impl Iterator<Item = &'a Hit>, strength: &mut Strength) {
    let top: Vec<&Hit> = hits.take(TOP).collect();
    let highest = |of: fn(&Hit) -> f32| top.iter().map(|hit| of(hit)).reduce(f32::max).unwrap_or(0.0);
    strength.cosine = highest(|hit| hit.cosine);
    strength.coverage = highest(|hit| hit.coverage);
    strength.evidence = highest(|hit| COVERAGE_SHARE.mul_add(hit.coverage, hit.cosine));
    strength.margin = match top.as_slice() {
        [first, second, ..] => first.score - second.score,
        [first] => first.score,
        [] => 0.0,
    };
}
