//! The site's own list: patients, staff, wards. Found wherever a whole word of the text begins with one.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use serde::{Deserialize, Serialize};

use super::{finding::Finding, kind::Kind, lexicon};

/// One entry of a roster, a line of the file: `{"kind": "NAME", "text": "Qarvo Tzill"}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is: `NAME` for a person, `FACILITY` for a ward or a building, or any other kind.
    pub kind: Kind,
    /// How it is written. A person's name is found surname first as well, and by its surname if that is no common word.
    pub text: String,
}

/// Prints the kind and not the text.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why a roster cannot be used. The line's text is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// A line is no entry.
    #[error("line {line} of the roster is no entry: write {{\"kind\": \"NAME\", \"text\": \"...\"}}")]
    Line {
        /// The line, counted from 1.
        line: usize,
    },
    /// An entry is too short to be told from other words.
    #[error("line {line} of the roster has fewer than two letters or digits: leave it out or write it in full")]
    Short {
        /// The line, counted from 1.
        line: usize,
    },
    /// There are more entries than one automaton can hold.
    #[error("the roster is too large: split the site into tenants or leave out entries that are no longer needed")]
    Large,
}

/// A roster, ready to be searched for. The search takes time by the text's length, not by the roster's.
#[derive(Clone)]
pub struct Roster {
    automaton: AhoCorasick,
    kinds: Vec<Kind>,
}

/// Prints how many entries there are.
impl std::fmt::Debug for Roster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Roster").field("written_forms", &self.kinds.len()).finish_non_exhaustive()
    }
}

impl Roster {
    /// Reads a roster, one JSON object a line; empty lines are passed over.
    ///
    /// # Errors
    /// [`RosterError`] with the first line that is not as it must be. Nothing is taken from such a file.
    pub fn read(lines: &str) -> Result<Self, RosterError> {
        let mut entries = Vec::new();
        for (index, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let entry: Entry = serde_json::from_str(line).map_err(|_| RosterError::Line { line: index + 1 })?;
            if entry.text.chars().filter(|c| c.is_alphanumeric()).count() < 2 {
                return Err(RosterError::Short { line: index + 1 });
            }
            entries.push(entry);
        }
        Self::of(&entries)
    }

    /// A roster of `entries`.
    ///
    /// # Errors
    /// [`RosterError::Large`] when they do not fit into one automaton.
    pub fn of(entries: &[Entry]) -> Result<Self, RosterError> {
        let mut forms: Vec<(String, Kind)> = Vec::new();
        for entry in entries {
            written_forms(entry, |form| forms.push((form, entry.kind)));
        }
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::LeftmostLongest)
            .build(forms.iter().map(|(form, _)| form.as_str()))
            .map_err(|_| RosterError::Large)?;
        Ok(Self { automaton, kinds: forms.into_iter().map(|(_, kind)| kind).collect() })
    }

    /// Finds what the roster lists in a text in reading form.
    pub(crate) fn scan(&self, text: &str, found: &mut Vec<Finding>) {
        let (lower, back) = lowered(text);
        for hit in self.automaton.find_iter(&lower) {
            let Some(kind) = self.kinds.get(hit.pattern().as_usize()) else { continue };
            let end = inflected(&lower, hit.end());
            if let Some(range) = whole(&lower, hit.start()..end).and_then(|range| original(&back, range)) {
                found.push(Finding::new(*kind, range.start, range.end, 0.97, "roster"));
            }
        }
    }
}

/// The ways in which an entry is written: as it is; for a person also surname first, and the surname alone.
fn written_forms(entry: &Entry, mut form: impl FnMut(String)) {
    let lower = entry.text.trim().to_lowercase();
    if entry.kind == Kind::Name {
        let ordered = match lower.split_once(',') {
            Some((surname, given)) => format!("{} {}", given.trim(), surname.trim()),
            None => lower.clone(),
        };
        if let Some((given, surname)) = ordered.rsplit_once(' ') {
            form(format!("{surname}, {given}"));
            form(format!("{surname} {given}"));
            let first = given.split(' ').next().unwrap_or(given);
            form(format!("{first} {surname}"));
            if surname.chars().count() >= 3 && !lexicon::senses(&lexicon::folded(surname)).any(lexicon::Senses::WORD) {
                form(surname.to_owned());
            }
        }
        form(ordered);
    } else {
        form(lower);
    }
}

/// Text in small letters, and for each of its bytes the byte of the text that it came from.
fn lowered(text: &str) -> (String, Option<Vec<usize>>) {
    if text.is_ascii() {
        return (text.to_ascii_lowercase(), None);
    }
    let mut lower = String::with_capacity(text.len());
    let mut back = Vec::with_capacity(text.len() + 1);
    for (at, character) in text.char_indices() {
        for small in character.to_lowercase() {
            lower.push(small);
            back.resize(lower.len(), at);
        }
    }
    back.push(text.len());
    (lower, Some(back))
}

fn original(back: &Option<Vec<usize>>, range: Range<usize>) -> Option<Range<usize>> {
    let Some(back) = back else { return Some(range) };
    Some(*back.get(range.start)?..*back.get(range.end)?)
}

/// Takes in a possessive or plural ending.
fn inflected(text: &str, end: usize) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    ["'s", "\u{2019}s", "es", "s", "'"]
        .iter()
        .find(|ending| rest.strip_prefix(**ending).is_some_and(|after| !after.starts_with(char::is_alphanumeric)))
        .map_or(end, |ending| end + ending.len())
}

/// The range, if whole words stand in it.
fn whole(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let before = text.get(..range.start)?.chars().next_back();
    let after = text.get(range.end..)?.chars().next();
    (!before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(roster: &str, text: &'a str) -> Vec<&'a str> {
        let roster = Roster::read(roster).unwrap();
        let mut found = Vec::new();
        roster.scan(text, &mut found);
        found.iter().map(|f| &text[f.start..f.end]).collect()
    }

    const ONE: &str = r#"{"kind":"NAME","text":"Qarvo Bel Tzill"}
{"kind":"FACILITY","text":"Harrow Ward"}"#;

    #[test]
    fn a_person_is_found_in_every_order_and_case() {
        assert_eq!(
            read(ONE, "saw TZILL, QARVO BEL; Qarvo Tzill's chart; the Tzills"),
            ["TZILL, QARVO BEL", "Qarvo Tzill's", "Tzills"]
        );
        assert_eq!(read(ONE, "moved to harrow ward"), ["harrow ward"]);
    }

    #[test]
    fn only_whole_words_are_found() {
        assert!(read(ONE, "Tzillinger, harrow wardens").is_empty());
    }

    #[test]
    fn a_faulty_line_is_named_and_not_repeated() {
        let error = Roster::read("{\"kind\":\"NAME\",\"text\":\"Ana Ng\"}\nQarvo").unwrap_err();
        assert_eq!(error, RosterError::Line { line: 2 });
        assert!(!error.to_string().contains("Qarvo"));
    }
}
