//! What is wrong with a configuration, where, and what was probably meant.

use std::{ops::Range, path::PathBuf};

use miette::{Diagnostic, NamedSource, SourceSpan};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read")]
    #[diagnostic(code(cloister::config::unreadable), help("name another with --config, or check who may read it"))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(Box<Complaint>),
}

/// What is wrong, with the place marked.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(code(cloister::config::wrong))]
pub struct Complaint {
    message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    place: Option<SourceSpan>,
    #[help]
    help: Option<String>,
    line: Option<usize>,
}

impl Complaint {
    pub(super) fn new(name: &str, text: &str, place: Option<Range<usize>>, message: String) -> Self {
        Self {
            line: place.as_ref().map(|place| line_of(text, place.start)),
            text: NamedSource::new(name, text.to_owned()),
            place: place.map(Into::into),
            help: nearest(&message).map(|key| format!("did you mean `{key}`?")),
            message,
        }
    }

    /// The line, counted from 1, where the place is known.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }

    /// What was probably meant.
    pub fn hint(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// The line of the byte at `offset`, counted from 1.
pub(super) fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The expected key that is nearest to the unknown one, read out of serde's message:
/// ``unknown field `prot`, expected one of `listen`, `port` ``. None if nothing is near.
fn nearest(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let given = message.starts_with("unknown ").then(|| quoted.next()).flatten()?;
    quoted
        .map(|known| (distance(given, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(given.len()) / 2)
        .map(|(_, known)| known.to_owned())
}

/// Edits (insert, delete, replace) that make `a` into `b` (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((to, above), diagonal) in b.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or(0);
            next.push((left + 1).min(above + 1).min(diagonal + usize::from(from != *to)));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
