//! Attacks on the model in a text: attempts to override its instructions, to give it another persona, to learn its prompt,
//! to pass a command off as a turn of the chat, to have data carried out.
//!
//! **What it is not:** no judge of what is asked. A harmful question that is asked plainly is for content filters; a
//! harmless-looking order planted in a document ("What is the capital of Brazil?") cannot be told from the document's own
//! words, and is kept harmless by what the pipeline does with evidence, not by being found.
//!
//! # Why
//! - **Decode first, then look.** An attack is written in base64, in Cyrillic letters or with spaces between its letters
//!   because the plain words would be found. Each decoding is one more reading of the text, and finding something in a
//!   decoding that the plain text does not show is a sign by itself.
//! - **Rules add up.** Real jailbreaks show many weak signs at once and honest text shows one, so that weights are joined
//!   as independent chances and no single weak sign blocks.
//! - **The pharmacy's words count against.** "Ignore the previous fax", "override the alert" and "disregard the
//!   instructions on the label" are daily speech: an order to ignore something clinical weighs little unless it speaks
//!   about the model.
//! - **The result holds no text**: a score, a confidence, and the name of the strongest rule.

mod decode;
mod language;
mod planted;
mod rule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use planted::{Planted, planted};

/// Where a text comes from. Orders to a model are more suspect in a document, which has no business giving any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Where {
    /// Written by whoever asks.
    User,
    /// Found in a document.
    Document,
}

/// How sure it is, as the cloud's filters tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// Nothing was found.
    None,
    /// Weak signs.
    Low,
    /// Several signs, or a strong one.
    Medium,
    /// Hardly anything else.
    High,
}

impl Confidence {
    /// Scores, 0 to 1, from which on it is low, medium, high.
    pub(crate) const STEPS: [f32; 3] = [0.4, 0.7, 0.9];

    /// That of a score.
    pub(crate) fn of(score: f32) -> Self {
        let [low, medium, high] = Self::STEPS;
        match score {
            score if score >= high => Self::High,
            score if score >= medium => Self::Medium,
            score if score >= low => Self::Low,
            _ => Self::None,
        }
    }

    /// `NONE`, `LOW`, `MEDIUM`, `HIGH`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

/// How much is blocked. The stronger the filter, the less sure it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Strength {
    /// Nothing is blocked.
    None,
    /// What is found with high confidence.
    Low,
    /// What is found with medium or high confidence.
    #[default]
    Medium,
    /// What is found with any confidence.
    High,
}

impl Strength {
    /// Whether a filter of this strength blocks what was found so surely.
    pub fn blocks(self, confidence: Confidence) -> bool {
        match self {
            Self::None => false,
            Self::Low => confidence >= Confidence::High,
            Self::Medium => confidence >= Confidence::Medium,
            Self::High => confidence >= Confidence::Low,
        }
    }
}

/// What was found. No text, and no place either: signs lie all over an attack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessment {
    /// How likely it is an attack, 0 to 1, as the rules weigh it. An ordering, not a measured chance.
    pub score: f32,
    /// The same in steps.
    pub confidence: Confidence,
    /// The rule that weighs most: `override.instructions` for example.
    pub rule: Option<&'static str>,
}

impl Assessment {
    /// With how likely it is by another's judgement, 0 to 1: the surer of the two has the word. They are no independent signs, since
    /// what the rules look for is what makes a text like an attack.
    #[must_use]
    pub fn or(self, likely: f32) -> Self {
        if likely > self.score { Self::of(likely, Some(LIKENESS)) } else { self }
    }

    fn of(score: f32, rule: Option<&'static str>) -> Self {
        let confidence = Confidence::of(score);
        Self { score, confidence, rule: rule.filter(|_| confidence > Confidence::None) }
    }
}

/// The rule that is named where a text is judged by what it is like, and not by its words.
const LIKENESS: &str = "likeness.attack";

/// Looks for attacks in `text`.
pub fn assess(text: &str, place: Where) -> Assessment {
    let views = decode::views(text);
    let mut weights: BTreeMap<&'static str, f32> = BTreeMap::new();
    let mut plain: Vec<&'static str> = Vec::new();
    for view in &views {
        for (name, weight) in rule::matches(&view.text, place) {
            if view.decoded && !plain.contains(&name) {
                let hidden = weights.entry("obfuscation.decoded").or_default();
                *hidden = hidden.max(HIDDEN * weight);
            } else if !view.decoded {
                plain.push(name);
            }
            let known = weights.entry(name).or_default();
            *known = known.max(weight);
        }
    }
    let score = 1.0 - weights.values().fold(1.0, |none, weight| none * (1.0 - weight));
    let strongest = weights.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(name, _)| *name);
    Assessment::of(score, strongest)
}

/// What `text` becomes when disguises are taken off, for whoever judges by more than words: nothing where it wears none.
pub fn readings(text: &str) -> Vec<String> {
    let plain: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let plain = plain.join(" ");
    let differs = |view: &decode::View| view.decoded || view.text.replace('\n', " ") != plain;
    let mut readings: Vec<String> = decode::views(text).into_iter().filter(differs).map(|view| view.text).collect();
    readings.dedup_by_key(|reading| reading.replace('\n', " "));
    readings
}

/// What hiding adds, as a share of the weight of what was hidden.
const HIDDEN: f32 = 0.8;
