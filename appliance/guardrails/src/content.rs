//! Content of six categories in a text, told from its vectors: hate, insults, sexual content, violence, misconduct, and attacks on
//! the model.
//!
//! **What it is not:** no reader of words. It sees what an embedding model made of a text, so that it knows what a text is about
//! and in which tone, and not what exactly it says; an attack's words are for [`attack`](crate::attack), a site's own for word
//! lists. It says nothing of vectors of another model than the one it was trained on.
//!
//! # Why
//! - **One pass for all.** Every category is a line through the space that the embedding model spans anyway: one pass of the model over
//!   a text, then six dot products.
//! - **The cloud's categories and steps**, so that a policy can be carried over.
//! - **Steps of confidence are shares of harmless texts**: they are laid where so many of those that were held out lie above them
//!   ([`RATES`]), so that a filter's strength says what it costs, and the same strength costs the same in every category.
//! - **What is no number counts as found**: it cannot be judged.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::{attack::Confidence, document::FilterKind};

/// Of harmless texts, the share that is found with at least low, medium and high confidence where the steps were laid.
pub const RATES: [f32; 3] = [0.01, 0.002, 0.0005];

/// What was found of one category. No text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Content {
    /// Of what.
    pub kind: FilterKind,
    /// How likely, 0 to 1: 0.4, 0.7 and 0.9 where [`RATES`] of harmless texts lie above. An ordering, not a measured chance.
    pub score: f32,
    /// The same in steps.
    pub confidence: Confidence,
}

impl Content {
    /// What nobody could judge counts as found.
    pub const fn unjudged(kind: FilterKind) -> Self {
        Self { kind, score: 1.0, confidence: Confidence::High }
    }
}

/// The built-in heads, of which `models/training/heads` says how they came about.
pub struct Heads {
    /// SHA-256 of the embedding model that they read, as its manifest makes it.
    trunk: String,
    heads: Vec<Head>,
}

/// One category.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    kind: FilterKind,
    weights: Vec<f32>,
    bias: f32,
    /// Logits at which confidence is low, medium, high.
    steps: [f32; 3],
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    trunk: String,
    heads: Vec<Head>,
}

const WEIGHTS: &str = include_str!("content/heads.json");

impl Heads {
    /// The embedding model whose vectors they read.
    pub const TRUNK: &'static str = "all-MiniLM-L6-v2";

    /// Those for the embedding model whose manifest has that SHA-256; none for another.
    pub fn of(trunk: &str) -> Option<&'static Self> {
        static BUILT_IN: LazyLock<Option<Heads>> = LazyLock::new(|| {
            let File { trunk, heads } = serde_json::from_str(WEIGHTS).ok()?;
            Some(Heads { trunk, heads })
        });
        BUILT_IN.as_ref().filter(|heads| heads.trunk == trunk)
    }

    /// What a text holds of one kind that has these vectors, one for each stretch that the model sees whole: what the worst of them
    /// holds. Sentences by themselves are not judged: out of its place a harmless one often looks like a part of something else.
    pub fn judge(&self, kind: FilterKind, windows: &[Vec<f32>]) -> Content {
        let head = self.heads.iter().find(|head| head.kind == kind);
        let score = head.map_or(1.0, |head| windows.iter().map(|window| head.score(window)).fold(0.0, f32::max));
        Content { kind, score, confidence: Confidence::of(score) }
    }
}

impl std::fmt::Debug for Heads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heads").field("trunk", &self.trunk).finish_non_exhaustive()
    }
}

impl Head {
    /// The logit, laid on the scale of scores: a line from step to step.
    fn score(&self, vector: &[f32]) -> f32 {
        let logit = self.bias + self.weights.iter().zip(vector).map(|(weight, number)| weight * number).sum::<f32>();
        if logit.is_nan() || vector.len() != self.weights.len() {
            return 1.0;
        }
        let [low, medium, high] = self.steps;
        // Below the lowest step and above the highest the line goes on as steeply as between the lowest two.
        let step = (medium - low).max(f32::EPSILON);
        let [at_low, at_medium, at_high] = Confidence::STEPS;
        let ends = [(low - step, 0.1), (low, at_low), (medium, at_medium), (high, at_high), (high + step, 0.99)];
        let mut before: Option<(f32, f32)> = None;
        for (at, score) in ends {
            if logit < at {
                return match before {
                    None => score / (1.0 + (at - logit)),
                    Some((from, lower)) => lower + (score - lower) * (logit - from) / (at - from).max(f32::EPSILON),
                };
            }
            before = Some((at, score));
        }
        0.99
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUNK: &str = "0bc312444ef45971c199eb8d59ef2ff96e2f970524bb299dfa2e1dbfec6a5ef3";

    fn one(weights: &[f32]) -> Heads {
        let head = Head { kind: FilterKind::Hate, weights: weights.to_vec(), bias: -1.0, steps: [1.0, 2.0, 4.0] };
        Heads { trunk: String::new(), heads: vec![head] }
    }

    #[test]
    fn the_built_in_heads_know_every_category_and_belong_to_one_model() {
        let heads = Heads::of(TRUNK).unwrap();
        for kind in FilterKind::ALL {
            let head = heads.heads.iter().find(|head| head.kind == kind).unwrap();
            assert_eq!(head.weights.len(), 384);
            let [low, medium, high] = head.steps;
            assert!(low < medium && medium < high, "{kind:?}");
        }
        assert!(Heads::of("another").is_none());
    }

    #[test]
    fn steps_lie_where_they_are_said_to_lie_and_scores_rise_between_them() {
        let heads = one(&[1.0]);
        let at = |logit: f32| heads.judge(FilterKind::Hate, &[vec![logit + 1.0]]);
        for (logit, score, confidence) in [
            (0.99, 0.4, Confidence::None),
            (1.0, 0.4, Confidence::Low),
            (2.0, 0.7, Confidence::Medium),
            (3.0, 0.8, Confidence::Medium),
            (4.0, 0.9, Confidence::High),
            (50.0, 0.99, Confidence::High),
        ] {
            let found = at(logit);
            assert!((found.score - score).abs() < 0.01, "{logit}: {found:?}");
            assert_eq!(found.confidence, confidence, "{logit}");
        }
        let scores: Vec<f32> = (-100..100).map(|n| at(n as f32 / 10.0).score).collect();
        assert!(scores.windows(2).all(|pair| pair[0] <= pair[1]) && scores[0] > 0.0);
    }

    #[test]
    fn the_worst_window_counts_and_what_cannot_be_judged_counts_as_found() {
        let heads = one(&[1.0]);
        let judged = |windows: &[Vec<f32>], kind| heads.judge(kind, windows).confidence;
        assert_eq!(judged(&[vec![0.0], vec![9.0], vec![0.0]], FilterKind::Hate), Confidence::High);
        assert_eq!(judged(&[vec![0.0]], FilterKind::Hate), Confidence::None);
        assert_eq!(judged(&[vec![0.0], vec![f32::NAN]], FilterKind::Hate), Confidence::High);
        assert_eq!(judged(&[vec![0.0, 0.0]], FilterKind::Hate), Confidence::High);
        assert_eq!(judged(&[vec![0.0]], FilterKind::Sexual), Confidence::High);
    }
}
