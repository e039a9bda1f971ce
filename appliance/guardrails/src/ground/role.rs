//! Which fact belongs to which thing, and who does what to whom. All words and numbers of a claim may stand in a sentence
//! and still be joined another way there.

use std::collections::BTreeSet;

use super::{reading::Reading, synonym};
use crate::{
    drug::Release,
    fact::{Fact, FactKind},
    polarity::{self, Side},
    words,
};

/// The first fact or doer of the claim that the sentence joins with something else.
pub(super) fn swapped(claim: &Reading, sentence: &Reading) -> Option<(usize, usize)> {
    misplaced_fact(claim, sentence).or_else(|| exchanged(claim, sentence))
}

/// Whether the claim takes one side of a pair of opposites where two sentences of the evidence hold both, and is about what the other side
/// stands with: "hold it below 55; give it again from 60 on" does not bear "give it below 55". Names of drugs do not decide, since the second
/// of two sentences says "it".
pub(super) fn sides_exchanged(claim: &Reading, sentence: &Reading) -> bool {
    let (said, held) = (polarity::sides_of(&claim.text), polarity::sides_of(&sentence.text));
    let slot = |side: &Side| Fact {
        kind: FactKind::Polarity,
        value: String::new(),
        start: side.start,
        end: side.end,
        bound: None,
    };
    let once = |sides: &[Side], wanted: &Side| sides.iter().filter(|side| side.pair == wanted.pair).count() == 1;
    said.iter().filter(|side| once(&said, side)).any(|side| {
        let on = |first: bool| held.iter().filter(move |other| other.pair == side.pair && other.first == first);
        let (right, wrong): (Vec<_>, Vec<_>) =
            (on(side.first).map(slot).collect(), on(!side.first).map(slot).collect());
        let ([right], [wrong]) = (right.as_slice(), wrong.as_slice()) else { return false };
        let apart = sentence.text.get(right.end.min(wrong.end)..right.start.max(wrong.start));
        if !apart.is_some_and(|between| between.contains(". ") || between.contains('\n')) {
            return false;
        }
        let about = matter(claim, (0, claim.text.len()), &slot(side));
        let (by_right, by_wrong) = (
            matter(sentence, part(sentence, right, wrong), right),
            matter(sentence, part(sentence, wrong, right), wrong),
        );
        let weigh = |here: &BTreeSet<Matter>, there: &BTreeSet<Matter>| -> usize {
            let only = here.iter().filter(|matter| !there.contains(*matter) && about.contains(*matter));
            only.map(|matter| match matter {
                Matter::Label(_) => 0,
                Matter::Word(_) => 1,
                Matter::Number(_) => 2,
            })
            .sum()
        };
        weigh(&by_wrong, &by_right) > weigh(&by_right, &by_wrong)
    })
}

/// Marks and words that part a sentence, the strongest first.
const PARTINGS: &[&[&str]] = &[
    &[". ", "; ", ";", "\n"],
    &[" but ", " while ", " whereas ", " then "],
    &[" and ", " or ", " plus "],
    &[", ", ": ", " ("],
];

/// A fact of the claim that stands in the sentence, but in a part about something else, while the part about the
/// claim's matter holds another fact of the kind: the child's dose given for the adult's.
fn misplaced_fact(claim: &Reading, sentence: &Reading) -> Option<(usize, usize)> {
    let valued = |fact: &&Fact| {
        matches!(
            fact.kind,
            FactKind::Measure
                | FactKind::Number
                | FactKind::Time
                | FactKind::Weekday
                | FactKind::Phone
                | FactKind::Frequency
                | FactKind::Route
                | FactKind::Release
        )
    };
    claim
        .facts
        .iter()
        .filter(valued)
        .find(|fact| is_misplaced(fact, claim, sentence))
        .map(|fact| (fact.start, fact.end))
}

fn is_misplaced(fact: &Fact, claim: &Reading, sentence: &Reading) -> bool {
    let same_slot = |other: &&Fact| {
        // A number that letters of a name are written to is told apart by them: "UBC13" is no amount beside "IL-6".
        let named = claim.letters_before(fact) == sentence.letters_before(other);
        other.kind == fact.kind && other.dimension() == fact.dimension() && named
    };
    let equals = |other: &Fact| match fact.kind {
        FactKind::Release => Release::agree(&other.value, &fact.value),
        _ => fact.stands_in(std::slice::from_ref(other)),
    };
    let (right, wrong): (Vec<&Fact>, Vec<&Fact>) =
        sentence.facts.iter().filter(same_slot).partition(|other| equals(other));
    let alike = |other: &&Fact| other.kind == fact.kind && other.dimension() == fact.dimension();
    let others = claim.facts.iter().filter(alike).filter(|other| other.start != fact.start);
    let narrowest = others.map(|other| part(claim, fact, other)).min_by_key(|(from, to)| to - from);
    let about = matter(claim, narrowest.unwrap_or((0, claim.text.len())), fact);
    !right.is_empty()
        && right.iter().all(|right| wrong.iter().any(|wrong| nearer_to_wrong(&about, sentence, right, wrong)))
}

