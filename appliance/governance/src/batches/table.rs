//! The tables behind batches. Times are microseconds since 1970; ids are 32 hexadecimal digits.

use std::str::FromStr;

use cloister_terms::{BatchId, FileId, Phi};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};

use super::{Batch, BatchError, Counts, Ended, FileLabel, Reply, State, Work};
use crate::{
    accounts::{AccountId, Standing},
    store::{Database, StoreError},
};

/// They stand beside the library's tables, whose version is not theirs.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS batch_files (
         id      TEXT PRIMARY KEY,
         account TEXT NOT NULL,
         name    TEXT NOT NULL,
         output  INTEGER NOT NULL,     -- whether a batch made it
         at      INTEGER NOT NULL,
         bytes   INTEGER NOT NULL,
         content BLOB NOT NULL
     ) STRICT;
     CREATE INDEX IF NOT EXISTS batch_files_of ON batch_files (account, at);
     CREATE TABLE IF NOT EXISTS batches (
         sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
         id         TEXT NOT NULL UNIQUE,
         account    TEXT NOT NULL,
         standing   TEXT NOT NULL,     -- JSON: who handed it in
         input      TEXT NOT NULL,
         endpoint   TEXT NOT NULL,
         metadata   TEXT NOT NULL,     -- JSON
         state      TEXT NOT NULL,
         complaints TEXT NOT NULL,     -- JSON
         total      INTEGER NOT NULL,
         completed  INTEGER NOT NULL DEFAULT 0,
         failed     INTEGER NOT NULL DEFAULT 0,
         output     TEXT,
         errors     TEXT,
         created    INTEGER NOT NULL,
         expires    INTEGER NOT NULL,
         cancelling INTEGER,
         ended      INTEGER
     ) STRICT;
     CREATE INDEX IF NOT EXISTS batches_open ON batches (sequence) WHERE ended IS NULL;
     CREATE TABLE IF NOT EXISTS batch_replies (
         batch    TEXT NOT NULL,
         line     INTEGER NOT NULL,
         answered INTEGER NOT NULL,
         text     TEXT NOT NULL,
         PRIMARY KEY (batch, line)
     ) STRICT, WITHOUT ROWID;";

/// The columns that [`read_batch`] reads.
const COLUMNS: &str = "id, input, endpoint, metadata, state, complaints, total, completed, failed, output, errors, created, \
     expires, cancelling, ended";

/// A connection to the tenant's database, with these tables.
pub(super) fn open(database: &Database) -> Result<Connection, StoreError> {
    let connection = database.open()?;
    connection.execute_batch(TABLES).map_err(|error| database.error(error))?;
    Ok(connection)
}

/// How many files an account has, and how many bytes they take.
pub(super) fn kept_by(connection: &Connection, owner: &AccountId) -> rusqlite::Result<(u64, u64)> {
    let sum = "SELECT count(*), coalesce(sum(bytes), 0) FROM batch_files WHERE account = ?1";
    connection.query_row(sum, [owner.as_str()], |row| Ok((number(row, 0)?, number(row, 1)?)))
}

pub(super) fn has_file(connection: &Connection, owner: &AccountId, file: FileId) -> rusqlite::Result<bool> {
    let statement = "SELECT EXISTS (SELECT 1 FROM batch_files WHERE account = ?1 AND id = ?2)";
    connection.query_row(statement, params![owner.as_str(), file.to_string()], |row| row.get(0))
}

/// How many batches of an account have not ended.
pub(super) fn open_of(connection: &Connection, owner: &AccountId) -> rusqlite::Result<u64> {
    let count = "SELECT count(*) FROM batches WHERE account = ?1 AND ended IS NULL";
    connection.query_row(count, [owner.as_str()], |row| number(row, 0))
}

pub(super) fn insert_file(
    connection: &Connection,
    owner: &AccountId,
    label: &FileLabel,
    content: &[u8],
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO batch_files (id, account, name, output, at, bytes, content) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            label.id.to_string(),
            owner.as_str(),
            label.name.expose(),
            label.output,
            label.at.as_microsecond(),
            i64::try_from(label.bytes).unwrap_or(i64::MAX),
            content,
        ],
    )?;
    Ok(())
}

