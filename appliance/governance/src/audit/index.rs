//! The index: the log's entries as rows of one SQL view, in an encrypted database of its own.
//!
//! It is made from the log and holds nothing of its own: delete its file, and the next search makes it again. A search
//! first adds what was recorded since the last one, so that writing the log costs nothing for it.

use rusqlite::{Connection, TransactionBehavior, params_from_iter, types::Value};
use rusqlite_migration::{M, Migrations};

use super::{
    Body, LogError, Record, RecordedIntent, RecordedOutcome,
    leaf::Stored,
    table::{self, signed},
};
use crate::store::{Database, StoreError};

/// The view's name, and the only thing that a search can read.
pub(super) const VIEW: &str = "audit";

/// The table behind the view.
pub(super) const TABLE: &str = "entries";

/// Columns of the view, in order, with what they hold. Times are RFC 3339 in UTC with six digits, so that they sort as text.
pub const COLUMNS: &[(&str, &str)] = &[
    ("sequence", "the number of the record that opened the entry"),
    ("at", "when it was opened"),
    ("entry", "the entry's id"),
    ("account", "the account's id"),
    ("name", "the account's name"),
    ("role", "its role at the time"),
    ("action", "what was done"),
    ("purpose", "what for, where the caller said so"),
    ("tenant", "in which tenant"),
    ("collections", "the collections that were named, as JSON"),
    ("session", "the interaction"),
    ("request", "the request or command"),
    ("policy", "the version of the set of policies that decided"),
    ("policies", "the ids of those of them that decided, as JSON"),
    ("emergency", "the emergency access that it was done under, opened, ended or reviewed"),
    ("closed", "the number of the record that closed the entry; NULL while it is open"),
    ("closed_at", "when it was closed"),
    ("outcome", "how it ended"),
    ("code", "which way"),
    ("counts", "how much, as JSON"),
    ("documents", "the documents that were read or changed, as JSON"),
    ("models", "the models that took part, as JSON"),
    ("commitment", "the salted hash of what somebody said in words, for an emergency access"),
];

const STEPS: &[M<'static>] = &[
    M::up(
    "CREATE TABLE entries (
         sequence INTEGER PRIMARY KEY, at TEXT NOT NULL, entry TEXT NOT NULL UNIQUE,
         account TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, action TEXT NOT NULL, purpose TEXT, tenant TEXT,
         collections TEXT NOT NULL, session TEXT, request TEXT NOT NULL, policy TEXT NOT NULL,
         closed INTEGER UNIQUE, closed_at TEXT, outcome TEXT, code TEXT, counts TEXT, documents TEXT, models TEXT
     ) STRICT;
     CREATE INDEX entries_by_time ON entries (at);
     CREATE INDEX entries_by_account ON entries (account, at);
     CREATE INDEX entries_by_session ON entries (session) WHERE session IS NOT NULL;
     CREATE INDEX entries_by_tenant ON entries (tenant, at);
     CREATE TABLE indexed (through INTEGER NOT NULL) STRICT;
     INSERT INTO indexed VALUES (0);
     CREATE VIEW audit AS SELECT sequence, at, entry, account, name, role, action, purpose, tenant, collections, session,
         request, policy, closed, closed_at, outcome, code, counts, documents, models FROM entries;",
    ),
    // What is in the index comes from the log, and comes again with what the log says of the new column.
    M::up(
        "DROP VIEW audit;
     DELETE FROM entries;
     UPDATE indexed SET through = 0;
     ALTER TABLE entries ADD COLUMN policies TEXT NOT NULL DEFAULT '[]';
     CREATE VIEW audit AS SELECT sequence, at, entry, account, name, role, action, purpose, tenant, collections, session,
         request, policy, policies, closed, closed_at, outcome, code, counts, documents, models FROM entries;",
    ),
    M::up(
        "DROP VIEW audit;
     DELETE FROM entries;
     UPDATE indexed SET through = 0;
     ALTER TABLE entries ADD COLUMN emergency TEXT;
     ALTER TABLE entries ADD COLUMN commitment TEXT;
     CREATE INDEX entries_by_emergency ON entries (emergency) WHERE emergency IS NOT NULL;
     CREATE VIEW audit AS SELECT sequence, at, entry, account, name, role, action, purpose, tenant, collections, session,
         request, policy, policies, emergency, closed, closed_at, outcome, code, counts, documents, models, commitment
         FROM entries;",
    ),
];

