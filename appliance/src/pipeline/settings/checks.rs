//! `[answer.attack]` and `[answer.threshold]`: what is refused, quarantined or held back.

use cloister_guardrails::attack::Strength;
use serde::{Deserialize, Serialize};

/// `[answer.attack]`: how sure a prompt attack must be to be acted upon, as the cloud's filters are set. `LOW` acts on
/// what is found with high confidence, `MEDIUM` also with medium, `HIGH` with any, `NONE` on nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attack {
    /// In a question: it is refused. Default: `MEDIUM`, at which none of 1,097 public questions of patients is refused.
    pub question: Strength,
    /// In a document: the place is reported when the document is ingested, and stands in no prompt and no answer.
    /// Default: `MEDIUM`.
    pub document: Strength,
}

/// `[answer.threshold]`: least scores of a whole answer. Below one, the answer is held back and the next lane is tried,
/// down to `abstain`.
///
/// Each sentence is checked before it is shown whatever stands here. With a threshold above 0 nothing of an answer is
/// sent before all of it is known, so that a streamed answer comes at once.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Least share of a draft's claims that the evidence bears, 0 to 1; of a text that the guardrail is applied to, least score for
    /// grounding. Default: 0, which shows what passed.
    pub grounding: f32,
    /// Least relevance to the question, 0 to 1. Default: 0.
    pub relevance: f32,
}

impl Threshold {
    /// Whether whole answers are measured, and nothing is sent before.
    pub fn holds_back(self) -> bool {
        self.grounding > 0.0 || self.relevance > 0.0
    }
}
