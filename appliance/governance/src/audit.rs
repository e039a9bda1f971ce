//! The audit log: for every decision a durable intent before any work, and one outcome before the last byte.
//!
//! [`Log::intent`] returns once the record is on the disk, with an [`Entry`]; [`Entry::complete`] returns once the outcome is.
//! An entry that is dropped is recorded as abandoned. What a dead process left open is recorded as interrupted when the
//! log is next opened. Records are numbered without gaps; the table refuses to change or forget one. Dropping the last log
//! and entry waits until what was handed in is written and the database is closed.
//!
//! # Why
//! - **One writer thread with group commit**: many requests share one sync, so that durability costs a few milliseconds
//!   and not a queue.
//! - **An entry reserves the room for its own outcome**, so that an outcome never waits for room and is never lost to a
//!   full queue. A full queue refuses intents, which is to refuse work.
//! - **After a failed write nothing more is written.** What a failed sync left on the disk cannot be known, so the log
//!   refuses until the program is started again and has read what is really there.
//! - **The writer is joined, not left behind.** A thread still inside SQLCipher while the process exits races with the
//!   library's own clean-up, and could end by a signal a command that had done its work.

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
use tokio::sync::{mpsc, oneshot};

use crate::store::{Database, StoreError};

mod entry;
mod record;
mod table;
mod writer;

pub use entry::Entry;
pub use record::{Body, Document, Intent, Model, Outcome, OutcomeKind, Record, RecordedIntent, RecordedOutcome, Who};
use writer::{Message, Writer, WriterThread};

/// Entries that may be open at once. Each holds room for its outcome.
const OPEN_ENTRIES: usize = 2048;

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
    /// A record does not read back.
    #[error("record {sequence} of the audit log cannot be read: it was not written by this program, or is damaged")]
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
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
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
        table::migrate(&mut connection, database)?;
        let (lock, alone) = lock(database)?;
        let interrupted = if alone {
            let closed = table::close_orphans(&mut connection, clock.now());
            closed.map_err(|error| LogError::Store(database.error(error)))?
        } else {
            0
        };
        let lock = share(database, lock)?;
        let (sender, receiver) = mpsc::channel(2 * open_entries);
        let closed = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(connection, receiver, closed.clone()).start(lock).map_err(LogError::Thread)?;
        Ok(Self(Arc::new(Inner {
            database: database.clone(),
            sender,
            closed,
            clock,
            random,
            interrupted,
            writer: Arc::new(writer),
        })))
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

    /// Up to `limit` records with a number above `after`, in order. Reads the database, so call it where blocking is allowed.
    pub fn since(&self, after: u64, limit: usize) -> Result<Vec<Record>, LogError> {
        let connection = self.0.database.open().map_err(LogError::Store)?;
        table::since(&connection, &self.0.database, after, limit)
    }

    fn begin(&self, intent: Intent) -> Result<(Entry, oneshot::Receiver<Result<(), AuditError>>), AuditError> {
        if !self.is_open() {
            return Err(AuditError::Closed);
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
