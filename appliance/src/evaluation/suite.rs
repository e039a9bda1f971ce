//! Suites: what is asked and what is expected. A TOML file names parts, and each part a file of one JSON object a line.
//!
//! ```toml
//! name = "Sample site"
//! about = "What is tried, and on which documents."
//! gate = "gate.toml"          # what the report holds the figures against; may be left out
//!
//! [[part]]
//! id = "answers"              # comes before each metric: `answers/faithfulness`
//! kind = "lanes"
//! file = "questions.jsonl"
//! take = 40                   # that many of them, drawn by the seed; all if left out
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    item::{Attack, Identified, Judged, Labelled, Question, Request},
    statistics::Dice,
};

/// What a part measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Which passages are found for questions.
    Retrieval,
    /// Answers: by which lane, resting on what, and whether one is given at all.
    Lanes,
    /// Whether faithful and wrong answers are told apart.
    Grounding,
    /// Which identifiers of people are found.
    Identifiers,
    /// Which attacks are stopped.
    Attacks,
    /// Which honest requests are refused.
    OverRefusal,
    /// Whether answers stay the same when identifiers are taken out of the question.
    Redaction,
    /// How long answers take.
    Latency,
}

impl Kind {
    /// Every kind, in the order of a report.
    pub const ALL: &'static [Self] = &[
        Self::Lanes,
        Self::Retrieval,
        Self::Grounding,
        Self::Identifiers,
        Self::Attacks,
        Self::OverRefusal,
        Self::Redaction,
        Self::Latency,
    ];

    /// What was tried, for a reader of the report.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Lanes => "Answers",
            Self::Retrieval => "Finding the right place",
            Self::Grounding => "Catching wrong answers",
            Self::Identifiers => "Finding identifiers of people",
            Self::Attacks => "Stopping attacks",
            Self::OverRefusal => "Letting honest requests through",
            Self::Redaction => "Answers with and without redaction",
            Self::Latency => "Speed",
        }
    }
}

/// The items of a part.
#[derive(Debug, Clone)]
pub enum Items {
    /// For [`Kind::Retrieval`], [`Kind::Lanes`] and [`Kind::Latency`].
    Questions(Vec<Question>),
    /// For [`Kind::Grounding`].
    Judged(Vec<Judged>),
    /// For [`Kind::Identifiers`].
    Labelled(Vec<Labelled>),
    /// For [`Kind::Attacks`].
    Attacks(Vec<Attack>),
    /// For [`Kind::OverRefusal`].
    Requests(Vec<Request>),
    /// For [`Kind::Redaction`].
    Identified(Vec<Identified>),
}

impl Items {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Questions(items) => items.len(),
            Self::Judged(items) => items.len(),
            Self::Labelled(items) => items.len(),
            Self::Attacks(items) => items.len(),
            Self::Requests(items) => items.len(),
            Self::Identified(items) => items.len(),
        }
    }

    /// Whether there are none. A part that was read has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A part, with its items.
#[derive(Debug, Clone)]
pub struct Part {
    /// Comes before the names of its metrics.
    pub id: String,
    /// What it measures.
    pub kind: Kind,
    /// On what.
    pub items: Items,
}

