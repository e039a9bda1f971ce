//! From the bytes of a file to text with structure: headings, lists, tables, pages, and where each block stands.
//!
//! **What it is not:** it stores nothing, chunks nothing and opens no file. It takes bytes and returns a [`Parsed`]
//! or says in a [`ParseError`] why not. Scans are reported, not read: there is no OCR here.
//!
//! ```
//! use cloister_knowledge::parse::{BlockKind, InProcess, Parse, Source};
//! let source = Source { name: "refills.md".into(), bytes: b"# Refills\n\nCall seven days ahead.\n".to_vec() };
//! let parsed = InProcess::default().parse(&source)?;
//! assert_eq!(parsed.title.as_deref(), Some("Refills"));
//! assert_eq!(parsed.blocks[0].kind, BlockKind::Heading { level: 1 });
//! assert_eq!(parsed.block_text(&parsed.blocks[1]), "Call seven days ahead.");
//! # Ok::<(), cloister_knowledge::parse::ParseError>(())
//! ```
//!
//! # Why
//! - Every document is untrusted. A server parses through [`Sandbox`], a child process with no files, no network and
//!   bounded memory and time; [`InProcess`] is the same parsers without the walls, for tests and for the child itself.
//! - The format is decided by content and extension together. Where they disagree the file is refused by name: a
//!   parser fed with the wrong kind of file yields plausible rubbish, and rubbish gets cited.
//! - A table row carries its headers with its cells (`Drug: Warfarin; Limit: 30 days`), so that a row stands on its
//!   own in a chunk and a cell is never read under the wrong header.
//! - Text is kept as its author wrote it: only line ends and control characters are normalised.

use std::panic::{AssertUnwindSafe, catch_unwind};

mod archive;
pub mod child;
mod delimited;
mod document;
mod docx;
mod encoding;
mod error;
mod format;
mod html;
mod jsonl;
mod limits;
mod mail;
mod markdown;
mod numerals;
mod odt;
mod pdf;
mod plain;
mod rtf;
mod sandbox;
mod sheet;
mod table;
mod wire;
mod writer;
mod xml;

pub use document::{Block, BlockKind, Pair, Parsed};
pub use error::{LineFault, ParseError};
pub use format::Format;
pub use limits::Limits;
pub use sandbox::{Confinement, Sandbox};

/// A file to parse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Relative path or file name. Only its extension matters to a parser.
    pub name: String,
    /// The whole file.
    pub bytes: Vec<u8>,
}

/// Turns a file into text with structure, in this process ([`InProcess`]) or in a child ([`Sandbox`]).
pub trait Parse: Send + Sync {
    /// Parses one file.
    ///
    /// # Errors
    /// Says why the file was refused or failed, never with any of its text.
    fn parse(&self, source: &Source) -> Result<Parsed, ParseError>;

    /// The longest file that it takes, in bytes: more need not be read.
    fn input_bytes(&self) -> u64;
}

/// The parsers without walls around them. A parser that panics refuses its file, but a hostile file can exhaust this
/// process: servers use [`Sandbox`].
#[derive(Debug, Clone, Default)]
pub struct InProcess {
    limits: Limits,
}

impl InProcess {
    /// Parsers that hold themselves to `limits` where they can: input size, expansion, output size.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }
}

impl Parse for InProcess {
    fn input_bytes(&self) -> u64 {
        self.limits.input_bytes
    }

    fn parse(&self, source: &Source) -> Result<Parsed, ParseError> {
        let (bytes, limits) = (source.bytes.as_slice(), &self.limits);
        if bytes.len() as u64 > limits.input_bytes {
            return Err(ParseError::TooLarge { what: "the file in bytes".into(), limit: limits.input_bytes });
        }
        let format = Format::of(source)?;
        // A parser that panics has met a file that nobody thought of: that is an answer, not an accident of the process.
        let parsed = catch_unwind(AssertUnwindSafe(|| match format {
            Format::Markdown => markdown::parse(bytes, limits),
            Format::Text => plain::parse(bytes, limits),
            Format::Html => html::parse(bytes, limits),
            Format::Docx => docx::parse(bytes, limits),
            Format::Sheet => sheet::parse(bytes, limits),
            Format::Csv => delimited::parse(bytes, limits),
            Format::Pairs => jsonl::pairs(bytes, limits),
            Format::Documents => jsonl::documents(bytes, limits),
            Format::Email => mail::parse(bytes, limits),
            Format::Odt => odt::parse(bytes, limits),
            Format::Rtf => rtf::parse(bytes, limits),
            Format::Pdf => pdf::parse(bytes, limits),
        }));
        parsed.unwrap_or_else(|_| Err(ParseError::Crashed { how: "it gave up on unexpected content".into() }))
    }
}
