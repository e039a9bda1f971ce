//! One document into a collection.

use std::collections::BTreeMap;

use cloister_terms::{CollectionId, DocumentId};
use rusqlite::Connection;

use super::Library;
use super::embedding::{VectorError, WhenBusy};
use crate::chunk::Ruler;
use crate::draft::{self, Draft, Input, MetadataError};
use crate::parse::{Parse, ParseError, Parsed, Source};
use crate::store::collections::{self, Generation};
use crate::store::versions::{self, Place, Stored};
use crate::store::{StoreError, passages};
use crate::{EmbedError, EmbedIdentity};

/// The longest name of a document, in bytes.
const LONGEST_NAME: usize = 1024;

/// What an ingest did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There was nothing under this name.
    Added,
    /// What was under this name is no longer current, or not from the new version's effective date on.
    Replaced,
    /// The very same file with the same metadata is there already.
    Unchanged,
}

/// A document that is in the collection now, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingested {
    /// Its id, the same for all its versions.
    pub document: DocumentId,
    /// Which version this is.
    pub version: String,
    /// What happened.
    pub outcome: Outcome,
    /// How many passages it has; 0 where unchanged.
    pub chunks: usize,
    /// What the parser left out or found odd.
    pub warnings: Vec<String>,
}

/// Why a document was not ingested. What was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// There is no such collection.
    #[error("there is no collection `{0}`: create it with `cloister kb create {0}`")]
    UnknownCollection(CollectionId),
    /// The name cannot be kept.
    #[error("the document's name is empty, longer than {LONGEST_NAME} bytes, or holds control characters: rename it")]
    Name,
    /// Two files of one ingest have the same name: one would replace the other.
    #[error("two files are called `{0}`: ingest the folder that holds both, or rename one")]
    SameName(String),
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Read(#[source] std::io::Error),
    /// The parser refused it.
    #[error("{0}")]
    Parse(#[from] ParseError),
    /// The parser returned offsets outside the text.
    #[error("the parser's reply does not fit its own text: nothing of it was used")]
    Unsound,
    /// Metadata that cannot be used.
    #[error("{0}")]
    Metadata(#[from] MetadataError),
    /// Nothing to find.
    #[error("the document holds no text to find: nothing was stored")]
    Empty,
    /// The collection's vectors are of another model.
    #[error("collection `{collection}` is indexed with model {index} and this engine runs {engine}: run `{mend}`")]
    ModelMismatch {
        /// Which collection.
        collection: CollectionId,
        /// Model of the index.
        index: String,
        /// Model of the engine.
        engine: String,
        /// The command that mends it.
        mend: String,
    },
    /// The index was switched to another model between embedding and storing.
    #[error("the index of the collection was switched meanwhile: ingest again")]
    Switched,
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IngestError {
    /// Whether the same file may go in later without anybody mending anything.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Read(_)
            | Self::Switched
            | Self::Embed(_)
            | Self::Store(_)
            | Self::Parse(ParseError::Worker { .. }) => true,
            Self::UnknownCollection(_)
            | Self::Name
            | Self::SameName(_)
            | Self::Parse(_)
            | Self::Unsound
            | Self::Metadata(_)
            | Self::Empty
            | Self::ModelMismatch { .. } => false,
        }
    }
}

impl From<VectorError> for IngestError {
    fn from(error: VectorError) -> Self {
        match error {
            VectorError::Embed(error) => Self::Embed(error),
            VectorError::Store(error) => Self::Store(error),
        }
    }
}

/// The collection and generation that documents go into.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: CollectionId,
    pub(super) collection: i64,
    pub(super) generation: Generation,
}

/// A file that needs no work, or a draft that does.
pub(super) enum Prepared {
    Unchanged(Ingested),
    Draft(Box<Draft>, Vec<String>),
}

impl Library {
    /// Puts a document into a collection: parsed, cut, embedded, then stored with words and vectors in one
    /// transaction. The same file with the same `overrides` again changes nothing. A different file under the same name
    /// replaces it, at once or, where the new one has a later `effective` date, from that day on.
    ///
    /// `overrides` outrank the document's own metadata: `title`, `document`, `version`, `effective`, `expires`,
    /// `supersedes`, `access` and whatever else a filter may ask for.
    ///
    /// # Errors
    /// See [`IngestError`]; whatever it is, the collection is as it was before.
    pub fn ingest(
        &self,
        collection: &CollectionId,
        source: &Source,
        overrides: &BTreeMap<String, String>,
        parser: &dyn Parse,
    ) -> Result<Ingested, IngestError> {
        let target = self.target(collection)?;
        let (draft, warnings) = match self.prepare(&target, source, overrides, parser)? {
            Prepared::Unchanged(ingested) => return Ok(ingested),
            Prepared::Draft(draft, warnings) => (draft, warnings),
        };
        let inputs: Vec<&Input> = draft.inputs.iter().collect();
        let vectors = self.vectors(target.generation.key, &inputs, WhenBusy::Refuse, &mut |_| {})?;
        let now = self.clock.now();
        let stored = self.store.write(|db| {
            let place = target.place(db, now)?;
            let stored = versions::store(db, place, &draft, &vectors, self.random.as_ref())?;
            settle(db, place)?;
            Ok::<_, IngestError>(stored)
        })?;
        Ok(ingested(stored, draft.chunks.len(), warnings))
    }

