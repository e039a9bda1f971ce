//! The search index, held against the log that it is made from.

use rusqlite::Connection;

use super::{
    super::{LogError, index},
    Fault, Finding,
};
use crate::store::Database;

/// The first entry that the index has otherwise than the log. None where they agree, or where there is no index yet.
pub(super) fn differs(log: &Connection, database: &Database) -> Result<Option<Finding>, LogError> {
    if !database.path().exists() {
        return Ok(None);
    }
    let finding = |at: Option<u64>, detail: &str| {
        let detail = format!("{detail}: run `cloister audit rebuild-index`");
        Some(Finding { fault: Fault::Index, from: at, to: at, detail })
    };
    let Ok(connection) = index::connect(database) else {
        return Ok(finding(None, "the search index does not open"));
    };
    match index::differing(log, &connection) {
        Ok(None) => Ok(None),
        Ok(Some(sequence)) => Ok(finding(Some(sequence), "the search index has another entry here, or lacks one")),
        Err(_) => Ok(finding(None, "the search index cannot be read")),
    }
}
