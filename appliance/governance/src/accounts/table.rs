//! The tables behind the register.

use cloister_terms::Role;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};
use rusqlite_migration::{M, Migrations};

use super::{Account, AccountError, AccountId, ListedAccessKey, access_key, api_key};
use crate::{
    policy::{Principal, Readable},
    store::{Database, StoreError},
};

const FIRST: &str = "CREATE TABLE accounts (
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
     ) STRICT;";

const STEPS: &[M<'static>] = &[
    M::up(FIRST),
    // An account may have several keys, so that they can be rotated; and persons have a password in their place.
    M::up(
        "CREATE TABLE api_keys (
             id          TEXT PRIMARY KEY,
             account     TEXT NOT NULL REFERENCES accounts(id),
             secret_hash BLOB NOT NULL,    -- SHA-256 of the secret part
             issued      TEXT NOT NULL,
             expires     TEXT,
             revoked     TEXT,
             last_used   TEXT
         ) STRICT;
         CREATE INDEX api_keys_of ON api_keys (account);
         INSERT INTO api_keys SELECT id, id, secret_hash, issued, expires, revoked, last_used FROM accounts;
         ALTER TABLE accounts DROP COLUMN secret_hash;
         ALTER TABLE accounts DROP COLUMN expires;
         ALTER TABLE accounts DROP COLUMN revoked;
         ALTER TABLE accounts DROP COLUMN last_used;
         ALTER TABLE accounts ADD COLUMN disabled TEXT;
         CREATE TABLE persons (
             account        TEXT PRIMARY KEY REFERENCES accounts(id),
             name           TEXT NOT NULL UNIQUE,   -- what they sign in with
             salt           BLOB NOT NULL,
             hash           BLOB NOT NULL,          -- Argon2id of the password
             memory         INTEGER NOT NULL,       -- in KiB
             passes         INTEGER NOT NULL,
             lanes          INTEGER NOT NULL,
             one_time_until INTEGER,                -- the password is a one-time secret, until then (milliseconds)
             totp           BLOB,                   -- the second factor's secret
             totp_confirmed INTEGER NOT NULL DEFAULT 0,
             totp_step      INTEGER                 -- the last step whose code was taken
         ) STRICT;
         CREATE TABLE recovery_codes (
             account TEXT NOT NULL REFERENCES persons(account),
             hash    BLOB NOT NULL,                 -- SHA-256 of the code
             PRIMARY KEY (account, hash)
         ) STRICT;
         CREATE TABLE attempts (
             account TEXT NOT NULL,
             at      INTEGER NOT NULL               -- milliseconds since 1970
         ) STRICT;
         CREATE TABLE sign_ins (
             hash      BLOB PRIMARY KEY,            -- SHA-256 of the token
             account   TEXT NOT NULL REFERENCES accounts(id),
             begun     INTEGER NOT NULL,            -- milliseconds since 1970
             last_used INTEGER NOT NULL,
             ended     TEXT                         -- why, once it has
         ) STRICT;
         CREATE INDEX sign_ins_of ON sign_ins (account);",
    ),
    M::up(
        "CREATE TABLE access_keys (
             id        TEXT PRIMARY KEY,
             account   TEXT NOT NULL REFERENCES accounts(id),
             secret    TEXT NOT NULL,
             issued    TEXT NOT NULL,
             expires   TEXT,
             revoked   TEXT,
             last_used TEXT
         ) STRICT;
         CREATE TABLE barred (          -- accounts that are not in this register and are disabled here
             account TEXT PRIMARY KEY,
             since   TEXT NOT NULL
         ) STRICT;",
    ),
    // A lock is of the address that the wrong tries came from; what is there already came from one that is not known.
    M::up(
        "ALTER TABLE attempts ADD COLUMN source TEXT NOT NULL DEFAULT '';
         ALTER TABLE sign_ins ADD COLUMN source TEXT NOT NULL DEFAULT '';",
    ),
    M::up(
        "ALTER TABLE api_keys ADD COLUMN actions TEXT;      -- JSON list of the actions that it is limited to; null for all
         ALTER TABLE access_keys ADD COLUMN actions TEXT;",
    ),
    M::up(
        "CREATE TABLE emergencies (
             id       TEXT PRIMARY KEY,
             account  TEXT NOT NULL,        -- of this register, or of somebody whom another vouches for
             name     TEXT NOT NULL,
             role     TEXT NOT NULL,
             tenant   TEXT NOT NULL,
             ground   TEXT NOT NULL,
             salt     BLOB NOT NULL,        -- of the reason's hash in the audit log; the reason lies with the tenant
             labels   TEXT NOT NULL,        -- JSON list of names
             begun    INTEGER NOT NULL,     -- milliseconds since 1970, like the other times here
             until    INTEGER NOT NULL,
             ended    INTEGER,              -- before its time
             reviewed INTEGER,
             reviewer TEXT,
             verdict  TEXT
         ) STRICT;
         CREATE INDEX emergencies_of ON emergencies (account, until);",
    ),
];

