//! `[answer]`: when an answer is good enough to be given.

use serde::{Deserialize, Serialize};

/// `[answer]`: when an answer is good enough to be given. Thresholds lie between 0 and 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// How near the best passage must be in meaning for anything to be answered at all. Default: 0.35.
    pub abstain_below: f32,
    /// How near a question must be to a curated one to get its approved answer. Default: 0.86.
    pub same_question: f32,
    /// Passages that an answer may rest on. Default: 6.
    pub passages: usize,
    /// Tokens that the generation model may write for one answer. Default: 256.
    pub max_tokens: usize,
    /// Seconds that an answer may take in all. Default: 60.
    pub deadline_seconds: u64,
}

impl Default for Answer {
    fn default() -> Self {
        Self { abstain_below: 0.35, same_question: 0.86, passages: 6, max_tokens: 256, deadline_seconds: 60 }
    }
}

impl Answer {
    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let within = 0.0..=1.0;
        if !within.contains(&self.abstain_below) {
            Some(("answer.abstain_below", "must lie between 0 and 1"))
        } else if !within.contains(&self.same_question) {
            Some(("answer.same_question", "must lie between 0 and 1"))
        } else if self.passages == 0 {
            Some(("answer.passages", "must be at least 1"))
        } else if self.max_tokens == 0 {
            Some(("answer.max_tokens", "must be at least 1"))
        } else if self.deadline_seconds == 0 {
            Some(("answer.deadline_seconds", "must be at least 1"))
        } else {
            None
        }
    }
}
