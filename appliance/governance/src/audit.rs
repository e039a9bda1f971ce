//! The audit log: for every decision a durable intent before any work, and one outcome before the last byte.
//!
//! [`Log::intent`] returns once the record is on the disk, with an [`Entry`]; [`Entry::complete`] returns once the outcome is.
//! An entry that is dropped is recorded as abandoned. What a dead process left open is recorded as interrupted when the
//! log is next opened. Records are numbered without gaps; the table refuses to change or forget one. Dropping the last log
//! and entry waits until what was handed in is written and the database is closed.
//!
//! ```text
//! audit.db          records, checkpoints, checkpoint keys    the truth; encrypted
//! audit/            tiles of hashes, newest checkpoint, keys  made from it; may be handed to anyone
//! audit-index.db    one row per entry, for searches           made from it; encrypted
//! ```
//!
//! Records are the leaves of a Merkle tree (RFC 6962). At the latest after 1,000 records or a minute the tree is signed with
//! Ed25519: a checkpoint, which goes into the database, into the folder `audit`, and into the log output under the target
//! `audit.checkpoint`. [`Reader`] searches, verifies, proves and exports; what a verification can find, and what nobody can,
//! stands with [`Verification`].
//!
//! # Why
//! - **The records in the database are the truth**; tree, tiles and index are worked out from them and can be made again.
//!   One encrypted database, whose commits SQLite has made safe, is the only thing that a request waits for: a second store
//!   of record, in files, would be a second sync, and a second thing to lose in a crash.
//! - **A checkpoint costs the request nothing**: it is one more row in the transaction of the record that makes it due.
//!   Tiles are synced elsewhere, on a thread of their own, and follow.
//! - **Checkpoints go where the log output goes**, because what stays on this machine can be put back with it. A journal
//!   that is kept elsewhere, or one printed checkpoint, shows a log that was cut or written anew.
//! - **One writer thread with group commit**: many requests share one sync, so that durability costs a few milliseconds
//!   and not a queue.
//! - **An entry reserves the room for its own outcome**, so that an outcome never waits for room and is never lost to a
//!   full queue. A full queue refuses intents, which is to refuse work.
//! - **A full disk is not a failed write**: the transaction is rolled back, and the record is written into the room that
//!   was kept for it. New work is refused from then on, until there is room again.
//! - **After a failed write nothing more is written.** What a failed sync left on the disk cannot be known, so the log
//!   refuses until the program is started again and has read what is really there.
//! - **The writer is joined, not left behind.** A thread still inside SQLCipher while the process exits races with the
//!   library's own clean-up, and could end by a signal a command that had done its work.
//! - **A log that ends before its own published checkpoint is not written on.** It was put back from an earlier day, and
//!   going on would bury the evidence.

use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cloister_terms::{Clock, EntryId, Random};
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::{Database, StoreError};

mod chain;
mod entry;
mod event;
mod index;
mod leaf;
pub mod merkle;
mod note;
mod proof;
mod publisher;
mod reader;
mod record;
mod reserve;
mod retention;
mod search;
mod table;
mod tile;
mod verification;
mod writer;

use chain::{Chain, ChainError};
pub use entry::Entry;
pub use event::Events;
pub use index::COLUMNS;
pub use note::{Checkpoint, NoteError, SignedCheckpoint, Verifier};
pub use proof::{ConsistencyProof, InclusionProof};
use publisher::Publisher;
pub use reader::{ReadError, Reader};
pub use record::{
    Body, Document, Guardrail, Intent, Model, NewKey, Outcome, OutcomeKind, Record, RecordedIntent, RecordedOutcome,
    Who,
};
use reserve::Reserve;
pub use retention::{Purge, RETENTION_YEARS};
pub use search::{Filter, Found, SearchError};
use table::Row;
use tile::TreeFolder;
pub use verification::{Evidence, Fault, Finding, Verification, checkpoints_in};
use writer::{Message, Writer, WriterThread};

