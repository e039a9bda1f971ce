//! The releases that opened a store, so that another one makes a backup before it changes a schema, and the one before can go
//! back to it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::{BackupError, BackupLabel, Store, StoreError, label_of};

/// What the name of a backup begins with that was made when another release took over.
const BEFORE: &str = "before-";

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
            let name = format!("{BEFORE}{release}-{}.backup", at.as_second());
            self.back_up(&folder.join(name), &BTreeMap::new(), at)?;
        }
        self.note_release(release, at)?;
        Ok(last.is_some())
    }

    /// The newest backup in `folder` that was made when another release took over from `release`; none where none did, or
    /// where the store went back to it since.
    ///
    /// # Errors
    /// When the folder cannot be read, or the database fails.
    pub fn left_by(&self, release: &str, folder: &Path) -> Result<Option<(PathBuf, BackupLabel)>, BackupError> {
        let io = |source| BackupError::Io { path: folder.to_owned(), doing: "read", source };
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(io)?,
        };
        let mut newest: Option<(PathBuf, BackupLabel)> = None;
        for entry in entries {
            let path = entry.map_err(io)?.path();
            if path.file_name().is_none_or(|name| !name.to_string_lossy().starts_with(BEFORE)) {
                continue;
            }
            // What is no backup, or one of a form that this program does not know, is not what it left.
            let Ok(label) = label_of(&path) else { continue };
            let newer = newest.as_ref().is_none_or(|(_, newest)| newest.at < label.at);
            if label.release.as_deref() == Some(release) && newer {
                newest = Some((path, label));
            }
        }
        let Some((path, label)) = newest else { return Ok(None) };
        let since = |connection: &Connection| {
            let mut statement = connection.prepare("SELECT at FROM releases WHERE version <> ?1")?;
            let times =
                statement.query_map([release], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            Ok(times.iter().filter_map(|at| at.parse::<Timestamp>().ok()).any(|at| at >= label.at))
        };
        let taken_over = self.on_releases(since)?.unwrap_or(false);
        Ok(taken_over.then_some((path, label)))
    }

    /// The release that opened the store last; none where none was noted.
    pub(super) fn release(&self) -> Result<Option<String>, StoreError> {
        let last = "SELECT version FROM releases ORDER BY number DESC LIMIT 1";
        let noted = self.on_releases(|c| c.query_row(last, [], |row| row.get(0)).optional())?.flatten();
        match noted {
            Some(version) => Ok(Some(version)),
            None => self.earlier_note(),
        }
    }

    /// `work` on the table of releases; none where there is no such table yet.
    fn on_releases<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<Option<T>, StoreError> {
        self.where_there_is("releases", work)
    }

    /// What releases noted that kept the last one alone.
    fn earlier_note(&self) -> Result<Option<String>, StoreError> {
        let noted = self.where_there_is("release", |connection| {
            connection.query_row("SELECT version FROM release", [], |row| row.get(0)).optional()
        });
        noted.map(Option::flatten)
    }

    fn where_there_is<T>(
        &self,
        table: &str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let fleet = self.fleet();
        let done = fleet.connect().and_then(|connection| {
            let there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";
            match connection.query_row(there, [table], |_| Ok(())).optional()? {
                Some(()) => work(&connection).map(Some),
                None => Ok(None),
            }
        });
        done.map_err(|error| fleet.error(error))
    }

    fn note_release(&self, release: &str, at: Timestamp) -> Result<(), StoreError> {
        let fleet = self.fleet();
        let noted = fleet.connect().and_then(|connection| {
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS releases (
                     number INTEGER PRIMARY KEY, version TEXT NOT NULL, at TEXT NOT NULL) STRICT;",
            )?;
            connection.execute("INSERT INTO releases (version, at) VALUES (?1, ?2)", [release, &at.to_string()])
        });
        noted.map(drop).map_err(|error| fleet.error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + hour * 3600).unwrap()
    }

    #[test]
    fn another_release_makes_one_backup_before_it_begins() {
        let (folder, store) = store();
        let backups = folder.path().join("backups");
        assert!(!store.taken_over_by("1.0.0", &backups, at(0)).unwrap(), "the first release has nothing to lose");
        assert!(!store.taken_over_by("1.0.0", &backups, at(0)).unwrap());
        assert!(!backups.exists());
        assert!(store.taken_over_by("1.1.0", &backups, at(0)).unwrap());
        assert!(!store.taken_over_by("1.1.0", &backups, at(0)).unwrap());
        let made = backups.join("before-1.1.0-1767225600.backup");
        assert!(store.verify_backup(&made).unwrap().unreadable.is_empty());
        assert!(store.taken_over_by("1.0.0", &backups, at(0)).unwrap(), "going back is a change as well");
    }

    #[test]
    fn what_a_release_left_is_found_until_the_store_has_gone_back_to_it() {
        let (folder, store) = store();
        let backups = folder.path().join("backups");
        store.taken_over_by("1.0.0", &backups, at(0)).unwrap();
        assert_eq!(store.left_by("1.0.0", &backups).unwrap(), None, "nobody took over");
        store.taken_over_by("1.1.0", &backups, at(1)).unwrap();
        std::fs::write(backups.join("before-lunch.backup"), "no backup").unwrap();
        let left = |release| store.left_by(release, &backups).unwrap().map(|(path, _)| path);
        let of_first = Some(backups.join(format!("before-1.1.0-{}.backup", at(1).as_second())));
        assert_eq!((left("1.0.0"), left("1.1.0"), left("0.9.0")), (of_first.clone(), None, None));
        // A start of the old program, which is no way back, hides nothing.
        store.taken_over_by("1.0.0", &backups, at(2)).unwrap();
        assert_eq!(left("1.0.0"), of_first);
        store.taken_over_by("1.1.0", &backups, at(3)).unwrap();
        let of_second = Some(backups.join(format!("before-1.1.0-{}.backup", at(3).as_second())));
        assert_eq!(left("1.0.0"), of_second, "the newest");
    }

    #[test]
    fn a_note_of_the_form_before_is_read() {
        let (folder, store) = store();
        let table = "CREATE TABLE release (one INTEGER PRIMARY KEY CHECK (one = 1), version TEXT NOT NULL) STRICT;";
        let connection = store.fleet().connect().unwrap();
        connection.execute_batch(&format!("{table} INSERT INTO release VALUES (1, '0.1.0');")).unwrap();
        assert!(!store.taken_over_by("0.1.0", &folder.path().join("backups"), at(0)).unwrap());
        assert!(store.taken_over_by("0.2.0", &folder.path().join("backups"), at(0)).unwrap());
    }
}