/// A suite that was read.
#[derive(Debug, Clone)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// What is tried, and on which documents.
    pub about: String,
    /// SHA-256 over its file and those of its parts, in hexadecimal digits.
    pub sha256: String,
    /// The gate that its report holds the figures against.
    pub gate: Option<PathBuf>,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// Why a suite cannot be used. What stands in an item is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum SuiteError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The suite's file is not one.
    #[error("{path} is not a suite: {why}")]
    Form {
        /// Which.
        path: PathBuf,
        /// In the words of the reader.
        why: String,
    },
    /// A line is not an item of this kind.
    #[error("{path}, line {line}: {why}")]
    Item {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    #[serde(default)]
    about: String,
    gate: Option<PathBuf>,
    part: Vec<WrittenPart>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPart {
    id: String,
    kind: Kind,
    file: PathBuf,
    take: Option<usize>,
}

impl Suite {
    /// Reads a suite and the files of its parts, which are named from its folder. Where a part takes some of its items, `seed` draws them.
    ///
    /// # Errors
    /// [`SuiteError`] with the file and the line.
    pub fn read(path: &Path, seed: u64) -> Result<Self, SuiteError> {
        let text = text(path)?;
        let form = |why: String| SuiteError::Form { path: path.to_owned(), why };
        let written: Written = toml::from_str(&text).map_err(|error| form(error.message().to_owned()))?;
        if written.part.is_empty() {
            return Err(form("it has no part".to_owned()));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut hashed = digest::Context::new(&digest::SHA256);
        let mut hash = |text: &str| {
            hashed.update(&(text.len() as u64).to_be_bytes());
            hashed.update(text.as_bytes());
        };
        hash(&text);
        let mut parts: Vec<Part> = Vec::new();
        for part in written.part {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
            if part.id.is_empty() || !part.id.chars().all(plain) {
                return Err(form(format!("the id `{}` is not of a-z, 0-9, `-` and `_`", part.id)));
            }
            if parts.iter().any(|known| known.id == part.id) {
                return Err(form(format!("two parts are called `{}`", part.id)));
            }
            let file = folder.join(&part.file);
            let lines = self::text(&file)?;
            hash(&lines);
            let mut dice = Dice::new(seed ^ fold(&part.id));
            let items = items(part.kind, &file, &lines, part.take, &mut dice)?;
            parts.push(Part { id: part.id, kind: part.kind, items });
        }
        let gate = written.gate.map(|gate| folder.join(gate));
        let sha256 = hex::encode(hashed.finish());
        Ok(Self { name: written.name, about: written.about, sha256, gate, parts })
    }
}

/// A number for a name, so that two parts draw unlike each other.
fn fold(name: &str) -> u64 {
    name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

fn text(path: &Path) -> Result<String, SuiteError> {
    fs::read_to_string(path).map_err(|source| SuiteError::Unreadable { path: path.to_owned(), source })
}

fn items(kind: Kind, path: &Path, text: &str, take: Option<usize>, dice: &mut Dice) -> Result<Items, SuiteError> {
    Ok(match kind {
        Kind::Retrieval | Kind::Lanes | Kind::Latency => Items::Questions(drawn(lines(path, text)?, take, dice)),
        Kind::Grounding => Items::Judged(drawn(lines(path, text)?, take, dice)),
        Kind::Identifiers => Items::Labelled(drawn(lines(path, text)?, take, dice)),
        Kind::Attacks => Items::Attacks(drawn(lines(path, text)?, take, dice)),
        Kind::OverRefusal => Items::Requests(drawn(lines(path, text)?, take, dice)),
        Kind::Redaction => Items::Identified(drawn(lines(path, text)?, take, dice)),
    })
}

/// An item of a file.
pub(super) trait Item: DeserializeOwned {
    /// Its id, unlike that of any other in the file.
    fn id(&self) -> &str;

    /// What is wrong with it, though each of its fields is well-formed.
    fn contradiction(&self) -> Option<&'static str> {
        None
    }
}

fn lines<T: Item>(path: &Path, text: &str) -> Result<Vec<T>, SuiteError> {
    let wrong = |line: usize, why: String| SuiteError::Item { path: path.to_owned(), line: line + 1, why };
    let mut items: Vec<T> = Vec::new();
    let mut ids = std::collections::HashSet::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let item: T = serde_json::from_str(line).map_err(|error| {
            // The error's own words may quote the line, which may be a patient's.
            let how = format!("at column {} it is not an item as it must be ({:?})", error.column(), error.classify());
            wrong(at, how)
        })?;
        if let Some(why) = item.contradiction() {
            return Err(wrong(at, why.to_owned()));
        }
        if !ids.insert(item.id().to_owned()) {
            return Err(wrong(at, "its id is that of an earlier line".to_owned()));
        }
        items.push(item);
    }
    if items.is_empty() { Err(wrong(0, "there is no item".to_owned())) } else { Ok(items) }
}

/// So many of them, drawn without putting back, in the order of the file.
fn drawn<T>(mut items: Vec<T>, take: Option<usize>, dice: &mut Dice) -> Vec<T> {
    let Some(take) = take else { return items };
    while items.len() > take.max(1) {
        items.remove(dice.below(items.len()));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(suite: &str, items: &str, seed: u64) -> Result<Suite, SuiteError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("suite.toml"), suite).unwrap();
        fs::write(folder.path().join("items.jsonl"), items).unwrap();
        Suite::read(&folder.path().join("suite.toml"), seed)
    }

    const SUITE: &str = "name = 'S'\n[[part]]\nid = 'a'\nkind = 'over_refusal'\nfile = 'items.jsonl'\n";

    fn requests(count: usize) -> String {
        (0..count).map(|at| format!("{{\"id\": \"{at}\", \"text\": \"text {at}\"}}\n")).collect()
    }

    #[test]
    fn a_suite_is_read_with_its_items_and_its_hash_is_of_all_of_it() {
        let suite = read(SUITE, &requests(3), 1).unwrap();
        assert_eq!((suite.parts.len(), suite.parts[0].items.len(), suite.sha256.len()), (1, 3, 64));
        assert_ne!(suite.sha256, read(SUITE, &requests(4), 1).unwrap().sha256);
        assert_ne!(suite.sha256, read(&SUITE.replace("'S'", "'T'"), &requests(3), 1).unwrap().sha256);
        assert_eq!(suite.sha256, read(SUITE, &requests(3), 2).unwrap().sha256);
    }

    #[test]
    fn a_faulty_line_is_named_and_its_text_is_not() {
        let error =
            read(SUITE, "{\"id\": \"1\", \"text\": \"fine\"}\n{\"id\": \"2\", \"text\": 4471902}\n", 1).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("items.jsonl, line 2") && !told.contains("4471902"), "{told}");
        let twice = "{\"id\": \"1\", \"text\": \"a\"}\n{\"id\": \"1\", \"text\": \"b\"}\n";
        assert!(read(SUITE, twice, 1).unwrap_err().to_string().contains("earlier line"));
        assert!(read(SUITE, "\n", 1).unwrap_err().to_string().contains("no item"));
        assert!(read("name = 'S'\npart = []\n", "", 1).unwrap_err().to_string().contains("no part"));
        assert!(read(&SUITE.replace("'a'", "'A/b'"), &requests(1), 1).is_err());
        assert!(read(&format!("odd = 1\n{SUITE}"), &requests(1), 1).is_err());
    }

    #[test]
    fn a_part_takes_as_many_as_it_says_the_same_ones_for_the_same_seed() {
        let ids = |seed: u64| {
            let suite = read(&format!("{SUITE}take = 5\n"), &requests(50), seed).unwrap();
            match &suite.parts[0].items {
                Items::Requests(items) => items.iter().map(|item| item.id.clone()).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((ids(1).len(), ids(1)), (5, ids(1)));
        assert_ne!(ids(1), ids(2));
    }
}
