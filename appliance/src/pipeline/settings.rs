//! The `[answer]` section of the configuration: lanes, thresholds, budgets.

mod checks;

use std::time::Duration;

use cloister_guardrails::{same_question, support};
use serde::{Deserialize, Serialize};

use super::citation::Lane;
pub use checks::{Attack, Threshold};

/// How questions are answered. Every value has a default; the reason stands beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Lanes in the order in which they are tried. `abstain` always comes last, named or not.
    pub lanes: Vec<Lane>,
    /// Whether the composed lane may be used at all. Off: a small model has to earn the lane. Switched on, it is open to a
    /// model that passed this site's gate (`cloister model promote`), and to the demo's; for any other it stays shut. Each
    /// sentence is checked against the sentence that it cites either way.
    pub composed: bool,
    /// Whether a composed answer is copied: the model chooses among the sentences that it is shown, and no other text can come of it. Off, it
    /// writes in its own words, and each sentence is held against the one that it cites. An engine elsewhere in the network
    /// writes in its own words in either case.
    pub copied: bool,
    /// Longest question, in characters. Longer than any question of a customer in the public sets; an e-mail fits.
    pub question_characters: usize,
    /// Passages searched for. The answer stands in the first five nearly always (recall at 5 against recall at 10 on
    /// the public sets), and more only dilute a small model's prompt.
    pub passages: usize,
    /// Least evidence to answer at all: the best of the first three passages by cosine plus a quarter of the share of
    /// the question's words. At 0.50, measured with all-MiniLM-L6-v2, 1 to 10 in 100 answerable questions are
    /// declined, and 90 to 99 in 100 from another field. It tells another field; it cannot tell that the one sentence
    /// asked for is missing. Beside a model that reads question and sentence together, `answers` alone decides.
    pub evidence: f32,
    /// Least score of a sentence to be quoted or shown to the generation model, on the same scale. As high as
    /// `evidence`: what would not be enough to answer is not enough to be quoted.
    pub sentence: f32,
    /// How likely a sentence must answer the question to be quoted or shown to the generation model, 0 to 1. At 0.5, 8 in 100 of the questions
    /// that have an answer are declined on sites that nothing was learned from. Beside all-MiniLM-L6-v2, which an adapter lets read both
    /// together; `evidence` and `sentence` are for other models, and for questions too long to be read whole.
    pub answers: f32,
    /// When a curated question counts as the one asked.
    pub same_question: SameQuestion,
    /// How much of a composed sentence the cited one must bear.
    pub claim: Claim,
    /// Which prompt attacks are acted upon.
    pub attack: Attack,
    /// Least scores of a whole answer.
    pub threshold: Threshold,
    /// Sentences that are compared with the question by meaning. 24 short ones take about 0.1 s on two cores.
    pub sentences: usize,
    /// Sentences quoted at most, before steps are completed and warnings attached.
    pub quotes: usize,
    /// Characters of quotes at most, warnings aside.
    pub quote_characters: usize,
    /// Tokens of the composed lane's prompt. Reading the prompt is most of the time that a 135M model takes on a CPU.
    pub prompt_tokens: usize,
    /// Tokens of a composed draft at most.
    pub draft_tokens: usize,
    /// Seconds that an answer may take, all stages together. A model's draft is given nine tenths of them, so that the
    /// lanes after it still have time.
    pub seconds: u64,
}

/// When a curated question counts as the one asked. A difference in number, drug, population or direction vetoes; a negation, a word for undoing and
/// another kind of question where the wording is alike; and a single word that differs, unless reading both is sure.
///
/// Measured on 52 hand-written triples: on likeness alone, near-misses (another drug, number, population) lie above
/// paraphrases, so that no threshold separates them. The vetoes do, and likeness only rules out other topics. What is
/// let in and what is lost stands at [`same_question::Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SameQuestion {
    /// Least cosine of the two questions.
    pub similarity: f32,
    /// Least share of meaningful words in common (Dice), unless the questions hold exactly the same.
    pub words: f32,
    /// How likely it must be that a curated question is asked in other words, where as many questions do as only look like it; 1 lets none in so.
    /// Beside all-MiniLM-L6-v2 only, which an adapter lets read both questions together.
    pub likely: f32,
}

