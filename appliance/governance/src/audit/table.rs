//! The append-only tables behind the log: the records, the checkpoints over them, and the keys that sign those.

use cloister_terms::EntryId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row as Columns, params};
use rusqlite_migration::{M, Migrations};

use super::{
    LogError, Record,
    leaf::Stored,
    merkle::{Frontier, HASH_BYTES, Hash},
    note::{SignedCheckpoint, Verifier},
    record::NewKey,
};
use crate::store::{Database, StoreError};

/// The triggers hold for every connection, ours too: a statement that would change the past fails.
pub(super) const STEPS: &[M<'static>] = &[
    M::up(
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
    ),
    M::up(
        "CREATE TABLE checkpoints (
         size     INTEGER PRIMARY KEY, -- records that it covers
         at       TEXT NOT NULL,       -- RFC 3339 in UTC
         frontier BLOB NOT NULL,       -- the hashes from which the tree goes on
         note     TEXT NOT NULL        -- the signed note
     ) STRICT;

     CREATE TRIGGER checkpoints_stay BEFORE UPDATE ON checkpoints
     BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

     CREATE TRIGGER checkpoints_remain BEFORE DELETE ON checkpoints
     BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END;

     CREATE TRIGGER checkpoints_grow BEFORE INSERT ON checkpoints
     WHEN NEW.size <= (SELECT coalesce(max(size), 0) FROM checkpoints)
     BEGIN SELECT RAISE(ABORT, 'a checkpoint covers more than the one before'); END;

     CREATE TABLE checkpoint_keys (
         generation INTEGER PRIMARY KEY,
         announced  INTEGER NOT NULL,  -- the record that announces it; 0 for the first
         verifier   TEXT NOT NULL,     -- the public half, NAME+HASH+KEY
         seed       BLOB               -- the private half, until the next key takes over
     ) STRICT;

     CREATE TRIGGER checkpoint_keys_stay BEFORE UPDATE ON checkpoint_keys
     WHEN NEW.generation IS NOT OLD.generation OR NEW.announced IS NOT OLD.announced
       OR NEW.verifier IS NOT OLD.verifier OR NEW.seed IS NOT NULL
     BEGIN SELECT RAISE(ABORT, 'of a checkpoint key only the private half may go'); END;

     CREATE TRIGGER checkpoint_keys_remain BEFORE DELETE ON checkpoint_keys
     BEGIN SELECT RAISE(ABORT, 'checkpoint keys are append-only'); END;

     CREATE TABLE bundles (
         bundle INTEGER PRIMARY KEY,   -- 256 records: bundle 0 held records 1 to 256
         purged TEXT NOT NULL,         -- when its records were removed, RFC 3339 in UTC
         hashes BLOB NOT NULL          -- their hashes, which stay in the tree
     ) STRICT;

     CREATE TRIGGER bundles_stay BEFORE UPDATE ON bundles
     BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

     CREATE TRIGGER bundles_remain BEFORE DELETE ON bundles
     BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

     -- In order, whole, six years old, and under a checkpoint; and never the newest record, which numbers the next.
     CREATE TRIGGER bundles_are_due BEFORE INSERT ON bundles
     WHEN NEW.bundle IS NOT (SELECT coalesce(max(bundle), -1) + 1 FROM bundles)
       OR length(NEW.hashes) IS NOT 256 * 32
       OR 256 IS NOT (SELECT count(*) FROM records
            WHERE sequence > NEW.bundle * 256 AND sequence <= NEW.bundle * 256 + 256
              AND substr(at, 1, 19) < strftime('%Y-%m-%dT%H:%M:%S', substr(NEW.purged, 1, 19), '-6 years'))
       OR NEW.bundle * 256 + 256 > (SELECT coalesce(max(size), 0) FROM checkpoints)
       OR NEW.bundle * 256 + 256 >= (SELECT coalesce(max(sequence), 0) FROM records)
     BEGIN SELECT RAISE(ABORT, 'audit records are kept for six years, and go in whole bundles'); END;

     DROP TRIGGER records_remain;
     CREATE TRIGGER records_remain BEFORE DELETE ON records
     WHEN NOT EXISTS (SELECT 1 FROM bundles WHERE bundle = (OLD.sequence - 1) / 256)
     BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;",
    ),
];

