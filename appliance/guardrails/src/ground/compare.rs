//! A claim held against one sentence of evidence: which of its facts stand there, which do not, and what the sentence
//! says that the claim leaves out.

use std::collections::BTreeSet;

use super::{condition, evidence, group, range, reading::Reading, role, weekday};
use crate::{
    drug::{Lexicon, Release},
    fact::{Bound, Fact, FactKind},
    polarity,
};

/// How a fact of a claim relates to the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// The evidence says otherwise: another amount, another drug, the opposite.
    Differs,
    /// The evidence says nothing of it.
    Absent,
    /// The evidence limits it, and the claim leaves the limit out.
    Dropped,
}

impl Relation {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Absent => "absent",
            Self::Dropped => "dropped",
        }
    }
}

/// One fact that does not stand as the claim has it. Places, never text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discrepancy {
    /// What kind of fact.
    pub kind: FactKind,
    /// How it relates to the evidence.
    pub relation: Relation,
    /// First byte in the claim; the whole claim where the fact has no place of its own.
    pub start: usize,
    /// One past the last byte in the claim.
    pub end: usize,
}

/// A claim beside one sentence.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Comparison {
    /// Share of the claim's words and facts that the sentence and its context hold, 0 to 1.
    pub(crate) share: f32,
    pub(crate) discrepancies: Vec<Discrepancy>,
}

impl Comparison {
    pub(crate) fn count(&self, relation: Relation) -> usize {
        self.discrepancies.iter().filter(|found| found.relation == relation).count()
    }
}

/// From this share on, a sentence speaks about the same as the claim, so that an opposite counts.
const SAME_MATTER: f32 = 0.4;

/// From this share on an opposite is a contradiction.
const SAME_WORDING: f32 = 0.6;

/// Holds `claim` against `sentence`, which stands under `context` (title, headings, the drug named before; one a line, the
/// innermost last). Groups of patients that were `asked` about, or spoken of before, need no name in the claim.
pub(crate) fn compare(
    claim: &Reading,
    sentence: &Reading,
    context: &Reading,
    asked: &BTreeSet<String>,
    lexicon: &Lexicon,
) -> Comparison {
    let mut found: Vec<Discrepancy> = Vec::new();
    let whole = |kind, relation| Discrepancy { kind, relation, start: 0, end: claim.text.len() };
    let mut standing = 0;
    for fact in &claim.facts {
        match standing_of(fact, claim, sentence, context, lexicon) {
            None if is_term(fact.kind) => {} // counted among the words
            None => standing += 1,
            Some((kind, relation)) => found.push(Discrepancy { kind, relation, start: fact.start, end: fact.end }),
        }
    }
    let share = share(claim, sentence, context, standing);
    found.extend(range::halved(claim, sentence));
    let mut dropped = evidence::dropped(claim, sentence);
    dropped.extend(group::dropped(claim, sentence, context, asked).then_some(FactKind::Population));
    found.extend(dropped.into_iter().map(|kind| whole(kind, Relation::Dropped)));
    if let Some(relation) = condition::compare(claim, sentence) {
        found.push(whole(FactKind::Condition, relation));
    }
    if share >= SAME_MATTER {
        // In much other wording an opposite may be of something else, and what a study wants to find out denies nothing: such a claim is doubted,
        // which withholds it all the same.
        let denied = share >= SAME_WORDING && !sentence.asks;
        let relation = if denied { Relation::Differs } else { Relation::Dropped };
        if polarity::contradict(&claim.text, &sentence.text) || role::sides_exchanged(claim, sentence) {
            found.push(whole(FactKind::Polarity, relation));
        }
        let swapped = role::swapped(claim, sentence);
        found.extend(swapped.map(|(start, end)| Discrepancy {
            kind: FactKind::Role,
            relation: Relation::Differs,
            start,
            end,
        }));
    }
    Comparison { share, discrepancies: found }
}

fn share(claim: &Reading, sentence: &Reading, context: &Reading, standing: usize) -> f32 {
    let held: BTreeSet<&str> = sentence.forms().union(&context.forms()).copied().collect();
    let forms = claim.forms();
    let bare = claim.facts.iter().filter(|fact| !is_term(fact.kind)).count();
    let asked = forms.len() + bare;
    if asked == 0 {
        return 0.0;
    }
    let there = forms.iter().filter(|form| held.contains(*form)).count() + standing;
    (there as f32 / asked as f32).min(1.0)
}

/// Drugs, routes, groups and the letters of names stand among the words already; facts of other kinds count beside them.
const fn is_term(kind: FactKind) -> bool {
    matches!(kind, FactKind::Drug | FactKind::Route | FactKind::Population | FactKind::Name)
}

