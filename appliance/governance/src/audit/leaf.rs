//! The bytes of a record that are hashed into the tree, exported, and handed to whoever checks.
//!
//! ```text
//! {"sequence":7,"at":"2026-01-01T00:00:00Z","entry":"00000000000000000000000000000007","intent":{...}}
//! ```
//!
//! # Why
//! - **A leaf is the line that `cloister audit export` writes**, byte for byte: whoever holds the line and a proof needs
//!   nothing of ours to check it.
//! - **The number and the entry's id stand in the leaf.** A record moved, doubled or renumbered is another leaf; and
//!   because an entry's id is random, no hash can be tried against guesses of what its record says.

use cloister_terms::EntryId;
use jiff::Timestamp;

use super::{LogError, Record};

/// A record as the table holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) at: String,
    pub(super) entry: String,
    pub(super) closes: bool,
    pub(super) body: Vec<u8>,
}

impl Stored {
    /// The leaf, or none if the columns are not as they were ever written: then the same bytes could be read in two ways.
    pub(super) fn leaf(&self) -> Option<Vec<u8>> {
        let at: Timestamp = self.at.parse().ok()?;
        let _id: EntryId = self.entry.parse().ok()?;
        let opening: &[u8] = if self.closes { b"{\"outcome\":" } else { b"{\"intent\":" };
        let (_, rest) = self.body.starts_with(opening).then(|| self.body.split_first()).flatten()?;
        (at.to_string() == self.at).then(|| bytes(self.sequence, &self.at, &self.entry, rest))
    }

    /// The record that it is.
    pub(super) fn read(&self) -> Result<Record, LogError> {
        let damaged = || LogError::Damaged { sequence: self.sequence };
        Ok(Record {
            sequence: self.sequence,
            at: self.at.parse().map_err(|_| damaged())?,
            entry: self.entry.parse().map_err(|_| damaged())?,
            body: serde_json::from_slice(&self.body).map_err(|_| damaged())?,
        })
    }
}

/// The leaf of a record that is about to be written. `body` is one JSON object.
pub(super) fn leaf(sequence: u64, at: Timestamp, entry: EntryId, body: &[u8]) -> Vec<u8> {
    let rest = body.split_first().map_or(body, |(_, rest)| rest);
    bytes(sequence, &at.to_string(), &entry.to_string(), rest)
}

/// `rest` is the body without its opening brace.
fn bytes(sequence: u64, at: &str, entry: &str, rest: &[u8]) -> Vec<u8> {
    let mut leaf = Vec::with_capacity(rest.len() + 112);
    leaf.extend_from_slice(b"{\"sequence\":");
    leaf.extend_from_slice(sequence.to_string().as_bytes());
    leaf.extend_from_slice(b",\"at\":\"");
    leaf.extend_from_slice(at.as_bytes());
    leaf.extend_from_slice(b"\",\"entry\":\"");
    leaf.extend_from_slice(entry.as_bytes());
    leaf.extend_from_slice(b"\",");
    leaf.extend_from_slice(rest);
    leaf
}
