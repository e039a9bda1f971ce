//! Identifiers of people in a text: the 18 categories of the Safe Harbor rule, 45 CFR 164.514(b)(2).
//!
//! [`Detector::detect`] reads a text and returns [`Finding`]s with offsets into it, as bytes. What is then done with them is
//! [`redact`](crate::redact)'s business.
//!
//! **What it is not:** no learned model. It finds by rules, tables, the site's roster and patterns; text in which nothing
//! but the sense tells a name from a word is beyond it. It reads English forms and, of others, numbers and names. It has
//! been measured on synthetic text only, and says nothing of what a rare disease and a small town give away together.
//!
//! # Why
//! - **A union for recall, guards for precision.** Each recogniser may err towards finding; eponyms, drugs, headings and
//!   amounts are guarded where the words beside them are seen.
//! - **Findings are in the original text.** Look-alikes, invisible characters and broken lines are read through, but what
//!   is masked is what stood there.
//! - **Overlapping findings become one.** Two rules that see different parts of an identifier hide all of it.

use std::collections::HashMap;

mod age;
mod date;
mod finding;
mod kind;
mod lexicon;
mod names;
mod net;
mod normal;
mod numbers;
mod pattern;
mod places;
mod propagate;
mod roster;
mod structure;
#[cfg(test)]
mod testing;
mod token;

pub use finding::Finding;
pub use kind::{Category, Kind, UnknownKind};
pub(crate) use normal::look_alike;
pub use pattern::{Pattern, PatternError, Patterns};
pub use roster::{Entry, Roster, RosterError};

use normal::Normal;
use token::Tokens;

/// Finds identifiers. Cheap to share; it holds the site's roster and patterns and nothing of any text.
#[derive(Debug, Clone, Default)]
pub struct Detector {
    roster: Option<Roster>,
    patterns: Patterns,
}

impl Detector {
    /// A detector with a site's roster and patterns. Reads the tables, so that the first text does not wait for them.
    pub fn new(roster: Option<Roster>, patterns: Patterns) -> Self {
        lexicon::warm();
        Self { roster, patterns }
    }

    /// The identifiers in `text`, in order of place, none overlapping. Time is linear in the text's length.
    pub fn detect(&self, text: &str) -> Vec<Finding> {
        let normal = Normal::of(text);
        let tokens = Tokens::of(&normal.text);
        let mut found = Vec::new();
        numbers::scan(&tokens, &mut found);
        date::scan(&tokens, &mut found);
        age::scan(&tokens, &mut found);
        net::scan(&tokens, &mut found);
        places::scan(&tokens, &mut found);
        names::scan(&tokens, &mut found);
        structure::scan(&normal.text, &mut found);
        if let Some(roster) = &self.roster {
            roster.scan(&normal.text, &mut found);
        }
        self.patterns.scan(&normal.text, &mut found);
        propagate::scan(&tokens, &mut found);
        let found = finding::joined_places(&normal.text, finding::resolved(found));
        let original = found.into_iter().map(|finding| {
            let range = normal.original(finding.start..finding.end);
            Finding { start: range.start, end: range.end, ..finding }
        });
        finding::resolved(original.collect())
    }
}

/// The offsets of `findings` in Unicode code points rather than bytes, in the same order.
pub fn code_points(text: &str, findings: &[Finding]) -> Vec<(usize, usize)> {
    let mut wanted: Vec<usize> = findings.iter().flat_map(|finding| [finding.start, finding.end]).collect();
    wanted.sort_unstable();
    let mut places = HashMap::with_capacity(wanted.len());
    let mut wanted = wanted.into_iter().peekable();
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    for (count, at) in ends.enumerate() {
        while wanted.next_if(|want| *want <= at).is_some() {
            places.insert(at, count);
        }
        if wanted.peek().is_none() {
            break;
        }
    }
    let place = |byte: usize| places.get(&byte).copied().unwrap_or_default();
    findings.iter().map(|finding| (place(finding.start), place(finding.end))).collect()
}
