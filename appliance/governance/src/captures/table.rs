//! The table behind the captures. Times are microseconds since 1970.

use std::str::FromStr;

use cloister_terms::{Action, CaptureId};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};
use rusqlite_migration::{M, Migrations};

use super::{CaptureLabel, Filter, Listed};
use crate::{
    audit::OutcomeKind,
    store::{Database, StoreError},
};

const STEPS: &[M<'static>] = &[
    M::up(
        "CREATE TABLE captures (
         sequence INTEGER PRIMARY KEY AUTOINCREMENT,
         id       TEXT NOT NULL UNIQUE,
         at       INTEGER NOT NULL,
         session  TEXT,
         request  TEXT NOT NULL,
         action   TEXT NOT NULL,
         form     TEXT NOT NULL CHECK (form IN ('redacted', 'raw')),
         outcome  TEXT NOT NULL,
         code     TEXT,
         content  TEXT NOT NULL        -- JSON, see `content`
     ) STRICT;
     CREATE INDEX captures_by_time ON captures (at);
     CREATE INDEX captures_by_session ON captures (session) WHERE session IS NOT NULL;
     CREATE INDEX captures_by_request ON captures (request);",
    ),
    M::up(
        "CREATE TABLE placeholders (         -- see `vault`
         sequence INTEGER PRIMARY KEY,
         session  TEXT NOT NULL,
         kind     TEXT NOT NULL,
         number   INTEGER NOT NULL,
         token    BLOB NOT NULL UNIQUE CHECK (length(token) = 16),
         original TEXT NOT NULL,
         at       INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX placeholders_by_session ON placeholders (session);
     CREATE INDEX placeholders_by_time ON placeholders (at);",
    ),
];

/// The columns of a label, in the order in which [`label`] reads them.
const LABEL: &str = "sequence, id, at, session, request, action, form, outcome, code";

/// A connection to the captures and the vault, their tables as this release has them.
pub(crate) fn open(database: &Database) -> Result<Connection, StoreError> {
    let mut connection = database.open()?;
    Migrations::from_slice(STEPS).to_latest(&mut connection).map_err(|error| StoreError::Database {
        path: database.path().to_owned(),
        source: rusqlite::Error::ToSqlConversionFailure(Box::new(error)),
    })?;
    Ok(connection)
}

pub(super) fn insert(connection: &Connection, label: &CaptureLabel, content: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO captures (id, at, session, request, action, form, outcome, code, content)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement
        .execute(params![
            label.id.to_string(),
            label.at.as_microsecond(),
            label.session.map(|session| session.to_string()),
            label.request.to_string(),
            label.action.as_str(),
            label.form.as_str(),
            label.outcome.as_str(),
            label.code,
            content,
        ])
        .map(drop)
}

/// Every column is compared where the filter names it, so that one statement serves all filters.
pub(super) fn list(
    connection: &Connection,
    filter: &Filter,
    cutoff: Timestamp,
    limit: usize,
) -> rusqlite::Result<Listed> {
    let mut statement = connection.prepare(&format!(
        "SELECT {LABEL} FROM captures
         WHERE at >= ?1 AND (?2 IS NULL OR at < ?2) AND (?3 IS NULL OR session = ?3) AND (?4 IS NULL OR request = ?4)
           AND (?5 IS NULL OR action = ?5) AND (?6 IS NULL OR outcome = ?6) AND (?7 IS NULL OR code = ?7)
           AND (?8 IS NULL OR form = ?8) AND (?9 IS NULL OR sequence < ?9)
         ORDER BY sequence DESC LIMIT ?10"
    ))?;
    let since = filter.since.map_or(cutoff, |since| since.max(cutoff));
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(
        params![
            since.as_microsecond(),
            filter.until.map(Timestamp::as_microsecond),
            filter.session.map(|session| session.to_string()),
            filter.request.map(|request| request.to_string()),
            filter.action.map(Action::as_str),
            filter.outcome.map(OutcomeKind::as_str),
            filter.code,
            filter.form.map(super::Form::as_str),
            filter.before.map(|before| i64::try_from(before).unwrap_or(i64::MAX)),
            // One more, which tells whether there are more.
            most.saturating_add(1),
        ],
        label,
    )?;
    let mut found = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|(sequence, _)| *sequence).filter(|_| more);
    Ok(Listed { captures: found.into_iter().map(|(_, label)| label).collect(), next })
}

/// A label and its sealed content.
pub(super) fn read(
    connection: &Connection,
    id: CaptureId,
    cutoff: Timestamp,
) -> rusqlite::Result<Option<(CaptureLabel, String)>> {
    let mut statement =
        connection.prepare(&format!("SELECT {LABEL}, content FROM captures WHERE id = ?1 AND at >= ?2"))?;
    let read = |row: &Row<'_>| Ok((label(row)?.1, row.get("content")?));
    statement.query_row(params![id.to_string(), cutoff.as_microsecond()], read).optional()
}

pub(super) fn expired(connection: &Connection, cutoff: Timestamp) -> rusqlite::Result<u64> {
    let count = "SELECT count(*) FROM captures WHERE at < ?1";
    connection.query_row(count, [cutoff.as_microsecond()], |row| row.get::<_, i64>(0)).map(unsigned)
}

pub(super) fn purge(connection: &Connection, cutoff: Timestamp) -> rusqlite::Result<u64> {
    let removed = connection.execute("DELETE FROM captures WHERE at < ?1", [cutoff.as_microsecond()])?;
    Ok(u64::try_from(removed).unwrap_or(u64::MAX))
}

/// A label with its place in the list.
fn label(row: &Row<'_>) -> rusqlite::Result<(u64, CaptureLabel)> {
    let outcome: String = row.get(7)?;
    let action: String = row.get(5)?;
    let at = Timestamp::from_microsecond(row.get(2)?).ok();
    let label = CaptureLabel {
        id: parsed(row, 1)?,
        at: at.ok_or_else(|| unread(2))?,
        session: row.get::<_, Option<String>>(3)?.map(|text| text.parse()).transpose().map_err(|_| unread(3))?,
        request: parsed(row, 4)?,
        action: Action::ALL.iter().copied().find(|known| known.as_str() == action).ok_or_else(|| unread(5))?,
        form: parsed(row, 6)?,
        outcome: serde_json::from_value(outcome.into()).map_err(|_| unread(7))?,
        code: row.get(8)?,
    };
    Ok((unsigned(row.get(0)?), label))
}

fn parsed<T: FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    row.get::<_, String>(column)?.parse().map_err(|_| unread(column))
}

fn unread(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "a label's".to_owned(), Type::Text)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
