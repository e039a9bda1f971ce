//! Sentences that warn, and which of them an answer left out beside a dose that it gives.

use crate::{
    fact::{self, Bound, Fact},
    split::{self, Span},
    words,
};

/// Words of a sentence that must not be cut off from its neighbour.
const WARNINGS: &[&str] = &[
    "do not",
    "don't",
    "don’t",
    "never",
    "must not",
    "may not",
    "should not",
    "not to be",
    "cannot",
    "warning",
    "caution",
    "important:",
    "maximum",
    "no more than",
    "not more than",
    "not exceed",
    "contraindicated",
    "avoid",
    "emergency",
    "911",
    "except",
    "unless",
    "only if",
    "before taking",
    "seek medical",
];

/// Whether a sentence warns: it says so, or it sets a limit to a dose.
pub fn warns(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    let limits = |fact: &Fact| fact.dimension() == "dose" && fact.bound == Some(Bound::Most);
    WARNINGS.iter().any(|word| lower.contains(word)) || fact::facts(sentence).iter().any(limits)
}

/// The sentences right before and right after the place `span` of `text` that warn, sentences that are `kept_out` passed
/// over.
pub fn beside(text: &str, span: Span, kept_out: &dyn Fn(Span) -> bool) -> Vec<Span> {
    let mut sentences = split::sentences(text);
    sentences.retain(|sentence| !kept_out(*sentence));
    let before = sentences.iter().rev().find(|sentence| sentence.end <= span.start);
    let after = sentences.iter().find(|sentence| sentence.start >= span.end);
    before.into_iter().chain(after).filter(|sentence| warns(sentence.of(text))).copied().collect()
}

/// Those of [`beside`] that `answer` does not repeat.
pub fn left_out(text: &str, span: Span, answer: &str, kept_out: &dyn Fn(Span) -> bool) -> Vec<Span> {
    let said = words::stems(answer);
    let repeated = |warning: &Span| words::share(&words::stems(warning.of(text)), &said) >= REPEATED && warns(answer);
    beside(text, span, kept_out).into_iter().filter(|warning| !repeated(warning)).collect()
}

/// Share of a warning's words from which on an answer has repeated it.
const REPEATED: f32 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_to_a_dose_warns_however_it_is_worded() {
        for text in ["A patient may receive at most 3 g in a day.", "No more than 3 g.", "Up to 4 tablets a day."] {
            assert!(warns(text), "{text}");
        }
        assert!(!warns("Take 4 tablets a day for at least 7 days."));
    }

    #[test]
    fn the_warnings_on_both_sides_are_found() {
        let text = "Never double it. Take one tablet. Do not exceed four a day. It is blue.";
        let start = text.find("Take").unwrap();
        let found = beside(text, Span { start, end: start + "Take one tablet.".len() }, &|_| false);
        let found: Vec<&str> = found.into_iter().map(|span| span.of(text)).collect();
        assert_eq!(found, ["Never double it.", "Do not exceed four a day."]);
    }
}
