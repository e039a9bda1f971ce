//! Cuts a parsed document into passages along its structure.
//!
//! **What it is not:** it reads no meaning. It never joins text from under two headings, never cuts a table row or a
//! numbered step that fits whole, and never changes a character: a passage is a stretch of the text.
//!
//! # Why
//! - A passage is cited by its heading, so it lies under one heading, however short that makes it. What it lacks in
//!   context it gets from the heading path, which is embedded and indexed with it.
//! - A section that needs several passages is divided evenly: a tail of two lines is found for the wrong reasons.

mod split;
mod windows;

#[cfg(test)]
mod tests;

pub(crate) use windows::{Wording, windows};

use crate::parse::{Block, BlockKind};

/// The most tokens of a passage's own text: with up to [`windows::PREFIX_MOST`] tokens of headings before it, it stays
/// within the 256 tokens that MiniLM sees.
const BODY_MOST: usize = 220;

/// Counts tokens the way the embedding model does.
pub(crate) struct Ruler<'a> {
    count: &'a dyn Fn(&str) -> usize,
    /// What the model adds to every text.
    added: usize,
    /// What it sees at most.
    most: usize,
}

impl<'a> Ruler<'a> {
    /// A ruler for a model that sees `most` tokens, as counted by `count`.
    pub(crate) fn new(most: usize, count: &'a dyn Fn(&str) -> usize) -> Self {
        Self { count, added: count(""), most }
    }

    /// Tokens of the text itself.
    fn tokens(&self, text: &str) -> usize {
        (self.count)(text).saturating_sub(self.added)
    }

    /// Tokens that a whole input may have, without what the model adds.
    fn room(&self) -> usize {
        self.most.saturating_sub(self.added).max(1)
    }

    /// Tokens that a passage's own text may have.
    fn body_most(&self) -> usize {
        BODY_MOST.min(self.room().saturating_sub(self.prefix_most())).max(1)
    }

    /// Tokens that title and headings may have before it.
    fn prefix_most(&self) -> usize {
        windows::PREFIX_MOST.min(self.room() / 2)
    }
}

/// A passage: a stretch of the text under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// First byte.
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
    /// Page on which it begins.
    pub(crate) page: Option<u32>,
    /// The headings above it.
    pub(crate) headings: Vec<String>,
    /// What it begins with.
    pub(crate) kind: BlockKind,
}

/// What is never divided further: a row, a step, a short paragraph, a sentence of a long one.
#[derive(Debug, Clone)]
struct Atom {
    start: usize,
    end: usize,
    tokens: usize,
    page: Option<u32>,
    kind: BlockKind,
}

/// Passages that cover every block of `text` but headings with something under them; those are in the passages' paths.
pub(crate) fn chunk(text: &str, blocks: &[Block], ruler: &Ruler<'_>) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut section: Vec<Atom> = Vec::new();
    let mut path: &[String] = &[];
    for (at, block) in blocks.iter().enumerate() {
        if let BlockKind::Heading { .. } = block.kind {
            let has_content = blocks.get(at + 1).is_some_and(|next| next.headings.len() > block.headings.len());
            if has_content {
                continue;
            }
        }
        if path != block.headings.as_slice() {
            pack(text, path, &std::mem::take(&mut section), ruler, &mut chunks);
            path = &block.headings;
        }
        atoms(text, block, ruler, &mut section);
    }
    pack(text, path, &section, ruler, &mut chunks);
    chunks
}

/// Passages of a plain stretch of text: the answer of a pair.
pub(crate) fn chunk_stretch(
    text: &str,
    start: usize,
    end: usize,
    headings: &[String],
    ruler: &Ruler<'_>,
) -> Vec<Chunk> {
    let mut blocks = Vec::new();
    let mut from = start;
    for line in text.get(start..end).unwrap_or_default().split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() {
            let lead = line.len() - line.trim_start().len();
            let begin = from + lead;
            blocks.push(Block {
                kind: BlockKind::Paragraph,
                start: begin,
                end: begin + content.len(),
                page: None,
                headings: headings.to_vec(),
            });
        }
        from += line.len();
    }
    chunk(text, &blocks, ruler)
}

fn atoms(text: &str, block: &Block, ruler: &Ruler<'_>, into: &mut Vec<Atom>) {
    let Some(body) = text.get(block.start..block.end) else { return };
    if body.trim().is_empty() {
        return;
    }
    let tokens = ruler.tokens(body);
    let most = ruler.body_most();
    let whole = match block.kind {
        BlockKind::TableRow | BlockKind::ListItem { .. } | BlockKind::Heading { .. } => tokens <= most,
        // Half a passage is packed well enough whole; longer text is packed sentence by sentence.
        BlockKind::Paragraph | BlockKind::Quote | BlockKind::Code => tokens <= most / 2,
    };
    let page = block.page;
    let kind = block.kind;
    if whole {
        into.push(Atom { start: block.start, end: block.end, tokens, page, kind });
        return;
    }
    for piece in split::pieces(body, kind == BlockKind::Code, most, ruler) {
        into.push(Atom {
            start: block.start + piece.start,
            end: block.start + piece.end,
            tokens: piece.tokens,
            page,
            kind,
        });
    }
}

/// Packs the atoms of one section into passages of about equal size.
fn pack(text: &str, path: &[String], atoms: &[Atom], ruler: &Ruler<'_>, into: &mut Vec<Chunk>) {
    let most = ruler.body_most();
    let total: usize = atoms.iter().map(|atom| atom.tokens).sum();
    let even = total.div_ceil(total.div_ceil(most).max(1));
    let mut packed: Vec<&Atom> = Vec::new();
    let mut held = 0;
    for atom in atoms {
        let overshoot = (held + atom.tokens).saturating_sub(even);
        let undershoot = even.saturating_sub(held);
        if !packed.is_empty() && (held + atom.tokens > most || overshoot > undershoot) {
            // "Maximum quantities:" belongs to what follows it.
            let lead_in = packed.pop_if(|last| {
                text.get(last.start..last.end).is_some_and(|body| body.trim_end().ends_with(':'))
                    && last.tokens + atom.tokens <= most
            });
            emit(path, &packed, into);
            packed.clear();
            packed.extend(lead_in);
            held = lead_in.map_or(0, |last| last.tokens);
        }
        held += atom.tokens;
        packed.push(atom);
    }
    emit(path, &packed, into);
}

fn emit(path: &[String], packed: &[&Atom], into: &mut Vec<Chunk>) {
    if let (Some(first), Some(last)) = (packed.first(), packed.last()) {
        into.push(Chunk {
            start: first.start,
            end: last.end,
            page: first.page,
            headings: path.to_vec(),
            kind: first.kind,
        });
    }
}
