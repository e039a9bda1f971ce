//! Passages with their vectors and words: written with their version, read for the index in memory and for results.

use half::f16;
use half::slice::HalfFloatSliceExt;
use jiff::civil::Date;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::versions::{Place, day, integer, json};
use super::{Doing, StoreError};
use crate::draft::{ChunkDraft, Draft, Input};

/// Inserts the passages of a version, their vectors and their words.
pub(crate) fn insert(
    connection: &Connection,
    place: Place,
    version: i64,
    draft: &Draft,
    pairs: &[i64],
    vectors: &[Vec<u8>],
) -> Result<(), StoreError> {
    let keys = cut_chunks(connection, place.collection, version, &draft.text, &draft.chunks, pairs)?;
    insert_vectors(connection, place.generation, &keys, &draft.inputs, vectors)?;
    index_words(connection, place.collection, version)
}

/// Puts the words of a version's passages into the words index.
pub(crate) fn index_words(connection: &Connection, collection: i64, version: i64) -> Result<(), StoreError> {
    connection
        .execute(
            &format!(
                "INSERT INTO words_{collection} (rowid, title, headings, questions, body)
                 SELECT key, title, headings, questions, body FROM chunks WHERE version = ?1"
            ),
            [version],
        )
        .doing("index the words of a document")
        .map(drop)
}

/// Inserts passages without words or vectors; returns their keys. Rebuilding comes through here too.
pub(crate) fn cut_chunks(
    connection: &Connection,
    collection: i64,
    version: i64,
    text: &str,
    chunks: &[ChunkDraft],
    pairs: &[i64],
) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO chunks (collection, version, pair, ordinal, kind, page, path, start_byte, end_byte,
               start_char, end_char, title, headings, questions, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )
        .doing("insert a passage")?;
    let mut keys = Vec::with_capacity(chunks.len());
    for (ordinal, draft) in chunks.iter().enumerate() {
        let chunk = &draft.chunk;
        let key = statement
            .insert(params![
                collection,
                version,
                draft.pair.and_then(|at| pairs.get(at)),
                integer(ordinal),
                draft.kind(),
                chunk.page,
                json(&chunk.headings)?,
                integer(chunk.start),
                integer(chunk.end),
                integer(draft.chars.0),
                integer(draft.chars.1),
                draft.title,
                draft.headings,
                draft.questions,
                text.get(chunk.start..chunk.end).unwrap_or_default(),
            ])
            .doing("insert a passage")?;
        keys.push(key);
    }
    Ok(keys)
}

/// Inserts one vector per input.
pub(crate) fn insert_vectors(
    connection: &Connection,
    generation: i64,
    chunks: &[i64],
    inputs: &[Input],
    vectors: &[Vec<u8>],
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO vectors (chunk, generation, part, digest, vector) VALUES (?1, ?2, ?3, ?4, ?5)",
        )
        .doing("insert a vector")?;
    for (input, vector) in inputs.iter().zip(vectors) {
        let Some(chunk) = chunks.get(input.chunk) else { continue };
        statement
            .execute(params![chunk, generation, input.part, input.digest.as_slice(), vector.as_slice()])
            .doing("insert a vector")?;
    }
    Ok(())
}

/// Takes a version's passages out of the words index and deletes them with their vectors.
pub(crate) fn remove(connection: &Connection, collection: i64, version: i64) -> Result<(), StoreError> {
    connection
        .execute(
            &format!(
                "INSERT INTO words_{collection} (words_{collection}, rowid, title, headings, questions, body)
                 SELECT 'delete', key, title, headings, questions, body FROM chunks WHERE version = ?1"
            ),
            [version],
        )
        .and_then(|_| connection.execute("DELETE FROM chunks WHERE version = ?1", [version]))
        .doing("take a document out of the indexes")
        .map(drop)
}

/// The stored vector of a text that was embedded before, so that it need not be again.
pub(crate) fn known_vector(
    connection: &Connection,
    generation: i64,
    digest: &[u8; 16],
) -> Result<Option<Vec<u8>>, StoreError> {
    connection
        .prepare_cached(
            "SELECT vector FROM vectors WHERE generation = ?1 AND digest = ?2
             UNION ALL SELECT vector FROM spare_vectors WHERE generation = ?1 AND digest = ?2 LIMIT 1",
        )
        .and_then(|mut statement| {
            statement.query_row(params![generation, digest.as_slice()], |row| row.get(0)).optional()
        })
        .doing("look for a known vector")
}

