//! What was declared of the tenants that were stood up from files of their own.
//!
//! It lies in the database of the site, so that it is encrypted, backed up and brought back with the accounts.

use cloister_terms::TenantId;
use rusqlite::{Connection, OptionalExtension as _};

use crate::store::{Database, StoreError};

/// The declarations, each a text that the appliance reads and writes.
#[derive(Debug, Clone)]
pub struct Declarations {
    database: Database,
}

impl Declarations {
    /// Those of the site whose database this is.
    ///
    /// # Errors
    /// When the database fails.
    pub fn open(database: &Database) -> Result<Self, StoreError> {
        let declarations = Self { database: database.clone() };
        declarations.with(|connection| {
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS tenants (name TEXT PRIMARY KEY, declared TEXT NOT NULL) STRICT, WITHOUT ROWID;",
            )
        })?;
        Ok(declarations)
    }

    /// What is declared of a tenant.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, tenant: &TenantId) -> Result<Option<String>, StoreError> {
        self.with(|connection| {
            let statement = "SELECT declared FROM tenants WHERE name = ?1";
            connection.query_row(statement, [tenant.as_str()], |row| row.get(0)).optional()
        })
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub fn all(&self) -> Result<Vec<(TenantId, String)>, StoreError> {
        let rows = self.with(|connection| {
            let mut statement = connection.prepare("SELECT name, declared FROM tenants ORDER BY name")?;
            statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()
        })?;
        Ok(rows.into_iter().filter_map(|(name, declared)| Some((name.parse().ok()?, declared))).collect())
    }

    /// Declares a tenant, in place of what was declared of it before.
    ///
    /// # Errors
    /// When the database fails.
    pub fn put(&self, tenant: &TenantId, declared: &str) -> Result<(), StoreError> {
        self.with(|connection| {
            connection.execute(
                "INSERT INTO tenants VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET declared = excluded.declared",
                [tenant.as_str(), declared],
            )
        })
        .map(drop)
    }

    /// Forgets a tenant. Whether it was declared.
    ///
    /// # Errors
    /// When the database fails.
    pub fn remove(&self, tenant: &TenantId) -> Result<bool, StoreError> {
        self.with(|connection| connection.execute("DELETE FROM tenants WHERE name = ?1", [tenant.as_str()]))
            .map(|removed| removed > 0)
    }

    fn with<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        self.database.connect().and_then(|connection| work(&connection)).map_err(|error| self.database.error(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    #[test]
    fn the_last_word_on_a_tenant_counts_until_it_is_forgotten() {
        let (_folder, store) = store();
        let (a, b): (TenantId, TenantId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let declarations = Declarations::open(&store.fleet()).unwrap();
        assert_eq!(declarations.get(&a).unwrap(), None);
        for (tenant, text) in [(&b, "one"), (&a, "two"), (&b, "three")] {
            declarations.put(tenant, text).unwrap();
        }
        let again = Declarations::open(&store.fleet()).unwrap();
        assert_eq!(again.all().unwrap(), [(a.clone(), "two".to_owned()), (b.clone(), "three".to_owned())]);
        assert!(again.remove(&b).unwrap() && !again.remove(&b).unwrap());
        assert_eq!(again.get(&b).unwrap(), None);
    }
}
