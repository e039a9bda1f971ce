//! The tenant's database as this room sees it: connections, transactions, the schema.

pub(crate) mod collections;
pub(crate) mod passages;
mod schema;
pub(crate) mod versions;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Opens a connection to the tenant's encrypted database. Called once for writing and once per concurrent reader.
pub type Connect = Arc<dyn Fn() -> Result<Connection, rusqlite::Error> + Send + Sync>;

/// How long a statement waits for another process's transaction, a bulk ingest's commit for example.
const PATIENCE: Duration = Duration::from_secs(20);

/// Readers kept open for the next search; more are opened under load and closed after it.
const READERS_KEPT: usize = 8;

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A statement failed.
    #[error("the knowledge database failed to {doing}: check disk space and `cloister kb verify`")]
    Database {
        /// What it was asked to do.
        doing: &'static str,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
    /// The schema is from a later release.
    #[error(
        "the knowledge database has schema {found} and this program knows {known}: install the newer release again, or go back with `cloister backup rollback`"
    )]
    Newer {
        /// The schema in the database.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// A row does not say what it must.
    #[error("the knowledge database holds a damaged row ({what}): run `cloister kb verify`")]
    Damaged {
        /// Which kind of row, without its content.
        what: &'static str,
    },
}

/// Says what was being done when a statement failed.
pub(crate) trait Doing<T> {
    /// Names the deed.
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, rusqlite::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { doing, source })
    }
}

/// One connection that writes, and as many readers as search at once.
pub(crate) struct Store {
    connect: Connect,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Connects and brings the schema up to date.
    pub(crate) fn open(connect: Connect) -> Result<Self, StoreError> {
        let mut writer = ready(&connect)?;
        schema::bring_up_to_date(&mut writer)?;
        Ok(Self { connect, writer: Mutex::new(writer), readers: Mutex::new(Vec::new()) })
    }

    /// Runs `work` in one transaction that others see whole or not at all. An error rolls it back.
    pub(crate) fn write<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).doing("begin a transaction")?;
        let done = work(&transaction)?;
        transaction.commit().doing("commit")?;
        Ok(done)
    }

    /// As [`Store::read`], on a connection that has read nothing before.
    pub(crate) fn read_afresh<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        view(&mut ready(&self.connect)?, work)
    }

    /// Runs `work` on one unchanging view of the database.
    pub(crate) fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match kept {
            Some(reader) => reader,
            None => ready(&self.connect)?,
        };
        let done = view(&mut reader, work);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < READERS_KEPT {
            readers.push(reader);
        }
        done
    }
}

/// Dropping the transaction rolls it back, which ends a reading without a trace.
fn view<T, E: From<StoreError>>(
    reader: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let transaction = reader.transaction_with_behavior(TransactionBehavior::Deferred).doing("begin reading")?;
    work(&transaction)
}

fn ready(connect: &Connect) -> Result<Connection, StoreError> {
    let connection = connect().doing("open")?;
    connection.busy_timeout(PATIENCE).doing("set its patience")?;
    connection.pragma_update(None, "foreign_keys", true).doing("switch on its references")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}
