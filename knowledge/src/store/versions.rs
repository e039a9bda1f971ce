//! Documents and their versions: inserted whole, retired, deleted.

use cloister_terms::{DocumentId, Random};
use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Doing, StoreError, collections, passages};
use crate::draft::Draft;
use crate::library::{Outcome, Removed};

/// Where a draft goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) collection: i64,
    pub(crate) generation: i64,
    pub(crate) now: Timestamp,
}

/// What storing a draft did.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) document: DocumentId,
    pub(crate) version: String,
    pub(crate) outcome: Outcome,
}

/// A version that a file name has at present.
#[derive(Debug, Clone)]
pub(crate) struct Present {
    pub(crate) key: i64,
    document: i64,
    pub(crate) fingerprint: Vec<u8>,
    effective: Option<Date>,
    pub(crate) version: String,
    pub(crate) id: DocumentId,
}

/// The versions that a file name has at present, the latest first: more than one where an earlier version holds until
/// a later one takes effect.
pub(crate) fn present(connection: &Connection, collection: i64, name: &str) -> Result<Vec<Present>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "SELECT v.key, v.document, v.fingerprint, v.effective, v.version, d.id
             FROM versions v JOIN documents d ON d.key = v.document
             WHERE v.collection = ?1 AND v.name = ?2 AND v.state = 'current' ORDER BY v.key DESC",
        )
        .doing("find a document")?;
    let rows = statement
        .query_map(params![collection, name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?, row.get(4)?, row.get(5)?))
        })
        .doing("find a document")?;
    rows.map(|row| {
        let (key, document, fingerprint, effective, version, id): (_, _, _, _, _, String) =
            row.doing("find a document")?;
        Ok(Present { key, document, fingerprint, effective: day(effective)?, version, id: document_id(&id)? })
    })
    .collect()
}

/// Stores a draft as the newest version under its name, and retires what it replaces. `vectors` are one per input, in
/// the form in which they are stored.
pub(crate) fn store(
    connection: &Connection,
    place: Place,
    draft: &Draft,
    vectors: &[Vec<u8>],
    random: &dyn Random,
) -> Result<Stored, StoreError> {
    let before = present(connection, place.collection, &draft.name)?;
    if let Some(same) = before.first().filter(|latest| latest.fingerprint == draft.fingerprint) {
        // Somebody else stored the same file meanwhile.
        return Ok(Stored { document: same.id, version: same.version.clone(), outcome: Outcome::Unchanged });
    }
    let (document, id) = document(connection, place.collection, &draft.handle, random)?;
    for old in &before {
        let holds_until_the_new_one = draft.effective.is_some() && old.effective < draft.effective;
        if old.document != document {
            remove(connection, place.collection, old.key)?;
        } else if !holds_until_the_new_one {
            retire(connection, place.collection, old.key)?;
        }
    }
    let version = match &draft.version {
        Some(version) => version.clone(),
        None => next_number(connection, document)?,
    };
    let key = insert(connection, place, draft, document, &version)?;
    let pairs = insert_pairs(connection, key, draft)?;
    passages::insert(connection, place, key, draft, &pairs, vectors)?;
    if !before.is_empty() {
        remove_documents_without_versions(connection, place.collection)?;
    }
    let outcome = if before.is_empty() { Outcome::Added } else { Outcome::Replaced };
    Ok(Stored { document: id, version, outcome })
}

fn insert(
    connection: &Connection,
    place: Place,
    draft: &Draft,
    document: i64,
    version: &str,
) -> Result<i64, StoreError> {
    let metadata = json(&draft.metadata)?;
    let structure = json(&draft.structure)?;
    let text_sha256: [u8; 32] = Sha256::digest(draft.text.as_bytes()).into();
    connection
        .prepare_cached(
            "INSERT INTO versions (collection, document, name, state, version, title, label, effective, expires,
               supersedes, metadata, format, pages, fingerprint, text_sha256, text, structure, ingested)
             VALUES (?1, ?2, ?3, 'current', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        )
        .and_then(|mut statement| {
            statement.insert(params![
                place.collection,
                document,
                draft.name,
                version,
                draft.title,
                draft.label.as_str(),
                draft.effective.map(|day| day.to_string()),
                draft.expires.map(|day| day.to_string()),
                draft.supersedes,
                metadata,
                draft.format,
                draft.pages,
                draft.fingerprint.as_slice(),
                text_sha256.as_slice(),
                draft.text,
                structure,
                place.now.to_string(),
            ])
        })
        .doing("insert a document")
}

fn insert_pairs(connection: &Connection, version: i64, draft: &Draft) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO pairs (version, id, question, also, topic, effective, expires, label, metadata,
               question_start, question_end, answer_start, answer_end, answer, answer_char)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )
        .doing("insert a pair")?;
    let mut keys = Vec::with_capacity(draft.pairs.len());
    for draft in &draft.pairs {
        let pair = &draft.pair;
        let key = statement
            .insert(params![
                version,
                pair.id,
                pair.question,
                json(&pair.also)?,
                pair.topic,
                pair.effective.map(|day| day.to_string()),
                draft.expires.map(|day| day.to_string()),
                draft.label.as_ref().map(|label| label.as_str().to_owned()),
                json(&pair.metadata)?,
                integer(pair.question_start),
                integer(pair.question_end),
                integer(pair.answer_start),
                integer(pair.answer_end),
                pair.answer,
                integer(draft.answer_char),
            ])
            .doing("insert a pair")?;
        keys.push(key);
    }
    Ok(keys)
}