const COLUMNS: &str = "a.id, a.name, a.role, a.tenant, a.collections, a.labels, a.issued, a.disabled";

pub(super) fn migrate(connection: &mut Connection, database: &Database) -> Result<(), AccountError> {
    let brought = Migrations::from_slice(STEPS).to_latest(connection);
    brought.map_err(|error| AccountError::Store(StoreError::of_migration(error, database)))
}

/// What a key's row says of it: its times, and the actions that it is limited to.
#[derive(Default)]
pub(super) struct KeyRow {
    pub(super) expires: Option<String>,
    pub(super) revoked: Option<String>,
    pub(super) last_used: Option<String>,
    pub(super) actions: Option<String>,
}

impl KeyRow {
    /// The columns that [`KeyRow::read`] reads.
    pub(super) const COLUMNS: &str = "k.expires, k.revoked, k.last_used, k.actions";

    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            expires: row.get("expires")?,
            revoked: row.get("revoked")?,
            last_used: row.get("last_used")?,
            actions: row.get("actions")?,
        })
    }
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
    disabled: Option<String>,
    key: KeyRow,
    sign_in: Option<String>,
    access_keys: Vec<(String, KeyRow)>,
}

impl Row {
    /// The account's id as it stands there.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The same with a key's row.
    pub(super) fn with_key(self, key: KeyRow) -> Self {
        Self { key, ..self }
    }

    /// Reads [`COLUMNS`].
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            role: row.get("role")?,
            tenant: row.get("tenant")?,
            collections: row.get("collections")?,
            labels: row.get("labels")?,
            issued: row.get("issued")?,
            disabled: row.get("disabled")?,
            key: KeyRow::default(),
            sign_in: None,
            access_keys: Vec::new(),
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
        // A limit that cannot be read must not become "none".
        let actions = |list: Option<String>| {
            list.map(|list| serde_json::from_str(&list).map_err(|_| damaged("actions"))).transpose()
        };
        let collections = match self.collections {
            None => Readable::All,
            Some(list) => Readable::These(serde_json::from_str(&list).map_err(|_| damaged("collections"))?),
        };
        let role: Role = self.role.parse().map_err(|_| damaged("role"))?;
        let access_keys = self.access_keys.into_iter().map(|(id, key)| {
            Ok(ListedAccessKey {
                id,
                expires: time("expires", key.expires)?,
                revoked: time("revoked", key.revoked)?,
                last_used: time("last_used", key.last_used)?,
                actions: actions(key.actions)?,
            })
        });
        Ok(Account {
            principal: Principal {
                account: id.parse().map_err(|_| damaged("id"))?,
                name: self.name,
                tenant: self.tenant.map(|name| name.parse().map_err(|_| damaged("tenant"))).transpose()?,
                collections,
                labels: serde_json::from_str(&self.labels).map_err(|_| damaged("labels"))?,
                actions: actions(self.key.actions)?,
                person: false,
                ..Principal::local(role, None)
            },
            issued: self.issued.parse().map_err(|_| damaged("issued"))?,
            expires: time("expires", self.key.expires)?,
            revoked: time("revoked", self.key.revoked)?,
            last_used: time("last_used", self.key.last_used)?,
            disabled: time("disabled", self.disabled)?,
            sign_in: self.sign_in,
            access_keys: access_keys.collect::<Result<_, AccountError>>()?,
        })
    }
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn insert(connection: &Connection, principal: &Principal, issued: Timestamp) -> rusqlite::Result<()> {
    let collections = match &principal.collections {
        Readable::All => None,
        Readable::These(these) => Some(json(these)?),
    };
    connection.execute(
        "INSERT INTO accounts (id, name, role, tenant, collections, labels, issued)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            principal.account.as_str(),
            principal.name,
            principal.role.as_str(),
            principal.tenant.as_ref().map(ToString::to_string),
            collections,
            json(&principal.labels)?,
            issued.to_string(),
        ],
    )?;
    Ok(())
}