/// Keeps vectors of a document that is still being embedded.
pub(crate) fn keep_spare(
    connection: &Connection,
    generation: i64,
    vectors: &[([u8; 16], Vec<u8>)],
) -> Result<(), StoreError> {
    let mut statement = connection
        .prepare_cached("INSERT OR IGNORE INTO spare_vectors (generation, digest, vector) VALUES (?1, ?2, ?3)")
        .doing("keep a vector")?;
    for (digest, vector) in vectors {
        statement.execute(params![generation, digest.as_slice(), vector.as_slice()]).doing("keep a vector")?;
    }
    Ok(())
}

/// Forgets them.
pub(crate) fn drop_spare(connection: &Connection, generation: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM spare_vectors WHERE generation = ?1")
        .and_then(|mut statement| statement.execute([generation]))
        .doing("forget kept vectors")
        .map(drop)
}

/// A passage as the index in memory knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkRow {
    pub(crate) key: i64,
    pub(crate) version: i64,
    pub(crate) pair: Option<i64>,
}

/// One vector as it is loaded: which passage, which part, the numbers.
pub(crate) struct VectorRow<'a> {
    pub(crate) chunk: i64,
    pub(crate) part: i64,
    pub(crate) numbers: &'a [f32],
}

/// The passages of a version, in order of their keys.
pub(crate) fn chunks_of(connection: &Connection, version: i64) -> Result<Vec<ChunkRow>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT key, pair FROM chunks WHERE version = ?1 ORDER BY key")
        .doing("load passages")?;
    let rows = statement
        .query_map([version], |row| Ok(ChunkRow { key: row.get(0)?, version, pair: row.get(1)? }))
        .doing("load passages")?;
    rows.map(|row| row.doing("load passages")).collect()
}

/// Hands every vector of a version to `take`, in order of passage and part.
pub(crate) fn vectors_of(
    connection: &Connection,
    version: i64,
    generation: i64,
    dimensions: usize,
    take: &mut dyn FnMut(VectorRow<'_>),
) -> Result<(), StoreError> {
    // CROSS: passages first, then their vectors by key. Left to itself SQLite walks all vectors of the generation.
    let mut statement = connection
        .prepare_cached(
            "SELECT v.chunk, v.part, v.vector FROM chunks c CROSS JOIN vectors v ON v.chunk = c.key AND v.generation = ?2
             WHERE c.version = ?1 ORDER BY v.chunk, v.part",
        )
        .doing("load vectors")?;
    let mut rows = statement.query([version, generation]).doing("load vectors")?;
    let mut numbers = vec![0.0_f32; dimensions];
    while let Some(row) = rows.next().doing("load vectors")? {
        let chunk = row.get(0).doing("load vectors")?;
        let part = row.get(1).doing("load vectors")?;
        let ValueRef::Blob(blob) = row.get_ref(2).doing("load vectors")? else {
            return Err(StoreError::Damaged { what: "a vector" });
        };
        unpack(blob, &mut numbers)?;
        take(VectorRow { chunk, part, numbers: &numbers });
    }
    Ok(())
}

/// A vector in the form in which it is stored: half precision, little endian. Half costs MiniLM nothing that can be
/// measured (recall@1 99.1 against 99.2 in full, from USearch's own table) and halves the database.
pub(crate) fn pack(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| f16::from_f32(*number).to_le_bytes()).collect()
}

/// The numbers of a stored vector.
pub(crate) fn unpack(blob: &[u8], into: &mut [f32]) -> Result<(), StoreError> {
    if blob.len() != into.len() * 2 {
        return Err(StoreError::Damaged { what: "a vector of another length" });
    }
    let (pairs, _) = blob.as_chunks::<2>();
    let halves: Vec<f16> = pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect();
    halves.convert_to_f32_slice(into);
    Ok(())
}