/// Whether what the claim is about stands by the wrong fact of the sentence rather than by the right one. Whom and when it
/// is about decides first; words and other numbers only where that does not.
fn nearer_to_wrong(about: &BTreeSet<Matter>, sentence: &Reading, right: &Fact, wrong: &Fact) -> bool {
    let (part_right, part_wrong) = (part(sentence, right, wrong), part(sentence, wrong, right));
    let (mut by_right, mut by_wrong) = (matter(sentence, part_right, right), matter(sentence, part_wrong, wrong));
    if says_it(sentence, part_right) {
        // The drug of the other part may be the one that is meant here.
        by_wrong.retain(|matter| !is_drug(matter));
    }
    let (first, later) = if right.start < wrong.start { (right, wrong) } else { (wrong, right) };
    let (from, _) = part(sentence, later, first);
    let elliptic = sentence.terms.iter().all(|term| term.start < from || term.end > later.start);
    if elliptic {
        // "The copay is $4 for generics and $12 for brands": what stands before the first number belongs to both.
        let subject: BTreeSet<&str> =
            sentence.terms.iter().filter(|term| term.end <= first.start).map(|term| term.form.as_str()).collect();
        let shared = |matter: &Matter| matches!(matter, Matter::Word(word) if subject.contains(word.as_str()));
        by_right.retain(|matter| !shared(matter));
        by_wrong.retain(|matter| !shared(matter));
    }
    let weigh = |here: &BTreeSet<Matter>, there: &BTreeSet<Matter>| -> (usize, usize) {
        let only = here.iter().filter(|matter| !there.contains(*matter) && about.contains(*matter));
        only.fold((0, 0), |(labels, rest), matter| match matter {
            Matter::Label(_) => (labels + 1, rest),
            Matter::Word(_) => (labels, rest + 2),
            Matter::Number(_) => (labels, rest + 1),
        })
    };
    weigh(&by_wrong, &by_right) > weigh(&by_right, &by_wrong)
}

fn is_drug(matter: &Matter) -> bool {
    matches!(matter, Matter::Label(label) if label.starts_with("drug:"))
}

/// Whether a part of a sentence speaks of something that was named before it.
fn says_it(reading: &Reading, (from, to): (usize, usize)) -> bool {
    let part = reading.text.get(from..to).unwrap_or_default();
    words::lower(part).any(|(_, word)| matches!(word.as_str(), "it" | "them" | "they"))
}

/// The part of the sentence that holds `fact` and not `other`: cut at the strongest partings that stand between them.
/// The whole sentence if nothing parts them.
fn part(reading: &Reading, fact: &Fact, other: &Fact) -> (usize, usize) {
    let text = reading.text.as_str();
    let (low, high) = (fact.end.min(other.end), fact.start.max(other.start));
    let Some(between) = text.get(low..high.max(low)) else { return (0, text.len()) };
    let level = PARTINGS.iter().position(|marks| marks.iter().any(|mark| between.contains(mark)));
    let Some(level) = level else { return (0, text.len()) };
    let marks = PARTINGS.iter().take(level + 1).flat_map(|marks| marks.iter());
    let (mut from, mut to) = (0, text.len());
    for mark in marks {
        if let Some(at) = text.get(..fact.start).and_then(|before| before.rfind(mark)) {
            from = from.max(at + mark.len());
        }
        if let Some(at) = text.get(fact.end..).and_then(|after| after.find(mark)) {
            to = to.min(fact.end + at);
        }
    }
    (from.min(fact.start), to.max(fact.end))
}

/// What a part of a sentence is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Matter {
    /// A drug, a group of patients, a day, a time of day: whom and when a number is told of.
    Label(String),
    /// Another word.
    Word(String),
    /// Another number.
    Number(String),
}

fn matter(reading: &Reading, (from, to): (usize, usize), slot: &Fact) -> BTreeSet<Matter> {
    let terms = reading.terms.iter().filter(|term| term.start >= from && term.end <= to);
    let mut found: BTreeSet<Matter> = terms
        .map(|term| {
            let label = term.form.contains(':');
            if label { Matter::Label(term.form.clone()) } else { Matter::Word(term.form.clone()) }
        })
        .collect();
    for fact in reading.facts.iter().filter(|fact| fact.start >= from && fact.end <= to) {
        let value = format!("{} {}", fact.kind.as_str(), fact.value);
        match fact.kind {
            kind if kind == slot.kind && fact.dimension() == slot.dimension() => continue,
            FactKind::Drug | FactKind::Route | FactKind::Population | FactKind::Salt | FactKind::Release => continue,
            FactKind::Weekday | FactKind::Time => found.insert(Matter::Label(value)),
            _ => found.insert(Matter::Number(value)),
        };
    }
    found
}

