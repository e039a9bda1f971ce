//! The table behind the register.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use rusqlite_migration::{M, Migrations};

use super::{Account, AccountError, AccountId};
use crate::{
    policy::{Principal, Readable},
    store::{Database, StoreError},
};

const STEPS: &[M<'static>] = &[M::up(
    "CREATE TABLE accounts (
         id          TEXT PRIMARY KEY,
         name        TEXT NOT NULL,
         role        TEXT NOT NULL,
         tenant      TEXT,
         collections TEXT,             -- JSON list of names; null for all
         labels      TEXT NOT NULL,    -- JSON list of names
         secret_hash BLOB NOT NULL,    -- SHA-256 of the key's secret part
         issued      TEXT NOT NULL,    -- times as RFC 3339 in UTC
         expires     TEXT,
         revoked     TEXT,
         last_used   TEXT
     ) STRICT;",
)];

const COLUMNS: &str = "id, name, role, tenant, collections, labels, issued, expires, revoked, last_used";

pub(super) fn migrate(connection: &mut Connection, database: &Database) -> Result<(), AccountError> {
    Migrations::from_slice(STEPS).to_latest(connection).map_err(|error| {
        let path = database.path().to_owned();
        let source = match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => err,
            other => rusqlite::Error::ToSqlConversionFailure(Box::new(other)),
        };
        AccountError::Store(StoreError::Database { path, source })
    })
}

/// A row as it stands in the table, not yet read as an account.
pub(super) struct Row {
    id: String,
    name: String,
    role: String,
    tenant: Option<String>,
    collections: Option<String>,
    labels: String,
    issued: String,
    expires: Option<String>,
    revoked: Option<String>,
    last_used: Option<String>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            role: row.get("role")?,
            tenant: row.get("tenant")?,
            collections: row.get("collections")?,
            labels: row.get("labels")?,
            issued: row.get("issued")?,
            expires: row.get("expires")?,
            revoked: row.get("revoked")?,
            last_used: row.get("last_used")?,
        })
    }

    /// The row as an account. A value that cannot be read refuses the whole row: a collection list that does not parse
    /// must not become "all", nor an expiry "never".
    pub(super) fn account(self) -> Result<Account, AccountError> {
        let id = self.id;
        let damaged = |column| AccountError::Damaged { account: id.clone(), column };
        let time = |column, text: Option<String>| {
            text.map(|text| text.parse::<Timestamp>().map_err(|_| damaged(column))).transpose()
        };
        let collections = match self.collections {
            None => Readable::All,
            Some(list) => Readable::These(serde_json::from_str(&list).map_err(|_| damaged("collections"))?),
        };
        Ok(Account {
            principal: Principal {
                account: id.parse().map_err(|_| damaged("id"))?,
                name: self.name,
                role: self.role.parse().map_err(|_| damaged("role"))?,
                tenant: self.tenant.map(|name| name.parse().map_err(|_| damaged("tenant"))).transpose()?,
                collections,
                labels: serde_json::from_str(&self.labels).map_err(|_| damaged("labels"))?,
            },
            issued: self.issued.parse().map_err(|_| damaged("issued"))?,
            expires: time("expires", self.expires)?,
            revoked: time("revoked", self.revoked)?,
            last_used: time("last_used", self.last_used)?,
        })
    }
}

fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn insert(connection: &Connection, account: &Account, hash: &[u8]) -> rusqlite::Result<()> {
    let principal = &account.principal;
    let collections = match &principal.collections {
        Readable::All => None,
        Readable::These(these) => Some(json(these)?),
    };
    connection.execute(
        "INSERT INTO accounts (id, name, role, tenant, collections, labels, secret_hash, issued, expires)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            principal.account.as_str(),
            principal.name,
            principal.role.as_str(),
            principal.tenant.as_ref().map(ToString::to_string),
            collections,
            json(&principal.labels)?,
            hash,
            account.issued.to_string(),
            account.expires.map(|time| time.to_string()),
        ],
    )?;
    Ok(())
}

pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<(Row, Vec<u8>)>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS}, secret_hash FROM accounts WHERE id = ?1"))?
        .query_row([id], |row| Ok((Row::read(row)?, row.get("secret_hash")?)))
        .optional()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM accounts ORDER BY issued, id"))?;
    statement.query_map([], Row::read)?.collect()
}

pub(super) fn touch(connection: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE accounts SET last_used = ?2 WHERE id = ?1", params![id, now.to_string()])?;
    Ok(())
}

/// Whether there is such an account. A second revocation keeps the time of the first.
pub(super) fn revoke(connection: &Connection, id: &AccountId, now: Timestamp) -> rusqlite::Result<bool> {
    let changed = connection.execute(
        "UPDATE accounts SET revoked = coalesce(revoked, ?2) WHERE id = ?1",
        params![id.as_str(), now.to_string()],
    )?;
    Ok(changed == 1)
}
