//! The append-only table behind the log.

use cloister_terms::EntryId;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use rusqlite_migration::{M, Migrations};

use super::{LogError, Outcome, OutcomeKind, Record, record};
use crate::store::{Database, StoreError};

/// The triggers hold for every connection, ours too: a statement that would change the past fails.
const STEPS: &[M<'static>] = &[M::up(
    "CREATE TABLE records (
         sequence INTEGER PRIMARY KEY,
         at       TEXT NOT NULL,       -- RFC 3339 in UTC
         entry    TEXT NOT NULL,       -- 32 hexadecimal digits
         closes   INTEGER NOT NULL CHECK (closes IN (0, 1)),
         body     BLOB NOT NULL        -- JSON, the exact bytes that were recorded
     ) STRICT;
     CREATE UNIQUE INDEX records_by_entry ON records (entry, closes);

     CREATE TRIGGER records_stay BEFORE UPDATE ON records
     BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

     CREATE TRIGGER records_remain BEFORE DELETE ON records
     BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

     -- Also stops INSERT OR REPLACE, which deletes without asking the trigger above.
     CREATE TRIGGER records_follow_on BEFORE INSERT ON records
     WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM records)
     BEGIN SELECT RAISE(ABORT, 'audit records are numbered without gaps'); END;

     CREATE TRIGGER records_are_written_once BEFORE INSERT ON records
     WHEN EXISTS (SELECT 1 FROM records WHERE entry = NEW.entry AND closes = NEW.closes)
     BEGIN SELECT RAISE(ABORT, 'an entry has one intent and one outcome'); END;

     CREATE TRIGGER outcomes_follow_intents BEFORE INSERT ON records
     WHEN NEW.closes = 1 AND NOT EXISTS (SELECT 1 FROM records WHERE entry = NEW.entry AND closes = 0)
     BEGIN SELECT RAISE(ABORT, 'an outcome needs its intent'); END;",
)];

pub(super) fn migrate(connection: &mut Connection, database: &Database) -> Result<(), LogError> {
    Migrations::from_slice(STEPS).to_latest(connection).map_err(|error| {
        let path = database.path().to_owned();
        let source = match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => err,
            other => rusqlite::Error::ToSqlConversionFailure(Box::new(other)),
        };
        LogError::Store(StoreError::Database { path, source })
    })
}

/// One row to be written. Its number is given when it is.
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) entry: EntryId,
    pub(super) closes: bool,
    pub(super) body: Vec<u8>,
}

/// Writes `rows` in order and returns when they are on the disk. All or none.
pub(super) fn append<'a>(connection: &mut Connection, rows: impl IntoIterator<Item = &'a Row>) -> rusqlite::Result<()> {
    // Immediate: the number is read under the write lock, because another process may write too.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let last: i64 = transaction
            .prepare_cached("SELECT coalesce(max(sequence), 0) FROM records")?
            .query_row([], |row| row.get(0))?;
        let mut insert = transaction
            .prepare_cached("INSERT INTO records (sequence, at, entry, closes, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (sequence, row) in (last + 1..).zip(rows) {
            insert.execute(params![sequence, row.at.to_string(), row.entry.to_string(), row.closes, row.body])?;
        }
    }
    transaction.commit()
}

/// Closes every open entry as interrupted. Says how many there were.
pub(super) fn close_orphans(connection: &mut Connection, now: Timestamp) -> rusqlite::Result<usize> {
    let open: Vec<EntryId> = {
        let mut statement = connection.prepare(
            "SELECT entry FROM records AS opened WHERE closes = 0
               AND NOT EXISTS (SELECT 1 FROM records WHERE entry = opened.entry AND closes = 1)
             ORDER BY sequence",
        )?;
        let entries = statement.query_map([], |row| {
            row.get::<_, String>(0)?.parse().map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
        })?;
        entries.collect::<Result<_, _>>()?
    };
    let body = record::outcome_bytes(&Outcome::of(OutcomeKind::Interrupted))
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let rows: Vec<Row> =
        open.into_iter().map(|entry| Row { at: now, entry, closes: true, body: body.clone() }).collect();
    if !rows.is_empty() {
        append(connection, &rows)?;
    }
    Ok(rows.len())
}

pub(super) fn since(
    connection: &Connection,
    database: &Database,
    after: u64,
    limit: usize,
) -> Result<Vec<Record>, LogError> {
    let failed = |error| LogError::Store(database.error(error));
    let mut statement = connection
        .prepare("SELECT sequence, at, entry, body FROM records WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")
        .map_err(failed)?;
    let bounds = [after, limit as u64].map(|bound| i64::try_from(bound).unwrap_or(i64::MAX));
    let rows = statement
        .query_map(bounds, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, Vec<u8>>(3)?))
        })
        .map_err(failed)?;
    rows.map(|row| {
        let (sequence, at, entry, body) = row.map_err(failed)?;
        let sequence = u64::try_from(sequence).unwrap_or(0);
        let damaged = || LogError::Damaged { sequence };
        Ok(Record {
            sequence,
            at: at.parse().map_err(|_| damaged())?,
            entry: entry.parse().map_err(|_| damaged())?,
            body: serde_json::from_slice(&body).map_err(|_| damaged())?,
        })
    })
    .collect()
}
