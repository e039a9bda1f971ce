//! The one connection that writes a table, and the end of writing after a failed sync.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use rusqlite::{Connection, ErrorCode};

use super::{Database, StoreError};

/// Opened when it is first needed. What a failed sync left on the disk cannot be known, so nothing is written after one. A full
/// disk is no such failure.
#[derive(Default)]
pub(crate) struct Writer {
    connection: Mutex<Option<Connection>>,
    closed: AtomicBool,
}

/// Why nothing was written.
pub(crate) enum NotWritten {
    /// A write failed, now or earlier.
    Closed,
    /// The store.
    Store(StoreError),
}

impl Writer {
    /// Works on the connection to `database`, which `open` makes where there is none yet.
    pub(crate) fn with<T>(
        &self,
        database: impl FnOnce() -> Result<Database, StoreError>,
        open: impl FnOnce(&Database) -> Result<Connection, StoreError>,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, NotWritten> {
        if self.closed.load(Ordering::Acquire) {
            return Err(NotWritten::Closed);
        }
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let database = database().map_err(NotWritten::Store)?;
        let mut connection = match held.take() {
            Some(connection) => connection,
            None => open(&database).map_err(NotWritten::Store)?,
        };
        match work(&mut connection) {
            Ok(done) => {
                *held = Some(connection);
                Ok(done)
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) => {
                self.closed.store(true, Ordering::Release);
                Err(NotWritten::Closed)
            }
            Err(error) => Err(NotWritten::Store(database.error(error))),
        }
    }
}
