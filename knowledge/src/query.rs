//! What is asked of the library and what comes back.

use cloister_terms::{CollectionId, DocumentId};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// A search.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    /// What is looked for, in the asker's words. It may hold patient text: it is in no log and no error.
    pub text: String,
    /// At most so many passages.
    pub top: usize,
    /// By what.
    pub mode: Mode,
}

/// By what passages are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By meaning and words together.
    Hybrid,
    /// By words alone (BM25).
    Words,
    /// By meaning alone (cosine of embeddings).
    Meaning,
}

/// What a search found.
#[derive(Clone, PartialEq)]
pub struct Found {
    /// Best first. Each pair and each passage at most once.
    pub passages: Vec<Passage>,
    /// How well the collections cover the question: what a decision to abstain rests on.
    pub strength: Strength,
    /// The question's content words, each with its rarity.
    pub words: Vec<Word>,
}

/// A content word of a question. It may be patient text, as the question may.
#[derive(Clone, PartialEq)]
pub struct Word {
    /// The word, in lower case.
    pub word: String,
    /// How rare it is where it is least rare of the collections searched: 1 if it occurs nowhere, 0 if everywhere.
    pub rarity: f32,
}

/// How well the collections cover a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Strength {
    /// The highest of cosine + 0.25 * coverage among the first three passages: the one number to decide by. See
    /// [`Strength::ENOUGH`].
    pub evidence: f32,
    /// The highest cosine among the first three passages, -1 to 1; 0 by words alone.
    pub cosine: f32,
    /// The highest share of the question's content words, weighted by rarity, that one of the first three passages
    /// holds, 0 to 1.
    pub coverage: f32,
    /// The share of the question's content words, weighted by rarity, that occur anywhere in the collections, 0 to 1.
    pub vocabulary: f32,
    /// How far the best fused score stands above the second, in units of the fused score.
    pub margin: f32,
    /// How many passages were in scope.
    pub searched: usize,
}

impl Strength {
    /// Below this `evidence` there is no good answer in the collections. With MiniLM it turns away 3 in 100 questions
    /// that a site's own pages answer, and 9 in 10 or more from another field. It cannot tell a question of the same
    /// field that happens to have no answer: grounding must. Meant as a default that a collection may set otherwise.
    pub const ENOUGH: f32 = 0.50;
}

/// A stretch of a document, found.
#[derive(Clone, PartialEq)]
pub struct Passage {
    /// Where it is kept.
    pub collection: CollectionId,
    /// Of which document.
    pub document: DocumentId,
    /// The file's name, relative to what was ingested.
    pub name: String,
    /// The document's title, or the file's name where it has none.
    pub title: String,
    /// Of which version.
    pub version: String,
    /// First day on which this version holds, where it says so.
    pub effective: Option<Date>,
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// The page on which it begins, counted from 1, where the format has pages.
    pub page: Option<u32>,
    /// First character (Unicode code point) in the document's text.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// The text between them, untrusted like all that was ingested.
    pub text: String,
    /// The pair whose answer this is, or a part of it.
    pub pair: Option<PairRef>,
    /// Fused score by which passages are ordered; comparable within one search only.
    pub score: f32,
    /// Cosine of question and passage (the best of the pair's questions and answer), -1 to 1; 0 by words alone.
    pub cosine: f32,
    /// BM25 divided by the highest that the question can reach, 0 to about 1; 0 by meaning alone.
    pub words: f32,
    /// The share of the question's content words, weighted by rarity, that stand in the passage, 0 to 1.
    pub coverage: f32,
}

/// Which curated pair a passage belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct PairRef {
    /// As in the file that it came from.
    pub id: String,
    /// Its question.
    pub question: String,
}

/// A curated pair whose question is like the one asked.
#[derive(Clone, PartialEq)]
pub struct PairMatch {
    /// As in the file that it came from.
    pub id: String,
    /// Its question, or the other wording of it that came nearest.
    pub matched: String,
    /// Its question.
    pub question: String,
    /// The approved answer, whole, word for word.
    pub answer: String,
    /// Cosine of the asked and the matched question, -1 to 1.
    pub similarity: f32,
    /// Where the whole answer stands, for citation.
    pub passage: Passage,
}
