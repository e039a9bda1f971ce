//! One encrypted database file and how a connection to it is set up.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::StoreError;
use crate::keys::DataKey;

/// How long a connection waits for another's write before it reports busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// An encrypted database: a path and its key. Cheap to clone; [`Database::connect`] as often as needed.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    path: PathBuf,
    key: DataKey,
}

impl Database {
    pub(super) fn new(path: PathBuf, key: DataKey) -> Self {
        Self(Arc::new(Inner { path, key }))
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
        self.create_private().map_err(|error| sqlite_error(rusqlite::ffi::SQLITE_CANTOPEN, error.to_string()))?;
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
            Some(rusqlite::ErrorCode::NotADatabase) => StoreError::WrongKey { path },
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

fn sqlite_error(code: i32, message: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some(message))
}
