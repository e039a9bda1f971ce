//! Exceptions and conditions: "unless", "except", "only if". Without its exception a sentence says more than it did, and
//! "if" in the place of "unless" turns it round.

use std::collections::BTreeSet;

use super::{compare::Relation, reading::Reading};
use crate::words;

/// Words that open an exception.
const EXCEPTIONS: &[&str] = &["unless", "except", "excepting", "excluding"];

/// Words that say the same in another frame: whoever uses them has not dropped the exception.
const EQUIVALENTS: &[&str] =
    &["unless", "except", "excepting", "excluding", "only", "without", "until", "apart", "otherwise", "other"];

/// How the claim treats the exceptions of the sentence; `None` if it keeps them or has nothing to do with them.
pub(super) fn compare(claim: &Reading, sentence: &Reading) -> Option<Relation> {
    let (in_claim, in_sentence) = (exception(&claim.text), exception(&sentence.text));
    match (in_claim, in_sentence) {
        (Some(_), Some(_)) | (None, None) => only(claim, sentence),
        (Some(_), None) => {
            let kept = words::lower(&sentence.text).any(|(_, word)| EQUIVALENTS.contains(&word.as_str()));
            (!kept).then_some(Relation::Absent)
        }
        (None, Some(at)) => {
            let (head, tail) = parts(sentence, at);
            let said = claim.forms();
            let touches = |part: &BTreeSet<&str>| {
                let common = part.iter().filter(|form| said.contains(*form)).count();
                !part.is_empty() && 2 * common >= part.len()
            };
            let words: Vec<String> = words::lower(&claim.text).map(|(_, word)| word).collect();
            let conditional = touches(&tail) && words.iter().any(|word| word == "if" || word == "when");
            if conditional {
                // "Unless" is "if not": with "if" in its place, one negation must have come or gone.
                let same = claim.polarity.negations() % 2 == sentence.polarity.negations() % 2;
                return same.then_some(Relation::Differs);
            }
            let equivalent = words.iter().any(|word| EQUIVALENTS.contains(&word.as_str()));
            (!equivalent && touches(&head)).then_some(Relation::Dropped)
        }
    }
}

/// "only if", "only when", "only after" dropped from a sentence that has it.
fn only(claim: &Reading, sentence: &Reading) -> Option<Relation> {
    let limits = |text: &str| {
        let words: Vec<String> = words::lower(text).map(|(_, word)| word).collect();
        words.windows(2).any(|pair| {
            matches!(pair, [first, second] if first == "only" && matches!(second.as_str(), "if" | "when" | "after" | "with"))
        })
    };
    let kept = words::lower(&claim.text).any(|(_, word)| EQUIVALENTS.contains(&word.as_str()));
    (limits(&sentence.text) && !kept).then_some(Relation::Dropped)
}

/// Where an exception begins.
fn exception(text: &str) -> Option<usize> {
    words::lower(text).find(|(_, word)| EXCEPTIONS.contains(&word.as_str())).map(|(at, _)| at)
}

/// What holds, and the exception to it, as the forms of their words.
fn parts(sentence: &Reading, at: usize) -> (BTreeSet<&str>, BTreeSet<&str>) {
    // Of two sentences read as one, only that with the exception counts.
    let from = sentence.text.get(..at).and_then(|before| before.rfind(". ")).map_or(0, |stop| stop + 2);
    let before = sentence.text.get(from..at).unwrap_or_default();
    let within = |from: usize, to: usize| -> BTreeSet<&str> {
        sentence.terms.iter().filter(|t| t.start >= from && t.end <= to).map(|term| term.form.as_str()).collect()
    };
    let whole = sentence.text.get(at..).and_then(|rest| rest.find(". ")).map_or(sentence.text.len(), |stop| at + stop);
    if before.trim().is_empty() {
        // "Unless you are pregnant, take it with food."
        let comma = sentence.text.get(at..).and_then(|rest| rest.find(',')).map_or(whole, |comma| at + comma);
        return (within(comma, whole), within(at, comma));
    }
    (within(from, at), within(at, whole))
}