pub(super) fn migrate(connection: &mut Connection, database: &Database) -> Result<(), LogError> {
    let brought = Migrations::from_slice(STEPS).to_latest(connection);
    brought.map_err(|error| LogError::Store(StoreError::of_migration(error, database)))
}

/// One row to be written. Its number is given when it is.
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) entry: EntryId,
    pub(super) closes: bool,
    pub(super) body: Vec<u8>,
    /// The checkpoint key that the record announces.
    pub(super) key: Option<NewKey>,
}

/// The number of the newest record; 0 where there is none.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "SELECT coalesce(max(sequence), 0) FROM records")
}

fn number(connection: &Connection, statement: &str) -> rusqlite::Result<u64> {
    let number: i64 = connection.prepare_cached(statement)?.query_row([], |row| row.get(0))?;
    Ok(u64::try_from(number).unwrap_or(0))
}

/// SQLite's numbers are signed; a log of so many records does not come to be.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn insert(connection: &Connection, sequence: u64, row: &Row) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO records (sequence, at, entry, closes, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![signed(sequence), row.at.to_string(), row.entry.to_string(), row.closes, row.body])?;
    Ok(())
}

/// The entries that have no outcome, in order. Reads the index alone: every start waits for it, after six years too.
pub(super) fn open_entries(connection: &Connection) -> rusqlite::Result<Vec<EntryId>> {
    let mut statement =
        connection.prepare("SELECT entry FROM records GROUP BY entry HAVING max(closes) = 0 ORDER BY min(sequence)")?;
    let entries = statement.query_map([], |row| {
        row.get::<_, String>(0)?.parse().map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    })?;
    entries.collect()
}

/// Calls `each` with the records numbered above `after`, up to `last`, in order, until it says stop.
pub(super) fn scan<E: From<rusqlite::Error>>(
    connection: &Connection,
    after: u64,
    last: u64,
    mut each: impl FnMut(Stored) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, at, entry, closes, body FROM records WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence",
    )?;
    let mut rows = statement.query([signed(after), signed(last)])?;
    while let Some(row) = rows.next()? {
        each(stored(row)?)?;
    }
    Ok(())
}

pub(super) fn stored(row: &Columns<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        sequence: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        at: row.get(1)?,
        entry: row.get(2)?,
        closes: row.get(3)?,
        body: row.get(4)?,
    })
}

/// Up to `limit` records numbered above `after`, read back.
pub(super) fn since(
    connection: &Connection,
    database: &Database,
    after: u64,
    limit: usize,
) -> Result<Vec<Record>, LogError> {
    let failed = |error| LogError::Store(database.error(error));
    let mut statement = connection
        .prepare("SELECT sequence, at, entry, closes, body FROM records WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")
        .map_err(failed)?;
    let rows = statement.query_map([signed(after), signed(limit as u64)], stored).map_err(failed)?;
    rows.map(|row| row.map_err(failed)?.read()).collect()
}

/// A checkpoint as the table holds it.
#[derive(Debug, Clone)]
pub(super) struct StoredCheckpoint {
    pub(super) size: u64,
    pub(super) at: String,
    pub(super) frontier: Vec<u8>,
    pub(super) note: String,
}

impl StoredCheckpoint {
    /// The tree's right edge and the signed note, if both say the same.
    pub(super) fn read(&self) -> Option<(Frontier, SignedCheckpoint)> {
        let frontier = Frontier::from_bytes(self.size, &self.frontier)?;
        let signed = SignedCheckpoint::parse(&self.note).ok()?;
        let says = &signed.checkpoint;
        let agree = says.size == self.size && says.root == frontier.root() && says.at.to_string() == self.at;
        agree.then_some((frontier, signed))
    }
}

