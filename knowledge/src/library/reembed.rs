//! Vectors of another model, built beside those that are searched and switched to in one transaction.

use cloister_terms::CollectionId;
use rusqlite::{Connection, params};

use super::embedding::WhenBusy;
use super::ingest::IngestError;
use super::{Library, MaintainError};
use crate::chunk::{Ruler, Wording, windows};
use crate::draft::{Input, QUESTION_PARTS};
use crate::store::collections::{self, Generation, Stage};
use crate::store::{Doing, StoreError, passages};

/// Passages embedded and stored together.
const BATCH: i64 = 512;

impl Library {
    /// Gives the collection vectors of the model that runs now. They are built beside those that are searched, resume
    /// where an earlier run stopped, and take over in one transaction; the vectors before are kept. Called again under
    /// the earlier model it goes back to them and embeds only what came since. `progress` hears passages done and in
    /// all.
    ///
    /// # Errors
    /// Whatever fails, the vectors that were searched are searched still.
    pub fn reembed(
        &self,
        collection: &CollectionId,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<(), MaintainError> {
        let (key, building) = self.begin_building(collection)?;
        loop {
            let (chunks, total) =
                self.store.read(|db| Ok::<_, StoreError>((missing(db, key, &building)?, total(db, key)?)))?;
            if chunks.is_empty() {
                // What was ingested since the look above shows here, under the lock.
                let switched = self.store.write(|db| {
                    if !missing(db, key, &building)?.is_empty() {
                        return Ok(false);
                    }
                    switch(db, key, &building)?;
                    Ok::<_, StoreError>(true)
                })?;
                if switched {
                    return Ok(());
                }
                continue;
            }
            self.fill(&building, &chunks)?;
            let left = self.store.read(|db| count_missing(db, key, &building))?;
            progress(total.saturating_sub(left), total);
        }
    }

    /// Forgets the vectors to which a collection could be rolled back. Returns whether there were any.
    ///
    /// # Errors
    /// [`IngestError::UnknownCollection`] where there is no such collection.
    pub fn forget_previous(&self, collection: &CollectionId) -> Result<bool, MaintainError> {
        Ok(self.store.write(|db| {
            let row =
                collections::find(db, collection)?.ok_or_else(|| IngestError::UnknownCollection(collection.clone()))?;
            let old = collections::generation(db, row.key, Stage::Old)?;
            if let Some(old) = &old {
                collections::drop_generation(db, old.key)?;
            }
            Ok::<_, IngestError>(old.is_some())
        })?)
    }

    fn begin_building(&self, collection: &CollectionId) -> Result<(i64, Generation), MaintainError> {
        let (identity, now) = (self.embed.identity(), self.clock.now());
        Ok(self.store.write(|db| {
            let row =
                collections::find(db, collection)?.ok_or_else(|| IngestError::UnknownCollection(collection.clone()))?;
            let begun = collections::generation(db, row.key, Stage::Building)?;
            if let Some(same) = begun.as_ref().filter(|generation| generation.is_of(&identity)) {
                return Ok((row.key, same.clone()));
            }
            if let Some(other) = begun {
                collections::drop_generation(db, other.key)?;
            }
            let active = collections::active(db, row.key)?;
            let old = collections::generation(db, row.key, Stage::Old)?;
            let back = old.filter(|old| old.is_of(&identity) && !active.is_of(&identity));
            match back {
                Some(old) => collections::restage(db, old.key, Stage::Building)?,
                None => collections::begin_generation(db, row.key, &identity, Stage::Building, now).map(drop)?,
            }
            let building = collections::generation(db, row.key, Stage::Building)?
                .ok_or(StoreError::Damaged { what: "an index generation" })?;
            Ok::<_, IngestError>((row.key, building))
        })?)
    }

    fn fill(&self, building: &Generation, chunks: &[i64]) -> Result<(), MaintainError> {
        let mut inputs = Vec::new();
        self.store.read(|db| {
            for (at, chunk) in chunks.iter().enumerate() {
                inputs.extend(self.inputs_of(db, at, *chunk)?);
            }
            Ok::<_, StoreError>(())
        })?;
        let vectors = self.vectors(building.key, &inputs.iter().collect::<Vec<_>>(), WhenBusy::Wait, &mut |_| {})?;
        self.store.write(|db| {
            // A passage deleted meanwhile takes no vector.
            let there = |chunk: &i64| -> Result<bool, StoreError> {
                db.query_row("SELECT count(*) FROM chunks WHERE key = ?1", [chunk], |row| Ok(row.get::<_, i64>(0)? > 0))
                    .doing("find a passage")
            };
            for (input, vector) in inputs.iter().zip(&vectors) {
                if let Some(chunk) = chunks.get(input.chunk)
                    && there(chunk)?
                {
                    let single = Input { chunk: 0, part: input.part, text: String::new(), digest: input.digest };
                    passages::insert_vectors(db, building.key, &[*chunk], &[single], std::slice::from_ref(vector))?;
                }
            }
            passages::drop_spare(db, building.key)
        })?;
        Ok(())
    }

    /// What is embedded for a stored passage; nothing where it is gone.
    fn inputs_of(&self, db: &Connection, at: usize, chunk: i64) -> Result<Vec<Input>, StoreError> {
        let Some(row) = passages::read(db, chunk)? else { return Ok(Vec::new()) };
        let (title, pair, is_first): (String, Option<i64>, bool) = db
            .prepare_cached(
                "SELECT title, pair, NOT EXISTS (SELECT 1 FROM chunks o WHERE o.pair = c.pair AND o.ordinal < c.ordinal)
                 FROM chunks c WHERE key = ?1",
            )
            .and_then(|mut statement| statement.query_row([chunk], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .doing("read a passage")?;
        let count = |text: &str| self.embed.count_tokens(text);
        let ruler = Ruler::new(self.embed.identity().max_tokens, &count);
        let wording = Wording { title: &title, headings: &row.path };
        let texts = windows(wording, &row.body, &ruler);
        let mut inputs: Vec<Input> =
            (0..QUESTION_PARTS).zip(texts).map(|(part, text)| Input::new(at, part, text)).collect();
        if let Some(pair) = pair.filter(|_| is_first)
            && let Some(pair) = passages::read_pair(db, pair)?
        {
            let none = Wording { title: "", headings: &[] };
            let questions = std::iter::once(&pair.question).chain(&pair.also);
            for (part, question) in (QUESTION_PARTS..).zip(questions) {
                let text = windows(none, question, &ruler).into_iter().next();
                inputs.extend(text.map(|text| Input::new(at, part, text)));
            }
        }
        Ok(inputs)
    }
}

const MISSING: &str = "FROM chunks c WHERE c.collection = ?1
   AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.chunk = c.key AND v.generation = ?2)";

fn missing(db: &Connection, collection: i64, generation: &Generation) -> Result<Vec<i64>, StoreError> {
    db.prepare_cached(&format!("SELECT c.key {MISSING} ORDER BY c.key LIMIT ?3"))
        .and_then(|mut statement| {
            statement.query_map(params![collection, generation.key, BATCH], |row| row.get(0))?.collect()
        })
        .doing("find passages without vectors")
}

fn count_missing(db: &Connection, collection: i64, generation: &Generation) -> Result<usize, StoreError> {
    let count: i64 = db
        .query_row(&format!("SELECT count(*) {MISSING}"), params![collection, generation.key], |row| row.get(0))
        .doing("count passages without vectors")?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn total(db: &Connection, collection: i64) -> Result<usize, StoreError> {
    let count: i64 = db
        .query_row("SELECT count(*) FROM chunks WHERE collection = ?1", [collection], |row| row.get(0))
        .doing("count passages")?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn switch(db: &Connection, collection: i64, building: &Generation) -> Result<(), StoreError> {
    if let Some(old) = collections::generation(db, collection, Stage::Old)? {
        collections::drop_generation(db, old.key)?;
    }
    let active = collections::active(db, collection)?;
    collections::restage(db, active.key, Stage::Old)?;
    collections::restage(db, building.key, Stage::Active)?;
    collections::changed(db, collection, true)
}
