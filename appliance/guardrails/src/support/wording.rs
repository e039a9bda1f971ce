//! What a claim does to the wording of a sentence, beyond its words and facts: what a small model gets wrong while every word of it stands there.

use std::collections::{BTreeMap, BTreeSet};

use crate::words;

/// Words for how much of something holds; the words of one row say the same.
const QUANTIFIERS: [&[&str]; 7] = [
    &["all", "every", "each", "any", "always", "everyone", "anyone", "anything", "everything"],
    &["both"],
    &["only", "solely"],
    &["most", "mostly", "usually"],
    &["some", "sometimes"],
    &["same"],
    &["never", "none", "nobody", "nothing"],
];

/// Words that a clause begins with under which the rest holds.
const CONDITIONS: [&str; 9] = ["if", "when", "where", "unless", "once", "until", "while", "whenever", "after"];

/// Words by which a claim keeps a condition, though it may be told in another frame: "for a missed dose".
const KEEPING: [&str; 7] = ["for", "with", "without", "in", "before", "on", "upon"];

/// Whether the claim may be said for the sentence: nothing twice that stands there once, no quantifier that is not there, and no condition told as a
/// fact. `context` is what the sentence stands under.
pub(super) fn holds(claim: &str, sentence: &str, context: &str) -> bool {
    !repeats(claim, sentence, context) && !quantifies(claim, sentence) && !asserts_condition(claim, sentence)
}

/// Whether a meaningful word stands in the claim more often than in the sentence with its context: "in both milliliters and milliliters".
fn repeats(claim: &str, sentence: &str, context: &str) -> bool {
    let (said, told) = (counts(&[claim]), counts(&[sentence, context]));
    said.iter().any(|(stem, times)| *times > 1 && *times > told.get(stem).copied().unwrap_or_default())
}

fn counts(texts: &[&str]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for word in texts.iter().flat_map(|text| words::content(text)) {
        *found.entry(word.stem).or_default() += 1;
    }
    found
}

/// Whether the claim has a quantifier that the sentence lacks.
fn quantifies(claim: &str, sentence: &str) -> bool {
    let kinds = |text: &str| -> BTreeSet<usize> {
        let row = |word: &str| QUANTIFIERS.iter().position(|row| row.contains(&word));
        words::lower(text).filter_map(|(_, word)| row(&word)).collect()
    };
    !kinds(claim).is_subset(&kinds(sentence))
}

/// Whether the claim has words of the condition that the sentence begins with, which its main clause has not, and neither begins nor keeps a condition
/// itself: "If the plan approves later, we run the claim again" is not "The plan approves the claim".
fn asserts_condition(claim: &str, sentence: &str) -> bool {
    let first = words::lower(sentence).next();
    let begins = first.is_some_and(|(_, word)| CONDITIONS.contains(&word.as_str()));
    let Some((condition, main)) = sentence.split_once(',').filter(|_| begins) else { return false };
    let kept = words::lower(claim).any(|(_, word)| {
        let word = word.as_str();
        CONDITIONS.contains(&word) || KEEPING.contains(&word)
    });
    let (said, held) = (words::stems(claim), words::stems(main));
    !kept && words::stems(condition).iter().any(|stem| said.contains(stem) && !held.contains(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_in_the_sentence_s_own_way_holds() {
        for (claim, sentence) in [
            ("Give every dose in milliliters and milligrams.", "Each dose is given in milliliters and milligrams."),
            ("Take a missed dose when you remember it.", "If you miss a dose, take it when you remember."),
            ("For a missed dose, call the desk.", "If you miss a dose, call the desk."),
            ("Call the desk at 555-0110.", "If you miss a dose, call the desk at 555-0110."),
            ("The desk calls the desk of the ward.", "The desk calls the desk of the ward."),
        ] {
            assert!(holds(claim, sentence, ""), "{claim}");
        }
    }

    #[test]
    fn a_word_twice_a_new_quantifier_or_a_condition_told_as_a_fact_does_not() {
        for (claim, sentence) in [
            ("Give doses in both milliliters and milliliters.", "Give doses in both milliliters and milligrams."),
            ("We make both creams and liquids.", "We make only creams and liquids."),
            ("Tablets are never crushed.", "Tablets are not crushed."),
            (
                "The plan is approved within 14 days of the fill.",
                "If the plan approves later, we can run the claim again within 14 days of the fill.",
            ),
        ] {
            assert!(!holds(claim, sentence, ""), "{claim}");
        }
    }
}
