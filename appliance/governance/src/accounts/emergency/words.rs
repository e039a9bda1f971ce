//! What was said in words of an emergency access: why it was opened, and what a reviewer noted.
//!
//! It may name a patient, so it lies in the tenant's own database, under the tenant's key, and goes with it.

use aws_lc_rs::digest;
use cloister_terms::{EmergencyId, Phi};
use rusqlite::{Connection, OptionalExtension as _};

use crate::store::{Database, StoreError};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS emergency_words (
         id     TEXT PRIMARY KEY,
         reason TEXT NOT NULL,
         note   TEXT
     ) STRICT, WITHOUT ROWID;";

/// What was said in words of an emergency access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyWords {
    /// Why it was opened.
    pub reason: Phi<String>,
    /// What a reviewer noted.
    pub note: Option<Phi<String>>,
}

impl EmergencyWords {
    /// Those of an emergency access to the tenant whose database this is; none where they are not there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn of(tenant: &Database, id: EmergencyId) -> Result<Option<Self>, StoreError> {
        with(tenant, |connection| {
            let statement = "SELECT reason, note FROM emergency_words WHERE id = ?1";
            let read = |row: &rusqlite::Row<'_>| {
                let note: Option<String> = row.get(1)?;
                Ok(Self { reason: Phi::new(row.get(0)?), note: note.map(Phi::new) })
            };
            connection.query_row(statement, [id.to_string()], read).optional()
        })
    }
}

pub(super) fn keep(tenant: &Database, id: EmergencyId, reason: &Phi<String>) -> Result<(), StoreError> {
    let statement = "INSERT INTO emergency_words (id, reason) VALUES (?1, ?2)";
    with(tenant, |connection| connection.execute(statement, [&id.to_string(), reason.expose()])).map(drop)
}

pub(super) fn note(tenant: &Database, id: EmergencyId, note: &Phi<String>) -> Result<(), StoreError> {
    let statement = "UPDATE emergency_words SET note = ?2 WHERE id = ?1";
    with(tenant, |connection| connection.execute(statement, [&id.to_string(), note.expose()])).map(drop)
}

fn with<T>(tenant: &Database, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
    let done = tenant.connect().and_then(|connection| {
        connection.execute_batch(TABLE)?;
        work(&connection)
    });
    done.map_err(|error| tenant.error(error))
}

/// What the audit log holds of a reason. Without the salt, nobody can try reasons that they guess.
pub(super) fn commitment(salt: &[u8], reason: &Phi<String>) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(salt);
    hash.update(reason.expose().as_bytes());
    hex::encode(hash.finish())
}
