//! The weights of the features.
//!
//! Learned by logistic regression on differences of features, a sentence that answers against one that does not, within one
//! question. Three sets of questions weigh alike: 82 written by hand on invented documents (`models/training/selection/`), 114
//! of the Department of Veterans Affairs' own (public domain) and 477 of MedQuAD (CC BY 4.0), the latter two on documents from
//! which the questions were taken out. Each set held out in turn, the first sentence stands where the answer does in 0.72, 0.46
//! and 0.69 of the questions; by likeness and a quarter of the share of words it was 0.65, 0.40 and 0.63 (all-MiniLM-L6-v2).

use super::NAMES;

/// One for each feature, in the order of [`NAMES`].
pub(super) const WEIGHTS: [f32; NAMES.len()] = [5.67, 10.85, 3.51, 3.19, -0.55, 1.03, -1.03];

/// Of what comes of reading both together, beside [`WEIGHTS`]. Chosen on two sites that the reader has not learned from (`juniper-basin` and
/// `penhallow-desk` in `models/training/selection`): the first sentence stands where the answer does in 0.44 and 0.48 of the questions, without it
/// in 0.43 and 0.40; with 2 it would be 0.45 and 0.48, and 0.90 on the sample site, where it is 0.91 with 1 or none.
pub(super) const READING: f32 = 1.0;

/// Of the reading and of the evidence, and what is added. Logistic regression on those two sites: 240 questions that they answer, 160 on their
/// topics that they do not, and 320 of other sites at half the weight.
pub(super) const ANSWERS: [f32; 3] = [0.33, 1.26, -0.58];
