//! How often the keyring was changed, as the accounts' database knows it: a keyring that was changed less is an old one.
//!
//! Both put back together from the same earlier day look right; only what is kept elsewhere shows that, as with the audit
//! log.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::{Database, StoreError};
use crate::keys::KeyringError;

/// Refuses a keyring at `path` whose number `found` is below the one that `fleet` knows, and notes one that is above.
pub(super) fn check(fleet: &Database, found: u64, path: &Path) -> Result<(), StoreError> {
    match newest(fleet)? {
        known if found < known => Err(KeyringError::RolledBack { path: path.to_owned(), found, known }.into()),
        known if found > known => note(fleet, found),
        _ => Ok(()),
    }
}

/// The number of the newest change that `fleet` knows of.
pub(super) fn newest(fleet: &Database) -> Result<u64, StoreError> {
    known(&fleet.open()?).map_err(|error| fleet.error(error))
}

/// Notes that the keyring was changed `generation` times.
pub(super) fn note(fleet: &Database, generation: u64) -> Result<(), StoreError> {
    let noted = fleet.connect().and_then(|connection| {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS keyring (
                 one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL) STRICT;",
        )?;
        connection.execute(
            "INSERT INTO keyring VALUES (1, ?1)
             ON CONFLICT (one) DO UPDATE SET generation = max(generation, excluded.generation)",
            [i64::try_from(generation).unwrap_or(i64::MAX)],
        )
    });
    noted.map(drop).map_err(|error| fleet.error(error))
}

fn known(connection: &Connection) -> rusqlite::Result<u64> {
    let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'keyring'";
    if connection.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(0);
    }
    let generation =
        connection.query_row("SELECT generation FROM keyring", [], |row| row.get::<_, i64>(0)).optional()?;
    Ok(generation.and_then(|generation| u64::try_from(generation).ok()).unwrap_or(0))
}
