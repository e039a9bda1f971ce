//! Appending: records, the tree over them, and the checkpoints that fall due, each group in one transaction.
//!
//! # Why
//! - **The records are the truth; the tree is worked out from them**, as they are written and again by whoever verifies. A
//!   checkpoint row keeps the tree's right edge, so that opening the log reads what came after it and not six years.
//! - **A checkpoint is written in the transaction of the records that make it due**, so that it costs a signature and no
//!   sync of its own.
//! - **More than one process may write** (the server and a command): what another wrote since is read under the write lock
//!   before ours is added.
//! - **The private half of the checkpoint key lives in the log's own database**, which is encrypted under a key that the
//!   master key guards. It goes when the next key takes over.

use std::sync::Arc;

use cloister_terms::Random;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::{
    leaf::leaf,
    merkle::{Frontier, Hash},
    note::{Checkpoint, SEED_BYTES, Signer, sign},
    record::NewKey,
    table::{self, Row, StoredCheckpoint, signed},
};
use crate::store::watermark;

/// Records between two checkpoints at most.
pub(super) const CHECKPOINT_RECORDS: u64 = 1000;

/// Why a group could not be appended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChainError {
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    #[error("record {sequence} or the checkpoint over it is not as it was written: see `cloister audit verify`")]
    Damaged { sequence: u64 },
    #[error("the checkpoint key cannot be used")]
    Key,
}

/// Where the tree stands, and who signs it.
#[derive(Clone)]
pub(super) struct Chain {
    signer: Arc<Signer>,
    generation: u64,
    frontier: Frontier,
    checkpointed: u64,
}

