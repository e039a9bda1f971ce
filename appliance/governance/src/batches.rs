//! A tenant's batches: files of requests that are worked through while interactive work goes first, and the files of what
//! came of them.
//!
//! A program hands in a [`FileLabel`] with its content, starts a [`Batch`] on it, and reads the files that the batch leaves. All
//! of it lies in the tenant's own database, encrypted, and is its owner's alone: another account of the tenant finds nothing.
//! Who works a batch through takes [`Work`], keeps each [`Reply`] as it comes, and ends it with [`Batches::finish`].
//!
//! **What it is not:** it does no work and reads no request. A line is a text here.
//!
//! # Why
//! - **A reply is on the disk before the next line is begun.** What a stop interrupts is taken up again where it stood; a line
//!   whose reply was not kept is asked again.
//! - **Who handed a batch in is kept with it, and asked for again at each line** ([`crate::accounts::Accounts::acting`]): an
//!   account that is disabled, or whose keys are revoked, has nothing more done for it.
//! - **Files are texts of patients**, so they end by themselves after a number of days, whoever forgot them.

use std::{collections::BTreeSet, fmt, sync::Arc};

use cloister_terms::{Action, BatchId, Clock, FileId, Phi, Random, TenantId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior};

use crate::{
    accounts::{AccountId, Standing},
    policy::Permit,
    store::{NotWritten, Store, StoreError, Writer},
};

mod batch;
mod table;

pub use batch::{Batch, Complaint, Counts, Ended, NewBatch, Reply, State, Work};

/// Days that files are kept where the site does not say.
pub const RETENTION_DAYS: u32 = 30;

/// Most files of one account, and most of its batches that have not ended: a list stays one that can be shown.
const MOST_FILES: u64 = 10_000;
const MOST_OPEN: u64 = 100;

/// How long a batch may take.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// What a list shows of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLabel {
    /// Its id.
    pub id: FileId,
    /// What its owner calls it.
    pub name: Phi<String>,
    /// Whether a batch made it, rather than its owner.
    pub output: bool,
    /// When it was made.
    pub at: Timestamp,
    /// How long it is.
    pub bytes: u64,
}

/// Why nothing was written or read. No variant holds anything of a file.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write failed, now or earlier.
    #[error("batches cannot be written: free the disk or mend it, then start the program again")]
    Closed,
    /// The permit is for something else.
    #[error("the permit is not for these batches")]
    NotPermitted,
    /// The owner's files would take more than they may.
    #[error("the files of this account would take more than {most} bytes: delete some that are not needed any more")]
    NoRoom {
        /// Most bytes of all files of one account.
        most: u64,
    },
    /// The owner has as many files, or as many batches that have not ended, as they may.
    #[error(
        "the account has {most} {what}, and may have no more: delete files that are not needed, or wait for a batch"
    )]
    TooMany {
        /// Files, or batches that have not ended.
        what: &'static str,
        /// Most of them.
        most: u64,
    },
    /// The file is being worked through.
    #[error("the file is being worked through: cancel the batch first")]
    InUse,
    /// A row does not read back.
    #[error("the batch {0} is not as it was written: restore a backup")]
    Damaged(String),
}

/// The batches of one tenant. Cheap to clone. Every call blocks.
#[derive(Clone)]
pub struct Batches(Arc<Inner>);

struct Inner {
    store: Store,
    tenant: TenantId,
    room: Room,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    writer: Writer,
}

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Days that files and batches are kept.
    pub days: u32,
    /// Most bytes of all files of one account.
    pub bytes: u64,
}

impl Batches {
    /// The batches of `tenant`. Nothing is made or opened before it is needed.
    pub fn of(store: &Store, tenant: &TenantId, room: Room, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let (store, tenant) = (store.clone(), tenant.clone());
        Self(Arc::new(Inner { store, tenant, room, clock, random, writer: Writer::default() }))
    }

    /// Whose they are.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// How much is kept, and for how long.
    pub fn room(&self) -> Room {
        self.0.room
    }

