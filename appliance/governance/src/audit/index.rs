//! The index: the log's entries as rows of one SQL view, in an encrypted database of its own.
//!
//! It is made from the log and holds nothing of its own: delete its file, and the next search makes it again. A search
//! first adds what was recorded since the last one, so that writing the log costs nothing for it.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params_from_iter, types::Value};
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
    ("capture", "the capture that was to be read"),
    ("closed", "the number of the record that closed the entry; NULL while it is open"),
    ("closed_at", "when it was closed"),
    ("outcome", "how it ended"),
    ("code", "which way"),
    ("counts", "how much, as JSON"),
    ("documents", "the documents that were read or changed, as JSON"),
    ("models", "the models that took part, as JSON"),
    ("commitment", "the salted hash of what somebody said in words, for an emergency access"),
    ("captured", "the capture that was made of it"),
    ("guardrail", "the guardrail that was applied, with its version and its hash, as JSON"),
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
    M::up(
        "DROP VIEW audit;
     DELETE FROM entries;
     UPDATE indexed SET through = 0;
     ALTER TABLE entries ADD COLUMN capture TEXT;
     ALTER TABLE entries ADD COLUMN captured TEXT;
     CREATE INDEX entries_by_capture ON entries (capture) WHERE capture IS NOT NULL;
     CREATE VIEW audit AS SELECT sequence, at, entry, account, name, role, action, purpose, tenant, collections, session,
         request, policy, policies, emergency, capture, closed, closed_at, outcome, code, counts, documents, models,
         commitment, captured
         FROM entries;",
    ),
    M::up(
        "DROP VIEW audit;
     DELETE FROM entries;
     UPDATE indexed SET through = 0;
     ALTER TABLE entries ADD COLUMN guardrail TEXT;
     CREATE VIEW audit AS SELECT sequence, at, entry, account, name, role, action, purpose, tenant, collections, session,
         request, policy, policies, emergency, capture, closed, closed_at, outcome, code, counts, documents, models,
         commitment, captured, guardrail
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
        text(intent.capture.map(|capture| capture.to_string())),
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
        outcome.capture.map_or(Value::Null, |capture| Value::Text(capture.to_string())),
        match &outcome.guardrail {
            Some(guardrail) => Value::Text(json(guardrail)?),
            None => Value::Null,
        },
    ])
}

fn add(index: &Connection, record: &Record) -> rusqlite::Result<()> {
    match &record.body {
        Body::Intent(intent) => index
            .prepare_cached(
                "INSERT INTO entries (sequence, at, entry, account, name, role, action, purpose, tenant, collections,
                   session, request, policy, policies, emergency, capture)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params_from_iter(opened(record, intent)?))?,
        Body::Outcome(outcome) => index
            .prepare_cached(
                "UPDATE entries SET closed = ?1, closed_at = ?2, outcome = ?3, code = ?4, counts = ?5, documents = ?6,
                   models = ?7, commitment = ?8, captured = ?9, guardrail = ?10 WHERE entry = ?11",
            )?
            .execute(params_from_iter(
                closed(record, outcome)?.into_iter().chain([Value::Text(record.entry.to_string())]),
            ))?,
    };
    Ok(())
}

/// The first column that an outcome fills; an intent fills those before it.
const CLOSED: &str = "closed";

/// The first entry that the index has otherwise than the log, by the number of its first record.
///
/// Each is read once, side by side: the log in order, of the index the intents' columns by the number of the intent and the
/// outcomes' by the number of the outcome.
pub(super) fn differing(log: &Connection, index: &Connection) -> rusqlite::Result<Option<u64>> {
    // As of one moment: another process may bring it up to date meanwhile.
    let index = index.unchecked_transaction()?;
    let through = through(&index)?;
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let (opened_by, closed_by) =
        columns.split_at(columns.iter().position(|name| *name == CLOSED).unwrap_or(columns.len()));
    let of_intents = format!("SELECT {} FROM {TABLE} ORDER BY sequence", opened_by.join(", "));
    let of_outcomes = format!(
        "SELECT {}, entry, sequence FROM {TABLE} WHERE closed IS NOT NULL ORDER BY closed",
        closed_by.join(", ")
    );
    let (mut of_intents, mut of_outcomes) = (index.prepare(&of_intents)?, index.prepare(&of_outcomes)?);
    let (mut intents, mut outcomes) = (Rows::of(&mut of_intents)?, Rows::of(&mut of_outcomes)?);
    let mut differs = None;
    table::scan(log, 0, through, |stored: Stored| {
        if differs.is_some() {
            return Ok(());
        }
        let number = stored.sequence;
        let Ok(record) = stored.read() else {
            differs = Some(number);
            return Ok(());
        };
        let same = match &record.body {
            Body::Intent(intent) => intents.next_is(&opened(&record, intent)?)?,
            Body::Outcome(outcome) => {
                let mut made = closed(&record, outcome)?;
                made.push(Value::Text(stored.entry.clone()));
                // Whose intent was purged is not in the index.
                outcomes.next_is(&made)? || intent_of(log, &stored.entry)?.is_none()
            }
        };
        if !same {
            differs = Some(intent_of(log, &stored.entry)?.unwrap_or(number));
        }
        Ok::<_, rusqlite::Error>(())
    })?;
    // Rows that no record made.
    Ok(differs.or(intents.ahead(0)).or(outcomes.ahead(closed_by.len() + 1)))
}

/// The number of the record that opened an entry, where it is there.
fn intent_of(log: &Connection, entry: &str) -> rusqlite::Result<Option<u64>> {
    let mut statement = log.prepare_cached("SELECT sequence FROM records WHERE entry = ?1 AND closes = 0")?;
    let sequence: Option<i64> = statement.query_row([entry], |row| row.get(0)).optional()?;
    Ok(sequence.and_then(|sequence| u64::try_from(sequence).ok()))
}

/// Rows of the index in order, one looked at ahead.
struct Rows<'a> {
    rows: rusqlite::Rows<'a>,
    columns: usize,
    next: Option<Vec<Value>>,
}

impl<'a> Rows<'a> {
    fn of(statement: &'a mut rusqlite::Statement<'_>) -> rusqlite::Result<Self> {
        let columns = statement.column_count();
        let mut rows = Self { rows: statement.query([])?, columns, next: None };
        rows.advance()?;
        Ok(rows)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.next = match self.rows.next()? {
            Some(row) => Some((0..self.columns).map(|at| row.get(at)).collect::<rusqlite::Result<_>>()?),
            None => None,
        };
        Ok(())
    }

    /// Whether the next row begins with `made`; then it is done with.
    fn next_is(&mut self, made: &[Value]) -> rusqlite::Result<bool> {
        let same = self.next.as_ref().is_some_and(|row| row.starts_with(made));
        if same {
            self.advance()?;
        }
        Ok(same)
    }

    /// A number in the row that is left.
    fn ahead(&self, column: usize) -> Option<u64> {
        match self.next.as_ref()?.get(column)? {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
}
