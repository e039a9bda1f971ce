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

/// The sentences before and after the place `span` of `text` that warn, as far as one follows the other, nearest first on
/// each side; sentences that are `kept_out` are passed over. A line like "Warning:" warns, and what it announces comes with it.
/// After a dose one sentence may stand between, in the same paragraph, that neither warns nor gives another dose.
pub fn beside(text: &str, span: Span, kept_out: &dyn Fn(Span) -> bool) -> Vec<Span> {
    let mut sentences = split::sentences(text);
    sentences.retain(|sentence| !kept_out(*sentence));
    let warning = |sentence: &&Span| warns(sentence.of(text));
    let before = sentences.iter().rev().filter(|sentence| sentence.end <= span.start).take_while(warning);
    let mut following = sentences.iter().filter(|sentence| sentence.start >= span.end).peekable();
    let gives_dose = |at: Span| fact::facts(at.of(text)).iter().any(|fact| fact.dimension() == "dose");
    let aside = |aside: Span| {
        let between = text.get(span.end..aside.start).unwrap_or_default();
        gives_dose(span) && !gives_dose(aside) && !between.contains('\n') && !warns(aside.of(text))
    };
    if following.peek().is_some_and(|next| aside(**next)) {
        following.next();
    }
    let after = following.take_while(warning);
    before.chain(after).copied().collect()
}

/// Those of [`beside`] that `answer` does not repeat.
pub fn left_out(text: &str, span: Span, answer: &str, kept_out: &dyn Fn(Span) -> bool) -> Vec<Span> {
    // One sentence must repeat it whole, its numbers too: another limit, or another warning, is not this one.
    let repeated = |warning: &Span| {
        let (stems, facts) = (words::stems(warning.of(text)), fact::facts(warning.of(text)));
        split::sentences(answer).into_iter().map(|said| said.of(answer)).any(|said| {
            let held = fact::facts(said);
            warns(said)
                && words::share(&stems, &words::stems(said)) >= REPEATED
                && facts.iter().all(|fact| fact.stands_in(&held))
        })
    };
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

    #[test]
    fn one_sentence_between_a_dose_and_its_warning_does_not_hide_it() {
        let text = "Take one tablet at night. It may taste bitter. Do not exceed four a day.";
        let beside = |said: &str, text: &str| beside(text, Span { start: 0, end: said.len() }, &|_| false).len();
        assert_eq!(beside("Take one tablet at night.", text), 1);
        assert_eq!(beside("Keep it dry.", "Keep it dry. It may taste bitter. Do not exceed four a day."), 0);
        let next = "Take one tablet at night. Take two tablets by day. Do not exceed four a day.";
        assert_eq!(beside("Take one tablet at night.", next), 0, "it is the other dose's");
        assert_eq!(
            beside("Take one tablet at night.", "Take one tablet at night.\nIt is bitter. Do not exceed four."),
            0
        );
    }

    #[test]
    fn a_warning_that_is_announced_comes_with_its_announcement_and_each_of_several_comes() {
        let text = "Take 1 tablet every 6 hours.\nWarning:\nDo not take more than 4 tablets a day. Do not take with alcohol. It is blue.";
        let found = beside(text, Span { start: 0, end: "Take 1 tablet every 6 hours.".len() }, &|_| false);
        let found: Vec<&str> = found.into_iter().map(|span| span.of(text)).collect();
        assert_eq!(found.last(), Some(&"Do not take with alcohol."), "{found:?}");
        assert!(found.contains(&"Do not take more than 4 tablets a day."), "{found:?}");
    }

    #[test]
    fn another_warning_does_not_stand_for_the_one_that_was_left_out() {
        let text = "Take 4 mg every 6 hours. Do not take more than 16 mg in a day.";
        let dose = Span { start: 0, end: "Take 4 mg every 6 hours.".len() };
        for answer in [
            "Take 4 mg every 6 hours. Do not take with alcohol.",
            "Take 4 mg every 6 hours. Do not take more than 8 mg in a day.",
        ] {
            assert_eq!(left_out(text, dose, answer, &|_| false).len(), 1, "{answer}");
        }
        assert!(left_out(text, dose, text, &|_| false).is_empty());
    }
}
