//! Collections, the generations of their vectors, and the words index of each.

use cloister_terms::CollectionId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Doing, StoreError};
use crate::EmbedIdentity;

/// A collection as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct CollectionRow {
    pub(crate) key: i64,
    pub(crate) id: CollectionId,
    pub(crate) title: String,
    pub(crate) created: Timestamp,
    /// Grows when passages are cut anew or another generation becomes active: what is in memory is then all stale.
    pub(crate) epoch: i64,
    /// Grows with every commit that touches the collection.
    pub(crate) changes: i64,
}

/// What a generation of vectors is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Being built beside the active one.
    Building,
    /// Searched.
    Active,
    /// The one before, kept to go back.
    Old,
}

impl Stage {
    const fn word(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Active => "active",
            Self::Old => "old",
        }
    }
}

/// The vectors of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) key: i64,
    pub(crate) model: String,
    pub(crate) sha256: String,
    pub(crate) dimensions: usize,
}

impl Generation {
    /// Whether vectors of `identity` may be compared with these.
    pub(crate) fn is_of(&self, identity: &EmbedIdentity) -> bool {
        self.sha256 == identity.sha256 && self.dimensions == identity.dimensions
    }
}

const COLUMNS: &str = "key, id, title, created, epoch, changes";

fn collection(row: &Row<'_>) -> rusqlite::Result<(i64, String, String, String, i64, i64)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
}

fn checked(fields: (i64, String, String, String, i64, i64)) -> Result<CollectionRow, StoreError> {
    let (key, id, title, created, epoch, changes) = fields;
    Ok(CollectionRow {
        key,
        id: id.parse().map_err(|_| StoreError::Damaged { what: "the name of a collection" })?,
        title,
        created: created.parse().map_err(|_| StoreError::Damaged { what: "when a collection was created" })?,
        epoch,
        changes,
    })
}

/// All collections, by name.
pub(crate) fn all(connection: &Connection) -> Result<Vec<CollectionRow>, StoreError> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM collections ORDER BY id"))
        .doing("list the collections")?;
    let rows = statement.query_map([], collection).doing("list the collections")?;
    rows.map(|row| checked(row.doing("list the collections")?)).collect()
}

/// One collection by name.
pub(crate) fn find(connection: &Connection, id: &CollectionId) -> Result<Option<CollectionRow>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM collections WHERE id = ?1"))
        .and_then(|mut statement| statement.query_row([id.as_str()], collection).optional())
        .doing("find a collection")?
        .map(checked)
        .transpose()
}

/// Creates a collection with an empty words index and a first generation. `None` where the name is taken.
pub(crate) fn create(
    connection: &Connection,
    id: &CollectionId,
    title: &str,
    now: Timestamp,
    model: &EmbedIdentity,
) -> Result<Option<i64>, StoreError> {
    let made = connection
        .execute(
            "INSERT INTO collections (id, title, created) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            params![id.as_str(), title, now.to_string()],
        )
        .doing("create a collection")?;
    if made == 0 {
        return Ok(None);
    }
    let key = connection.last_insert_rowid();
    begin_generation(connection, key, model, Stage::Active, now)?;
    create_words(connection, key)?;
    Ok(Some(key))
}

/// The words index: FTS5 that holds no text of its own but reads `chunks` through a view. `secure-delete` takes the
/// words of a deleted passage out of the index at once, not at some later merge.
fn create_words(connection: &Connection, key: i64) -> Result<(), StoreError> {
    connection
        .execute_batch(&format!(
            "CREATE VIEW words_{key}_rows AS
               SELECT key, title, headings, questions, body FROM chunks WHERE collection = {key};
             CREATE VIRTUAL TABLE words_{key} USING fts5(title, headings, questions, body,
               content = 'words_{key}_rows', content_rowid = 'key', tokenize = 'porter unicode61');
             INSERT INTO words_{key} (words_{key}, rank) VALUES ('secure-delete', 1);"
        ))
        .doing("create a words index")
}

