//! The library of one tenant: collections, what is in them, and searching them.

mod advice;
mod bulk;
mod documents;
mod embedding;
mod folder;
mod ingest;
mod maintain;
mod reembed;
mod search;
mod sync;
mod verify;

#[cfg(test)]
mod tests;

pub use bulk::{Content, FileReport, Progress, Report, Skipped, Submission};
pub use documents::{DocumentText, DocumentVersion, ListedDocument, Removed};
pub use ingest::{IngestError, Ingested, Outcome};
pub use maintain::MaintainError;
pub use search::SearchError;
pub use sync::{SyncError, folder};
pub use verify::{Problem, Verification};

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cloister_terms::{AccessLabel, Clock, CollectionId, Random};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::Connection;

use crate::index::Index;
use crate::store::collections::{self, CollectionRow, Generation, Stage};
use crate::store::{Connect, Doing, Store, StoreError};
use crate::{Embed, EmbedIdentity, Inspect};

/// The library of one tenant. Cheap to share; every method may be called from many threads, and other processes may
/// work on the same database: what they commit is seen by the next search.
pub struct Library {
    store: Store,
    embed: Arc<dyn Embed>,
    /// The same model for documents.
    documents: Arc<dyn Embed>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    zone: TimeZone,
    inspect: Option<Arc<dyn Inspect>>,
    /// The latest state of each collection in memory. The inner lock is held while a state is loaded, so that it is
    /// loaded once.
    indexes: Mutex<HashMap<i64, Slot>>,
}

type Slot = Arc<Mutex<Option<Arc<Index>>>>;

/// A collection to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionSpec {
    /// Its name in addresses, commands and permissions.
    pub id: CollectionId,
    /// What people call it.
    pub title: String,
}

/// A collection as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// Its name in addresses, commands and permissions.
    pub id: CollectionId,
    /// What people call it.
    pub title: String,
    /// When it was created.
    pub created: Timestamp,
    /// Documents, each counted once however many versions it has.
    pub documents: usize,
    /// Passages in the indexes.
    pub passages: usize,
    /// Curated question-and-answer pairs.
    pub pairs: usize,
    /// The embedding model of its vectors.
    pub model: IndexModel,
    /// The model for which vectors are being built beside these, if any.
    pub building: Option<IndexModel>,
    /// The model to which it can be rolled back, if any.
    pub previous: Option<IndexModel>,
}

/// What a collection holds for one reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Its name in addresses, commands and permissions.
    pub id: CollectionId,
    /// What people call it.
    pub title: String,
    /// Documents with a version that the reader may see.
    pub documents: usize,
    /// Passages that the reader may see.
    pub passages: usize,
    /// Curated pairs that the reader may see.
    pub pairs: usize,
}

/// The embedding model of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexModel {
    /// The registry's name for it.
    pub name: String,
    /// SHA-256 over its files.
    pub sha256: String,
    /// Numbers per vector.
    pub dimensions: usize,
}

impl From<Generation> for IndexModel {
    fn from(generation: Generation) -> Self {
        Self { name: generation.model, sha256: generation.sha256, dimensions: generation.dimensions }
    }
}

