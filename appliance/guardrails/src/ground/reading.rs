//! What one sentence holds, read once: its exact facts of all kinds, its meaningful words, its polarity.

use std::collections::BTreeSet;

use super::{frequency, population, route, synonym, weekday};
use crate::{
    drug::{self, Lexicon},
    fact::{self, Fact, FactKind},
    polarity::Polarity,
    words,
};

/// A sentence, read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) text: String,
    /// Facts of all kinds in the order of their places.
    pub(crate) facts: Vec<Fact>,
    /// Meaningful words outside of numbers, in order, each with its place. Drugs stand under their generic names, routes
    /// and groups of patients under their labels, other words by their stems and groups of synonyms.
    pub(crate) terms: Vec<Term>,
    pub(crate) polarity: Polarity,
    /// Whether it says what is to be found out, or that it is not known: what states something is heard before it.
    pub(crate) asks: bool,
}

/// One meaningful word in its common form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) form: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Reading {
    pub(crate) fn of(text: &str, lexicon: &Lexicon) -> Self {
        let facts = read(text, lexicon);
        let terms = terms(text, &facts);
        Self { text: text.to_owned(), facts, terms, polarity: Polarity::of(text), asks: asks(text) }
    }

    pub(crate) fn forms(&self) -> BTreeSet<&str> {
        self.terms.iter().map(|term| term.form.as_str()).collect()
    }

    /// Facts of one kind.
    pub(crate) fn of_kind(&self, kind: FactKind) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(move |fact| fact.kind == kind)
    }

    /// The letters of a name that a fact is written to the end of, in lower case: `ubc` of the 13 in "UBC13", `il` of the 6 in "IL-6"; empty where none
    /// are, or a single one: rooms B12 and C14 are of one kind.
    pub(crate) fn letters_before(&self, fact: &Fact) -> String {
        let before = self.text.get(..fact.start).unwrap_or_default();
        let capital = |text: &&str| text.chars().next_back().is_some_and(char::is_uppercase);
        let before = before.strip_suffix(['-', '\u{2011}']).filter(capital).unwrap_or(before);
        let letters = before.get(before.trim_end_matches(char::is_alphabetic).len()..).unwrap_or_default();
        if letters.chars().count() > 1 { letters.to_lowercase() } else { String::new() }
    }

    /// Whether the sentence says how much of a medicine.
    pub(crate) fn has_dose(&self) -> bool {
        self.facts.iter().any(|fact| fact.dimension() == "dose")
    }
}

/// Whether a sentence says what a study is to find out, or that it is not known. An order is neither.
fn asks(sentence: &str) -> bool {
    let words: Vec<String> = words::lower(sentence).map(|(_, word)| word).collect();
    let is = |at: usize, list: &[&str]| words.get(at).is_some_and(|word| list.contains(&word.as_str()));
    let finds_out = |at: usize| is(at, &["to"]) && is(at + 1, &FIND_OUT);
    let aims = || (0..words.len()).any(|at| is(at, &AIMS)) && (0..words.len()).any(finds_out);
    let open = || (1..words.len()).any(|at| is(at, &["whether"]) && (is(at - 1, &FIND_OUT) || is(at - 1, &UNKNOWN)));
    let orders = (0..words.len()).any(|at| is(at, &["must", "never", "not"]));
    !orders && (finds_out(0) || aims() || open())
}

const UNKNOWN: [&str; 3] = ["unclear", "unknown", "uncertain"];
const AIMS: [&str; 9] =
    ["aim", "aimed", "aims", "goal", "hypothesised", "hypothesized", "objective", "purpose", "sought"];
const FIND_OUT: [&str; 9] =
    ["assess", "compare", "determine", "establish", "evaluate", "examine", "explore", "identify", "investigate"];

fn read(text: &str, lexicon: &Lexicon) -> Vec<Fact> {
    let mut facts = frequency::frequencies(text);
    let exact = fact::facts(text).into_iter().filter(|fact| fact.dimension() != "times");
    let apart = |fact: &Fact, others: &[Fact]| others.iter().all(|o| fact.end <= o.start || o.end <= fact.start);
    let exact: Vec<Fact> = exact.filter(|fact| apart(fact, &facts)).collect();
    facts.extend(exact);
    let mentions = lexicon.mentions(text);
    for mention in &mentions {
        let (start, end) = (mention.start, mention.end);
        let fact = |kind, value: String| Fact { kind, value, start, end, bound: None };
        facts.push(fact(FactKind::Drug, mention.ingredients.join("+")));
        if let Some(salt) = mention.salt {
            facts.push(fact(FactKind::Salt, format!("{} {salt}", mention.ingredients.join("+"))));
        }
        if let Some(release) = mention.release {
            facts.push(fact(FactKind::Release, release.as_str().to_owned()));
        }
    }
    for (start, end, release) in drug::releases(text).into_iter().chain(drug::plain(text, &mentions)) {
        let value = release.as_str().to_owned();
        facts.push(Fact { kind: FactKind::Release, value, start, end, bound: None });
    }
    facts.extend(route::routes(text));
    facts.extend(population::populations(text));
    facts.extend(weekday::weekdays(text));
    facts.extend(weekday::moments(text));
    facts.sort_by_key(|fact| (fact.start, fact.end));
    facts
}

fn terms(text: &str, facts: &[Fact]) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    for word in words::content(text) {
        let within = facts.iter().find(|fact| fact.start <= word.start && word.end <= fact.end);
        let form = match within.map(|fact| fact.kind) {
            None => synonym::common(&word.stem).to_owned(),
            Some(FactKind::Drug | FactKind::Route | FactKind::Population | FactKind::Release | FactKind::Salt) => {
                within.map(|fact| format!("{}:{}", fact.kind.as_str(), fact.value)).unwrap_or_default()
            }
            Some(_) => continue,
        };
        if terms.last().is_none_or(|last| last.form != form || within.is_none()) {
            terms.push(Term { form, start: word.start, end: word.end });
        }
    }
    terms
}