pub(super) fn files(connection: &Connection, owner: &AccountId, cutoff: Timestamp) -> rusqlite::Result<Vec<FileLabel>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, output, at, bytes FROM batch_files WHERE account = ?1 AND at >= ?2 ORDER BY at DESC, rowid DESC",
    )?;
    statement.query_map(params![owner.as_str(), cutoff.as_microsecond()], read_label)?.collect()
}

pub(super) fn file(
    connection: &Connection,
    owner: &AccountId,
    file: FileId,
    cutoff: Timestamp,
) -> rusqlite::Result<Option<FileLabel>> {
    let statement = "SELECT id, name, output, at, bytes FROM batch_files WHERE account = ?1 AND id = ?2 AND at >= ?3";
    let of = params![owner.as_str(), file.to_string(), cutoff.as_microsecond()];
    connection.query_row(statement, of, read_label).optional()
}

fn read_label(row: &Row<'_>) -> rusqlite::Result<FileLabel> {
    Ok(FileLabel {
        id: id(row, 0)?,
        name: Phi::new(row.get(1)?),
        output: row.get(2)?,
        at: time(row, 3)?,
        bytes: number(row, 4)?,
    })
}

pub(super) fn content(
    connection: &Connection,
    owner: &AccountId,
    file: FileId,
    cutoff: Timestamp,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let statement = "SELECT content FROM batch_files WHERE account = ?1 AND id = ?2 AND at >= ?3";
    let of = params![owner.as_str(), file.to_string(), cutoff.as_microsecond()];
    connection.query_row(statement, of, |row| row.get(0)).optional()
}

/// Whether a batch that has not ended works through the file.
pub(super) fn in_use(connection: &Connection, owner: &AccountId, file: FileId) -> rusqlite::Result<bool> {
    let statement = "SELECT EXISTS (SELECT 1 FROM batches WHERE account = ?1 AND input = ?2 AND ended IS NULL)";
    connection.query_row(statement, params![owner.as_str(), file.to_string()], |row| row.get(0))
}

pub(super) fn delete_file(connection: &Connection, owner: &AccountId, file: FileId) -> rusqlite::Result<bool> {
    let statement = "DELETE FROM batch_files WHERE account = ?1 AND id = ?2";
    Ok(connection.execute(statement, params![owner.as_str(), file.to_string()])? == 1)
}

pub(super) fn insert_batch(connection: &Connection, standing: &Standing, batch: &Batch) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO batches (id, account, standing, input, endpoint, metadata, state, complaints, total, created, expires, ended)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            batch.id.to_string(),
            standing.account().as_str(),
            json(standing)?,
            batch.input.to_string(),
            batch.endpoint,
            json(batch.metadata.expose())?,
            batch.state.as_str(),
            json(&batch.complaints)?,
            batch.counts.total,
            batch.created.as_microsecond(),
            batch.expires.as_microsecond(),
            batch.ended.map(Timestamp::as_microsecond),
        ],
    )?;
    Ok(())
}

/// Newest first, older than `after`. After one that the owner has not, none.
pub(super) fn batches(
    connection: &Connection,
    owner: &AccountId,
    after: Option<BatchId>,
    limit: usize,
) -> rusqlite::Result<Result<Vec<Batch>, BatchError>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM batches WHERE account = ?1
             AND (?2 IS NULL OR sequence < (SELECT sequence FROM batches WHERE account = ?1 AND id = ?2))
         ORDER BY sequence DESC LIMIT ?3"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let of = params![owner.as_str(), after.map(|after| after.to_string()), limit];
    let rows = statement.query_map(of, read_batch)?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().collect())
}