/// What is wrong with one fact of the claim; `None` if it stands.
fn standing_of(
    fact: &Fact,
    claim: &Reading,
    sentence: &Reading,
    context: &Reading,
    lexicon: &Lexicon,
) -> Option<(FactKind, Relation)> {
    let own: Vec<&Fact> = sentence.of_kind(fact.kind).filter(|held| held.dimension() == fact.dimension()).collect();
    let other = || if own.is_empty() { Relation::Absent } else { Relation::Differs };
    match fact.kind {
        FactKind::Drug => drug(fact, claim, sentence, context, lexicon).map(|relation| (fact.kind, relation)),
        FactKind::Salt => {
            let drug = |value: &str| value.rsplit_once(' ').map(|(drug, _)| drug.to_owned());
            let all = || sentence.of_kind(fact.kind).chain(context.of_kind(fact.kind));
            let differs = all().any(|held| drug(&held.value) == drug(&fact.value));
            let stands = all().any(|held| held.value == fact.value);
            (!stands).then_some((fact.kind, if differs { Relation::Differs } else { Relation::Absent }))
        }
        FactKind::Population => {
            let stands = own.iter().any(|held| held.value == fact.value);
            (!stands && !group::scope(context).contains(&fact.value)).then(|| (fact.kind, other()))
        }
        FactKind::Release => {
            let all = || own.iter().copied().chain(context.of_kind(fact.kind));
            // Where letters are told, they decide: "long-acting, SR" is no XL.
            let lettered = Release::is_lettered(&fact.value) && all().any(|held| Release::is_lettered(&held.value));
            let bears = |held: &Fact| {
                Release::agree(&held.value, &fact.value) && (!lettered || Release::is_lettered(&held.value))
            };
            // "Regular" says something only beside a product that is not.
            let bare = fact.value == Release::PLAIN && all().next().is_none();
            (!bare && !all().any(bears)).then(|| (fact.kind, other()))
        }
        FactKind::Route | FactKind::Weekday => {
            let mut all = own.iter().copied().chain(context.of_kind(fact.kind));
            (!all.any(|held| held.value == fact.value)).then(|| (fact.kind, other()))
        }
        FactKind::Frequency => {
            let daily = fact.value == "1440 min" && !weekday::moments(&sentence.text).is_empty();
            let stands = own.iter().any(|held| held.value == fact.value) || own.is_empty() && daily;
            (!stands).then(|| (fact.kind, other()))
        }
        // Its letters are a word, which stands there or not; the same name with another number stands against it.
        FactKind::Name => {
            let stands = own.iter().any(|held| held.value == fact.value);
            let another = own.iter().any(|held| held.name() == fact.name());
            (!stands && another).then_some((fact.kind, Relation::Differs))
        }
        _ => number(fact, sentence).map_or_else(|| bound(fact, sentence), |relation| Some((fact.kind, relation))),
    }
}

/// A drug stands if all that it holds is named; a class like insulin is named by each of its kinds.
fn drug(fact: &Fact, claim: &Reading, sentence: &Reading, context: &Reading, lexicon: &Lexicon) -> Option<Relation> {
    let of = |reading: &Reading| -> BTreeSet<String> {
        reading.of_kind(FactKind::Drug).flat_map(|fact| fact.value.split('+')).map(str::to_owned).collect()
    };
    let (own, around) = (of(sentence), of(context));
    let named = |wanted: &str| {
        own.iter()
            .chain(&around)
            .any(|held| held == wanted || held.strip_prefix(wanted).is_some_and(|r| r.starts_with(' ')))
    };
    let missing: Vec<&str> = fact.value.split('+').filter(|wanted| !named(wanted)).collect();
    if missing.is_empty() {
        return None;
    }
    let claimed = of(claim);
    let confused = missing.iter().any(|wanted| own.iter().chain(&around).any(|held| lexicon.look_alike(wanted, held)));
    let replaced = own.iter().any(|held| !claimed.contains(held));
    Some(if confused || replaced { Relation::Differs } else { Relation::Absent })
}

fn number(fact: &Fact, sentence: &Reading) -> Option<Relation> {
    let stands = sentence.facts.iter().any(|held| fact.stands_in(std::slice::from_ref(held)));
    if stands {
        return None;
    }
    let same = |held: &&Fact| held.kind == fact.kind && held.dimension() == fact.dimension();
    Some(if sentence.facts.iter().any(|held| same(&held)) { Relation::Differs } else { Relation::Absent })
}

/// A number that stands, and whether it bounds the same side there.
fn bound(fact: &Fact, sentence: &Reading) -> Option<(FactKind, Relation)> {
    let equal: Vec<Option<Bound>> = sentence
        .facts
        .iter()
        .filter(|held| fact.stands_in(std::slice::from_ref(*held)))
        .map(|held| held.bound)
        .chain(range::bounds(fact, sentence))
        .collect();
    if equal.contains(&fact.bound) {
        return None;
    }
    let relation = match fact.bound {
        Some(_) if equal.iter().any(Option::is_some) => Relation::Differs,
        Some(_) => Relation::Absent,
        // "up to 28 days" bears "28 days"; "at most 4 g" does not bear "4 g", nor "under 12 years" "12 years".
        None if matches!(fact.kind, FactKind::Time) => return None,
        None if fact.dimension() == "time" && !fact.value.ends_with(" year") => return None,
        None => Relation::Dropped,
    };
    Some((FactKind::Bound, relation))
}