/// What a result needs of a passage beyond what the index knows.
#[derive(Debug, Clone)]
pub(crate) struct PassageRow {
    pub(crate) page: Option<u32>,
    pub(crate) path: Vec<String>,
    pub(crate) chars: (usize, usize),
    pub(crate) body: String,
    pub(crate) pair: Option<(String, String)>,
}

/// Reads a passage for a result; `None` where it is gone.
pub(crate) fn read(connection: &Connection, chunk: i64) -> Result<Option<PassageRow>, StoreError> {
    let row = connection
        .prepare_cached(
            "SELECT c.page, c.path, c.start_char, c.end_char, c.body, p.id, p.question
             FROM chunks c LEFT JOIN pairs p ON p.key = c.pair WHERE c.key = ?1",
        )
        .and_then(|mut statement| statement.query_row([chunk], passage).optional())
        .doing("read a passage")?;
    let Some((page, path, start, end, body, id, question)) = row else { return Ok(None) };
    Ok(Some(PassageRow {
        page,
        path: serde_json::from_str(&path).map_err(|_| StoreError::Damaged { what: "the headings of a passage" })?,
        chars: (usize_of(start)?, usize_of(end)?),
        body,
        pair: id.zip(question),
    }))
}

type PassageFields = (Option<u32>, String, i64, i64, String, Option<String>, Option<String>);

fn passage(row: &Row<'_>) -> rusqlite::Result<PassageFields> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

/// A pair with its whole answer.
#[derive(Debug, Clone)]
pub(crate) struct PairRow {
    pub(crate) id: String,
    pub(crate) question: String,
    pub(crate) also: Vec<String>,
    pub(crate) answer: String,
    /// Where the answer stands in the document's text, in code points.
    pub(crate) chars: (usize, usize),
    pub(crate) topic: Option<String>,
}

/// Id, question, other wordings, topic, answer, where it begins, whether it stands there.
type PairFields = (String, String, String, Option<String>, String, i64, bool);

/// Reads a pair with its whole answer, once it is seen to stand in the document's text word for word; `None` where it is
/// gone.
pub(crate) fn read_pair(connection: &Connection, pair: i64) -> Result<Option<PairRow>, StoreError> {
    let row: Option<PairFields> = connection
        .prepare_cached(
            "SELECT p.id, p.question, p.also, p.topic, p.answer, p.answer_char,
               substr(v.text, p.answer_char + 1, length(p.answer)) = p.answer
             FROM pairs p JOIN versions v ON v.key = p.version WHERE p.key = ?1",
        )
        .and_then(|mut statement| {
            statement
                .query_row([pair], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
                })
                .optional()
        })
        .doing("read a pair")?;
    let Some((id, question, also, topic, answer, start, stands)) = row else { return Ok(None) };
    if !stands {
        return Err(StoreError::Damaged { what: "a curated answer, which differs from its document" });
    }
    let start = usize_of(start)?;
    Ok(Some(PairRow {
        chars: (start, start + answer.chars().count()),
        answer,
        also: serde_json::from_str(&also).map_err(|_| StoreError::Damaged { what: "the wordings of a question" })?,
        id,
        question,
        topic,
    }))
}

/// What the index must know of a pair: until when and for whom it holds.
#[derive(Debug, Clone)]
pub(crate) struct PairValidity {
    pub(crate) key: i64,
    pub(crate) effective: Option<Date>,
    pub(crate) expires: Option<Date>,
    pub(crate) label: Option<String>,
    pub(crate) metadata: String,
}

/// The pairs of a version.
pub(crate) fn pairs_of(connection: &Connection, version: i64) -> Result<Vec<PairValidity>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT key, effective, expires, label, metadata FROM pairs WHERE version = ?1")
        .doing("load pairs")?;
    let rows = statement
        .query_map([version], |row| {
            let dates: (Option<String>, Option<String>) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, dates, row.get(3)?, row.get(4)?))
        })
        .doing("load pairs")?;
    rows.map(|row| {
        let (key, (effective, expires), label, metadata) = row.doing("load pairs")?;
        Ok(PairValidity { key, effective: day(effective)?, expires: day(expires)?, label, metadata })
    })
    .collect()
}

pub(crate) fn usize_of(value: i64) -> Result<usize, StoreError> {
    usize::try_from(value).map_err(|_| StoreError::Damaged { what: "an offset" })
}