/// The account that a key belongs to, with the key's times and what is stored of its secret.
pub(super) fn of_key(connection: &Connection, key: &str) -> rusqlite::Result<Option<(Row, Vec<u8>)>> {
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, {}, k.secret_hash FROM api_keys k JOIN accounts a ON a.id = k.account WHERE k.id = ?1",
            KeyRow::COLUMNS
        ))?
        .query_row([key], |row| Ok((Row { key: KeyRow::read(row)?, ..Row::read(row)? }, row.get("secret_hash")?)))
        .optional()
}

/// An account by its id, without the times of its keys.
pub(super) fn find(connection: &Connection, account: &AccountId) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM accounts a WHERE a.id = ?1"))?
        .query_row([account.as_str()], Row::read)
        .optional()
}

/// The id of the account with this id, or else this sign-in name.
pub(super) fn named(connection: &Connection, id: &str, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT id FROM accounts WHERE id = ?1 UNION ALL SELECT account FROM persons WHERE name = ?2 LIMIT 1",
            [id, name],
            |row| row.get(0),
        )
        .optional()
}

/// Each with the times of its newest key.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM accounts a ORDER BY a.issued, a.id"))?;
    let mut rows = statement.query_map([], Row::read)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for row in &mut rows {
        row.key = api_key::newest(connection, &row.id)?.unwrap_or_default();
        row.sign_in = connection
            .query_row("SELECT name FROM persons WHERE account = ?1", [&row.id], |person| person.get(0))
            .optional()?;
        row.access_keys = access_key::of(connection, &row.id)?;
    }
    Ok(rows)
}

/// Whether there is such an account. Disabling one that is disabled keeps the time of the first.
pub(super) fn disable(connection: &Connection, id: &AccountId, at: Option<Timestamp>) -> rusqlite::Result<bool> {
    let changed = connection.execute(
        "UPDATE accounts SET disabled = iif(?2 IS NULL, NULL, coalesce(disabled, ?2)) WHERE id = ?1",
        params![id.as_str(), at.map(|at| at.to_string())],
    )?;
    Ok(changed == 1)
}

pub(super) fn bar(connection: &Connection, account: &AccountId, now: Timestamp) -> rusqlite::Result<()> {
    let statement = "INSERT INTO barred (account, since) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    connection.execute(statement, [account.as_str(), &now.to_string()])?;
    Ok(())
}

pub(super) fn unbar(connection: &Connection, account: &AccountId) -> rusqlite::Result<bool> {
    Ok(connection.execute("DELETE FROM barred WHERE account = ?1", [account.as_str()])? == 1)
}

pub(super) fn is_barred(connection: &Connection, account: &AccountId) -> rusqlite::Result<bool> {
    let statement = "SELECT EXISTS (SELECT 1 FROM barred WHERE account = ?1)";
    connection.prepare_cached(statement)?.query_row([account.as_str()], |row| row.get(0))
}

/// The tables as the first version made them.
#[cfg(test)]
pub(super) fn first_version() -> String {
    format!("{FIRST} PRAGMA user_version = 1;")
}