/// Deletes a collection and everything in it.
pub(crate) fn delete(connection: &Connection, key: i64) -> Result<(), StoreError> {
    connection
        .execute_batch(&format!("DROP TABLE words_{key}; DROP VIEW words_{key}_rows;"))
        .doing("delete a words index")?;
    connection.execute("DELETE FROM collections WHERE key = ?1", [key]).doing("delete a collection").map(drop)
}

/// Empties the words index and fills it from the passages.
pub(crate) fn rebuild_words(connection: &Connection, key: i64) -> Result<(), StoreError> {
    connection
        .execute_batch(&format!("DROP TABLE IF EXISTS words_{key}; DROP VIEW IF EXISTS words_{key}_rows;"))
        .doing("drop a words index")?;
    create_words(connection, key)?;
    connection
        .execute_batch(&format!("INSERT INTO words_{key} (words_{key}) VALUES ('rebuild');"))
        .doing("rebuild a words index")
}

/// Tells every process that the collection changed; `anew` where all that is in memory is stale.
pub(crate) fn changed(connection: &Connection, key: i64, anew: bool) -> Result<(), StoreError> {
    connection
        .execute(
            "UPDATE collections SET changes = changes + 1, epoch = epoch + ?2 WHERE key = ?1",
            params![key, i64::from(anew)],
        )
        .doing("count a change")
        .map(drop)
}

/// The generation of a collection at a stage, if there is one.
pub(crate) fn generation(
    connection: &Connection,
    collection: i64,
    stage: Stage,
) -> Result<Option<Generation>, StoreError> {
    connection
        .prepare_cached("SELECT key, model, sha256, dimensions FROM generations WHERE collection = ?1 AND state = ?2")
        .and_then(|mut statement| {
            statement
                .query_row(params![collection, stage.word()], |row| {
                    Ok(Generation {
                        key: row.get(0)?,
                        model: row.get(1)?,
                        sha256: row.get(2)?,
                        dimensions: row.get::<_, i64>(3)?.try_into().unwrap_or(0),
                    })
                })
                .optional()
        })
        .doing("find an index generation")
}

/// The generation that is searched. Every collection has one.
pub(crate) fn active(connection: &Connection, collection: i64) -> Result<Generation, StoreError> {
    generation(connection, collection, Stage::Active)?
        .ok_or(StoreError::Damaged { what: "a collection without an active index" })
}

/// Begins a generation without vectors.
pub(crate) fn begin_generation(
    connection: &Connection,
    collection: i64,
    model: &EmbedIdentity,
    stage: Stage,
    now: Timestamp,
) -> Result<i64, StoreError> {
    connection
        .execute(
            "INSERT INTO generations (collection, model, sha256, dimensions, state, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                collection,
                model.name,
                model.sha256,
                i64::try_from(model.dimensions).unwrap_or(0),
                stage.word(),
                now.to_string()
            ],
        )
        .doing("begin an index generation")?;
    Ok(connection.last_insert_rowid())
}

/// Moves a generation to another stage.
pub(crate) fn restage(connection: &Connection, generation: i64, stage: Stage) -> Result<(), StoreError> {
    connection
        .execute("UPDATE generations SET state = ?2 WHERE key = ?1", params![generation, stage.word()])
        .doing("switch an index generation")
        .map(drop)
}

/// Deletes a generation with its vectors.
pub(crate) fn drop_generation(connection: &Connection, generation: i64) -> Result<(), StoreError> {
    // Spelt out: `vectors` has no index by generation alone that the cascade could use as well as this one.
    connection
        .execute("DELETE FROM vectors WHERE generation = ?1", [generation])
        .and_then(|_| connection.execute("DELETE FROM generations WHERE key = ?1", [generation]))
        .doing("drop an index generation")
        .map(drop)
}