/// Records that one transaction adds.
const BATCH: u64 = 50_000;

/// Opens the index, makes it anew where it does not open, and adds what the log has more of.
pub(super) fn open(log: &Connection, index: &Database) -> Result<Connection, LogError> {
    let mut connection = match connect(index) {
        Ok(connection) => connection,
        Err(LogError::Store(_)) => {
            remove(index)?;
            connect(index)?
        }
        Err(error) => return Err(error),
    };
    update(log, &mut connection, index)?;
    Ok(connection)
}

pub(super) fn connect(index: &Database) -> Result<Connection, LogError> {
    let mut connection = index.open().map_err(LogError::Store)?;
    Migrations::from_slice(STEPS).to_latest(&mut connection).map_err(|error| {
        let source = rusqlite::Error::ToSqlConversionFailure(Box::new(error));
        LogError::Store(StoreError::Database { path: index.path().to_owned(), source })
    })?;
    Ok(connection)
}

/// Forgets the index. The next search makes it again.
pub(super) fn remove(index: &Database) -> Result<(), LogError> {
    for ending in ["", "-wal", "-shm"] {
        let mut path = index.path().as_os_str().to_owned();
        path.push(ending);
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => {
                let path = path.into();
                return Err(LogError::Store(StoreError::Io { path, doing: "removed", source }));
            }
        }
    }
    Ok(())
}

/// The newest record that the index has taken in.
pub(super) fn through(index: &Connection) -> rusqlite::Result<u64> {
    let through: i64 = index.query_row("SELECT through FROM indexed", [], |row| row.get(0))?;
    Ok(u64::try_from(through).unwrap_or(0))
}