/// Entries that may be open at once. Each holds room for its outcome.
const OPEN_ENTRIES: usize = 2048;

/// Pages of the write-ahead log, of 4 KiB, after which they are brought into the database. Records wait while that is done, so
/// it is done an eighth as often as SQLite would: fewer than one request in a hundred then meets it.
const WAL_PAGES: u32 = 8000;

/// How long a write waits for another process's. A group that holds outcomes must not be given up lightly: longer than
/// any command writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why a record could not be made durable. Work that needs the record must not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Too many entries are open.
    #[error("the audit log has as many open entries as it can hold")]
    Full {
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is full. What is being done is still recorded, in room that was kept for it.
    #[error("the disk is full, so no work is taken: free some of it, and work is taken again")]
    DiskFull {
        /// When to try again.
        retry_after: Duration,
    },
    /// A write failed, now or earlier. The log stays closed until the program is started again.
    #[error("the audit log cannot be written and refuses work: free the disk or mend it, then start the program again")]
    Closed,
}

/// Why the log could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Its database failed.
    #[error("the audit log cannot be opened or read")]
    Store(#[source] StoreError),
    /// Its lock file failed.
    #[error("the audit log's lock {path} cannot be taken")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The writer thread could not be started.
    #[error("the audit log's writer cannot be started")]
    Thread(#[source] std::io::Error),
    /// A published checkpoint covers records that are not there.
    #[error(
        "the audit log ends at record {present}, and a checkpoint published in {folder} covers {covered}: its end is gone; run `cloister audit verify`, and restore a backup; if an earlier log was put back on purpose, move that folder away"
    )]
    Cut {
        /// Records that are there.
        present: u64,
        /// Records that the checkpoint covers.
        covered: u64,
        /// The folder of the published tree.
        folder: PathBuf,
    },
    /// The checkpoint key does not read back.
    #[error("the key that signs the audit log's checkpoints cannot be used: restore a backup of {path}")]
    Key {
        /// The database.
        path: PathBuf,
    },
    /// A record does not read back.
    #[error(
        "record {sequence} of the audit log is not as it was written, or is missing: run `cloister audit verify`, and restore a backup"
    )]
    Damaged {
        /// Its number.
        sequence: u64,
    },
}

/// The audit log. Cheap to clone; all clones share one writer.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    database: Database,
    sender: mpsc::Sender<Message>,
    closed: Arc<AtomicBool>,
    reserve: Arc<Reserve>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    origin: String,
    interrupted: usize,
    /// Last, so that the sender is gone when the writer is waited for.
    writer: Arc<WriterThread>,
}

