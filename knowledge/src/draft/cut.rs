//! Passages and the texts to embed for them, from a parsed document. Ingest and rebuild both come through here.

use sha2::{Digest, Sha256};

use super::PairDraft;
use super::characters::Characters;
use crate::chunk::{Chunk, Ruler, Wording, chunk, chunk_stretch, windows};
use crate::parse::{Block, BlockKind};

/// Parts from here on are questions of a pair; below, stretches of a passage's body.
pub(crate) const QUESTION_PARTS: i64 = 1000;

/// A passage ready to be stored.
pub(crate) struct ChunkDraft {
    pub(crate) chunk: Chunk,
    /// The same stretch in code points.
    pub(crate) chars: (usize, usize),
    /// Index of the pair whose answer it is part of.
    pub(crate) pair: Option<usize>,
    /// Words column: the document's title.
    pub(crate) title: String,
    /// Words column: the heading path.
    pub(crate) headings: String,
    /// Words column: the pair's question and its other wordings.
    pub(crate) questions: String,
}

impl ChunkDraft {
    /// The word under which its kind is stored.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.chunk.kind {
            BlockKind::Heading { .. } => "heading",
            BlockKind::Paragraph => "paragraph",
            BlockKind::ListItem { .. } => "list_item",
            BlockKind::TableRow => "table_row",
            BlockKind::Code => "code",
            BlockKind::Quote => "quote",
        }
    }
}

/// A text to embed.
pub(crate) struct Input {
    /// Index of the passage.
    pub(crate) chunk: usize,
    pub(crate) part: i64,
    pub(crate) text: String,
    /// The first half of its SHA-256.
    pub(crate) digest: [u8; 16],
}

impl Input {
    pub(crate) fn new(chunk: usize, part: i64, text: String) -> Self {
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let mut digest = [0; 16];
        digest.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self { chunk, part, text, digest }
    }
}

/// Passages and what to embed for them.
pub(crate) struct Cut {
    pub(crate) chunks: Vec<ChunkDraft>,
    pub(crate) inputs: Vec<Input>,
}

/// Cuts a document: along its blocks, or answer by answer where it is a list of pairs.
pub(crate) fn cut(text: &str, blocks: &[Block], pairs: &[PairDraft], title: &str, ruler: &Ruler<'_>) -> Cut {
    let mut places: Vec<(Chunk, Option<usize>)> = Vec::new();
    if pairs.is_empty() {
        places.extend(chunk(text, blocks, ruler).into_iter().map(|chunk| (chunk, None)));
    }
    for (at, PairDraft { pair, .. }) in pairs.iter().enumerate() {
        let headings: Vec<String> = pair.topic.iter().cloned().collect();
        let parts = chunk_stretch(text, pair.answer_start, pair.answer_end, &headings, ruler);
        places.extend(parts.into_iter().map(|chunk| (chunk, Some(at))));
    }
    let mut characters = Characters::new(text);
    let mut cut = Cut { chunks: Vec::with_capacity(places.len()), inputs: Vec::with_capacity(places.len()) };
    let mut questions_asked_of = None;
    for (at, (chunk, pair)) in places.into_iter().enumerate() {
        let body = text.get(chunk.start..chunk.end).unwrap_or_default();
        let wording = Wording { title, headings: &chunk.headings };
        for (part, text) in (0..QUESTION_PARTS).zip(windows(wording, body, ruler)) {
            cut.inputs.push(Input::new(at, part, text));
        }
        let asked = pair.and_then(|index| pairs.get(index)).map(|draft| &draft.pair);
        let questions: Vec<&str> = asked
            .map(|pair| std::iter::once(&pair.question).chain(&pair.also).map(String::as_str).collect())
            .unwrap_or_default();
        // The questions stand with the first passage of the answer, once.
        if pair.is_some() && questions_asked_of != pair {
            questions_asked_of = pair;
            for (part, question) in (QUESTION_PARTS..).zip(&questions) {
                let none = Wording { title: "", headings: &[] };
                // A question longer than the model sees is known by its beginning.
                cut.inputs
                    .extend(windows(none, question, ruler).into_iter().take(1).map(|text| Input::new(at, part, text)));
            }
        }
        cut.chunks.push(ChunkDraft {
            chars: (characters.at(chunk.start), characters.at(chunk.end)),
            pair,
            title: title.to_owned(),
            headings: chunk.headings.join(" \u{203a} "),
            questions: questions.join(" \n"),
            chunk,
        });
    }
    cut
}