    /// The collection, if its vectors are of the model that runs here.
    pub(super) fn target(&self, id: &CollectionId) -> Result<Target, IngestError> {
        let identity = self.embed.identity();
        self.store.read(|db| {
            let row = collections::find(db, id)?.ok_or_else(|| IngestError::UnknownCollection(id.clone()))?;
            let generation = collections::active(db, row.key)?;
            if !generation.is_of(&identity) {
                return Err(IngestError::ModelMismatch {
                    collection: id.clone(),
                    index: described(&generation.model, &generation.sha256),
                    engine: described(&identity.name, &identity.sha256),
                    mend: mend(id),
                });
            }
            Ok(Target { id: id.clone(), collection: row.key, generation })
        })
    }

    /// Everything that needs neither the embedding model nor a write: many threads may do it at once.
    pub(super) fn prepare(
        &self,
        target: &Target,
        source: &Source,
        overrides: &BTreeMap<String, String>,
        parser: &dyn Parse,
    ) -> Result<Prepared, IngestError> {
        if source.name.is_empty() || source.name.len() > LONGEST_NAME || source.name.chars().any(char::is_control) {
            return Err(IngestError::Name);
        }
        let fingerprint = draft::fingerprint(&source.bytes, overrides);
        let present = self.store.read(|db| versions::present(db, target.collection, &source.name))?;
        if let Some(same) = present.into_iter().next().filter(|latest| latest.fingerprint == fingerprint) {
            let stored = Stored { document: same.id, version: same.version, outcome: Outcome::Unchanged };
            return Ok(Prepared::Unchanged(ingested(stored, 0, Vec::new())));
        }
        let mut parsed: Parsed = parser.parse(source)?;
        if !parsed.is_sound() {
            return Err(IngestError::Unsound);
        }
        let mut warnings = std::mem::take(&mut parsed.warnings);
        if !parsed.format.is_written_by_hand() {
            let unheard = draft::OTHERS_CONCERN.iter().filter(|key| parsed.metadata.contains_key(**key));
            warnings.extend(unheard.filter(|key| !overrides.contains_key(**key)).map(|key| {
                format!("its property `{key}` is not taken: say it in metadata.toml or by `--meta {key}=...`")
            }));
        }
        warnings.extend(self.suspicions(&parsed));
        let EmbedIdentity { max_tokens, .. } = self.embed.identity();
        let count = |text: &str| self.embed.count_tokens(text);
        let origin = draft::Origin { name: &source.name, fingerprint, overrides };
        let draft = Draft::new(parsed, &origin, &Ruler::new(max_tokens, &count))?;
        if draft.chunks.is_empty() {
            return Err(IngestError::Empty);
        }
        Ok(Prepared::Draft(Box::new(draft), warnings))
    }

    /// What is to be distrusted in a document, each with its place: page, and characters as citations count them.
    fn suspicions(&self, parsed: &Parsed) -> Vec<String> {
        let Some(inspect) = &self.inspect else { return Vec::new() };
        let characters = |to: usize| parsed.text.get(..to).map_or(0, |before| before.chars().count());
        let suspects = inspect.inspect(&parsed.text);
        let more = suspects.len().saturating_sub(MOST_SUSPECTS);
        let told = suspects.iter().take(MOST_SUSPECTS).map(|suspect| {
            let block = parsed.blocks.iter().rev().find(|block| block.start <= suspect.start);
            let page = block.and_then(|block| block.page).map_or_else(String::new, |page| format!("page {page}, "));
            let (start, end) = (characters(suspect.start), characters(suspect.end));
            format!("{page}characters {start} to {end}: {} ({})", suspect.why, suspect.rule)
        });
        told.chain((more > 0).then(|| format!("and {more} more such places"))).collect()
    }
}

/// Places of one document that are told one by one.
const MOST_SUSPECTS: usize = 20;

impl Target {
    /// Where drafts go, if the collection and its index are still those that they were embedded for.
    pub(super) fn place(&self, db: &Connection, now: jiff::Timestamp) -> Result<Place, IngestError> {
        let row = collections::find(db, &self.id)?.filter(|row| row.key == self.collection);
        let row = row.ok_or_else(|| IngestError::UnknownCollection(self.id.clone()))?;
        if collections::active(db, row.key)? != self.generation {
            return Err(IngestError::Switched);
        }
        Ok(Place { collection: row.key, generation: self.generation.key, now })
    }
}

/// Ends a transaction that stored drafts.
pub(super) fn settle(db: &Connection, place: Place) -> Result<(), StoreError> {
    passages::drop_spare(db, place.generation)?;
    collections::changed(db, place.collection, false)
}

pub(super) fn ingested(stored: Stored, chunks: usize, warnings: Vec<String>) -> Ingested {
    let chunks = if stored.outcome == Outcome::Unchanged { 0 } else { chunks };
    Ingested { document: stored.document, version: stored.version, outcome: stored.outcome, chunks, warnings }
}

/// A model in words: its name and enough of its hash to tell two builds of it apart.
pub(super) fn described(name: &str, sha256: &str) -> String {
    format!("{name} ({})", sha256.get(..12).unwrap_or(sha256))
}

/// The command that brings a collection's vectors to the model that runs.
pub(super) fn mend(collection: &CollectionId) -> String {
    format!("cloister kb rebuild {collection} --embed")
}
