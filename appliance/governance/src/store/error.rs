//! Why the store could not be opened or changed.

use std::{io, path::PathBuf};

use cloister_terms::TenantId;
use rusqlite_migration::MigrationDefinitionError;

use super::Database;
use crate::{audit::AuditError, keys::KeyringError};

/// Why the store could not be opened. No variant holds a key or anything out of a database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder is open to others.
    #[error("the data folder {path} has mode {mode:04o}, so that others may enter it: run `chmod 0700` on it")]
    TooOpen {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder belongs to someone else.
    #[error(
        "the data folder {path} belongs to user {owner}, not to the user {me} that runs this program: run `chown` on it"
    )]
    OtherOwner {
        /// The folder.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The user id of this process.
        me: u32,
    },
    /// The key does not open the database, or the file is damaged at its beginning.
    #[error(
        "{path} does not open with its key: it was made with another key, belongs to another tenant or site, or is damaged; check `keys.master`, or restore a backup"
    )]
    WrongKey {
        /// The database file.
        path: PathBuf,
    },
    /// The keyring or the master key.
    #[error(transparent)]
    Keys(#[from] KeyringError),
    /// A database that was there is gone.
    #[error("{path} is gone, or was cut to nothing: restore a backup")]
    Gone {
        /// The database file.
        path: PathBuf,
    },
    /// A database is not in the state in which it was acknowledged.
    #[error(
        "{path} was put back to an earlier state, or lost its end: {found} changes are there, and the audit log knows of {known}; restore a backup"
    )]
    PutBack {
        /// The database file.
        path: PathBuf,
        /// Changes that it has counted.
        found: u64,
        /// Changes that the audit log knows of.
        known: u64,
    },
    /// Somebody else has it open.
    #[error("{folder} is in use by another process: stop the server, and try again")]
    InUse {
        /// The folder or database.
        folder: PathBuf,
    },
    /// The use of a key could not be recorded.
    #[error("the use of a key could not be recorded, so it was not used")]
    Unrecorded(#[from] AuditError),
    /// No such tenant.
    #[error("there is no tenant `{0}`")]
    UnknownTenant(TenantId),
    /// The tenant is there already.
    #[error("there is a tenant `{0}` already")]
    TenantExists(TenantId),
    /// A later release brought it into its own form.
    #[error(
        "{path} was brought into a later form by a newer release: install that one again, or go back to how this one left the site with `cloister backup rollback`"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path} cannot be {doing}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `created`, `read`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The database refused.
    #[error("the database {path} failed")]
    Database {
        /// The database file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// Why the schema of `database` could not be brought up to date.
    pub(crate) fn of_migration(error: rusqlite_migration::Error, database: &Database) -> Self {
        let path = database.path().to_owned();
        match error {
            rusqlite_migration::Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
                Self::Newer { path }
            }
            rusqlite_migration::Error::RusqliteError { err, .. } => Self::Database { path, source: err },
            other => Self::Database { path, source: rusqlite::Error::ToSqlConversionFailure(Box::new(other)) },
        }
    }
}
