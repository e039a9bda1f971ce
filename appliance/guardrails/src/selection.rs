//! Which sentence answers a question best: answer sentence selection.
//!
//! Likeness of meaning finds what a question is about; the sentence that answers it is not always the likest. "What does
//! the flu shot cost?" is as near to "Flu shots are given on weekdays." as to the price. So likeness is one of several
//! [`Features`], beside what sentence and passage hold of the question's rare words, and whether the sentence holds the kind
//! of thing that is asked for. A weighted sum of them orders the sentences.
//!
//! **What it is not:** by itself a judge of whether there is an answer at all. The best of several wrong sentences has a rank too, and
//! no threshold on it told answerable questions from others better than likeness alone. Who reads question and sentence together can tell
//! better ([`answers`]).
//!
//! # Why
//! - **Few features and one weight each**: a reviewer can read why a sentence came first, and nothing is learned by heart.
//! - **The missing word counts apart from the share of words.** A question of ten words with nine found is well covered, unless
//!   the tenth is the name of the place that it asks about.
//!
//! ```
//! use cloister_guardrails::selection::{Asked, Candidate};
//! let asked = Asked::of("What time does the pharmacy close?", |_| 0.5);
//! let rank = |sentence| {
//!     asked.features(&Candidate { sentence, context: "Hours", passage: sentence, cosine: 0.6, passage_cosine: 0.6 }).rank()
//! };
//! assert!(rank("The pharmacy closes at 8 PM.") > rank("The pharmacy has a new door."));
//! ```

mod kind;
mod weights;

use std::collections::BTreeSet;

use crate::{
    same_question::kind::{Kind, kind},
    words,
};

/// What is known of a question, read once for all sentences.
#[derive(Debug, Clone)]
pub struct Asked {
    words: Vec<(String, f32)>,
    kind: Option<Kind>,
}

/// A sentence that may answer.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The sentence.
    pub sentence: &'a str,
    /// What it stands under: title and headings.
    pub context: &'a str,
    /// The passage that it is a part of.
    pub passage: &'a str,
    /// Cosine of the question and the sentence under its heading, -1 to 1.
    pub cosine: f32,
    /// Cosine of the question and the passage, -1 to 1.
    pub passage_cosine: f32,
}

/// The names of the features, in their order.
pub const NAMES: [&str; 7] =
    ["cosine", "passage_cosine", "sentence_words", "passage_words", "missing_word", "kind_held", "kind_missing"];

/// What is weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Features(pub [f32; NAMES.len()]);

impl Features {
    /// Of a sentence that was not looked at.
    pub const NONE: Self = Self([0.0; NAMES.len()]);

    /// How well the sentence answers beside the others for the same question; of two questions it compares nothing. A feature
    /// that is no number makes the rank none, which sorts last.
    pub fn rank(&self) -> f32 {
        weights::WEIGHTS.iter().zip(self.0).fold(0.0, |sum, (weight, value)| weight.mul_add(value, sum))
    }

    /// The same to one who read question and sentence together: `read` is the logarithm of the odds that came of it
    /// ([`cross::Read`](crate::cross::Read)).
    pub fn rank_read(&self, read: f32) -> f32 {
        weights::READING.mul_add(read, self.rank())
    }
}

/// How likely a sentence answers, 0 to 1, to one who read it together with the question: by the logarithm of the odds that came of it and by how
/// much evidence there is for the question at all, cosine and a quarter of the share of words. Of two questions it compares the same. What is no
/// number makes it 0.
pub fn answers(read: f32, evidence: f32) -> f32 {
    let [of_reading, of_evidence, bias] = weights::ANSWERS;
    let likely = 1.0 / (1.0 + (-of_reading.mul_add(read, of_evidence.mul_add(evidence, bias))).exp());
    if likely.is_nan() { 0.0 } else { likely }
}