/// Why a collection could not be created, listed, shown or deleted.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    /// The name is taken.
    #[error("collection `{0}` exists already: choose another name, or delete it first")]
    Exists(CollectionId),
    /// There is none of that name.
    #[error("there is no collection `{0}`: see `cloister kb list`")]
    Unknown(CollectionId),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Library {
    /// Opens the library in the database that `connect` opens, bringing its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] where the database was written by a later release.
    pub fn open(
        connect: Connect,
        embed: Arc<dyn Embed>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, StoreError> {
        let store = Store::open(connect)?;
        let indexes = Mutex::new(HashMap::new());
        let documents = Arc::clone(&embed);
        Ok(Self { store, embed, documents, clock, random, zone: TimeZone::UTC, inspect: None, indexes })
    }

    /// Where the site is: a version takes effect, and expires, at midnight there. UTC unless said.
    #[must_use]
    pub fn in_zone(mut self, zone: TimeZone) -> Self {
        self.zone = zone;
        self
    }

    /// Embeds documents by another way to the same model: one that stands behind questions.
    #[must_use]
    pub fn taking_in_with(mut self, documents: Arc<dyn Embed>) -> Self {
        self.documents = documents;
        self
    }

    /// Has the text of every document looked at when it is ingested. What is found becomes a warning with its place; the
    /// document is stored all the same, since whoever answers from it looks again.
    #[must_use]
    pub fn inspected_by(mut self, inspect: Arc<dyn Inspect>) -> Self {
        self.inspect = Some(inspect);
        self
    }

    /// The embedding model that this library works with.
    #[must_use]
    pub fn model(&self) -> EmbedIdentity {
        self.embed.identity()
    }

    /// Creates an empty collection.
    ///
    /// # Errors
    /// [`CollectionError::Exists`] where the name is taken.
    pub fn create(&self, spec: CollectionSpec) -> Result<Collection, CollectionError> {
        let (now, model) = (self.clock.now(), self.embed.identity());
        let created = self.store.write(|db| collections::create(db, &spec.id, &spec.title, now, &model))?;
        if created.is_none() {
            return Err(CollectionError::Exists(spec.id));
        }
        self.show(&spec.id)
    }

    /// All collections, by name.
    ///
    /// # Errors
    /// Only where the database fails.
    pub fn collections(&self) -> Result<Vec<Collection>, CollectionError> {
        self.store.read(|db| {
            let rows = collections::all(db)?;
            rows.into_iter().map(|row| Ok(describe(db, row)?)).collect()
        })
    }

    /// What each collection holds for a reader with `labels`, by name. What the reader may not see is not counted either:
    /// a number that grows tells that something is there.
    ///
    /// # Errors
    /// Only where the database fails.
    pub fn holdings(&self, labels: &[AccessLabel]) -> Result<Vec<Holding>, CollectionError> {
        let labels: Vec<&str> = labels.iter().map(AccessLabel::as_str).collect();
        let labels = serde_json::to_string(&labels).unwrap_or_else(|_| "[]".to_owned());
        self.store.read(|db| {
            let rows = collections::all(db)?;
            rows.into_iter().map(|row| Ok(holding(db, row, &labels)?)).collect()
        })
    }

    /// One collection.
    ///
    /// # Errors
    /// [`CollectionError::Unknown`] where there is none of that name.
    pub fn show(&self, id: &CollectionId) -> Result<Collection, CollectionError> {
        self.store.read(|db| {
            let row = collections::find(db, id)?.ok_or_else(|| CollectionError::Unknown(id.clone()))?;
            Ok(describe(db, row)?)
        })
    }

    /// Deletes a collection with everything in it.
    ///
    /// # Errors
    /// [`CollectionError::Unknown`] where there is none of that name.
    pub fn delete(&self, id: &CollectionId) -> Result<(), CollectionError> {
        let key = self.store.write(|db| {
            let row = collections::find(db, id)?.ok_or_else(|| CollectionError::Unknown(id.clone()))?;
            collections::delete(db, row.key)?;
            Ok::<_, CollectionError>(row.key)
        })?;
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        Ok(())
    }

    /// The collection in memory as it is in `db`'s view. `None` where memory is ahead of that view: look again from a
    /// new one.
    fn index(
        &self,
        db: &Connection,
        collection: &CollectionRow,
        generation: Generation,
    ) -> Result<Option<Arc<Index>>, StoreError> {
        let slot = {
            let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(indexes.entry(collection.key).or_default())
        };
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = match held.as_ref() {
            Some(index) if index.changes == collection.changes => return Ok(Some(Arc::clone(index))),
            Some(index) if index.changes > collection.changes => return Ok(None),
            Some(index) => index.follow(db, collection, generation)?,
            None => Index::load(db, collection, generation)?,
        };
        let fresh = Arc::new(fresh);
        *held = Some(Arc::clone(&fresh));
        Ok(Some(fresh))
    }
}

/// `labels` as a JSON array, for SQLite's `json_each`.
fn holding(db: &Connection, row: CollectionRow, labels: &str) -> Result<Holding, StoreError> {
    let count = |what: &str, joined: &str| -> Result<usize, StoreError> {
        // A pair may ask for a label of its own beside its file's.
        let own = if joined.is_empty() {
            ""
        } else {
            "AND (p.label IS NULL OR p.label IN (SELECT value FROM json_each(?2)))"
        };
        let sql = format!(
            "SELECT count({what}) FROM versions v {joined}
             WHERE v.collection = ?1 AND v.state = 'current' AND v.label IN (SELECT value FROM json_each(?2)) {own}"
        );
        let count: i64 = db
            .query_row(&sql, rusqlite::params![row.key, labels], |row| row.get(0))
            .doing("count what a reader sees of a collection")?;
        Ok(usize::try_from(count).unwrap_or(0))
    };
    Ok(Holding {
        documents: count("DISTINCT v.document", "")?,
        passages: count("*", "JOIN chunks c ON c.version = v.key LEFT JOIN pairs p ON p.key = c.pair")?,
        pairs: count("*", "JOIN pairs p ON p.version = v.key")?,
        id: row.id,
        title: row.title,
    })
}

fn describe(db: &Connection, row: CollectionRow) -> Result<Collection, StoreError> {
    let count = |sql: &str| -> Result<usize, StoreError> {
        let count: i64 = db.query_row(sql, [row.key], |row| row.get(0)).doing("count what a collection holds")?;
        Ok(usize::try_from(count).unwrap_or(0))
    };
    Ok(Collection {
        documents: count("SELECT count(DISTINCT document) FROM versions WHERE collection = ?1 AND state = 'current'")?,
        passages: count("SELECT count(*) FROM chunks WHERE collection = ?1")?,
        pairs: count(
            "SELECT count(*) FROM pairs p JOIN versions v ON v.key = p.version
                      WHERE v.collection = ?1 AND v.state = 'current'",
        )?,
        model: collections::active(db, row.key)?.into(),
        building: collections::generation(db, row.key, Stage::Building)?.map(Into::into),
        previous: collections::generation(db, row.key, Stage::Old)?.map(Into::into),
        id: row.id,
        title: row.title,
        created: row.created,
    })
}
