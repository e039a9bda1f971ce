//! The release that last opened a store, so that another one makes a backup before it changes a schema.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use rusqlite::OptionalExtension as _;

use super::{BackupError, Store, StoreError};

impl Store {
    /// Makes a backup in `folder` if another release than `release` opened the store last, and notes `release`. Call it
    /// before anything brings a schema up to date. Whether there was cause.
    ///
    /// # Errors
    /// When the backup cannot be made; nothing is noted then.
    pub fn taken_over_by(&self, release: &str, folder: &Path, at: Timestamp) -> Result<bool, BackupError> {
        let last = self.release()?;
        if last.as_deref() == Some(release) {
            return Ok(false);
        }
        if last.is_some() {
            super::private_folder(folder)?;
            // With its time in its name: one of an earlier try, after which the site went back, is not this one.
            let name = format!("before-{release}-{}.backup", at.as_second());
            self.back_up(&folder.join(name), &BTreeMap::new(), at)?;
        }
        self.note_release(release)?;
        Ok(last.is_some())
    }

    fn release(&self) -> Result<Option<String>, StoreError> {
        let fleet = self.fleet();
        let read = fleet.connect().and_then(|connection| {
            let table = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'release'";
            if connection.query_row(table, [], |_| Ok(())).optional()?.is_none() {
                return Ok(None);
            }
            connection.query_row("SELECT version FROM release", [], |row| row.get(0)).optional()
        });
        read.map_err(|error| fleet.error(error))
    }

    fn note_release(&self, release: &str) -> Result<(), StoreError> {
        let fleet = self.fleet();
        let noted = fleet.connect().and_then(|connection| {
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS release (one INTEGER PRIMARY KEY CHECK (one = 1), version TEXT NOT NULL) STRICT;",
            )?;
            connection.execute(
                "INSERT INTO release VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET version = excluded.version",
                [release],
            )
        });
        noted.map(drop).map_err(|error| fleet.error(error))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::store;

    #[test]
    fn another_release_makes_one_backup_before_it_begins() {
        let (folder, store) = store();
        let (backups, at) = (folder.path().join("backups"), "2026-01-01T00:00:00Z".parse().unwrap());
        assert!(!store.taken_over_by("1.0.0", &backups, at).unwrap(), "the first release has nothing to lose");
        assert!(!store.taken_over_by("1.0.0", &backups, at).unwrap());
        assert!(!backups.exists());
        assert!(store.taken_over_by("1.1.0", &backups, at).unwrap());
        assert!(!store.taken_over_by("1.1.0", &backups, at).unwrap());
        let made = backups.join("before-1.1.0-1767225600.backup");
        assert!(store.verify_backup(&made).unwrap().unreadable.is_empty());
        assert!(store.taken_over_by("1.0.0", &backups, at).unwrap(), "going back is a change as well");
    }
}
