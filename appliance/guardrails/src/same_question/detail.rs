//! The details of a question that change its answer, and in which of them two questions differ.
//!
//! **What it is not:** the gate. Whether a difference keeps a curated answer out is for [`same_question`](super).

use std::collections::BTreeSet;

use super::{Veto, kind, lexicon};
use crate::{
    drug::Lexicon,
    fact::{Fact, facts},
    polarity::Polarity,
    words,
};

/// Words by which a number may tell how old somebody is, or how far along.
pub(super) const AGED: [&str; 12] =
    ["old", "age", "aged", "along", "pregnant", "born", "week", "weeks", "month", "months", "year", "years"];

/// Where a detail counts for [`changed`](super::changed): whether the wording is alike or not, or only where it is.
#[derive(Clone, Copy)]
pub(super) enum Alike {
    OrNot,
    InOrder,
    InWords,
}

/// The stems of the meaningful words, in order.
pub(super) fn meaningful(details: &Details) -> Vec<String> {
    details.words.iter().filter(|word| !words::is_little(word)).map(|word| words::stem(word)).collect()
}

/// All details in which two questions differ, and where they count for [`changed`](super::changed).
pub(super) fn vetoes(a: &Details, b: &Details) -> Vec<(Veto, Alike)> {
    let kinds = (kind::kind(&a.words), kind::kind(&b.words));
    let turned = a.polarity.opposes(&b.polarity) || lexicon::turned(&a.words, &b.words);
    let differs = [
        (Veto::Number, Alike::OrNot, !same_facts(&a.facts, &b.facts)),
        (Veto::Drug, Alike::OrNot, a.drugs != b.drugs),
        (Veto::Population, Alike::OrNot, a.populations != b.populations),
        (Veto::Negation, Alike::InOrder, a.polarity.negates() != b.polarity.negates()),
        (Veto::Direction, Alike::OrNot, turned),
        (Veto::Direction, Alike::InWords, lexicon::undone(&a.words, &b.words)),
        (Veto::Kind, Alike::OrNot, kind::differ_in_any_wording(kinds.0, kinds.1)),
        (Veto::Kind, Alike::InOrder, kind::differ(kinds.0, kinds.1)),
        (Veto::Wording, Alike::OrNot, nearly_same_wording(a, b)),
    ];
    differs.into_iter().filter_map(|(veto, counts, differs)| differs.then_some((veto, counts))).collect()
}

/// The drugs that a text names, or words built like a drug's name, by their generic names.
fn drugs(text: &str) -> BTreeSet<String> {
    Lexicon::built_in().ingredients(text)
}

/// What of a question may change its answer.
pub(super) struct Details {
    pub(super) facts: Vec<Fact>,
    pub(super) drugs: BTreeSet<String>,
    pub(super) populations: BTreeSet<&'static str>,
    pub(super) polarity: Polarity,
    pub(super) words: Vec<String>,
}

impl Details {
    pub(super) fn of(question: &str) -> Self {
        let words: Vec<String> = words::lower(question).map(|(_, word)| word).collect();
        Self {
            facts: facts(question),
            drugs: drugs(question),
            populations: lexicon::populations(&words),
            polarity: Polarity::of(question),
            words,
        }
    }
}

/// Whether most words stand in the same order in both and yet a meaningful word differs, or the meaningful words are
/// the same in another order. A true paraphrase changes the frame; a near-miss keeps it and changes one word.
pub(super) fn nearly_same_wording(a: &Details, b: &Details) -> bool {
    meaningful(a) != meaningful(b) && frame(a, b) >= SAME_FRAME
}

/// Share of the words of both that stand in the same order in the other.
fn frame(a: &Details, b: &Details) -> f32 {
    2.0 * common_in_order(&a.words, &b.words) as f32 / (a.words.len() + b.words.len()).max(1) as f32
}

/// From this share of the shorter one's words in order on, two questions are worded alike.
pub(super) const SAME_ORDER: f32 = 0.5;

/// From this share of the meaningful words of the shorter one on, two questions are about the same.
pub(super) const SAME_WORDS: f32 = 0.5;

/// From this share on, one question stands in the other but for a word.
pub(super) const HELD: f32 = 0.7;

/// From this share of common words in order on, two questions have the same frame. Chosen on the 52 triples that the
/// limits were measured on.
const SAME_FRAME: f32 = 0.6;

/// Length of the longest common subsequence.
pub(super) fn common_in_order(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0_usize; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        let mut left = 0;
        for (cell, other) in row.iter_mut().skip(1).zip(b) {
            let above = *cell;
            *cell = if word == other { diagonal + 1 } else { above.max(left) };
            (diagonal, left) = (above, *cell);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn same_facts(a: &[Fact], b: &[Fact]) -> bool {
    a.iter().all(|fact| fact.stands_in(b)) && b.iter().all(|fact| fact.stands_in(a))
}
