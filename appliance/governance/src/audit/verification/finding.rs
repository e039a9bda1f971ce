//! What a verification says: where, and what is wrong there.

use std::fmt;

use rusqlite::Connection;
use rusqlite_migration::Migrations;
use serde::Serialize;

use super::super::{table, tile::TILE_WIDTH};
use crate::store::Database;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Records are not there, and others after them are.
    Missing,
    /// Records are not those that were signed.
    Altered,
    /// Records do not add up to a checkpoint, and it cannot be told which of them.
    Unproven,
    /// Records do not read as records.
    Malformed,
    /// Records stand on damaged pages of the file.
    Unreadable,
    /// An entry is opened or closed twice, or closed before it was opened.
    Duplicate,
    /// The end of the log is gone: a checkpoint covers records that are not there.
    Cut,
    /// A checkpoint is missing, altered, or not signed by the key that should have signed it.
    Checkpoint,
    /// A published tile is missing or altered.
    Tile,
    /// A checkpoint key is not the one that was announced or written down.
    Key,
    /// A trigger that keeps the tables append-only is not there.
    Guard,
    /// Pages of the database file are damaged.
    Page,
    /// Records were removed before they were old enough.
    Purged,
    /// The search index does not say what the log says.
    Index,
}

impl Fault {
    /// The word that output uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Altered => "altered",
            Self::Unproven => "unproven",
            Self::Malformed => "malformed",
            Self::Unreadable => "unreadable",
            Self::Duplicate => "duplicate",
            Self::Cut => "cut",
            Self::Checkpoint => "checkpoint",
            Self::Tile => "tile",
            Self::Key => "key",
            Self::Guard => "guard",
            Self::Page => "page",
            Self::Purged => "purged",
            Self::Index => "index",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub fault: Fault,
    /// The first record concerned; none where it is not about records.
    pub from: Option<u64>,
    /// The last record concerned.
    pub to: Option<u64>,
    /// In words. Never a record's content.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from == to => write!(f, "record {from}: {}", self.detail),
            (Some(from), Some(to)) => write!(f, "records {from} to {to}: {}", self.detail),
            _ => f.write_str(&self.detail),
        }
    }
}

/// Findings as they come. Those of neighbouring records with the same fault become one.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, fault: Fault, records: Option<(u64, u64)>, detail: impl FnOnce() -> String) {
        if let Some((from, to)) = records
            && let Some(last) = self.0.iter_mut().rev().find(|last| last.fault == fault)
            && last.to.is_some_and(|end| end + 1 == from)
            && matches!(fault, Fault::Missing | Fault::Altered | Fault::Malformed | Fault::Tile)
        {
            last.to = Some(to);
            return;
        }
        let (from, to) = records.unzip();
        self.0.push(Finding { fault, from, to, detail: detail() });
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.0.iter().any(|finding| finding.fault == fault)
    }

    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| (finding.from.unwrap_or(u64::MAX), finding.fault));
        self.0
    }
}

/// Whether what was purged was old enough, by the times that checkpoints were signed at.
pub(super) fn retention(connection: &Connection, found: &mut Findings) {
    match table::purged_early(connection) {
        Ok(None) => {}
        Ok(Some(bundle)) => {
            let end = table::purged(connection).unwrap_or((bundle + 1) * TILE_WIDTH);
            let records = Some((bundle * TILE_WIDTH + 1, end));
            found.add(Fault::Purged, records, || "removed before they were six years old".to_owned());
        }
        Err(_) => found.add(Fault::Purged, None, || "what was purged cannot be read".to_owned()),
    }
}

/// Whether the triggers are there, letter for letter.
pub(super) fn guards(connection: &Connection, found: &mut Findings) {
    let guards = |connection: &Connection| -> rusqlite::Result<Vec<(String, String)>> {
        let statement = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name";
        let mut statement = connection.prepare(statement)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let expected = Connection::open_in_memory().and_then(|mut model| {
        let made = Migrations::from_slice(table::STEPS).to_latest(&mut model);
        made.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        guards(&model)
    });
    match (expected, guards(connection)) {
        (Ok(expected), Ok(present)) if expected == present => {}
        (Ok(expected), Ok(present)) => {
            for (name, _) in expected.iter().filter(|guard| !present.contains(guard)) {
                found.add(Fault::Guard, None, || format!("the trigger `{name}` is missing or was changed"));
            }
            for (name, _) in present.iter().filter(|guard| !expected.contains(guard)) {
                found.add(Fault::Guard, None, || format!("there is a trigger `{name}` that this program did not make"));
            }
        }
        _ => found.add(Fault::Guard, None, || "the triggers of the tables cannot be read".to_owned()),
    }
}

/// What is said of the pages of the database file that do not bear their check sum; none where they cannot be checked.
///
/// A page that is being written at this moment may be read half old, half new: only what is damaged twice is damaged.
pub(super) fn damaged_pages(database: &Database) -> Option<Vec<String>> {
    let connection = database.connect().ok()?;
    let check = || {
        let mut statement = connection.prepare("PRAGMA cipher_integrity_check")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    };
    let mut damaged = check().ok()?;
    if !damaged.is_empty() {
        let again = check().ok()?;
        damaged.retain(|page| again.contains(page));
    }
    Some(damaged)
}

/// Reports the pages that [`damaged_pages`] found.
pub(super) fn pages(damaged: Option<&[String]>, found: &mut Findings) {
    match damaged {
        Some([]) => {}
        Some(pages) => found.add(Fault::Page, None, || {
            let first = pages.first().map_or("", String::as_str);
            format!("{} pages of the database file are damaged; the first: {first}", pages.len())
        }),
        None => found.add(Fault::Page, None, || "the pages of the database file cannot be checked".to_owned()),
    }
}
