//! Rebuilding passages and indexes from the stored text.

use cloister_terms::CollectionId;
use rusqlite::Connection;

use super::Library;
use super::embedding::{VectorError, WhenBusy};
use super::ingest::{IngestError, Target};
use crate::chunk::Ruler;
use crate::draft::{Cut, Input, PairDraft, Structure, cut};
use crate::parse::Pair;
use crate::store::passages::{self, usize_of};
use crate::store::{Doing, StoreError, collections};
use crate::{EmbedError, index};

/// Versions are cut anew together until they have so many inputs.
const BATCH_INPUTS: usize = 1024;

/// Why a collection could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// There is no such collection, its vectors are of another model, or the model or the database failed.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

impl From<VectorError> for MaintainError {
    fn from(error: VectorError) -> Self {
        match error {
            VectorError::Embed(error) => Self::Embed(error),
            VectorError::Store(error) => Self::Store(error),
        }
    }
}

/// A version cut anew.
struct Recut {
    version: i64,
    text: String,
    /// Keys of its pairs, in order.
    pairs: Vec<i64>,
    cut: Cut,
}

impl Library {
    /// Cuts every document anew from its stored text and fills words and vectors again. Vectors of texts that come out
    /// as before are kept; [`Library::reembed`] makes all of them new. `progress` hears versions done and in all.
    /// Searches go on meanwhile: each document changes over in one transaction.
    ///
    /// # Errors
    /// Stopped at any moment it leaves a whole index; call it again to finish.
    pub fn rebuild(
        &self,
        collection: &CollectionId,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), MaintainError> {
        let target = self.target(collection)?;
        self.store.write(|db| {
            collections::rebuild_words(db, target.collection)?;
            collections::changed(db, target.collection, true)
        })?;
        let mut versions = self.store.read(|db| index::version::keys(db, target.collection))?;
        versions.sort_unstable();
        let mut batch = Vec::new();
        for (at, version) in versions.iter().enumerate() {
            batch.push(self.recut(*version)?);
            let inputs: usize = batch.iter().map(|recut: &Recut| recut.cut.inputs.len()).sum();
            if inputs >= BATCH_INPUTS || at + 1 == versions.len() {
                self.store_recut(&target, &std::mem::take(&mut batch))?;
                progress(at + 1, versions.len());
            }
        }
        Ok(())
    }

    fn recut(&self, version: i64) -> Result<Recut, StoreError> {
        let (text, structure, title, stored) = self.store.read(|db| {
            let (text, structure, title): (String, String, Option<String>) = db
                .query_row("SELECT text, structure, title FROM versions WHERE key = ?1", [version], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .doing("read a document")?;
            Ok::<_, StoreError>((text, structure, title, stored_pairs(db, version)?))
        })?;
        let damaged = || StoreError::Damaged { what: "the structure of a document" };
        let structure: Structure = serde_json::from_str(&structure).map_err(|_| damaged())?;
        let blocks = structure.blocks().ok_or_else(damaged)?;
        let (pairs, drafts): (Vec<i64>, Vec<PairDraft>) = stored.into_iter().unzip();
        let count = |text: &str| self.embed.count_tokens(text);
        let ruler = Ruler::new(self.embed.identity().max_tokens, &count);
        let cut = cut(&text, &blocks, &drafts, title.as_deref().unwrap_or_default(), &ruler);
        Ok(Recut { version, text, pairs, cut })
    }

    fn store_recut(&self, target: &Target, batch: &[Recut]) -> Result<(), MaintainError> {
        let inputs: Vec<&Input> = batch.iter().flat_map(|recut| &recut.cut.inputs).collect();
        let vectors = self.vectors(target.generation.key, &inputs, WhenBusy::Wait, &mut |_| {})?;
        let now = self.clock.now();
        self.store.write(|db| {
            let place = target.place(db, now)?;
            let mut rest = vectors.as_slice();
            for Recut { version, text, pairs, cut } in batch {
                let (own, others) = rest.split_at_checked(cut.inputs.len()).unwrap_or((rest, &[]));
                rest = others;
                let present: bool = db
                    .query_row("SELECT count(*) FROM versions WHERE key = ?1 AND state = 'current'", [version], |row| {
                        Ok(row.get::<_, i64>(0)? > 0)
                    })
                    .doing("find a document")?;
                if !present {
                    continue;
                }
                passages::remove(db, place.collection, *version)?;
                let keys = passages::cut_chunks(db, place.collection, *version, text, &cut.chunks, pairs)?;
                passages::insert_vectors(db, place.generation, &keys, &cut.inputs, own)?;
                passages::index_words(db, place.collection, *version)?;
            }
            collections::changed(db, place.collection, true)?;
            Ok::<_, IngestError>(())
        })?;
        Ok(())
    }
}

/// The pairs of a version as they were parsed, in their order, with their keys.
fn stored_pairs(db: &Connection, version: i64) -> Result<Vec<(i64, PairDraft)>, StoreError> {
    let mut statement = db
        .prepare_cached(
            "SELECT key, id, question, also, topic, answer, answer_char, answer_start, answer_end
             FROM pairs WHERE version = ?1 ORDER BY key",
        )
        .doing("load pairs")?;
    let rows = statement
        .query_map([version], |row| {
            let texts: [String; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(5)?];
            let places: [i64; 3] = [row.get(6)?, row.get(7)?, row.get(8)?];
            Ok((row.get(0)?, texts, row.get(4)?, places))
        })
        .doing("load pairs")?;
    rows.map(|row| {
        let (key, [id, question, also, answer], topic, [char, start, end]) = row.doing("load pairs")?;
        let also =
            serde_json::from_str(&also).map_err(|_| StoreError::Damaged { what: "the wordings of a question" })?;
        // Only what cutting asks for is filled: where questions stand and from when a pair holds stay as stored.
        let pair = Pair {
            id,
            question,
            also,
            answer,
            topic,
            effective: None,
            metadata: std::collections::BTreeMap::new(),
            question_start: 0,
            question_end: 0,
            answer_start: usize_of(start)?,
            answer_end: usize_of(end)?,
        };
        Ok((key, PairDraft { pair, expires: None, label: None, answer_char: usize_of(char)? }))
    })
    .collect()
}
