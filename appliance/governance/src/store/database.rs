//! One encrypted database file and how a connection to it is set up.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
    config::DbConfig,
    hooks::Wal,
};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::{
    StoreError,
    watermark::{self, Watermarks},
};
use crate::keys::DataKey;

/// Pages in the write-ahead log from which on it is brought into the database: SQLite's own default.
const CHECKPOINT_PAGES: i32 = 1000;

/// How long a connection waits for another's write before it reports busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An encrypted database: a path and its key. Cheap to clone; [`Database::connect`] as often as needed.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: PathBuf,
    key: DataKey,
    /// Whether it may be made again where it is missing, because all of it comes from elsewhere.
    remade: bool,
    /// What the audit log's own database keeps of the others.
    keeps: Option<Arc<Watermarks>>,
}

impl Database {
    pub(super) fn new(path: PathBuf, key: DataKey) -> Self {
        Self(Arc::new(Inner { path, key, remade: false, keeps: None }))
    }

    /// The one that keeps how far the others had come.
    pub(super) fn keeping(path: PathBuf, key: DataKey, watermarks: &Arc<Watermarks>) -> Self {
        Self(Arc::new(Inner { path, key, remade: false, keeps: Some(Arc::clone(watermarks)) }))
    }

    /// One that is made again where it is missing.
    pub(super) fn remade(path: PathBuf, key: DataKey) -> Self {
        Self(Arc::new(Inner { path, key, remade: true, keeps: None }))
    }