/// Takes a version's passages out of the indexes and keeps its text, and its pairs for the labels that they carry.
fn retire(connection: &Connection, collection: i64, version: i64) -> Result<(), StoreError> {
    passages::remove(connection, collection, version)?;
    connection
        .execute("UPDATE versions SET state = 'retired' WHERE key = ?1", [version])
        .doing("retire a document")
        .map(drop)
}

/// Deletes a version with its text.
fn remove(connection: &Connection, collection: i64, version: i64) -> Result<(), StoreError> {
    passages::remove(connection, collection, version)?;
    connection.execute("DELETE FROM versions WHERE key = ?1", [version]).doing("delete a document").map(drop)
}

/// Deletes every version that stands under a file name, retired ones too. Returns those that were in use.
pub(crate) fn remove_name(connection: &Connection, collection: i64, name: &str) -> Result<Vec<Removed>, StoreError> {
    let sql = "SELECT v.key, v.state, v.name, v.version, d.id FROM versions v JOIN documents d ON d.key = v.document
               WHERE v.collection = ?1 AND v.name = ?2";
    let found = found(connection, sql, collection, name)?;
    remove_all(connection, collection, found)
}

/// Deletes a document with all its versions. Returns those that were in use; `None` where there is no such document.
pub(crate) fn remove_document(
    connection: &Connection,
    collection: i64,
    id: DocumentId,
) -> Result<Option<Vec<Removed>>, StoreError> {
    let sql = "SELECT v.key, v.state, v.name, v.version, d.id FROM versions v JOIN documents d ON d.key = v.document
               WHERE d.collection = ?1 AND d.id = ?2";
    let found = found(connection, sql, collection, &id.to_string())?;
    if found.is_empty() {
        return Ok(None);
    }
    remove_all(connection, collection, found).map(Some)
}

/// A version that is to be deleted.
struct Found {
    key: i64,
    in_use: bool,
    removed: Removed,
}

fn found(connection: &Connection, sql: &str, collection: i64, which: &str) -> Result<Vec<Found>, StoreError> {
    let mut statement = connection.prepare_cached(sql).doing("find a document")?;
    let rows = statement
        .query_map(params![collection, which], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?, row.get::<_, String>(4)?))
        })
        .doing("find a document")?;
    rows.map(|row| {
        let (key, state, name, version, id) = row.doing("find a document")?;
        let removed = Removed { name, document: document_id(&id)?, version };
        Ok(Found { key, in_use: state == "current", removed })
    })
    .collect()
}

fn remove_all(connection: &Connection, collection: i64, found: Vec<Found>) -> Result<Vec<Removed>, StoreError> {
    for version in &found {
        remove(connection, collection, version.key)?;
    }
    remove_documents_without_versions(connection, collection)?;
    if !found.is_empty() {
        collections::changed(connection, collection, false)?;
    }
    Ok(found.into_iter().filter(|version| version.in_use).map(|version| version.removed).collect())
}

fn remove_documents_without_versions(connection: &Connection, collection: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM documents WHERE collection = ?1
             AND NOT EXISTS (SELECT 1 FROM versions WHERE document = documents.key)",
        )
        .and_then(|mut statement| statement.execute([collection]))
        .doing("delete documents without versions")
        .map(drop)
}

fn document(
    connection: &Connection,
    collection: i64,
    handle: &str,
    random: &dyn Random,
) -> Result<(i64, DocumentId), StoreError> {
    let known: Option<(i64, String)> = connection
        .prepare_cached("SELECT key, id FROM documents WHERE collection = ?1 AND handle = ?2")
        .and_then(|mut statement| {
            statement.query_row(params![collection, handle], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .doing("find a document")?;
    if let Some((key, id)) = known {
        return Ok((key, document_id(&id)?));
    }
    let id = DocumentId::random(random);
    let key = connection
        .prepare_cached("INSERT INTO documents (collection, handle, id) VALUES (?1, ?2, ?3)")
        .and_then(|mut statement| statement.insert(params![collection, handle, id.to_string()]))
        .doing("insert a document")?;
    Ok((key, id))
}

/// The number of a version whose document gives none: one more than there are.
fn next_number(connection: &Connection, document: i64) -> Result<String, StoreError> {
    let count: i64 = connection
        .query_row("SELECT count(*) FROM versions WHERE document = ?1", [document], |row| row.get(0))
        .doing("count versions")?;
    Ok((count + 1).to_string())
}

pub(crate) fn document_id(id: &str) -> Result<DocumentId, StoreError> {
    id.parse().map_err(|_| StoreError::Damaged { what: "the id of a document" })
}

pub(crate) fn day(stored: Option<String>) -> Result<Option<Date>, StoreError> {
    stored.map(|day| day.parse().map_err(|_| StoreError::Damaged { what: "a date" })).transpose()
}

/// A value in the form in which it is stored.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Damaged { what: "a value that JSON cannot hold" })
}

pub(crate) fn integer(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