impl Log {
    /// Opens the log, and closes as interrupted what a dead process left open.
    ///
    /// Entries that a living process holds open are left alone: every open log holds a shared lock beside the database.
    pub fn open(database: &Database, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Self, LogError> {
        Self::with_room(database, clock, random, OPEN_ENTRIES)
    }

    fn with_room(
        database: &Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        open_entries: usize,
    ) -> Result<Self, LogError> {
        let mut connection = database.open().map_err(LogError::Store)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| LogError::Store(database.error(error)))?;
        let rarer = connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES);
        rarer.map_err(|error| LogError::Store(database.error(error)))?;
        table::migrate(&mut connection, database)?;
        let (lock, alone) = lock(database)?;
        let failed = |error| chain_error(database, error);
        let mut chain = Chain::open(&mut connection, random.as_ref()).map_err(failed)?;
        let tree = tree(database);
        whole(&chain, &tree)?;
        let interrupted =
            if alone { close_orphans(&mut chain, &mut connection, clock.now()).map_err(failed)? } else { 0 };
        let lock = share(database, lock)?;
        let publisher = Publisher::start(database.clone(), tree).map_err(LogError::Thread)?;
        let (sender, receiver) = mpsc::channel(2 * open_entries);
        let closed = Arc::new(AtomicBool::new(false));
        let origin = chain.origin().to_owned();
        let (closes, time) = (closed.clone(), clock.clone());
        let reserve = Arc::new(Reserve::beside(database.path(), Arc::clone(&clock)));
        let room = Arc::clone(&reserve);
        let watermarks = database.watermarks();
        let writer =
            Writer { connection, chain, publisher, receiver, closed: closes, reserve: room, clock: time, watermarks };
        let writer = Arc::new(writer.start(lock).map_err(LogError::Thread)?);
        let database = database.clone();
        Ok(Self(Arc::new(Inner { database, sender, closed, reserve, clock, random, origin, interrupted, writer })))
    }

    /// How many entries of a dead process were closed as interrupted when this log was opened.
    pub fn interrupted(&self) -> usize {
        self.0.interrupted
    }

    /// Whether the log takes records.
    pub fn is_open(&self) -> bool {
        !self.0.closed.load(Ordering::Acquire) && !self.0.sender.is_closed()
    }

    /// Records that something is about to be done. When this returns, the record is on the disk.
    ///
    /// Dropping the future before that records the entry as abandoned.
    pub async fn intent(&self, intent: Intent) -> Result<Entry, AuditError> {
        let (entry, written) = self.begin(intent)?;
        entry.opened(written.await.unwrap_or(Err(AuditError::Closed)))
    }

    /// [`Log::intent`] for commands. Panics inside an asynchronous task.
    pub fn intent_blocking(&self, intent: Intent) -> Result<Entry, AuditError> {
        let (entry, written) = self.begin(intent)?;
        entry.opened(written.blocking_recv().unwrap_or(Err(AuditError::Closed)))
    }

    /// Waits until every record handed in before is on the disk. For an orderly stop.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (acknowledge, written) = oneshot::channel();
        self.0.sender.send(Message::Flush(acknowledge)).await.map_err(|_| AuditError::Closed)?;
        written.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Waits until a checkpoint covers every record handed in before. Panics inside an asynchronous task.
    pub fn checkpoint_blocking(&self) -> Result<(), AuditError> {
        let (acknowledge, written) = oneshot::channel();
        self.0.sender.blocking_send(Message::Checkpoint(acknowledge)).map_err(|_| AuditError::Closed)?;
        written.blocking_recv().unwrap_or(Err(AuditError::Closed))
    }

    /// The newest checkpoint, if there is one. Reads the database.
    pub fn newest_checkpoint(&self) -> Result<Option<SignedCheckpoint>, LogError> {
        let connection = self.0.database.open().map_err(LogError::Store)?;
        let newest =
            table::newest_checkpoint(&connection).map_err(|error| LogError::Store(self.0.database.error(error)))?;
        let damaged = |size| LogError::Damaged { sequence: size };
        newest.map(|newest| newest.read().map(|(_, signed)| signed).ok_or_else(|| damaged(newest.size))).transpose()
    }

    /// A new checkpoint key. It takes over when an outcome that [announces](Outcome::announcing) it is recorded, and the
    /// checkpoint over that record bears the signatures of both.
    pub fn next_key(&self) -> Result<NewKey, LogError> {
        let path = self.0.database.path().to_owned();
        NewKey::random(&self.0.origin, self.0.random.as_ref()).ok_or(LogError::Key { path })
    }

    /// Removes the records that are older than `years`, in whole bundles of 256, and leaves their hashes in the tree. Fewer
    /// years than [`RETENTION_YEARS`] count as that many. Reads the whole log first: one that does not verify loses nothing.
    pub fn purge_blocking(&self, years: u32, reader: &Reader) -> Result<Purge, ReadError> {
        retention::purge(&self.0.database, self.0.clock.now(), years, reader)
    }

    /// Up to `limit` records with a number above `after`, in order. Reads the database, so call it where blocking is allowed.
    pub fn since(&self, after: u64, limit: usize) -> Result<Vec<Record>, LogError> {
        let connection = self.0.database.open().map_err(LogError::Store)?;
        table::since(&connection, &self.0.database, after, limit)
    }

    fn begin(&self, intent: Intent) -> Result<(Entry, oneshot::Receiver<Result<(), AuditError>>), AuditError> {
        if !self.is_open() {
            return Err(AuditError::Closed);
        }
        if self.0.reserve.is_spent() {
            return Err(AuditError::DiskFull { retry_after: reserve::PERIOD });
        }
        let retry_after = Duration::from_secs(1);
        let reserve = || {
            self.0.sender.clone().try_reserve_owned().map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => AuditError::Full { retry_after },
                mpsc::error::TrySendError::Closed(_) => AuditError::Closed,
            })
        };
        let (room, room_for_outcome) = (reserve()?, reserve()?);
        let id = EntryId::random(self.0.random.as_ref());
        let (acknowledge, written) = oneshot::channel();
        // The entry is made before the record is handed over, so that from here on dropping it leaves a trace.
        let entry = Entry::new(id, room_for_outcome, self.0.clock.clone(), self.0.writer.clone());
        room.send(Message::Intent { entry: id, at: self.0.clock.now(), intent: Box::new(intent), acknowledge });
        Ok((entry, written))
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("database", &self.0.database).field("open", &self.is_open()).finish_non_exhaustive()
    }
}