impl Asked {
    /// Reads `question`; `rarity` says how rare a word in lower case is in the documents searched: 1 for one that occurs
    /// nowhere, 0 for one that is everywhere.
    pub fn of(question: &str, rarity: impl Fn(&str) -> f32) -> Self {
        let all: Vec<String> = words::lower(question).map(|(_, word)| word).collect();
        let mut seen = BTreeSet::new();
        let content = all.iter().filter(|word| !words::is_little(word) && !word.contains(|c: char| c.is_ascii_digit()));
        let words = content
            .map(|word| (words::stem(word), rarity(word).clamp(0.0, 1.0)))
            .filter(|(stem, _)| !stem.is_empty() && seen.insert(stem.clone()))
            .collect();
        Self { words, kind: kind(&all) }
    }

    /// The features of `candidate` for this question.
    pub fn features(&self, candidate: &Candidate<'_>) -> Features {
        let under = format!("{}\n{}", candidate.context, candidate.sentence);
        let around = format!("{}\n{}", candidate.context, candidate.passage);
        let (near, far) = (words::stems(&under), words::stems(&around));
        let held = kind::holds(self.kind, candidate.sentence);
        let truth = |is: bool| if is { 1.0 } else { 0.0 };
        Features([
            candidate.cosine,
            candidate.passage_cosine,
            self.share(&near),
            self.share(&far),
            self.rarest_missing(&far),
            truth(held == Some(true)),
            truth(held == Some(false)),
        ])
    }

    /// Share of the question's words that are held, the rarer the heavier.
    fn share(&self, held: &BTreeSet<String>) -> f32 {
        let sum: f32 = self.words.iter().map(|(_, rarity)| rarity).sum();
        let found: f32 = self.words.iter().filter(|(stem, _)| held.contains(stem)).map(|(_, rarity)| rarity).sum();
        if sum > 0.0 { found / sum } else { 0.0 }
    }

    /// How rare the rarest word is that is not held; 0 where all are.
    fn rarest_missing(&self, held: &BTreeSet<String>) -> f32 {
        self.words.iter().filter(|(stem, _)| !held.contains(stem)).map(|(_, rarity)| *rarity).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(question: &str, sentence: &str) -> Features {
        let rarity = |word: &str| if word == "juneau" { 1.0 } else { 0.4 };
        let candidate =
            Candidate { sentence, context: "Delivery", passage: sentence, cosine: 0.5, passage_cosine: 0.5 };
        Asked::of(question, rarity).features(&candidate)
    }

    fn named(features: &Features, name: &str) -> f32 {
        let at = NAMES.iter().position(|known| *known == name).unwrap();
        features.0[at]
    }

    #[test]
    fn the_rarest_word_that_is_missing_counts_by_itself() {
        let without = features("Do you deliver to Juneau?", "We deliver within 10 miles.");
        let with = features("Do you deliver to Juneau?", "We deliver to Juneau on Mondays.");
        assert_eq!((named(&without, "missing_word"), named(&with, "missing_word")), (1.0, 0.0));
        assert!(named(&without, "sentence_words") < named(&with, "sentence_words"));
    }

    #[test]
    fn a_reading_and_more_evidence_make_an_answer_likelier_and_no_number_makes_it_nothing() {
        assert!(answers(2.0, 0.5) > answers(0.0, 0.5) && answers(0.0, 0.8) > answers(0.0, 0.2));
        assert_eq!((answers(f32::NAN, 0.5), answers(0.0, f32::NAN)), (0.0, 0.0));
        let found = features("Do you deliver to Juneau?", "We deliver to Juneau on Mondays.");
        assert!(found.rank_read(1.0) > found.rank_read(-1.0) && found.rank_read(f32::NAN).is_nan());
    }

    #[test]
    fn a_sentence_holds_the_kind_of_thing_asked_for_or_lacks_it() {
        let lacks = features("When do you deliver?", "We deliver to the door.");
        let holds = features("When do you deliver?", "We deliver from 9 AM.");
        assert_eq!((named(&lacks, "kind_held"), named(&lacks, "kind_missing")), (0.0, 1.0));
        assert_eq!((named(&holds, "kind_held"), named(&holds, "kind_missing")), (1.0, 0.0));
    }

    #[test]
    fn an_empty_question_is_covered_by_nothing() {
        assert_eq!(named(&features("", "We deliver."), "sentence_words"), 0.0);
    }
}
