//! Ranges: "1 to 2 tablets", "every 4 to 6 hours", "between 65 and 75 mg". One end alone is another statement.
//!
//! # Why
//! - **Which end it is decides how bad it is.** The larger amount, or the shorter time between two doses, given as the
//!   rule where the document gives it as the limit, is more medicine than most patients are to have: it differs. The
//!   other end leaves something out.
//! - **An end that is named as an end stands.** "Up to 2 tablets" says of "1 to 2 tablets" what is true of it.

use super::{
    compare::{Discrepancy, Relation},
    reading::Reading,
};
use crate::fact::{Bound, Fact, FactKind};

/// The two ends, as they are written.
pub(super) struct Range<'a> {
    first: &'a Fact,
    last: &'a Fact,
}

/// The ranges of a sentence, in order.
pub(super) fn ranges(reading: &Reading) -> Vec<Range<'_>> {
    let facts: Vec<&Fact> = reading.facts.iter().filter(|fact| spans(fact.kind)).collect();
    let mut found = Vec::new();
    for (index, first) in facts.iter().enumerate() {
        let same = |last: &&&Fact| last.kind == first.kind && last.dimension() == first.dimension();
        let last = facts.get(index + 1..).unwrap_or_default().iter().find(same);
        if let Some(last) = last.filter(|last| first.value != last.value && joins(&reading.text, first, last)) {
            found.push(Range { first, last });
        }
    }
    found
}

const fn spans(kind: FactKind) -> bool {
    matches!(kind, FactKind::Measure | FactKind::Number | FactKind::Frequency)
}

fn joins(text: &str, first: &Fact, last: &Fact) -> bool {
    if (first.start, first.end) == (last.start, last.end) {
        return true; // a frequency is read as one, "every 4 to 6 hours"
    }
    match text.get(first.end..last.start).unwrap_or_default().trim() {
        "to" | "-" | "–" | "—" | "‑" | "or" | "through" => true,
        "and" => text.get(..first.start).is_some_and(|before| before.trim_end().to_lowercase().ends_with("between")),
        _ => false,
    }
}

impl Range<'_> {
    fn holds(&self, fact: &Fact) -> bool {
        [self.first, self.last].iter().any(|end| fact.stands_in(std::slice::from_ref(*end)))
    }

    /// Whether `fact` is the end that gives more: the larger amount, the shorter time between two doses.
    fn is_more(&self, fact: &Fact) -> bool {
        let (Some(one), Some(other)) = (self.first.amount(), self.last.amount()) else { return false };
        let more = if (one < other) == (fact.kind == FactKind::Frequency) { self.first } else { self.last };
        fact.stands_in(std::slice::from_ref(more))
    }
}

/// The bounds under which an end of one of the sentence's ranges may be given: 2 is the most of "1 to 2".
pub(super) fn bounds(fact: &Fact, sentence: &Reading) -> Vec<Option<Bound>> {
    let end = |range: Range<'_>| {
        range.holds(fact).then(|| Some(if range.is_more(fact) { Bound::Most } else { Bound::Least }))
    };
    ranges(sentence).into_iter().filter_map(end).collect()
}

/// Ends of the sentence's ranges that the claim gives as if they were all.
pub(super) fn halved(claim: &Reading, sentence: &Reading) -> Vec<Discrepancy> {
    let ranges = ranges(sentence);
    let alone = |range: &Range<'_>| -> Option<Discrepancy> {
        let mut given = claim.facts.iter().filter(|fact| spans(fact.kind) && range.holds(fact));
        let fact = given.next()?;
        if given.any(|other| !other.stands_in(std::slice::from_ref(fact))) || is_named_as_end(fact, range, claim) {
            return None;
        }
        let elsewhere = sentence.facts.iter().any(|held| {
            let apart =
                ranges.iter().all(|range| ![range.first, range.last].iter().any(|end| std::ptr::eq(*end, held)));
            apart && fact.stands_in(std::slice::from_ref(held))
        });
        let gives = matches!(fact.dimension(), "dose" | "times") || fact.kind == FactKind::Frequency;
        let relation = if gives && range.is_more(fact) { Relation::Differs } else { Relation::Dropped };
        (!elsewhere).then_some(Discrepancy { kind: fact.kind, relation, start: fact.start, end: fact.end })
    };
    ranges.iter().filter_map(alone).collect()
}

/// Words that say of the number after them that it is the most, or the least, of several.
const MOST: &[&str] =
    &["up to", "within", "at most", "more than", "maximum of", "often than", "as often as", "as much as", "as many as"];
const LEAST: &[&str] = &["at least", "less than", "minimum of", "as little as", "as few as", "least often"];

fn is_named_as_end(fact: &Fact, range: &Range<'_>, claim: &Reading) -> bool {
    let before = claim.text.get(..fact.start).unwrap_or_default().trim_end().to_lowercase();
    let (bound, words) = if range.is_more(fact) { (Bound::Most, MOST) } else { (Bound::Least, LEAST) };
    fact.bound == Some(bound) || words.iter().any(|word| before.ends_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drug::Lexicon;

    fn read(text: &str) -> Reading {
        Reading::of(text, Lexicon::built_in())
    }

    fn found(claim: &str, sentence: &str) -> Vec<(FactKind, Relation)> {
        halved(&read(claim), &read(sentence)).into_iter().map(|found| (found.kind, found.relation)).collect()
    }

    const DOSE: &str = "Take 1 to 2 tablets every 4 to 6 hours.";

    #[test]
    fn one_end_alone_is_found_and_the_one_that_gives_more_differs() {
        use FactKind::{Frequency, Measure};
        use Relation::{Differs, Dropped};
        for (claim, expected) in [
            ("Take 1 tablet every 4 hours.", [(Measure, Dropped), (Frequency, Differs)]),
            ("Take 2 tablets every 4 hours.", [(Measure, Differs), (Frequency, Differs)]),
            ("Take 1 tablet every 6 hours.", [(Measure, Dropped), (Frequency, Dropped)]),
            ("Take two tablets every six hours.", [(Measure, Differs), (Frequency, Dropped)]),
        ] {
            assert_eq!(found(claim, DOSE), expected, "{claim}");
        }
    }

    #[test]
    fn a_whole_range_and_an_end_named_as_one_stand() {
        for claim in [
            DOSE,
            "One or two tablets are taken every 4-6 hours.",
            "Take up to 2 tablets every 4 to 6 hours.",
            "Take at least 1 tablet and no more than 2 tablets, no more often than every 4 hours.",
        ] {
            assert_eq!(found(claim, DOSE), [], "{claim}");
        }
        assert_eq!(found("It comes within 5 days.", "It comes in 3 to 5 days."), []);
        assert_eq!(found("Take 2 tablets at night.", "Take 1 to 2 tablets by day and 2 tablets at night."), []);
    }

    #[test]
    fn ranges_are_found_however_they_are_written() {
        for text in [
            "1-2 tablets",
            "1 tablet to 2 tablets",
            "one or two tablets",
            "between 65 and 75 mg",
            "5–10 mL",
            "2 to 3 times a day",
            "once or twice daily",
            "for 7 to 10 days",
            "at 2 °C to 8 °C",
        ] {
            assert_eq!(ranges(&read(text)).len(), 1, "{text}: {:?}", read(text).facts);
        }
        for text in ["5 mg and 10 mL", "5 mg by day and 10 mg at night", "from 8:00 to 17:00", "2 tablets"] {
            assert_eq!(ranges(&read(text)).len(), 0, "{text}");
        }
    }
}