/// The folder of the published tree.
fn tree(database: &Database) -> TreeFolder {
    TreeFolder::new(database.path().with_extension(""))
}

/// Refuses a log that ends before what was published of it: somebody put an earlier one in its place.
fn whole(chain: &Chain, tree: &TreeFolder) -> Result<(), LogError> {
    // A published checkpoint that cannot be read does not stop the work; verification says so.
    let published = tree.checkpoint().ok().flatten().map(|signed| signed.checkpoint);
    match published.filter(|published| published.origin == chain.origin() && published.size > chain.size()) {
        Some(published) => {
            Err(LogError::Cut { present: chain.size(), covered: published.size, folder: tree.path().to_owned() })
        }
        None => Ok(()),
    }
}

/// Closes every open entry as interrupted, and covers what a dead process left without a checkpoint. Says how many entries
/// there were.
fn close_orphans(chain: &mut Chain, connection: &mut Connection, now: Timestamp) -> Result<usize, ChainError> {
    let outcome = Outcome::of(OutcomeKind::Interrupted);
    let body =
        record::outcome_bytes(&outcome).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let open = table::open_entries(connection)?.into_iter();
    let rows: Vec<Row> =
        open.map(|entry| Row { at: now, entry, closes: true, body: body.clone(), key: None }).collect();
    if !rows.is_empty() || chain.uncovered() {
        // The writer says and publishes the newest checkpoint when it starts.
        chain.append(connection, &rows, now, true)?;
    }
    Ok(rows.len())
}

fn chain_error(database: &Database, error: ChainError) -> LogError {
    match error {
        ChainError::Database(error) => LogError::Store(database.error(error)),
        ChainError::Damaged { sequence } => LogError::Damaged { sequence },
        ChainError::Key => LogError::Key { path: database.path().to_owned() },
    }
}

/// The lock file, and whether nobody else has the log open. If so, it is held alone until [`share`].
fn lock(database: &Database) -> Result<(File, bool), LogError> {
    use rustix::fs::{FlockOperation, Mode, OFlags, flock};
    let path = lock_path(database);
    let failed = |errno: rustix::io::Errno| LogError::Lock { path: path.clone(), source: errno.into() };
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?);
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok((file, true)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok((file, false)),
        Err(errno) => Err(failed(errno)),
    }
}

/// Holds the lock together with the others who have the log open. Waits for one that is just closing orphans.
fn share(database: &Database, file: File) -> Result<File, LogError> {
    let failed = |errno: rustix::io::Errno| LogError::Lock { path: lock_path(database), source: errno.into() };
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockShared).map_err(failed)?;
    Ok(file)
}

fn lock_path(database: &Database) -> PathBuf {
    database.path().with_extension("lock")
}

#[cfg(test)]
mod tests;