impl Chain {
    /// The chain of the log in this database. A new log gets its name and its first key here.
    pub(super) fn open(connection: &mut Connection, random: &dyn Random) -> Result<Self, ChainError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if table::generation(&transaction)? == 0 {
            let mut id = [0; 8];
            random.fill(&mut id);
            let name = format!("cloister/audit/{}", hex::encode(id));
            let key = NewKey::random(&name, random).ok_or(ChainError::Key)?;
            insert_key(&transaction, 1, 0, &key)?;
        }
        let (generation, signer) = signer(&transaction)?;
        let fresh = Self { signer: Arc::new(signer), generation, frontier: Frontier::default(), checkpointed: 0 };
        let chain = fresh.followed(&transaction)?;
        transaction.commit()?;
        Ok(chain)
    }

    /// The log's name.
    pub(super) fn origin(&self) -> &str {
        self.signer.verifier().name()
    }

    /// Records in the tree.
    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Whether there are records that no checkpoint covers.
    pub(super) const fn uncovered(&self) -> bool {
        self.frontier.size() > self.checkpointed
    }

    /// Writes `rows` in order, with the checkpoints that fall due, and returns when they are on the disk. All or none.
    ///
    /// With `close` a checkpoint covers the last row too. Returns the notes of the new checkpoints, oldest first.
    pub(super) fn append(
        &mut self,
        connection: &mut Connection,
        rows: &[Row],
        now: Timestamp,
        close: bool,
    ) -> Result<Vec<String>, ChainError> {
        self.append_keeping(connection, rows, now, close, &[])
    }

    /// The same, and in the same transaction how far other databases have come.
    pub(super) fn append_keeping(
        &mut self,
        connection: &mut Connection,
        rows: &[Row],
        now: Timestamp,
        close: bool,
        watermarks: &[(String, u64)],
    ) -> Result<Vec<String>, ChainError> {
        // Immediate: the number is read under the write lock, because another process may write too.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut next = self.followed(&transaction)?;
        let mut notes = Vec::new();
        for row in rows {
            let sequence = next.frontier.size() + 1;
            table::insert(&transaction, sequence, row)?;
            next.frontier.push(Hash::of_leaf(&leaf(sequence, row.at, row.entry, &row.body)));
            if let Some(key) = &row.key {
                let old = next.take_over(&transaction, sequence, key)?;
                notes.push(next.checkpoint(&transaction, now, Some(old.as_ref()))?);
            } else if next.frontier.size() - next.checkpointed >= CHECKPOINT_RECORDS {
                notes.push(next.checkpoint(&transaction, now, None)?);
            }
        }
        if close && next.uncovered() {
            notes.push(next.checkpoint(&transaction, now, None)?);
        }
        watermark::keep(&transaction, watermarks)?;
        transaction.commit()?;
        *self = next;
        Ok(notes)
    }

    /// The chain at the newest record, whoever wrote it.
    fn followed(&self, transaction: &Transaction<'_>) -> Result<Self, ChainError> {
        let mut next = self.clone();
        let head = table::head(transaction)?;
        next.checkpointed = table::checkpointed(transaction)?;
        if head < next.frontier.size() || head < next.checkpointed {
            return Err(ChainError::Damaged { sequence: head + 1 });
        }
        if next.checkpointed > next.frontier.size()
            && let Some(newest) = table::newest_checkpoint(transaction)?
        {
            let (frontier, _) = newest.read().ok_or(ChainError::Damaged { sequence: newest.size })?;
            next.frontier = frontier;
        }
        let from = next.frontier.size();
        table::scan(transaction, from, head, |record| {
            let sequence = next.frontier.size() + 1;
            let leaf = record.leaf().filter(|_| record.sequence == sequence);
            next.frontier.push(Hash::of_leaf(&leaf.ok_or(ChainError::Damaged { sequence })?));
            Ok::<_, ChainError>(())
        })?;
        if next.frontier.size() != head {
            return Err(ChainError::Damaged { sequence: next.frontier.size() + 1 });
        }
        if table::generation(transaction)? != next.generation {
            let (generation, signer) = signer(transaction)?;
            (next.generation, next.signer) = (generation, Arc::new(signer));
        }
        Ok(next)
    }

    /// Makes `key`, which record `announced` announces, the one that signs. Returns the one before.
    fn take_over(
        &mut self,
        transaction: &Transaction<'_>,
        announced: u64,
        key: &NewKey,
    ) -> Result<Arc<Signer>, ChainError> {
        let signer = key.signer().filter(|_| key.verifier().name() == self.origin()).ok_or(ChainError::Key)?;
        self.generation += 1;
        insert_key(transaction, self.generation, announced, key)?;
        transaction
            .execute("UPDATE checkpoint_keys SET seed = NULL WHERE generation < ?1", [signed(self.generation)])?;
        Ok(std::mem::replace(&mut self.signer, Arc::new(signer)))
    }

    /// Signs the tree as it stands. `old` signs too: the key that vouches for the one that takes over.
    fn checkpoint(
        &mut self,
        transaction: &Transaction<'_>,
        now: Timestamp,
        old: Option<&Signer>,
    ) -> Result<String, ChainError> {
        let (origin, size) = (self.origin().to_owned(), self.frontier.size());
        let checkpoint = Checkpoint { origin, size, root: self.frontier.root(), at: now };
        let note = sign(&checkpoint, old.into_iter().chain([self.signer.as_ref()]));
        let row =
            StoredCheckpoint { size, at: now.to_string(), frontier: self.frontier.to_bytes(), note: note.clone() };
        table::insert_checkpoint(transaction, &row)?;
        self.checkpointed = size;
        Ok(note)
    }
}

fn insert_key(transaction: &Transaction<'_>, generation: u64, announced: u64, key: &NewKey) -> Result<(), ChainError> {
    let signer = key.signer().ok_or(ChainError::Key)?;
    transaction.execute(
        "INSERT INTO checkpoint_keys (generation, announced, verifier, seed) VALUES (?1, ?2, ?3, ?4)",
        params![signed(generation), signed(announced), key.verifier().to_string(), signer.seed()],
    )?;
    Ok(())
}

/// The newest key and its generation.
fn signer(transaction: &Transaction<'_>) -> Result<(u64, Signer), ChainError> {
    let statement = "SELECT generation, verifier, seed FROM checkpoint_keys ORDER BY generation DESC LIMIT 1";
    let row = transaction.query_row(statement, [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, Zeroizing::new(row.get::<_, Vec<u8>>(2)?)))
    });
    let (generation, verifier, bytes) = row.optional()?.ok_or(ChainError::Key)?;
    let seed: [u8; SEED_BYTES] = bytes.as_slice().try_into().map_err(|_| ChainError::Key)?;
    let (name, _) = verifier.split_once('+').ok_or(ChainError::Key)?;
    let signer = Signer::new(name, Zeroizing::new(seed)).ok_or(ChainError::Key)?;
    let is_its_own = signer.verifier().to_string() == verifier;
    is_its_own.then_some((u64::try_from(generation).unwrap_or(0), signer)).ok_or(ChainError::Key)
}
