//! Checkpoints as signed notes, and the keys that sign them: the text formats of C2SP's `signed-note` and `tlog-checkpoint`.
//!
//! ```text
//! cloister/audit/0a1b2c3d4e5f6071
//! 1024
//! qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=
//! at 2026-01-01T00:00:00Z
//!
//! — cloister/audit/0a1b2c3d4e5f6071 c2lnbmF0dXJlIGluIGJhc2U2NA==
//! ```
//!
//! The first line names the log, the second counts its records, the third is the root of the tree over them, and the
//! fourth, an extension line of ours, says when it was signed. A signature line holds four bytes that name the key and the Ed25519 signature over everything above the empty line.

use std::fmt;

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::merkle::Hash;

/// Length of the seed that an Ed25519 key is made from, in bytes.
pub(super) const SEED_BYTES: usize = 32;

/// The kind of key and signature, in the words of `signed-note`: Ed25519.
const ED25519_KIND: u8 = 1;

const DASH: &str = "\u{2014} ";

/// Why a text is not a checkpoint that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not a signed note with a checkpoint in it.
    #[error("this is no signed checkpoint: {0}")]
    Malformed(&'static str),
    /// It is not a key.
    #[error("this is no checkpoint key: use the form NAME+HASH+KEY, as the file `keys` beside the tiles has it")]
    Key,
    /// It is about another log.
    #[error("the checkpoint is of the log `{found}`, not of `{expected}`")]
    OtherLog {
        /// The log that it names.
        found: String,
        /// The log that was meant.
        expected: String,
    },
    /// No signature of the key is on it, or it does not hold.
    #[error("the checkpoint does not bear a valid signature of the key {0}")]
    Unsigned(String),
}

/// What a checkpoint says: so many records, and the root of the tree over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Records in the tree.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// When it was signed.
    pub at: Timestamp,
}

impl Checkpoint {
    /// The text that is signed.
    fn text(&self) -> String {
        format!("{}\n{}\n{}\nat {}\n", self.origin, self.size, self.root, self.at)
    }

    fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Malformed("it lacks the name, the size or the root"));
        };
        let root = Hash::parse(root).ok_or(NoteError::Malformed("its third line is no hash in base64"))?;
        let number = size.parse().ok().filter(|number: &u64| number.to_string() == size);
        let size = number.ok_or(NoteError::Malformed("its second line is no number of records"))?;
        let at = lines.next().and_then(|line| line.strip_prefix("at ")?.parse().ok());
        let at = at.ok_or(NoteError::Malformed("its fourth line does not say when it was signed"))?;
        Ok(Self { origin: origin.to_owned(), size, root, at })
    }
}

/// The public half of a checkpoint key, with the log's name. Written `NAME+HASH+KEY`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    public: [u8; 32],
}

impl Verifier {
    /// Reads `NAME+HASH+KEY`.
    ///
    /// # Errors
    /// When it is not of that form, or the hash is not the key's.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let key = BASE64_STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let Some((&ED25519_KIND, public)) = key.split_first() else { return Err(NoteError::Key) };
        let public = public.try_into().map_err(|_| NoteError::Key)?;
        let verifier = Self { name: name.to_owned(), public };
        let fits = is_name(name) && hex::encode(verifier.id()) == id;
        fits.then_some(verifier).ok_or(NoteError::Key)
    }

    /// The log's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Four bytes of SHA-256 over name, kind and key: what a signature line calls the key.
    fn id(&self) -> [u8; 4] {
        let mut input = self.name.clone().into_bytes();
        input.extend_from_slice(&[b'\n', ED25519_KIND]);
        input.extend_from_slice(&self.public);
        digest(&SHA256, &input).as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn accepts(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(text.as_bytes(), signature).is_ok()
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_KIND];
        key.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), BASE64_STANDARD.encode(key))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `signed-note`: no space, no `+`, not empty.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('+') && !name.chars().any(char::is_whitespace)
}

/// A checkpoint key. Its seed is zeroed when dropped; it never prints.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; SEED_BYTES]>,
    verifier: Verifier,
}

impl Signer {
    /// The key of the log `name` that `seed` makes. None if the name or the seed is not one.
    pub(super) fn new(name: &str, seed: Zeroizing<[u8; SEED_BYTES]>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        is_name(name).then(|| Self { pair, seed, verifier: Verifier { name: name.to_owned(), public } })
    }

    pub(super) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn seed(&self) -> &[u8] {
        self.seed.as_slice()
    }

    fn signature_line(&self, text: &str) -> String {
        let mut signature = self.verifier.id().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{DASH}{} {}\n", self.verifier.name, BASE64_STANDARD.encode(signature))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// The signed note of a checkpoint: its text, an empty line, and a signature line of each signer.
pub(super) fn sign<'a>(checkpoint: &Checkpoint, signers: impl IntoIterator<Item = &'a Signer>) -> String {
    let text = checkpoint.text();
    let lines: String = signers.into_iter().map(|signer| signer.signature_line(&text)).collect();
    format!("{text}\n{lines}")
}

/// A signed note whose text reads as a checkpoint. Whose word it is, [`SignedCheckpoint::signed_by`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    note: String,
    text_length: usize,
}

impl SignedCheckpoint {
    /// Reads a signed note.
    ///
    /// # Errors
    /// When it is not one, or holds no checkpoint.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed("it has no empty line before its signatures"))?;
        let text_length = end + 1;
        let (text, signatures) = note.split_at(text_length);
        let mut signatures = signatures.trim_start_matches('\n').lines();
        if !note.ends_with('\n') || !signatures.all(|line| line.starts_with(DASH)) {
            return Err(NoteError::Malformed("what follows its text is no signature line"));
        }
        Ok(Self { checkpoint: Checkpoint::parse(text)?, note: note.to_owned(), text_length })
    }

    /// The note as it was signed.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Checks that `verifier` signed it.
    ///
    /// # Errors
    /// When it is of another log, or without that key's valid signature.
    pub fn signed_by(&self, verifier: &Verifier) -> Result<(), NoteError> {
        if self.checkpoint.origin != verifier.name {
            let (found, expected) = (self.checkpoint.origin.clone(), verifier.name.clone());
            return Err(NoteError::OtherLog { found, expected });
        }
        let (text, signatures) = self.note.split_at(self.text_length);
        let signed =
            signatures.lines().filter_map(|line| line.strip_prefix(DASH)?.split_once(' ')).any(|(name, line)| {
                let line = BASE64_STANDARD.decode(line).unwrap_or_default();
                let parts = line.split_first_chunk::<4>();
                name == verifier.name
                    && parts.is_some_and(|(id, signature)| *id == verifier.id() && verifier.accepts(text, signature))
            });
        if signed { Ok(()) } else { Err(NoteError::Unsigned(verifier.to_string())) }
    }
}

#[cfg(test)]
mod tests;
