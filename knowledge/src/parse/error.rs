//! Why a file was refused. Messages say what, where and what to do; none holds any text of the document.

use serde::{Deserialize, Serialize};

use super::Format;

/// Why a file could not be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParseError {
    /// Not a kind of file that is read here.
    #[error("{what} is not supported: {mend}")]
    Unsupported {
        /// The kind of file.
        what: String,
        /// What to do instead.
        mend: String,
    },
    /// The extension says one thing and the content another.
    #[error("the name ends in .{extension} but the content is {content}: rename the file or export it again")]
    Mismatch {
        /// From the file name.
        extension: String,
        /// What the content looks like.
        content: String,
    },
    /// Protected by a password.
    #[error("the {format} file is encrypted: remove its password and try again")]
    Encrypted {
        /// The kind of file.
        format: Format,
    },
    /// Pages without text.
    #[error("no text on its {pages} page(s), this is a scan: run OCR first")]
    NoText {
        /// Number of pages.
        pages: u32,
    },
    /// Nothing to read at all.
    #[error("the {format} file holds no text: nothing to do, remove it or fill it")]
    Empty {
        /// The kind of file.
        format: Format,
    },
    /// Beyond a limit.
    #[error("{what} exceeds the limit of {limit}: split the file, or raise the limit")]
    TooLarge {
        /// What is too large, with its unit.
        what: String,
        /// The limit, in that unit.
        limit: u64,
    },
    /// Broken, or not what the format allows.
    #[error("damaged {format} file, {place}: {why}; open it in the program that wrote it and save it again")]
    Damaged {
        /// The kind of file.
        format: Format,
        /// Where: a part of the file, a line, a byte.
        place: String,
        /// What is wrong there.
        why: String,
    },
    /// Lines of a JSONL file that cannot be used. Such a file is taken whole or not at all.
    #[error("{total} line(s) cannot be used: {}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Lines {
        /// How many.
        total: usize,
        /// The first of them.
        faults: Vec<LineFault>,
    },
    /// Ran past the limit of wall-clock or processor time.
    #[error("not parsed within {seconds} s: split the file, or raise the limit")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// Needed more memory than allowed.
    #[error("needs more than {bytes} bytes of memory to parse: split the file, or raise the limit")]
    OutOfMemory {
        /// The limit.
        bytes: u64,
    },
    /// The parser failed on this file, and on this file alone.
    #[error("the parser failed on this file ({how}): export it again in another format")]
    Crashed {
        /// Signal, exit status or panic, without any text of the document.
        how: String,
    },
    /// The child process could not be started or could not be confined, which is no fault of the file.
    #[error("the parsing process cannot run: {why}")]
    Worker {
        /// What failed and what to do.
        why: String,
    },
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("line {line}: {why}")]
pub struct LineFault {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}
