//! How far each database had come, as the audit log knows it: one that was put back to an earlier state shows.
//!
//! Triggers count every row that is changed, in the database itself. Before the audit log writes an outcome it reads the
//! counts, and keeps them in its own database in the transaction of the outcome: what was acknowledged was counted, and it
//! costs no sync of its own. A database that has counted less than the log knows is not the one that was acknowledged. (A
//! command that names files while it ingests many is covered from its outcome on.)
//! That the log itself was put back, its published checkpoint shows.
//!
//! What nobody can tell by this: databases and log, with its published tree, all put back to one moment; and single pages
//! of a database put back, each of which was authentic once.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{Database, StoreError};
use crate::keys::KeyName;

/// The databases whose counts the audit log keeps.
#[derive(Default)]
pub(crate) struct Watermarks(Mutex<BTreeMap<String, Watched>>);

struct Watched {
    database: Database,
    /// Opened for the first count, and kept: what did not change is then read from memory.
    connection: Option<Connection>,
    /// The count that the log has.
    marked: u64,
}

impl Watermarks {
    /// From now on the changes of this database are kept in the log.
    pub(super) fn watch(&self, name: &KeyName, database: &Database) {
        let watched = Watched { database: database.clone(), connection: None, marked: 0 };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), watched);
    }

    /// Lets go of a database: it is encrypted anew, or goes.
    pub(super) fn release(&self, name: &KeyName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name.to_string());
    }

    /// The counts that rose since they were last [kept](Self::kept). A database that cannot be read is left out: whoever
    /// works on it hears of it, and the log goes on.
    pub(crate) fn risen(&self) -> Vec<(String, u64)> {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut risen = Vec::new();
        for (name, watched) in watched.iter_mut() {
            if watched.connection.is_none() {
                watched.connection = watched.database.connect().ok();
            }
            match watched.connection.as_ref().map(changes) {
                Some(Ok(Some(changes))) if changes > watched.marked => risen.push((name.clone(), changes)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => watched.connection = None,
            }
        }
        risen
    }

    /// These counts are in the log, durably.
    pub(crate) fn kept(&self, risen: &[(String, u64)]) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, changes) in risen {
            if let Some(watched) = watched.get_mut(name) {
                watched.marked = watched.marked.max(*changes);
            }
        }
    }
}

/// Keeps counts in the log's database.
pub(crate) fn keep(log: &Connection, risen: &[(String, u64)]) -> rusqlite::Result<()> {
    if risen.is_empty() {
        return Ok(());
    }
    log.execute_batch(
        "CREATE TABLE IF NOT EXISTS watermarks (database TEXT PRIMARY KEY, changes INTEGER NOT NULL) STRICT",
    )?;
    let mut statement = log.prepare_cached(
        "INSERT INTO watermarks VALUES (?1, ?2)
         ON CONFLICT (database) DO UPDATE SET changes = max(changes, excluded.changes)",
    )?;
    for (name, changes) in risen {
        statement.execute(params![name, i64::try_from(*changes).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

/// Refuses a database that has counted fewer changes than the log knows.
pub(super) fn check(log: &Database, name: &KeyName, database: &Database) -> Result<(), StoreError> {
    // The log first: whatever others do meanwhile, the count of the database is then no less than what the log says.
    let kept = kept(&log.open()?, name).map_err(|error| log.error(error))?;
    let found = changes(&database.open()?).map_err(|error| database.error(error))?.unwrap_or(0);
    match kept {
        Some(known) if found < known => Err(StoreError::PutBack { path: database.path().to_owned(), found, known }),
        _ => Ok(()),
    }
}

/// Forgets what the log knows of a database: another one of that name begins.
pub(super) fn forget(log: &Database, name: &KeyName) -> Result<(), StoreError> {
    let connection = log.open()?;
    let forgotten = kept(&connection, name).and_then(|kept| match kept {
        Some(_) => connection.execute("DELETE FROM watermarks WHERE database = ?1", [name.to_string()]),
        None => Ok(0),
    });
    forgotten.map(drop).map_err(|error| log.error(error))
}

/// Forgets all that a copy of the log in a backup knows: the databases beside it there are a moment older.
pub(super) fn forget_all(log: &Connection) -> rusqlite::Result<()> {
    log.execute_batch("DROP TABLE IF EXISTS watermarks")
}

fn kept(log: &Connection, name: &KeyName) -> rusqlite::Result<Option<u64>> {
    if !has(log, "table", "watermarks")? {
        return Ok(None);
    }
    let statement = "SELECT changes FROM watermarks WHERE database = ?1";
    log.query_row(statement, [name.to_string()], count).optional()
}

/// How many changes a database has counted. None where nobody told it to.
fn changes(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    if !has(connection, "table", "watermark")? {
        return Ok(None);
    }
    connection.query_row("SELECT changes FROM watermark", [], count).map(Some)
}

fn count(row: &rusqlite::Row<'_>) -> rusqlite::Result<u64> {
    row.get::<_, i64>(0).map(|count| u64::try_from(count).unwrap_or(0))
}

/// Has a database count the changes in every table that it has.
pub(super) fn follow(connection: &mut Connection) -> rusqlite::Result<()> {
    let missing = missing(connection)?;
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS watermark (
             one INTEGER PRIMARY KEY CHECK (one = 1), changes INTEGER NOT NULL) STRICT;
         INSERT OR IGNORE INTO watermark VALUES (1, 0);",
    )?;
    for trigger in &missing {
        transaction.execute_batch(&trigger.statement())?;
    }
    transaction.commit()
}

struct Trigger {
    table: String,
    event: &'static str,
}

impl Trigger {
    fn name(&self) -> String {
        format!("watermark_{}_{}", self.table, self.event)
    }

    fn statement(&self) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        format!(
            "CREATE TRIGGER IF NOT EXISTS {} AFTER {} ON {} BEGIN UPDATE watermark SET changes = changes + 1; END",
            quoted(&self.name()),
            self.event,
            quoted(&self.table)
        )
    }
}

/// The triggers that are still to be made. Tables that stand behind a virtual one change with those of its owner.
fn missing(connection: &Connection) -> rusqlite::Result<Vec<Trigger>> {
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'watermark'",
    )?;
    let tables = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut missing = Vec::new();
    for table in tables {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            let trigger = Trigger { table: table.clone(), event };
            if !has(connection, "trigger", &trigger.name())? {
                missing.push(trigger);
            }
        }
    }
    Ok(missing)
}

fn has(connection: &Connection, kind: &str, name: &str) -> rusqlite::Result<bool> {
    let statement = "SELECT 1 FROM sqlite_master WHERE type = ?1 AND name = ?2";
    connection.prepare_cached(statement)?.exists([kind, name])
}
