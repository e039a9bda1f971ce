//! What a parser returns: canonical text and the blocks that it consists of.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Format;

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// From the document's properties, front matter, or its first heading of the highest level.
    pub title: Option<String>,
    /// The canonical text. All offsets are byte offsets into it, at character boundaries.
    pub text: String,
    /// In order of `start`, without overlap; between two blocks stands only white space.
    pub blocks: Vec<Block>,
    /// Question-and-answer pairs, where the file is a list of them; else empty.
    pub pairs: Vec<Pair>,
    /// Lower-case keys: `title`, `author`, `version`, `effective`, `expires`, `supersedes`, `owner`, `access` and
    /// whatever else front matter or document properties say.
    pub metadata: BTreeMap<String, String>,
    /// What the file turned out to be.
    pub format: Format,
    /// Number of pages, where the format has pages.
    pub pages: Option<u32>,
    /// What was left out or looked wrong, in words, without text of the document.
    pub warnings: Vec<String>,
}

/// A stretch of the text that a reader sees as one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// What it is.
    pub kind: BlockKind,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Page on which it begins, counted from 1.
    pub page: Option<u32>,
    /// The headings above it, outermost first. A heading is not in its own path.
    pub headings: Vec<String>,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// A heading; 1 is the outermost level.
    Heading {
        /// 1 to 9.
        level: u8,
    },
    /// Running text.
    Paragraph,
    /// An entry of a list, its marker included in the text.
    ListItem {
        /// The number that a reader sees, where the list is numbered; letters and Roman numerals by their value.
        number: Option<u32>,
    },
    /// A row of a table, each cell with its header.
    TableRow,
    /// Preformatted text.
    Code,
    /// A quotation.
    Quote,
}

/// A curated question and its approved answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// As given in the file; else `line-N`. Unique within the file.
    pub id: String,
    /// The question.
    pub question: String,
    /// Other wordings of the same question.
    pub also: Vec<String>,
    /// The approved answer, word for word.
    pub answer: String,
    /// What it is about (`topic` or `focus` in the file).
    pub topic: Option<String>,
    /// First day on which the answer holds.
    pub effective: Option<Date>,
    /// Every other field that was a string, number, truth value or list of these, by lower-case name.
    pub metadata: BTreeMap<String, String>,
    /// Where the question stands in the text: first byte.
    pub question_start: usize,
    /// One past its last byte.
    pub question_end: usize,
    /// Where the answer stands in the text: first byte.
    pub answer_start: usize,
    /// One past its last byte.
    pub answer_end: usize,
}

impl Parsed {
    /// The text of a block; empty where the block does not lie within the text.
    #[must_use]
    pub fn block_text(&self, block: &Block) -> &str {
        self.text.get(block.start..block.end).unwrap_or_default()
    }

    /// Whether every offset lies within the text, at a character boundary and in order. A reply of a child process is
    /// used only after this holds: the child has read a hostile file.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut last = 0;
        for block in &self.blocks {
            if block.start < last || self.text.get(block.start..block.end).is_none() {
                return false;
            }
            last = block.end;
        }
        self.pairs.iter().all(|pair| {
            self.text.get(pair.question_start..pair.question_end) == Some(&pair.question)
                && self.text.get(pair.answer_start..pair.answer_end) == Some(&pair.answer)
        })
    }
}