pub(super) fn insert_checkpoint(connection: &Connection, checkpoint: &StoredCheckpoint) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO checkpoints (size, at, frontier, note) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![signed(checkpoint.size), checkpoint.at, checkpoint.frontier, checkpoint.note])?;
    Ok(())
}

/// The number of records that the newest checkpoint covers; 0 where there is none.
pub(super) fn checkpointed(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "SELECT coalesce(max(size), 0) FROM checkpoints")
}

/// The first checkpoint that covers at least `size` records, or with `newest` the last of all.
pub(super) fn checkpoint_from(connection: &Connection, size: u64) -> rusqlite::Result<Option<StoredCheckpoint>> {
    connection
        .prepare_cached("SELECT size, at, frontier, note FROM checkpoints WHERE size >= ?1 ORDER BY size LIMIT 1")?
        .query_row([signed(size)], checkpoint)
        .optional()
}

pub(super) fn newest_checkpoint(connection: &Connection) -> rusqlite::Result<Option<StoredCheckpoint>> {
    checkpoint_from(connection, checkpointed(connection)?)
}

fn checkpoint(row: &Columns<'_>) -> rusqlite::Result<StoredCheckpoint> {
    Ok(StoredCheckpoint {
        size: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        at: row.get(1)?,
        frontier: row.get(2)?,
        note: row.get(3)?,
    })
}

/// A checkpoint key as the table holds it, without its private half.
#[derive(Debug, Clone)]
pub(super) struct StoredKey {
    pub(super) generation: u64,
    pub(super) announced: u64,
    pub(super) verifier: String,
}

impl StoredKey {
    pub(super) fn read(&self) -> Option<Verifier> {
        Verifier::parse(&self.verifier).ok()
    }
}

/// The keys, oldest first.
pub(super) fn keys(connection: &Connection) -> rusqlite::Result<Vec<StoredKey>> {
    let mut statement =
        connection.prepare_cached("SELECT generation, announced, verifier FROM checkpoint_keys ORDER BY generation")?;
    let rows = statement.query_map([], |row| {
        Ok(StoredKey {
            generation: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            announced: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
            verifier: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// The generation of the newest key; 0 where there is none.
pub(super) fn generation(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "SELECT coalesce(max(generation), 0) FROM checkpoint_keys")
}

/// Records that were purged when they were old enough: those numbered up to this.
pub(super) fn purged(connection: &Connection) -> rusqlite::Result<u64> {
    number(connection, "SELECT coalesce(max(bundle) + 1, 0) * 256 FROM bundles")
}

/// The first bundle that was removed before the checkpoint over it was six years old, or at a time that has not come yet.
pub(super) fn purged_early(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let bundle: Option<i64> = connection
        .query_row(
            "SELECT bundle FROM bundles WHERE substr(purged, 1, 19) < coalesce(strftime('%Y-%m-%dT%H:%M:%S', substr((
                   SELECT at FROM checkpoints WHERE size >= bundle * 256 + 256 ORDER BY size LIMIT 1
               ), 1, 19), '+6 years'), '9999')
               OR substr(purged, 1, 19) > (SELECT max(substr(at, 1, 19)) FROM checkpoints)
             ORDER BY bundle LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(bundle.and_then(|bundle| u64::try_from(bundle).ok()))
}

/// The hashes of the records of a purged bundle; none where it was not purged.
pub(super) fn bundle(connection: &Connection, bundle: u64) -> rusqlite::Result<Option<Vec<Hash>>> {
    let hashes = connection
        .prepare_cached("SELECT hashes FROM bundles WHERE bundle = ?1")?
        .query_row([signed(bundle)], |row| row.get::<_, Vec<u8>>(0))
        .optional()?;
    Ok(hashes.map(|bytes| bytes.chunks(HASH_BYTES).filter_map(Hash::from_bytes).collect()))
}
