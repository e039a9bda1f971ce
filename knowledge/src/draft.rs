//! A document ready to be stored: parsed, checked, cut into passages, its inputs to the embedding model laid out.

mod characters;
mod cut;
mod metadata;
mod structure;

pub(crate) use cut::{ChunkDraft, Cut, Input, QUESTION_PARTS, cut};
pub use metadata::MetadataError;
pub(crate) use structure::Structure;

use characters::Characters;
use std::collections::BTreeMap;

use cloister_terms::AccessLabel;
use jiff::civil::Date;
use sha2::{Digest, Sha256};

use crate::chunk::Ruler;
use crate::parse::{Pair, Parsed};

/// The label of a document that names none: those who work here.
const DEFAULT_LABEL: &str = "staff";

/// What a document says of itself that changes who reads it, or what becomes of another. Front matter is written by hand,
/// into the text; properties of an office file or tags of a page come along from wherever it was made, unseen. So these
/// are taken from front matter, `metadata.toml` and the command line alone.
pub(crate) const OTHERS_CONCERN: [&str; 3] = ["document", "supersedes", "access"];

/// A document ready to be stored.
pub(crate) struct Draft {
    pub(crate) name: String,
    pub(crate) fingerprint: [u8; 32],
    /// Which document this is a version of, in the collection.
    pub(crate) handle: String,
    pub(crate) version: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) label: AccessLabel,
    pub(crate) effective: Option<Date>,
    pub(crate) expires: Option<Date>,
    pub(crate) supersedes: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) format: &'static str,
    pub(crate) pages: Option<u32>,
    pub(crate) text: String,
    pub(crate) structure: Structure,
    pub(crate) pairs: Vec<PairDraft>,
    pub(crate) chunks: Vec<ChunkDraft>,
    pub(crate) inputs: Vec<Input>,
}

/// A pair with what its own metadata says about its validity.
pub(crate) struct PairDraft {
    pub(crate) pair: Pair,
    pub(crate) expires: Option<Date>,
    pub(crate) label: Option<AccessLabel>,
    /// Where the answer begins, in code points.
    pub(crate) answer_char: usize,
}

/// SHA-256 over the file's bytes and what was said about it: the same file under another label is another version.
pub(crate) fn fingerprint(bytes: &[u8], overrides: &BTreeMap<String, String>) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(bytes);
    for (key, value) in overrides {
        for part in [key, value] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().into()
}

/// What makes a parsed file a draft.
pub(crate) struct Origin<'a> {
    /// The file's name in the collection.
    pub(crate) name: &'a str,
    /// From [`fingerprint`].
    pub(crate) fingerprint: [u8; 32],
    /// Metadata that outranks the document's own.
    pub(crate) overrides: &'a BTreeMap<String, String>,
}

impl Draft {
    /// Checks the metadata and cuts the passages.
    pub(crate) fn new(parsed: Parsed, origin: &Origin<'_>, ruler: &Ruler<'_>) -> Result<Self, MetadataError> {
        let mut metadata = parsed.metadata;
        if !parsed.format.is_written_by_hand() {
            metadata.retain(|key, _| !OTHERS_CONCERN.contains(&key.as_str()));
        }
        for (key, value) in origin.overrides {
            metadata.insert(key.to_lowercase(), value.clone());
        }
        metadata.retain(|_, value| !value.trim().is_empty());
        let title = metadata.get("title").cloned().or(parsed.title).filter(|title| !title.trim().is_empty());
        let handle = match metadata.get("document") {
            Some(own) => format!("document:{}", own.trim()),
            None => format!("file:{}", origin.name),
        };
        let label = metadata::label(metadata.get("access").map_or(DEFAULT_LABEL, String::as_str))?;
        let mut characters = Characters::new(&parsed.text);
        let pairs = parsed
            .pairs
            .into_iter()
            .map(|pair| PairDraft::new(pair, &mut characters))
            .collect::<Result<Vec<_>, _>>()?;
        let structure = Structure::new(&parsed.blocks);
        let Cut { chunks, inputs } =
            cut(&parsed.text, &parsed.blocks, &pairs, title.as_deref().unwrap_or_default(), ruler);
        Ok(Self {
            name: origin.name.to_owned(),
            fingerprint: origin.fingerprint,
            handle,
            version: metadata.get("version").map(|version| version.trim().to_owned()),
            title,
            label,
            effective: metadata::optional_date("effective", metadata.get("effective"))?,
            expires: metadata::optional_date("expires", metadata.get("expires"))?,
            supersedes: metadata.get("supersedes").map(|other| other.trim().to_owned()),
            metadata,
            format: parsed.format.name(),
            pages: parsed.pages,
            text: parsed.text,
            structure,
            pairs,
            chunks,
            inputs,
        })
    }
}

impl PairDraft {
    fn new(pair: Pair, characters: &mut Characters<'_>) -> Result<Self, MetadataError> {
        let expires = metadata::optional_date("expires", pair.metadata.get("expires"))?;
        let label = pair.metadata.get("access").map(|label| metadata::label(label)).transpose()?;
        let answer_char = characters.at(pair.answer_start);
        Ok(Self { pair, expires, label, answer_char })
    }
}