    /// Keeps a file of requests.
    ///
    /// # Errors
    /// [`BatchError::NoRoom`] where the owner's files would take too much; or when it cannot be written.
    pub fn put_file(&self, permit: &Permit, name: Phi<String>, content: &[u8]) -> Result<FileLabel, BatchError> {
        let owner = self.owner(permit, Action::RunBatch)?;
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let label = FileLabel { id: self.file_id(), name, output: false, at: self.now(), bytes };
        let most = self.0.room.bytes;
        let kept = self.with(|connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let (files, taken) = table::kept_by(&change, owner)?;
            if files >= MOST_FILES {
                return Ok(Err(BatchError::TooMany { what: "files", most: MOST_FILES }));
            }
            if taken.saturating_add(bytes) > most {
                return Ok(Err(BatchError::NoRoom { most }));
            }
            table::insert_file(&change, owner, &label, content)?;
            change.commit()?;
            Ok(Ok(()))
        })?;
        kept.map(|()| label)
    }

    /// The owner's files, the newest first.
    ///
    /// # Errors
    /// When the permit is for something else, or the database fails.
    pub fn files(&self, permit: &Permit) -> Result<Vec<FileLabel>, BatchError> {
        let owner = self.owner(permit, Action::ReadBatch)?;
        let cutoff = self.cutoff();
        self.with(|connection| table::files(connection, owner, cutoff))
    }

    /// One of the owner's files; none if they have no such file.
    ///
    /// # Errors
    /// As [`Batches::files`].
    pub fn file(&self, permit: &Permit, id: FileId) -> Result<Option<FileLabel>, BatchError> {
        let owner = self.owner(permit, Action::ReadBatch)?;
        let cutoff = self.cutoff();
        self.with(|connection| table::file(connection, owner, id, cutoff))
    }

    /// What stands in one of the owner's files. [`Action::RunBatch`] reads what a batch is to be started on.
    ///
    /// # Errors
    /// As [`Batches::files`].
    pub fn content(&self, permit: &Permit, id: FileId) -> Result<Option<Phi<Vec<u8>>>, BatchError> {
        let owner = match permit.action() {
            Action::RunBatch => self.owner(permit, Action::RunBatch)?,
            _ => self.owner(permit, Action::ReadBatch)?,
        };
        let cutoff = self.cutoff();
        self.with(|connection| table::content(connection, owner, id, cutoff)).map(|found| found.map(Phi::new))
    }

    /// Removes one of the owner's files. Whether there was one.
    ///
    /// # Errors
    /// [`BatchError::InUse`] while a batch works through it; or when the database fails.
    pub fn delete_file(&self, permit: &Permit, id: FileId) -> Result<bool, BatchError> {
        let owner = self.owner(permit, Action::RunBatch)?;
        let deleted = self.with(|connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if table::in_use(&change, owner, id)? {
                return Ok(None);
            }
            let found = table::delete_file(&change, owner, id)?;
            change.commit()?;
            Ok(Some(found))
        })?;
        deleted.ok_or(BatchError::InUse)
    }

    /// Starts a batch; none where the owner has no such file any more. One that has complaints has failed at once, and nothing of it is
    /// done.
    ///
    /// # Errors
    /// [`BatchError::TooMany`] where too many have not ended; or when it cannot be written.
    pub fn create(&self, permit: &Permit, new: NewBatch) -> Result<Option<Batch>, BatchError> {
        let owner = self.owner(permit, Action::RunBatch)?;
        let standing = Standing::from(permit.principal());
        let id = BatchId::random(self.0.random.as_ref());
        let batch = Batch::new(id, new, self.now());
        self.with(|connection| {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if !table::has_file(&change, owner, batch.input)? {
                return Ok(Ok(None));
            }
            if table::open_of(&change, owner)? >= MOST_OPEN {
                return Ok(Err(BatchError::TooMany { what: "batches that have not ended", most: MOST_OPEN }));
            }
            table::insert_batch(&change, &standing, &batch)?;
            change.commit()?;
            Ok(Ok(Some(batch)))
        })?
    }

    /// The owner's batches, the newest first, at most `limit`, older than `after`. And whether there are more.
    ///
    /// # Errors
    /// When the permit is for something else, or the database fails.
    pub fn list(
        &self,
        permit: &Permit,
        after: Option<BatchId>,
        limit: usize,
    ) -> Result<(Vec<Batch>, bool), BatchError> {
        let owner = self.owner(permit, Action::ReadBatch)?;
        // One more, which tells whether there are more.
        let mut batches = self.with(|connection| table::batches(connection, owner, after, limit + 1))??;
        let more = batches.len() > limit;
        batches.truncate(limit);
        Ok((batches, more))
    }

    /// One of the owner's batches; none if they have no such batch.
    ///
    /// # Errors
    /// As [`Batches::list`].
    pub fn read(&self, permit: &Permit, id: BatchId) -> Result<Option<Batch>, BatchError> {
        let owner = self.owner(permit, Action::ReadBatch)?;
        self.with(|connection| table::batch(connection, owner, id))?
    }

    /// Calls off one of the owner's batches, which ends once the lines that are under way have. One that has ended stays as it is.
    ///
    /// # Errors
    /// When the permit is for something else, or the database fails.
    pub fn cancel(&self, permit: &Permit, id: BatchId) -> Result<Option<Batch>, BatchError> {
        let owner = self.owner(permit, Action::RunBatch)?;
        let now = self.now();
        self.with(|connection| {
            table::cancel(connection, owner, id, now)?;
            table::batch(connection, owner, id)
        })?
    }

    /// The batches that are to be worked on now: the oldest of each account that has not ended, and those that only have to end.
    /// For whoever works batches through.
    ///
    /// # Errors
    /// When the database fails.
    pub fn due(&self) -> Result<Vec<BatchId>, BatchError> {
        let now = self.now();
        self.with(|connection| table::due(connection, now))
    }

    /// What is left to do of a batch; none if it has ended.
    ///
    /// # Errors
    /// When the database fails, or what was kept does not read back.
    pub fn work(&self, id: BatchId) -> Result<Option<Work>, BatchError> {
        self.with(|connection| table::work(connection, id))?
    }

    /// How a batch stands now: none if it was removed.
    ///
    /// # Errors
    /// When the database fails.
    pub fn state(&self, id: BatchId) -> Result<Option<State>, BatchError> {
        self.with(|connection| table::state(connection, id))
    }

    /// Keeps what came of a line. When this returns, it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn reply(&self, id: BatchId, reply: &Reply) -> Result<(), BatchError> {
        self.with(|connection| {
            // The reply and its count are there together or not at all, whenever the process ends.
            let change = connection.transaction()?;
            table::insert_reply(&change, id, reply)?;
            change.commit()
        })
    }

    /// Ends a batch: what was kept of it becomes its files, with `unanswered` for the lines that nothing was kept of.
    ///
    /// # Errors
    /// When it cannot be written. It then goes on.
    pub fn finish(&self, id: BatchId, ended: Ended, unanswered: &[Reply]) -> Result<(), BatchError> {
        let (now, files) = (self.now(), [self.file_id(), self.file_id()]);
        self.with(|connection| {
            let change = connection.transaction()?;
            unanswered.iter().try_for_each(|reply| table::insert_reply(&change, id, reply))?;
            table::finish(&change, id, ended, files, now)?;
            change.commit()
        })
    }

    /// Removes files and batches whose time is over. How many files there were.
    ///
    /// # Errors
    /// When the database fails; none is then removed.
    pub fn purge(&self) -> Result<u64, BatchError> {
        let cutoff = self.cutoff();
        self.with(|connection| {
            let change = connection.transaction()?;
            let removed = table::purge(&change, cutoff)?;
            change.commit()?;
            Ok(removed)
        })
    }

    /// Whether there are files or batches whose time is over.
    ///
    /// # Errors
    /// When the database fails.
    pub fn expired(&self) -> Result<bool, BatchError> {
        let cutoff = self.cutoff();
        self.with(|connection| table::expired(connection, cutoff))
    }

    fn owner<'a>(&self, permit: &'a Permit, action: Action) -> Result<&'a AccountId, BatchError> {
        let fits = permit.action() == action && permit.tenant() == Some(self.tenant());
        if fits { Ok(&permit.principal().account) } else { Err(BatchError::NotPermitted) }
    }

    fn file_id(&self) -> FileId {
        FileId::random(self.0.random.as_ref())
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What was made before this moment is over.
    fn cutoff(&self) -> Timestamp {
        let kept = SignedDuration::from_hours(24 * i64::from(self.0.room.days));
        self.now().saturating_sub(kept).unwrap_or(Timestamp::MIN)
    }

    /// Works on the one connection for it.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, BatchError> {
        let done = self.0.writer.with(|| self.0.store.tenant(self.tenant()), table::open, work);
        done.map_err(|error| match error {
            NotWritten::Closed => BatchError::Closed,
            NotWritten::Store(error) => error.into(),
        })
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("tenant", &self.0.tenant).field("room", &self.0.room).finish_non_exhaustive()
    }
}

/// Numbers of lines.
pub type Lines = BTreeSet<u32>;

#[cfg(test)]
mod tests;
