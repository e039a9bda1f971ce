//! A version as the index knows it: what decides who may see it and when.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cloister_terms::{AccessLabel, DocumentId};
use jiff::civil::Date;
use rusqlite::{Connection, Row};

use crate::store::versions::{day, document_id};
use crate::store::{Doing, StoreError, passages};

/// A version of a document.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) key: i64,
    /// Key of the document, and its public id.
    pub(crate) document: i64,
    pub(crate) id: DocumentId,
    pub(crate) handle: String,
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) version: String,
    pub(crate) label: AccessLabel,
    pub(crate) effective: Option<Date>,
    pub(crate) expires: Option<Date>,
    pub(crate) supersedes: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    /// The pairs that say something of their own about their validity.
    pub(crate) pairs: HashMap<i64, PairRule>,
}

/// What a pair says about its own validity.
#[derive(Debug, Clone)]
pub(crate) struct PairRule {
    pub(crate) effective: Option<Date>,
    pub(crate) expires: Option<Date>,
    pub(crate) label: Option<AccessLabel>,
    pub(crate) metadata: BTreeMap<String, String>,
}

const SELECT: &str = "SELECT v.key, v.document, d.id, d.handle, v.name, v.title, v.version, v.label, v.effective,
   v.expires, v.supersedes, v.metadata FROM versions v JOIN documents d ON d.key = v.document";

struct Fields {
    key: i64,
    document: i64,
    texts: [String; 6],
    options: [Option<String>; 4],
}

fn fields(row: &Row<'_>) -> rusqlite::Result<Fields> {
    Ok(Fields {
        key: row.get(0)?,
        document: row.get(1)?,
        texts: [row.get(2)?, row.get(3)?, row.get(4)?, row.get(6)?, row.get(7)?, row.get(11)?],
        options: [row.get(5)?, row.get(8)?, row.get(9)?, row.get(10)?],
    })
}

fn checked(connection: &Connection, fields: Fields) -> Result<Version, StoreError> {
    let Fields { key, document, texts, options } = fields;
    let [id, handle, name, version, label, metadata] = texts;
    let [title, effective, expires, supersedes] = options;
    Ok(Version {
        key,
        document,
        id: document_id(&id)?,
        handle,
        name,
        title,
        version,
        label: access_label(label)?,
        effective: day(effective)?,
        expires: day(expires)?,
        supersedes,
        metadata: map(&metadata)?,
        pairs: rules(connection, key)?,
    })
}

fn rules(connection: &Connection, version: i64) -> Result<HashMap<i64, PairRule>, StoreError> {
    let mut rules = HashMap::new();
    for pair in passages::pairs_of(connection, version)? {
        let metadata = map(&pair.metadata)?;
        if pair.effective.is_some() || pair.expires.is_some() || pair.label.is_some() || !metadata.is_empty() {
            let label = pair.label.map(access_label).transpose()?;
            rules.insert(pair.key, PairRule { effective: pair.effective, expires: pair.expires, label, metadata });
        }
    }
    Ok(rules)
}

fn access_label(stored: String) -> Result<AccessLabel, StoreError> {
    stored.try_into().map_err(|_| StoreError::Damaged { what: "an access label" })
}

fn map(stored: &str) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(stored).map_err(|_| StoreError::Damaged { what: "metadata" })
}

/// The keys of all versions in use.
pub(crate) fn keys(connection: &Connection, collection: i64) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT key FROM versions WHERE collection = ?1 AND state = 'current'")
        .doing("list the versions")?;
    let rows = statement.query_map([collection], |row| row.get(0)).doing("list the versions")?;
    rows.map(|row| row.doing("list the versions")).collect()
}

/// All versions in use, by key.
pub(crate) fn load_all(connection: &Connection, collection: i64) -> Result<HashMap<i64, Arc<Version>>, StoreError> {
    let mut statement = connection
        .prepare_cached(&format!("{SELECT} WHERE v.collection = ?1 AND v.state = 'current'"))
        .doing("load the versions")?;
    let rows = statement.query_map([collection], fields).doing("load the versions")?;
    rows.map(|row| {
        let version = checked(connection, row.doing("load the versions")?)?;
        Ok((version.key, Arc::new(version)))
    })
    .collect()
}

/// One version.
pub(crate) fn load(connection: &Connection, key: i64) -> Result<Version, StoreError> {
    let found = connection
        .prepare_cached(&format!("{SELECT} WHERE v.key = ?1"))
        .and_then(|mut statement| statement.query_row([key], fields))
        .doing("load a version")?;
    checked(connection, found)
}