    /// Makes the file with its first page, if it is not there.
    ///
    /// It appears whole: of several that make it at once one wins, and all open that one. Were it to appear empty, each of
    /// them would draw a salt of its own for it, and all but one would fail on the other's first page.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        if self.0.path.exists() {
            return Ok(());
        }
        static MADE: AtomicU64 = AtomicU64::new(0);
        let mut fresh = self.0.path.as_os_str().to_owned();
        fresh.push(format!(".{}-{}.new", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)));
        let fresh = Self::new(PathBuf::from(fresh), self.0.key.clone());
        let made = fresh.first_page();
        let io = |source| StoreError::Io { path: self.0.path.clone(), doing: "created", source };
        let linked = made.and_then(|()| match rustix::fs::link(fresh.path(), &self.0.path) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
            Err(errno) => Err(io(errno.into())),
        });
        for ending in ["", "-wal", "-shm", "-journal"] {
            let mut path = fresh.path().as_os_str().to_owned();
            path.push(ending);
            let _often_not_there = std::fs::remove_file(path);
        }
        linked?;
        crate::keys::sync_folder_of(&self.0.path).map_err(io)
    }

    fn first_page(&self) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { path: self.0.path.clone(), doing: "created", source };
        self.create_private().map_err(io)?;
        let connection = self.set_up().map_err(|source| self.error(source))?;
        connection.close().map_err(|(_, source)| self.error(source))?;
        File::open(&self.0.path).and_then(|file| file.sync_all()).map_err(io)
    }

    /// Encrypts the whole database anew, under `key`. Nobody else may have it open. A crash leaves it under one of the two.
    pub(super) fn rekey(&self, key: &DataKey) -> Result<(), StoreError> {
        let connection = self.open()?;
        // In this mode the journal keeps the old pages under the old key, so that a change that was cut off is rolled back
        // as it was.
        self.leave_wal(&connection)?;
        let statement = Zeroizing::new(format!("PRAGMA rekey = \"x'{}'\";", key.digits().as_str()));
        connection.execute_batch(&statement).map_err(|error| {
            self.error(sqlite_error(raw_code(&error), "the database was not encrypted anew".to_owned()))
        })?;
        connection.close().map_err(|(_, source)| self.error(source))
    }

    /// The database as of this moment in a new file under the same key, while others read and write.
    pub(super) fn copy_to(&self, path: &Path) -> Result<Self, StoreError> {
        let copy = Self::new(path.to_owned(), self.0.key.clone());
        copy.create()?;
        let (source, mut target) = (self.open()?, copy.open()?);
        let stepped = Backup::new(&source, &mut target).and_then(|backup| backup.step(-1));
        match stepped.map_err(|error| self.error(error))? {
            StepResult::Done => {}
            _ => return Err(StoreError::InUse { folder: self.0.path.clone() }),
        }
        target.close().map_err(|(_, error)| copy.error(error))?;
        copy.fold()?;
        Ok(copy)
    }

    /// Brings everything into the one file, and shows if somebody else has it open.
    pub(super) fn fold(&self) -> Result<(), StoreError> {
        let connection = self.open()?;
        self.leave_wal(&connection)?;
        connection.close().map_err(|(_, source)| self.error(source))
    }

    /// From the write-ahead log to the rollback journal, which needs the file alone.
    fn leave_wal(&self, connection: &Connection) -> Result<(), StoreError> {
        let mode = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
        let busy = |error: &rusqlite::Error| {
            matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
        };
        match mode {
            Ok(mode) if mode == "delete" => Ok(()),
            Err(error) if !busy(&error) => Err(self.error(error)),
            _ => Err(StoreError::InUse { folder: self.0.path.clone() }),
        }
    }

    /// Has it count the changes in every table that it has now, so that it shows when it is put back to an earlier state.
    /// For whoever has made tables in it; those that are there when the store is opened are counted without.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn follow(&self) -> Result<(), StoreError> {
        let mut connection = self.open()?;
        watermark::follow(&mut connection).map_err(|error| self.error(error))
    }

    /// What is to be kept here of other databases, for the audit log.
    pub(crate) fn watermarks(&self) -> Option<Arc<Watermarks>> {
        self.0.keeps.clone()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// A connection with SQLCipher keyed, WAL, every commit synced, foreign keys on, deleted content overwritten and
    /// temporary data in memory only.
    ///
    /// With a wrong key this fails with SQLite's `NotADatabase`; [`Database::check`] says it in words.
    pub fn connect(&self) -> rusqlite::Result<Connection> {
        // SQLite would take an empty file for a new database, and what was in it for never there.
        if self.0.path.metadata().map_or(0, |metadata| metadata.len()) == 0 {
            let cannot = |what: String| sqlite_error(rusqlite::ffi::SQLITE_CANTOPEN, what);
            if !self.0.remade {
                return Err(cannot("the file is missing or empty: restore a backup".to_owned()));
            }
            let _often_not_there = std::fs::remove_file(&self.0.path);
            self.create().map_err(|error| cannot(error.to_string()))?;
        }
        self.set_up()
    }

    fn set_up(&self) -> rusqlite::Result<Connection> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(&self.0.path, flags)?;
        self.key(&connection)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Nothing of the schema may run code that the schema's text smuggled in, and no statement may reach around it.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA secure_delete = ON;
             PRAGMA cell_size_check = ON;
             PRAGMA mmap_size = 0;",
        )?;
        connection.wal_hook(Some(checkpoint));
        Ok(connection)
    }

    /// Connects once, and says in words what is wrong if that fails.
    pub fn check(&self) -> Result<(), StoreError> {
        self.open().map(drop)
    }

    /// [`Database::connect`], with a wrong key told apart.
    pub fn open(&self) -> Result<Connection, StoreError> {
        self.connect().map_err(|source| self.error(source))
    }

    /// Puts the path to a database error, and tells a wrong key apart.
    pub(crate) fn error(&self, source: rusqlite::Error) -> StoreError {
        let path = self.0.path.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::WrongKey { path },
            _ => StoreError::Database { path, source },
        }
    }

    /// SQLite would make the file with mode 0644; made beforehand it is 0600, and WAL and shared memory follow it.
    fn create_private(&self) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&self.0.path, flags, Mode::RUSR | Mode::WUSR).map(drop).map_err(Into::into)
    }

    fn key(&self, connection: &Connection) -> rusqlite::Result<()> {
        // SQLCipher would write its own lines to standard error; what went wrong comes back as an error anyway.
        connection.execute_batch("PRAGMA cipher_log_level = NONE;")?;
        // Errors of this one statement are replaced, because SQLite's carry the statement, and it holds the key.
        let statement = Zeroizing::new(format!("PRAGMA key = \"x'{}'\";", self.0.key.digits().as_str()));
        connection
            .execute_batch(&statement)
            .map_err(|_| sqlite_error(rusqlite::ffi::SQLITE_AUTH, "the key was not accepted".to_owned()))?;
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// Brings the write-ahead log into the database once it is long, as SQLite does by itself, which however passes over what
/// fails on the way: a sync that failed once and then succeeded has lost what the first should have written, and the log
/// would be written over all the same. Here the commit that ran into it fails, and its caller stops writing.
///
/// A full disk is no such failure: the log stays until there is room.
fn checkpoint(wal: &Wal, pages: i32) -> rusqlite::Result<()> {
    if pages < CHECKPOINT_PAGES {
        return Ok(());
    }
    match wal.checkpoint() {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) => Err(error),
        _ => Ok(()),
    }
}

fn raw_code(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(rusqlite::ffi::SQLITE_ERROR, |error| error.extended_code)
}

fn sqlite_error(code: i32, message: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(message))
}