pub(super) fn batch(
    connection: &Connection,
    owner: &AccountId,
    batch: BatchId,
) -> rusqlite::Result<Result<Option<Batch>, BatchError>> {
    let statement = format!("SELECT {COLUMNS} FROM batches WHERE account = ?1 AND id = ?2");
    let found = connection.query_row(&statement, params![owner.as_str(), batch.to_string()], read_batch).optional()?;
    Ok(found.transpose())
}

pub(super) fn cancel(
    connection: &Connection,
    owner: &AccountId,
    batch: BatchId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE batches SET state = 'cancelling', cancelling = ?3 WHERE account = ?1 AND id = ?2 AND state = 'in_progress'",
        params![owner.as_str(), batch.to_string(), now.as_microsecond()],
    )?;
    Ok(())
}

pub(super) fn due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<BatchId>> {
    let mut statement = connection.prepare_cached(
        "SELECT id FROM batches WHERE ended IS NULL AND (state = 'cancelling' OR expires <= ?1
             OR sequence IN (SELECT min(sequence) FROM batches WHERE ended IS NULL GROUP BY account))
         ORDER BY sequence",
    )?;
    statement.query_map([now.as_microsecond()], |row| id(row, 0))?.collect()
}

pub(super) fn work(connection: &Connection, batch: BatchId) -> rusqlite::Result<Result<Option<Work>, BatchError>> {
    let open = "SELECT id, standing, endpoint, expires, input, account FROM batches WHERE id = ?1 AND ended IS NULL";
    let found = connection
        .query_row(open, [batch.to_string()], |row| {
            let (batch, standing): (BatchId, String) = (id(row, 0)?, row.get(1)?);
            Ok((batch, standing, row.get(2)?, time(row, 3)?, row.get::<_, String>(4)?, row.get::<_, String>(5)?))
        })
        .optional()?;
    let Some((id, standing, endpoint, expires, input, account)) = found else { return Ok(Ok(None)) };
    let Ok(standing) = serde_json::from_str::<Standing>(&standing) else {
        return Ok(Err(BatchError::Damaged(id.to_string())));
    };
    let content = "SELECT content FROM batch_files WHERE id = ?1 AND account = ?2";
    let requests = connection.query_row(content, [&input, &account], |row| row.get(0)).optional()?.map(Phi::new);
    let mut statement = connection.prepare_cached("SELECT line FROM batch_replies WHERE batch = ?1")?;
    let replied = statement.query_map([id.to_string()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(Ok(Some(Work { id, standing, endpoint, expires, requests, replied })))
}

pub(super) fn state(connection: &Connection, batch: BatchId) -> rusqlite::Result<Option<State>> {
    let mut statement = connection.prepare_cached("SELECT state FROM batches WHERE id = ?1")?;
    statement.query_row([batch.to_string()], |row| read_state(row, 0)).optional()
}

/// The same line twice is one that was asked again: the first reply stays.
pub(super) fn insert_reply(connection: &Connection, batch: BatchId, reply: &Reply) -> rusqlite::Result<()> {
    let insert =
        "INSERT INTO batch_replies (batch, line, answered, text) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    let row = params![batch.to_string(), reply.line, reply.answered, reply.text.expose()];
    if connection.prepare_cached(insert)?.execute(row)? == 1 {
        let count = if reply.answered { "completed = completed + 1" } else { "failed = failed + 1" };
        connection
            .prepare_cached(&format!("UPDATE batches SET {count} WHERE id = ?1"))?
            .execute([batch.to_string()])?;
    }
    Ok(())
}

/// Makes the files of answers and of refusals from the replies, and ends the batch.
pub(super) fn finish(
    connection: &Connection,
    batch: BatchId,
    ended: Ended,
    files: [FileId; 2],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let account = "SELECT account FROM batches WHERE id = ?1 AND ended IS NULL";
    let Some(owner) = connection.query_row(account, [batch.to_string()], |row| row.get::<_, String>(0)).optional()?
    else {
        return Ok(());
    };
    let owner: AccountId = owner.parse().map_err(|_| unreadable(0))?;
    let [output, errors] = files;
    for (file, answered, column, kind) in [(output, true, "output", "output"), (errors, false, "errors", "error")] {
        let mut statement = connection
            .prepare_cached("SELECT text FROM batch_replies WHERE batch = ?1 AND answered = ?2 ORDER BY line")?;
        let mut rows = statement.query(params![batch.to_string(), answered])?;
        let mut content = Vec::new();
        while let Some(row) = rows.next()? {
            content.extend_from_slice(row.get_ref(0)?.as_str()?.as_bytes());
            content.push(b'\n');
        }
        if content.is_empty() {
            continue;
        }
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let name = Phi::new(format!("batch_{batch}_{kind}.jsonl"));
        insert_file(connection, &owner, &FileLabel { id: file, name, output: true, at: now, bytes }, &content)?;
        let set = format!("UPDATE batches SET {column} = ?2 WHERE id = ?1");
        connection.execute(&set, params![batch.to_string(), file.to_string()])?;
    }
    connection.execute("DELETE FROM batch_replies WHERE batch = ?1", [batch.to_string()])?;
    connection.execute(
        "UPDATE batches SET state = ?2, ended = ?3 WHERE id = ?1",
        params![batch.to_string(), ended.state().as_str(), now.as_microsecond()],
    )?;
    Ok(())
}

/// What has not ended stays, and the file that it works through.
const OVER: &str =
    "SELECT id FROM batch_files WHERE at < ?1 AND id NOT IN (SELECT input FROM batches WHERE ended IS NULL)";

pub(super) fn expired(connection: &Connection, cutoff: Timestamp) -> rusqlite::Result<bool> {
    let statement =
        format!("SELECT EXISTS ({OVER}) OR EXISTS (SELECT 1 FROM batches WHERE ended IS NOT NULL AND created < ?1)");
    connection.query_row(&statement, [cutoff.as_microsecond()], |row| row.get(0))
}

pub(super) fn purge(connection: &Connection, cutoff: Timestamp) -> rusqlite::Result<u64> {
    let cutoff = cutoff.as_microsecond();
    let removed = connection.execute(&format!("DELETE FROM batch_files WHERE id IN ({OVER})"), [cutoff])?;
    connection.execute("DELETE FROM batches WHERE ended IS NOT NULL AND created < ?1", [cutoff])?;
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}

fn read_batch(row: &Row<'_>) -> rusqlite::Result<Result<Batch, BatchError>> {
    let batch: BatchId = id(row, 0)?;
    let (metadata, complaints): (String, String) = (row.get("metadata")?, row.get("complaints")?);
    let parsed = serde_json::from_str(&metadata).ok().zip(serde_json::from_str(&complaints).ok());
    let Some((metadata, complaints)) = parsed else { return Ok(Err(BatchError::Damaged(batch.to_string()))) };
    let maybe_id = |at: usize| row.get::<_, Option<String>>(at)?.map(|_| id(row, at)).transpose();
    let maybe_time = |at: usize| row.get::<_, Option<i64>>(at)?.map(|_| time(row, at)).transpose();
    Ok(Ok(Batch {
        id: batch,
        input: id(row, 1)?,
        endpoint: row.get(2)?,
        metadata: Phi::new(metadata),
        state: read_state(row, 4)?,
        complaints,
        counts: Counts { total: row.get(6)?, completed: row.get(7)?, failed: row.get(8)? },
        output: maybe_id(9)?,
        errors: maybe_id(10)?,
        created: time(row, 11)?,
        expires: time(row, 12)?,
        cancelling: maybe_time(13)?,
        ended: maybe_time(14)?,
    }))
}

fn read_state(row: &Row<'_>, at: usize) -> rusqlite::Result<State> {
    let text: String = row.get(at)?;
    State::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| unreadable(at))
}

fn id<T: FromStr>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    row.get_ref(at)?.as_str()?.parse().map_err(|_| unreadable(at))
}

fn number(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(at)?).map_err(|_| unreadable(at))
}

fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(at)?).map_err(|_| unreadable(at))
}

/// What stands there is left out of the error: it may be anything.
fn unreadable(at: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, "not as it was written".into())
}

fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
