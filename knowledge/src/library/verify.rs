//! Whether database, words, vectors and memory agree.

use cloister_terms::{CollectionId, DocumentId};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::{CollectionError, Library};
use crate::index::Index;
use crate::store::collections::{self, CollectionRow, Generation};
use crate::store::passages::{unpack, usize_of};
use crate::store::{Doing, StoreError, versions};

/// What a verification looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Versions whose text was hashed and whose passages were compared with it.
    pub versions: usize,
    /// Passages compared.
    pub passages: usize,
    /// Vectors looked at.
    pub vectors: usize,
    /// What is wrong; empty where all is well.
    pub problems: Vec<Problem>,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// In which collection.
    pub collection: CollectionId,
    /// In which document, where it is in one.
    pub document: Option<DocumentId>,
    /// What, without any text of the document.
    pub what: String,
}

/// How far a stored vector's length may be from one: half precision rounds each number to 1 part in 2048.
const LENGTH_TOLERANCE: f32 = 1e-2;

impl Library {
    /// Compares everything that must agree: each text with its hash, each passage with the text at its offsets, the
    /// words index with the passages, the vectors with the passages, the index in memory with the database.
    /// What it finds, [`Library::rebuild`] mends, but for a text that no longer fits its hash: that is ingested again.
    ///
    /// # Errors
    /// Only where the database cannot be read at all; what is wrong inside is in the result.
    pub fn verify(&self, collection: &CollectionId) -> Result<Verification, CollectionError> {
        let mut verification = Verification::default();
        let mut tell = |document: Option<DocumentId>, what: String| {
            verification.problems.push(Problem { collection: collection.clone(), document, what });
        };
        // On a connection of its own: FTS5's part of the check goes by what the connection read of the words index at
        // its last search, and takes an index that another program has changed since for a damaged one.
        let (versions, passages, vectors) = self.store.read_afresh(|db| {
            let row = collections::find(db, collection)?.ok_or_else(|| CollectionError::Unknown(collection.clone()))?;
            check_file(db, &mut tell)?;
            let generation = collections::active(db, row.key)?;
            let versions = check_versions(db, row.key, &mut tell)?;
            let (passages, vectors) = check_vectors(db, row.key, &generation, &mut tell)?;
            match self.index(db, &row, generation) {
                Ok(Some(index)) => check_memory(&index, &row, passages, vectors, &mut tell),
                Ok(None) => {}
                Err(error) => tell(None, format!("the index cannot be loaded: {error}")),
            }
            Ok::<_, CollectionError>((versions, passages, vectors))
        })?;
        // The words index checks itself by a command that counts as a write.
        self.store.write(|db| {
            let row = collections::find(db, collection)?.ok_or_else(|| CollectionError::Unknown(collection.clone()))?;
            let table = format!("words_{}", row.key);
            let agrees = db.execute(&format!("INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)"), []);
            if agrees.is_err() {
                tell(None, "the words index does not agree with the passages".into());
            }
            Ok::<_, CollectionError>(())
        })?;
        Ok(Verification { versions, passages, vectors, ..verification })
    }
}

type Tell<'a> = dyn FnMut(Option<DocumentId>, String) + 'a;

fn check_file(db: &Connection, tell: &mut Tell<'_>) -> Result<(), StoreError> {
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).doing("check the database file")?;
    if verdict != "ok" {
        tell(None, "the database file is damaged: restore it from a backup".into());
    }
    let broken = db
        .prepare("SELECT count(*) FROM pragma_foreign_key_check")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)))
        .doing("check references")?;
    if broken > 0 {
        tell(None, format!("{broken} rows refer to rows that are not there"));
    }
    Ok(())
}

