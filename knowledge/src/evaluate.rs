//! Measures retrieval on a set of questions with known answers, in a throw-away collection, in all three modes at once.
//!
//! **What it is not:** it computes no score. It writes rankings in the form that a scorer reads.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cloister_terms::{AccessLabel, CollectionId, InvalidName, Random};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::library::{CollectionError, Content, IngestError, Report, SearchError, Submission};
use crate::parse::{Block, BlockKind, Format, Parse, ParseError, Parsed, Source};
use crate::{CollectionSpec, Connect, Library, Mode, Progress, Query, Scope, Strength};

/// Passages asked for per question: enough that a hundred documents are ranked, however many passages each has.
const PASSAGES: usize = 400;

/// Documents in a ranking.
const RANKED: usize = 100;

/// A document to search: with a text, or a pair of which only the answer is searched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Document {
    /// Its id in the gold file.
    pub id: String,
    /// Its title, if it has one.
    #[serde(default)]
    pub title: Option<String>,
    /// Its text.
    #[serde(alias = "answer")]
    pub text: String,
}

/// A question of the gold file. What answers it is the scorer's business.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// Its id.
    pub id: String,
    /// The question.
    #[serde(alias = "query")]
    pub question: String,
}

/// One line of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// The question's id.
    pub id: String,
    /// Ids of documents, best first.
    pub ranked: Vec<String>,
    /// Whether the evidence was too weak to answer from.
    pub abstained: bool,
}

/// The rankings of one mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// By what passages were found.
    pub mode: Mode,
    /// One line per question, in their order.
    pub lines: Vec<Ranked>,
    /// How long each search took, the question's embedding included.
    pub times: Vec<Duration>,
}

/// Why there are no rankings.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// A line of a file is not what it must be.
    #[error("line {line} is not a JSON object with the fields that it needs")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Where in the line.
        #[source]
        source: serde_json::Error,
    },
    /// The name of the throw-away collection.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// It could not be created.
    #[error(transparent)]
    Collection(#[from] CollectionError),
    /// The documents could not be ingested.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A search failed.
    #[error(transparent)]
    Search(#[from] SearchError),
}

/// Reads a file of one JSON object a line; blank lines are passed over.
///
/// # Errors
/// The first line that is not a `T`.
pub fn read_lines<T: for<'de> Deserialize<'de>>(text: &str) -> Result<Vec<T>, EvaluateError> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| serde_json::from_str(line).map_err(|source| EvaluateError::Line { line: at + 1, source }))
        .collect()
}

/// A database in a file of `folder` under a random key that nobody keeps: when the folder is removed nothing is left,
/// and were it not, nothing could be read.
#[must_use]
pub fn throw_away(folder: &Path, random: &dyn Random) -> Connect {
    let mut key = [0_u8; 32];
    random.fill(&mut key);
    let path = folder.join("evaluation.db");
    let key = hex::encode(key);
    Arc::new(move || {
        let connection = Connection::open(&path)?;
        connection.pragma_update(None, "key", format!("x'{key}'"))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // Nothing here outlives the run, so nothing waits for the disk.
        connection.pragma_update(None, "synchronous", "off")?;
        Ok(connection)
    })
}

/// Ingests the documents into a new collection `evaluation` of `library`.
///
/// # Errors
/// Where the collection exists already, or the library fails.
pub fn ingest(
    library: &Library,
    documents: Vec<Document>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Report, EvaluateError> {
    let id: CollectionId = COLLECTION.parse()?;
    library.create(CollectionSpec { id: id.clone(), title: "Evaluation".into() })?;
    let submissions = documents
        .into_iter()
        .map(|document| Submission {
            name: document.id,
            content: Content::Bytes(document.text.into_bytes()),
            overrides: document.title.map(|title| BTreeMap::from([("title".into(), title)])).unwrap_or_default(),
        })
        .collect();
    Ok(library.ingest_many(&id, submissions, &Lines, progress)?)
}

/// Ranks the documents of collection `evaluation` for every question, in one mode.
///
/// # Errors
/// The first search that fails.
pub fn rank(library: &Library, questions: &[Question], mode: Mode, now: jiff::Timestamp) -> Result<Run, EvaluateError> {
    let label: AccessLabel = LABEL.parse()?;
    let scope = Scope::new(vec![COLLECTION.parse()?], vec![label], now);
    let mut run = Run { mode, lines: Vec::with_capacity(questions.len()), times: Vec::with_capacity(questions.len()) };
    for Question { id, question } in questions {
        let begun = Instant::now();
        let found = library.search(&scope, &Query { text: question.clone(), top: PASSAGES, mode })?;
        run.times.push(begun.elapsed());
        let mut seen = HashSet::new();
        let ranked = found.passages.into_iter().map(|passage| passage.name).filter(|name| seen.insert(name.clone()));
        run.lines.push(Ranked {
            id: id.clone(),
            ranked: ranked.take(RANKED).collect(),
            abstained: mode == Mode::Hybrid && found.strength.evidence < Strength::ENOUGH,
        });
    }
    Ok(run)
}

const COLLECTION: &str = "evaluation";
/// What documents carry that name no label.
const LABEL: &str = "staff";

/// Takes the bytes as text, a paragraph per line: the corpora are plain text in JSON.
struct Lines;

impl Parse for Lines {
    fn input_bytes(&self) -> u64 {
        u64::MAX
    }

    fn parse(&self, source: &Source) -> Result<Parsed, ParseError> {
        let text = String::from_utf8_lossy(&source.bytes).into_owned();
        let mut blocks = Vec::new();
        let mut from = 0;
        for line in text.split_inclusive('\n') {
            let content = line.trim();
            let start = from + (line.len() - line.trim_start().len());
            if !content.is_empty() {
                let end = start + content.len();
                blocks.push(Block { kind: BlockKind::Paragraph, start, end, page: None, headings: Vec::new() });
            }
            from += line.len();
        }
        Ok(Parsed {
            title: None,
            text,
            blocks,
            pairs: Vec::new(),
            metadata: BTreeMap::new(),
            format: Format::Text,
            pages: None,
            warnings: Vec::new(),
        })
    }
}
