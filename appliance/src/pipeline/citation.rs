//! What an answer shows for itself: lane, citations, claims and scores. Plain records, the same in every face.

use cloister_terms::{CollectionId, DocumentId};
use serde::Serialize;
use utoipa::ToSchema;

/// The way in which an answer came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// A curated answer, word for word.
    Verified,
    /// Written by the generation model, each sentence checked against the one it cites.
    Composed,
    /// Sentences of the documents, word for word.
    Quoted,
    /// Nothing was found that answers; nothing was guessed.
    Abstain,
}

impl Lane {
    /// The word in configuration, audit, replies and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Composed => "composed",
            Self::Quoted => "quoted",
            Self::Abstain => "abstain",
        }
    }
}

/// The place in a document that a part of an answer rests on. Chosen by the server, never by a model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Citation {
    /// Collection of the document.
    #[schema(value_type = String)]
    pub collection: CollectionId,
    /// The document, across its versions.
    #[schema(value_type = String)]
    pub document: DocumentId,
    /// File name or relative path of the document.
    pub name: String,
    /// Title of the document.
    pub title: String,
    /// Version that was read.
    pub version: String,
    /// Headings above the place, outermost first.
    pub headings: Vec<String>,
    /// The curated question that the cited text answers, where it is an answer on file.
    pub question: Option<String>,
    /// Page, from 1, for paged formats.
    pub page: Option<u32>,
    /// First character of the cited text, in code points into the document's text.
    pub start: usize,
    /// One past the last character, in code points into the document's text.
    pub end: usize,
    /// The cited text, word for word.
    pub text: String,
    /// How well the place fits the question, 0 to 1.
    pub score: f32,
}

impl Citation {
    /// What of it is the document's own words: the cited text, and the curated question that it answers.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.text.as_str()).chain(self.question.as_deref())
    }
}

/// One sentence of an answer and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Claim {
    /// First character, in code points into the answer.
    pub start: usize,
    /// One past the last character, in code points into the answer.
    pub end: usize,
    /// Whether the evidence bears it.
    pub verdict: ClaimVerdict,
    /// Share of its words that the citation holds, 0 to 1; 1 for what is quoted.
    pub score: f32,
    /// Which citation bears it, as an index into `citations`.
    pub citation: Option<usize>,
    /// Whether the server added it: a warning of the document right beside a dose, which the answer had left out.
    pub warning: bool,
}

/// The claim at which a draft was cut. Its text is not shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Withheld {
    /// Why: `unsupported`, `contradicted` or `not_sure`.
    pub verdict: ClaimVerdict,
    /// Share of its words that the best place of the evidence holds, 0 to 1.
    pub score: f32,
    /// Kinds of the facts that do not stand there: `measure`, `drug`, `polarity`, ...
    pub facts: Vec<&'static str>,
    /// The place of the evidence that was held against it.
    pub evidence: Option<Citation>,
}

/// Whether the evidence bears a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClaimVerdict {
    /// One cited sentence bears it, numbers included.
    Supported,
    /// No cited sentence bears it.
    Unsupported,
    /// A cited sentence says otherwise.
    Contradicted,
    /// A cited sentence bears it within a limit (an age, a maximum, an exception) that the claim leaves out.
    NotSure,
}

impl ClaimVerdict {
    /// The word in replies and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Unsupported => "unsupported",
            Self::Contradicted => "contradicted",
            Self::NotSure => "not_sure",
        }
    }
}

/// How an answer measures against question and evidence. Each is 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, ToSchema)]
pub struct Scores {
    /// Share of claims that the evidence supports; of a draft that was cut, the claim that failed counts too.
    pub grounding: f32,
    /// How far the answer speaks about what was asked.
    pub relevance: f32,
    /// How well the best passage fits the question, by meaning.
    pub similarity: f32,
    /// Share of the question's words that the best passages hold.
    pub coverage: f32,
}