impl Default for SameQuestion {
    fn default() -> Self {
        let same_question::Limits { similarity, words, likely } = same_question::Limits::default();
        Self { similarity, words, likely }
    }
}

impl From<SameQuestion> for same_question::Limits {
    fn from(set: SameQuestion) -> Self {
        Self { similarity: set.similarity, words: set.words, likely: set.likely }
    }
}

/// How much of a composed sentence the cited one must bear. Numbers, units, dates, times, telephone numbers and drug
/// names must stand there in any case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Claim {
    /// Least share of its meaningful words in the cited sentence, its headings included.
    pub coverage: f32,
    /// Least share in the cited sentence itself.
    pub own: f32,
}

impl Default for Claim {
    fn default() -> Self {
        let limits = support::Limits::default();
        Self { coverage: limits.coverage, own: limits.own }
    }
}

impl From<Claim> for support::Limits {
    fn from(set: Claim) -> Self {
        Self { coverage: set.coverage, own: set.own }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lanes: vec![Lane::Verified, Lane::Composed, Lane::Quoted, Lane::Abstain],
            composed: false,
            copied: false,
            question_characters: 4000,
            passages: 8,
            evidence: 0.50,
            sentence: 0.50,
            answers: 0.50,
            same_question: SameQuestion::default(),
            claim: Claim::default(),
            attack: Attack::default(),
            threshold: Threshold::default(),
            sentences: 24,
            quotes: 3,
            quote_characters: 1200,
            prompt_tokens: 500,
            draft_tokens: 120,
            seconds: 60,
        }
    }
}

impl Settings {
    /// How long an answer may take.
    pub const fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// What is wrong with values that are each well-formed: the key, and why. The first one found.
    pub fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let shares = [
            ("answer.answers", self.answers),
            ("answer.same_question.similarity", self.same_question.similarity),
            ("answer.same_question.words", self.same_question.words),
            ("answer.same_question.likely", self.same_question.likely),
            ("answer.claim.coverage", self.claim.coverage),
            ("answer.claim.own", self.claim.own),
            ("answer.threshold.grounding", self.threshold.grounding),
            ("answer.threshold.relevance", self.threshold.relevance),
        ];
        let weights = [("answer.evidence", self.evidence), ("answer.sentence", self.sentence)];
        let counts = [
            ("answer.question_characters", self.question_characters),
            ("answer.passages", self.passages),
            ("answer.sentences", self.sentences),
            ("answer.quotes", self.quotes),
            ("answer.quote_characters", self.quote_characters),
            ("answer.prompt_tokens", self.prompt_tokens),
            ("answer.draft_tokens", self.draft_tokens),
        ];
        let outside = |values: &[(&'static str, f32)], most: f32, why: &'static str| {
            values.iter().find(|(_, value)| !(0.0..=most).contains(value)).map(|(name, _)| (*name, why))
        };
        let after_abstain =
            self.lanes.iter().position(|lane| *lane == Lane::Abstain).is_some_and(|at| at + 1 < self.lanes.len());
        let lanes =
            after_abstain.then_some(("answer.lanes", "names a lane after `abstain`: none is ever tried after it"));
        lanes
            .or_else(|| outside(&shares, 1.0, "must lie between 0 and 1"))
            .or_else(|| outside(&weights, 1.25, "must lie between 0 and 1.25"))
            .or_else(|| counts.iter().find(|(_, count)| *count == 0).map(|(name, _)| (*name, "must be at least 1")))
            .or_else(|| (self.seconds == 0).then_some(("answer.seconds", "must be at least 1")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_setting_and_a_value_out_of_range_are_refused() {
        assert!(toml::from_str::<Settings>("temperature = 1.0").is_err());
        let odd: Settings = toml::from_str("evidence = 2.0").unwrap();
        assert_eq!(odd.contradiction().unwrap().0, "answer.evidence");
        let odd: Settings = toml::from_str("lanes = ['abstain', 'quoted']").unwrap();
        assert_eq!(odd.contradiction().unwrap().0, "answer.lanes");
        assert_eq!(toml::from_str::<Settings>("").unwrap(), Settings::default());
        assert_eq!(Settings::default().contradiction(), None);
    }
}