/// People and places that act in a pharmacy.
const ACTORS: &[&str] = &[
    "agent",
    "caller",
    "caregiver",
    "carrier",
    "clerk",
    "clinic",
    "courier",
    "customer",
    "doctor",
    "driver",
    "hospital",
    "insurer",
    "manager",
    "nurse",
    "parent",
    "patient",
    "pharmacist",
    "pharmacy",
    "physician",
    "plan",
    "prescriber",
    "provider",
    "resident",
    "security",
    "supervisor",
    "technician",
    "vendor",
    "visitor",
    "wholesaler",
];

/// Words that give the thing after them its part: "from A to B", "A before B".
const PARTS: &[&str] =
    &["from", "to", "by", "before", "after", "than", "with", "without", "into", "for", "over", "instead", "until"];

/// Something that acts, is acted on, or is compared, at its place.
struct Actor {
    name: String,
    start: usize,
    end: usize,
    /// The word of [`PARTS`] before it; empty if there is none.
    part: String,
    /// Whether it can do something: an amount cannot.
    acts: bool,
}

/// Two things of the claim that have changed parts: who calls whom, from which drug to which.
fn exchanged(claim: &Reading, sentence: &Reading) -> Option<(usize, usize)> {
    let (said, held) = (actors(claim), actors(sentence));
    let once = |actors: &[Actor], name: &str| actors.iter().filter(|actor| actor.name == name).count() == 1;
    for (index, first) in said.iter().enumerate() {
        for second in said.iter().skip(index + 1) {
            if [first, second].iter().any(|actor| !once(&said, &actor.name) || !once(&held, &actor.name)) {
                continue;
            }
            let find = |name: &str| held.iter().find(|actor| actor.name == name);
            let (Some(a), Some(b)) = (find(&first.name), find(&second.name)) else { continue };
            if parts_exchanged(first, second, a, b) || turned_round(claim, sentence, (first, second), (a, b)) {
                return Some((first.start, second.end));
            }
        }
    }
    None
}

fn parts_exchanged(first: &Actor, second: &Actor, a: &Actor, b: &Actor) -> bool {
    first.part != second.part
        && first.part == b.part
        && second.part == a.part
        && (first.part != "by" && second.part != "by")
}

/// Whether the same doing stands between the two in both sentences, and the one who does it is another.
fn turned_round(claim: &Reading, sentence: &Reading, said: (&Actor, &Actor), held: (&Actor, &Actor)) -> bool {
    let (first, second) = said;
    let (a, b) = held;
    let forms = |reading: &Reading, from: usize, to: usize| -> BTreeSet<String> {
        let inside = reading.terms.iter().filter(|term| term.start >= from && term.end <= to);
        inside.map(|term| term.form.clone()).collect()
    };
    let in_order = a.start < b.start;
    let (left, right) = if in_order { (a, b) } else { (b, a) };
    let common = forms(claim, first.end, second.start).intersection(&forms(sentence, left.end, right.start)).count();
    let plain = |part: &str| part.is_empty() || part == "by";
    if common == 0 || !(first.acts && second.acts) || ![second, left, right].iter().all(|actor| plain(&actor.part)) {
        return false;
    }
    let (passive, was_passive) = (second.part == "by", right.part == "by");
    in_order == (passive != was_passive)
}

fn actors(reading: &Reading) -> Vec<Actor> {
    let words: Vec<(usize, String)> = words::lower(&reading.text).collect();
    let mut found: Vec<Actor> = Vec::new();
    for (index, (start, word)) in words.iter().enumerate() {
        let stem = words::stem(word);
        let actor = ACTORS.iter().any(|actor| words::stem(actor) == stem);
        if actor {
            let name = synonym::common(&stem).to_owned();
            found.push(Actor {
                name,
                start: *start,
                end: start + word.len(),
                part: part_before(&words, index),
                acts: true,
            });
        }
    }
    let things = |fact: &&Fact| matches!(fact.kind, FactKind::Drug | FactKind::Measure | FactKind::Time);
    for fact in reading.facts.iter().filter(things) {
        let index = words.iter().position(|(start, word)| start + word.len() > fact.start).unwrap_or(words.len());
        let name = format!("{} {}", fact.kind.as_str(), fact.value);
        found.push(Actor {
            name,
            start: fact.start,
            end: fact.end,
            part: part_before(&words, index),
            acts: fact.kind == FactKind::Drug,
        });
    }
    found.sort_by_key(|actor| actor.start);
    found
}

fn part_before(words: &[(usize, String)], index: usize) -> String {
    let mut back = words.get(..index).unwrap_or_default().iter().rev().map(|(_, word)| word.as_str());
    let near = back.find(|word| !matches!(*word, "the" | "a" | "an" | "your" | "their" | "our" | "his" | "her" | "of"));
    near.filter(|word| PARTS.contains(word)).unwrap_or_default().to_owned()
}
