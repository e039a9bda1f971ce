//! The versions of tenants' guardrails, and which of them is in force.
//!
//! It lies in the database of the site, so that it is encrypted, backed up and brought back with the accounts.
//!
//! **What it is not:** a reader of guardrails. A version is a text with a hash; the appliance reads it.
//!
//! # Why
//! - **A version never changes.** What was measured, put in force and named in a record is found again word for word.
//! - **What was in force is a history**, not a pointer: a roll-back is its next entry, and says what it went back to.

use cloister_terms::{Clock, TenantId};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::store::{Database, StoreError};

const TABLES: &str = "CREATE TABLE IF NOT EXISTS guardrail_versions (
         tenant   TEXT NOT NULL,
         number   INTEGER NOT NULL,     -- from 1 on
         sha256   TEXT NOT NULL,        -- of the document's bytes, in hexadecimal digits
         document TEXT NOT NULL,
         at       TEXT NOT NULL,        -- RFC 3339 in UTC
         PRIMARY KEY (tenant, number)
     ) STRICT, WITHOUT ROWID;
     CREATE TABLE IF NOT EXISTS guardrail_activations (
         sequence INTEGER PRIMARY KEY,
         tenant   TEXT NOT NULL,
         number   INTEGER NOT NULL,
         result   TEXT NOT NULL,        -- SHA-256 of the result and of the gate that let it in
         gate     TEXT NOT NULL,
         at       TEXT NOT NULL,
         FOREIGN KEY (tenant, number) REFERENCES guardrail_versions (tenant, number)
     ) STRICT;";

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number, from 1 on.
    pub number: u32,
    /// SHA-256 of the document's bytes, in hexadecimal digits.
    pub sha256: String,
    /// The document.
    pub document: String,
    /// When it was published, RFC 3339 in UTC.
    pub at: String,
}

/// What let a version in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// SHA-256 of the result's file.
    pub result: String,
    /// SHA-256 of the gate's file.
    pub gate: String,
}

/// The guardrails of a site's tenants.
#[derive(Debug, Clone)]
pub struct Guardrails {
    database: Database,
}

impl Guardrails {
    /// Those of the site whose database this is.
    ///
    /// # Errors
    /// When the database fails.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        let guardrails = Self { database: database.clone() };
        guardrails.with(|connection| connection.execute_batch(TABLES))?;
        Ok(guardrails)
    }

    /// Publishes a document as the next version and returns its number. What is published already keeps its number.
    ///
    /// # Errors
    /// When the database fails.
    pub fn publish(
        &self,
        tenant: &TenantId,
        document: &str,
        sha256: &str,
        clock: &dyn Clock,
    ) -> Result<u32, StoreError> {
        self.with(|connection| {
            let known = "SELECT number FROM guardrail_versions WHERE tenant = ?1 AND sha256 = ?2";
            let known: Option<u32> =
                connection.query_row(known, [tenant.as_str(), sha256], |row| row.get(0)).optional()?;
            if let Some(number) = known {
                return Ok(number);
            }
            // One statement, so that two publishers do not get one number.
            connection.query_row(
                "INSERT INTO guardrail_versions SELECT ?1, coalesce(max(number), 0) + 1, ?2, ?3, ?4 \
                     FROM guardrail_versions WHERE tenant = ?1 RETURNING number",
                params![tenant.as_str(), sha256, document, clock.now().to_string()],
                |row| row.get(0),
            )
        })
    }

    /// The versions of a tenant, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub fn versions(&self, tenant: &TenantId) -> Result<Vec<Version>, StoreError> {
        self.with(|connection| {
            let statement =
                "SELECT number, sha256, document, at FROM guardrail_versions WHERE tenant = ?1 ORDER BY number";
            connection.prepare(statement)?.query_map([tenant.as_str()], version)?.collect()
        })
    }

    /// One version.
    ///
    /// # Errors
    /// When the database fails.
    pub fn version(&self, tenant: &TenantId, number: u32) -> Result<Option<Version>, StoreError> {
        self.with(|connection| {
            let statement =
                "SELECT number, sha256, document, at FROM guardrail_versions WHERE tenant = ?1 AND number = ?2";
            connection.query_row(statement, params![tenant.as_str(), number], version).optional()
        })
    }

    /// The version that is in force; none where none was ever activated.
    ///
    /// # Errors
    /// When the database fails.
    pub fn active(&self, tenant: &TenantId) -> Result<Option<Version>, StoreError> {
        match self.activations(tenant)?.last() {
            Some((number, _)) => self.version(tenant, *number),
            None => Ok(None),
        }
    }

    /// Puts a version in force.
    ///
    /// # Errors
    /// When the database fails, or there is no such version.
    pub fn activate(
        &self,
        tenant: &TenantId,
        number: u32,
        passed: &Passed,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        self.with(|connection| {
            connection.execute(
                "INSERT INTO guardrail_activations (tenant, number, result, gate, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![tenant.as_str(), number, passed.result, passed.gate, clock.now().to_string()],
            )
        })
        .map(drop)
    }

    /// Puts the version in force again that was so before the one that is now, on the strength of what let it in then. Its
    /// number; none where there was no other.
    ///
    /// # Errors
    /// When the database fails.
    pub fn roll_back(&self, tenant: &TenantId, clock: &dyn Clock) -> Result<Option<u32>, StoreError> {
        let history = self.activations(tenant)?;
        let path = path(&history);
        let Some((number, passed)) = path.len().checked_sub(2).and_then(|before| path.get(before)) else {
            return Ok(None);
        };
        self.activate(tenant, *number, passed, clock)?;
        Ok(Some(*number))
    }

    /// Forgets the guardrail of a tenant that is gone: a later tenant of that name is another one.
    ///
    /// # Errors
    /// When the database fails.
    pub fn forget(&self, tenant: &TenantId) -> Result<(), StoreError> {
        self.with(|connection| {
            connection.execute("DELETE FROM guardrail_activations WHERE tenant = ?1", [tenant.as_str()])?;
            connection.execute("DELETE FROM guardrail_versions WHERE tenant = ?1", [tenant.as_str()])
        })
        .map(drop)
    }

    /// What was put in force, the first first.
    fn activations(&self, tenant: &TenantId) -> Result<Vec<(u32, Passed)>, StoreError> {
        self.with(|connection| {
            let statement =
                "SELECT number, result, gate FROM guardrail_activations WHERE tenant = ?1 ORDER BY sequence";
            let read = |row: &Row<'_>| Ok((row.get(0)?, Passed { result: row.get(1)?, gate: row.get(2)? }));
            connection.prepare(statement)?.query_map([tenant.as_str()], read)?.collect()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.database.connect().and_then(|connection| work(&connection)).map_err(|error| self.database.error(error))
    }
}

fn version(row: &Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version { number: row.get(0)?, sha256: row.get(1)?, document: row.get(2)?, at: row.get(3)? })
}

