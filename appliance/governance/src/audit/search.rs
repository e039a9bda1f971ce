//! Searching: plain filters, or one SQL statement that can read the view and do nothing else.
//!
//! # Why
//! - **SQLite's authorizer decides, not a look at the text.** It is asked while a statement is prepared for every table,
//!   column, function and pragma that the statement would touch; all but the view and a list of harmless functions is
//!   denied. The connection takes no writes either, and a statement that runs too long is stopped.

use std::time::{Duration, Instant};

use cloister_terms::{Action, EmergencyId, SessionId, TenantId};
use jiff::Timestamp;
use rusqlite::{
    Connection, ToSql,
    hooks::{AuthAction, AuthContext, Authorization},
    types::ValueRef,
};
use serde_json::Value;

use super::{
    OutcomeKind,
    index::{COLUMNS, TABLE, VIEW, time},
};

/// How long a statement may run.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// SQLite instructions between two looks at the clock.
const INSTRUCTIONS: i32 = 10_000;

/// Functions of SQLite that a statement may call: those that work on values alone.
const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "coalesce",
    "count",
    "cume_dist",
    "date",
    "datetime",
    "dense_rank",
    "first_value",
    "format",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array_length",
    "json_extract",
    "json_type",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "lower",
    "ltrim",
    "max",
    "min",
    "ntile",
    "nullif",
    "percent_rank",
    "printf",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "time",
    "timediff",
    "total",
    "trim",
    "typeof",
    "unixepoch",
    "upper",
    "->",
    "->>",
];

/// Why a search could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The statement would do more than read the view.
    #[error(
        "only one SELECT on the view `audit` is possible here, with SQLite's usual functions: a statement that writes, reads other tables or changes settings is refused"
    )]
    Refused,
    /// The statement cannot be understood.
    #[error("the statement cannot be run: {0}")]
    Statement(String),
    /// It ran too long.
    #[error("the statement ran for more than {} seconds and was stopped: narrow it, by time for example", TIME_LIMIT.as_secs())]
    TooLong,
}

/// What to look for. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Opened at this time or later.
    pub since: Option<Timestamp>,
    /// Opened before this time.
    pub until: Option<Timestamp>,
    /// The account's id or name.
    pub who: Option<String>,
    /// What was done.
    pub action: Option<Action>,
    /// The interaction.
    pub session: Option<SessionId>,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// The emergency access that it was done under, opened, ended or reviewed.
    pub emergency: Option<EmergencyId>,
    /// How it ended.
    pub outcome: Option<OutcomeKind>,
    /// Entries opened by records numbered above this.
    pub after: u64,
}

/// What was found: rows of values, under the names of their columns.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Found {
    /// The columns' names.
    pub columns: Vec<String>,
    /// Texts, numbers and nulls.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more rows than were asked for.
    pub more: bool,
}

impl Filter {
    /// The statement, and the values of its parameters.
    fn statement(&self) -> (String, Vec<Box<dyn ToSql>>) {
        let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let mut statement = format!("SELECT {} FROM {VIEW} WHERE sequence > ?1", columns.join(", "));
        let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(super::table::signed(self.after))];
        let mut and = |condition: &str, value: Option<String>| {
            if let Some(value) = value {
                values.push(Box::new(value));
                statement.push_str(&format!(" AND {}", condition.replace('?', &format!("?{}", values.len()))));
            }
        };
        and("at >= ?", self.since.map(time));
        and("at < ?", self.until.map(time));
        and("(account = ? OR name = ?)", self.who.clone());
        and("action = ?", self.action.map(|action| action.as_str().to_owned()));
        and("session = ?", self.session.map(|session| session.to_string()));
        and("tenant = ?", self.tenant.as_ref().map(ToString::to_string));
        and("emergency = ?", self.emergency.map(|emergency| emergency.to_string()));
        and("outcome = ?", self.outcome.map(|outcome| outcome.as_str().to_owned()));
        statement.push_str(" ORDER BY sequence");
        (statement, values)
    }
}

/// Entries that `filter` lets through, at most `limit`, oldest first.
pub(super) fn filtered(index: &Connection, filter: &Filter, limit: usize) -> Result<Found, SearchError> {
    let (statement, values) = filter.statement();
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    run(index, &statement, values.as_slice(), limit)
}

/// What one SELECT on the view gives, at most `limit` rows.
pub(super) fn query(index: &Connection, statement: &str, limit: usize) -> Result<Found, SearchError> {
    run(index, statement, &[], limit)
}

fn run(index: &Connection, statement: &str, values: &[&dyn ToSql], limit: usize) -> Result<Found, SearchError> {
    confine(index).map_err(told)?;
    let mut prepared = index.prepare(statement).map_err(told)?;
    if !prepared.readonly() || prepared.column_count() == 0 {
        return Err(SearchError::Refused);
    }
    let columns: Vec<String> = prepared.column_names().into_iter().map(ToOwned::to_owned).collect();
    let mut rows = prepared.query(values).map_err(told)?;
    let mut found = Found { columns, rows: Vec::new(), more: false };
    while let Some(row) = rows.next().map_err(told)? {
        if found.rows.len() == limit {
            found.more = true;
            break;
        }
        let values = (0..found.columns.len()).map(|at| row.get_ref(at).map(value).map_err(told));
        found.rows.push(values.collect::<Result<_, _>>()?);
    }
    Ok(found)
}

/// From here on this connection reads the view and nothing else.
fn confine(index: &Connection) -> rusqlite::Result<()> {
    index.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    index.execute_batch("PRAGMA query_only = ON")?;
    let until = Instant::now() + TIME_LIMIT;
    index.progress_handler(INSTRUCTIONS, Some(move || Instant::now() > until))?;
    index.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Select | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Read { table_name, .. } if table_name.eq_ignore_ascii_case(VIEW) => Authorization::Allow,
        // The table only as the view reads it; how many rows it has, which `count(*)` asks, is no more than the view tells.
        AuthAction::Read { table_name: TABLE, column_name: "" } => Authorization::Allow,
        AuthAction::Read { table_name: TABLE, .. } if context.accessor == Some(VIEW) => Authorization::Allow,
        AuthAction::Function { function_name } if is_harmless(function_name) => Authorization::Allow,
        _ => Authorization::Deny,
    }))
}

fn is_harmless(function: &str) -> bool {
    FUNCTIONS.contains(&function.to_ascii_lowercase().as_str())
}

fn told(error: rusqlite::Error) -> SearchError {
    match (error.sqlite_error_code(), &error) {
        (Some(rusqlite::ErrorCode::AuthorizationForStatementDenied), _) => SearchError::Refused,
        (Some(rusqlite::ErrorCode::OperationInterrupted), _) => SearchError::TooLong,
        (_, rusqlite::Error::MultipleStatement) => SearchError::Refused,
        // Of a function SQLite says so in words only.
        (_, rusqlite::Error::SqlInputError { msg, .. }) if msg.starts_with("not authorized") => SearchError::Refused,
        (_, rusqlite::Error::SqlInputError { msg, .. }) => SearchError::Statement(msg.clone()),
        _ => SearchError::Statement(error.to_string()),
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => hex::encode(bytes).into(),
    }
}