/// Hashes every text and compares the passages with it. Returns how many versions there are.
fn check_versions(db: &Connection, collection: i64, tell: &mut Tell<'_>) -> Result<usize, StoreError> {
    let mut statement = db
        .prepare(
            "SELECT v.key, d.id, v.text, v.text_sha256, v.state FROM versions v JOIN documents d ON d.key = v.document
             WHERE v.collection = ?1 ORDER BY v.key",
        )
        .doing("read the documents")?;
    let mut rows = statement.query([collection]).doing("read the documents")?;
    let mut count = 0;
    while let Some(row) = rows.next().doing("read the documents")? {
        count += 1;
        let fields = || -> rusqlite::Result<(i64, String, String, Vec<u8>, String)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        };
        let (key, id, text, sha256, state) = fields().doing("read the documents")?;
        let id = versions::document_id(&id).ok();
        if Sha256::digest(text.as_bytes()).as_slice() != sha256 {
            tell(id, "the text does not fit its hash: ingest the document again".into());
        }
        let bad = bad_passages(db, key, &text)?;
        if bad > 0 {
            tell(id, format!("{bad} passages do not fit the text"));
        }
        let bad: i64 = db
            .query_row(
                "SELECT count(*) FROM pairs p JOIN versions v ON v.key = p.version
                 WHERE v.key = ?1 AND substr(v.text, p.answer_char + 1, length(p.answer)) <> p.answer",
                [key],
                |row| row.get(0),
            )
            .doing("compare the curated answers")?;
        if bad > 0 {
            tell(id, format!("{bad} curated answers differ from the text: ingest the document again"));
        }
        let chunks: i64 = db
            .query_row("SELECT count(*) FROM chunks WHERE version = ?1", [key], |row| row.get(0))
            .doing("count passages")?;
        if (state == "current") != (chunks > 0) {
            tell(id, "a version in use has no passages, or a retired one has some".into());
        }
    }
    Ok(count)
}

fn bad_passages(db: &Connection, version: i64, text: &str) -> Result<usize, StoreError> {
    let mut statement = db
        .prepare_cached(
            "SELECT start_byte, end_byte, start_char, end_char, body FROM chunks WHERE version = ?1 ORDER BY ordinal",
        )
        .doing("read the passages")?;
    let mut rows = statement.query([version]).doing("read the passages")?;
    let mut bad = 0;
    let (mut byte, mut character) = (0, 0);
    while let Some(row) = rows.next().doing("read the passages")? {
        let fields = || -> rusqlite::Result<([i64; 4], String)> {
            Ok(([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?], row.get(4)?))
        };
        let (places, body) = fields().doing("read the passages")?;
        let [start, end, start_char, end_char] = places.map(|place| usize_of(place).unwrap_or(usize::MAX));
        let before = text.get(byte..start).map(|stretch| character + stretch.chars().count());
        let fits = text.get(start..end) == Some(body.as_str())
            && before == Some(start_char)
            && start_char + body.chars().count() == end_char;
        if fits {
            (byte, character) = (start, start_char);
        } else {
            bad += 1;
        }
    }
    Ok(bad)
}

/// Looks at every vector of the generation that is searched. Returns how many passages and vectors there are.
fn check_vectors(
    db: &Connection,
    collection: i64,
    generation: &Generation,
    tell: &mut Tell<'_>,
) -> Result<(usize, usize), StoreError> {
    let count = |sql: &str| -> Result<usize, StoreError> {
        let count: i64 = db.query_row(sql, [collection, generation.key], |row| row.get(0)).doing("count vectors")?;
        Ok(usize::try_from(count).unwrap_or(0))
    };
    let without = count(
        "SELECT count(*) FROM chunks c WHERE c.collection = ?1
         AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.chunk = c.key AND v.generation = ?2 AND v.part = 0)",
    )?;
    if without > 0 {
        tell(None, format!("{without} passages have no vector"));
    }
    let mut statement = db
        .prepare(
            "SELECT v.vector FROM chunks c CROSS JOIN vectors v ON v.chunk = c.key AND v.generation = ?2
             WHERE c.collection = ?1",
        )
        .doing("read the vectors")?;
    let mut rows = statement.query([collection, generation.key]).doing("read the vectors")?;
    let (mut vectors, mut bad) = (0, 0);
    let mut numbers = vec![0.0; generation.dimensions];
    while let Some(row) = rows.next().doing("read the vectors")? {
        vectors += 1;
        let blob: Vec<u8> = row.get(0).doing("read the vectors")?;
        let sound = unpack(&blob, &mut numbers).is_ok()
            && (numbers.iter().map(|x| x * x).sum::<f32>().sqrt() - 1.0).abs() < LENGTH_TOLERANCE;
        bad += usize::from(!sound);
    }
    if bad > 0 {
        tell(None, format!("{bad} vectors have a wrong size or length"));
    }
    Ok((count("SELECT count(*) FROM chunks WHERE collection = ?1 AND ?2 > 0")?, vectors))
}

fn check_memory(index: &Index, row: &CollectionRow, passages: usize, vectors: usize, tell: &mut Tell<'_>) {
    let live = |version| index.versions.contains_key(&version);
    let rows: usize = index.segments.iter().map(|segment| segment.rows_of(live)).sum();
    if index.changes == row.changes && (index.live_chunks() != passages || rows != vectors) {
        tell(None, "the index in memory does not agree with the database: restart the program".into());
    }
}