fn update(log: &Connection, index: &mut Connection, database: &Database) -> Result<(), LogError> {
    let failed = |error| LogError::Store(database.error(error));
    loop {
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let from = through(&transaction).map_err(failed)?;
        let head = table::head(log).map_err(failed)?;
        if head < from {
            // The index has seen records that the log no longer has.
            return Err(LogError::Damaged { sequence: head + 1 });
        }
        if head == from {
            return Ok(());
        }
        // What was purged is not there to be searched.
        let from = from.max(table::purged(log).map_err(failed)?);
        let to = head.min(from + BATCH);
        let mut expected = from + 1;
        table::scan(log, from, to, |stored: Stored| {
            let record = stored.read()?;
            if record.sequence != expected {
                return Err(IndexError::Log(LogError::Damaged { sequence: expected }));
            }
            expected += 1;
            Ok(add(&transaction, &record)?)
        })
        .map_err(|error| match error {
            IndexError::Log(error) => error,
            IndexError::Database(error) => failed(error),
        })?;
        transaction.execute("UPDATE indexed SET through = ?1", [signed(to)]).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
}

enum IndexError {
    Log(LogError),
    Database(rusqlite::Error),
}

impl From<LogError> for IndexError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// A time as the index writes it: always as long, so that text sorts as time does.
pub(super) fn time(at: jiff::Timestamp) -> String {
    format!("{at:.6}")
}

fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// The columns that an intent fills.
fn opened(record: &Record, intent: &RecordedIntent) -> rusqlite::Result<Vec<Value>> {
    let text = |text: Option<String>| text.map_or(Value::Null, Value::Text);
    Ok(vec![
        Value::Integer(signed(record.sequence)),
        Value::Text(time(record.at)),
        Value::Text(record.entry.to_string()),
        Value::Text(intent.who.account.to_string()),
        Value::Text(intent.who.name.clone()),
        Value::Text(intent.who.role.as_str().to_owned()),
        Value::Text(intent.action.as_str().to_owned()),
        text(intent.purpose.map(|purpose| purpose.as_str().to_owned())),
        text(intent.tenant.as_ref().map(ToString::to_string)),
        Value::Text(json(&intent.collections)?),
        text(intent.session.map(|session| session.to_string())),
        Value::Text(intent.request.to_string()),
        Value::Text(intent.policy.clone()),
        Value::Text(json(&intent.policies)?),
        text(intent.emergency.map(|emergency| emergency.to_string())),
    ])
}

/// The columns that an outcome fills.
fn closed(record: &Record, outcome: &RecordedOutcome) -> rusqlite::Result<Vec<Value>> {
    Ok(vec![
        Value::Integer(signed(record.sequence)),
        Value::Text(time(record.at)),
        Value::Text(outcome.kind.as_str().to_owned()),
        outcome.code.clone().map_or(Value::Null, Value::Text),
        Value::Text(json(&outcome.counts)?),
        Value::Text(json(&outcome.documents)?),
        Value::Text(json(&outcome.models)?),
        outcome.commitment.clone().map_or(Value::Null, Value::Text),
    ])
}

fn add(index: &Connection, record: &Record) -> rusqlite::Result<()> {
    match &record.body {
        Body::Intent(intent) => index
            .prepare_cached(
                "INSERT INTO entries (sequence, at, entry, account, name, role, action, purpose, tenant, collections,
                   session, request, policy, policies, emergency)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params_from_iter(opened(record, intent)?))?,
        Body::Outcome(outcome) => index
            .prepare_cached(
                "UPDATE entries SET closed = ?1, closed_at = ?2, outcome = ?3, code = ?4, counts = ?5, documents = ?6,
                   models = ?7, commitment = ?8 WHERE entry = ?9",
            )?
            .execute(params_from_iter(
                closed(record, outcome)?.into_iter().chain([Value::Text(record.entry.to_string())]),
            ))?,
    };
    Ok(())
}

/// The first entry that the index has otherwise than the log, by the number of its first record.
pub(super) fn differing(log: &Connection, index: &Connection) -> rusqlite::Result<Option<u64>> {
    let through = through(index)?;
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut rows = index.prepare(&format!("SELECT {} FROM {TABLE} ORDER BY sequence", columns.join(", ")))?;
    let mut rows = rows.query([])?;
    let mut entries = 0_i64;
    while let Some(row) = rows.next()? {
        let held = (0..COLUMNS.len()).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<Value>>>()?;
        let sequence: i64 = row.get(0)?;
        let mut made = Vec::new();
        for record in of_entry(log, sequence, through)? {
            match &record.body {
                Body::Intent(intent) => made.extend(opened(&record, intent)?),
                Body::Outcome(outcome) => made.extend(closed(&record, outcome)?),
            }
        }
        made.resize(COLUMNS.len(), Value::Null);
        if made != held {
            return Ok(Some(u64::try_from(sequence).unwrap_or(0)));
        }
        entries += 1;
    }
    let intents: i64 =
        log.query_row("SELECT count(*) FROM records WHERE closes = 0 AND sequence <= ?1", [signed(through)], |row| {
            row.get(0)
        })?;
    Ok((intents != entries).then_some(through))
}

/// The intent with that number, and its outcome as far as the index goes.
fn of_entry(log: &Connection, sequence: i64, through: u64) -> rusqlite::Result<Vec<Record>> {
    let mut statement = log.prepare_cached(
        "SELECT sequence, at, entry, closes, body FROM records
         WHERE entry = (SELECT entry FROM records WHERE sequence = ?1 AND closes = 0) AND sequence <= ?2 ORDER BY sequence",
    )?;
    let records = statement.query_map([sequence, signed(through)], table::stored)?;
    let read = |stored: Stored| stored.read().map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)));
    records.map(|stored| read(stored?)).collect()
}