/// The versions from the first to the one in force, without those that were gone back from: whoever put the one before in force again went back.
fn path(history: &[(u32, Passed)]) -> Vec<&(u32, Passed)> {
    let mut path: Vec<&(u32, Passed)> = Vec::new();
    for entry in history {
        let is = |place: Option<&&(u32, Passed)>| place.is_some_and(|before| before.0 == entry.0);
        if is(path.iter().rev().nth(1)) {
            path.pop();
        } else if !is(path.last()) {
            path.push(entry);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{clock, store};

    fn passed(result: &str) -> Passed {
        Passed { result: result.to_owned(), gate: "g".to_owned() }
    }

    #[test]
    fn versions_are_numbered_by_tenant_and_one_text_has_one_number() {
        let (_folder, store) = store();
        let (guardrails, clock) = (Guardrails::open(&store.fleet()).unwrap(), clock());
        let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let publish = |tenant: &TenantId, text: &str| guardrails.publish(tenant, text, text, clock.as_ref()).unwrap();
        assert_eq!((publish(&a, "one"), publish(&a, "two"), publish(&b, "two"), publish(&a, "one")), (1, 2, 1, 1));
        let versions = guardrails.versions(&a).unwrap();
        assert_eq!(versions.iter().map(|v| v.document.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(guardrails.version(&b, 2).unwrap(), None);
    }

    #[test]
    fn what_is_in_force_is_the_last_that_was_activated_and_can_be_rolled_back() {
        let (_folder, store) = store();
        let (guardrails, clock) = (Guardrails::open(&store.fleet()).unwrap(), clock());
        let tenant: TenantId = "a".parse().unwrap();
        let active = || guardrails.active(&tenant).unwrap().map(|version| version.number);
        assert_eq!((active(), guardrails.roll_back(&tenant, clock.as_ref()).unwrap()), (None, None));
        for text in ["one", "two"] {
            guardrails.publish(&tenant, text, text, clock.as_ref()).unwrap();
        }
        guardrails.activate(&tenant, 1, &passed("r1"), clock.as_ref()).unwrap();
        assert_eq!(guardrails.roll_back(&tenant, clock.as_ref()).unwrap(), None, "there is no other");
        guardrails.activate(&tenant, 2, &passed("r2"), clock.as_ref()).unwrap();
        assert_eq!(active(), Some(2));
        assert_eq!(guardrails.roll_back(&tenant, clock.as_ref()).unwrap(), Some(1));
        assert_eq!(active(), Some(1));
        assert_eq!(guardrails.roll_back(&tenant, clock.as_ref()).unwrap(), None, "it does not go forward again");
        guardrails.forget(&tenant).unwrap();
        assert_eq!((active(), guardrails.versions(&tenant).unwrap()), (None, Vec::new()));
    }

    #[test]
    fn going_back_twice_goes_back_twice_and_what_is_put_in_force_afterwards_comes_after_that() {
        let numbers = |history: &[u32]| {
            let history: Vec<(u32, Passed)> = history.iter().map(|number| (*number, passed("r"))).collect();
            path(&history).iter().map(|(number, _)| *number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&[1, 2, 3]), [1, 2, 3]);
        assert_eq!(numbers(&[1, 2, 3, 2]), [1, 2]);
        assert_eq!(numbers(&[1, 2, 3, 2, 1]), [1]);
        assert_eq!(numbers(&[1, 2, 3, 2, 4]), [1, 2, 4]);
        assert_eq!(numbers(&[1, 1, 2, 2]), [1, 2]);
        assert_eq!(numbers(&[3, 1, 3, 1]), [3, 1]);
    }

    #[test]
    fn a_version_that_is_not_there_cannot_be_put_in_force() {
        let (_folder, store) = store();
        let (guardrails, clock) = (Guardrails::open(&store.fleet()).unwrap(), clock());
        assert!(guardrails.activate(&"a".parse().unwrap(), 7, &passed("r"), clock.as_ref()).is_err());
        assert_eq!(guardrails.active(&"a".parse().unwrap()).unwrap(), None);
    }
}
