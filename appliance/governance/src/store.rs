//! The encrypted store: one SQLCipher database per tenant, one for the fleet, one for the audit log.
//!
//! ```text
//! data/                 0700
//!   fleet.db            accounts                    key: database/fleet
//!   audit.db            the audit log               key: database/audit
//!   audit-index.db      its search index            key: database/audit-index
//!   audit/              its published tree          hashes and signatures only
//!   tenants/NAME/       0700
//!     tenant.db         documents, chunks, pairs    key: database/tenant/NAME
//! ```

use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use cloister_terms::TenantId;

use crate::keys::{DataKey, MasterKey};

mod database;

pub use database::Database;

/// Why the store could not be opened. No variant holds a key or anything out of a database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder is open to others.
    #[error("the data folder {path} has mode {mode:04o}, so that others may enter it: run `chmod 0700` on it")]
    TooOpen {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The folder belongs to someone else.
    #[error(
        "the data folder {path} belongs to user {owner}, not to the user {me} that runs this program: run `chown` on it"
    )]
    OtherOwner {
        /// The folder.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The user id of this process.
        me: u32,
    },
    /// The key does not open the database, or the file is damaged at its beginning.
    #[error(
        "{path} does not open with this master key: it was made with another key, belongs to another tenant, or is damaged; check `keys.master`, or restore a backup"
    )]
    WrongKey {
        /// The database file.
        path: PathBuf,
    },
    /// No such tenant.
    #[error("there is no tenant `{0}`")]
    UnknownTenant(TenantId),
    /// The tenant is there already.
    #[error("there is a tenant `{0}` already")]
    TenantExists(TenantId),
    /// The file system refused.
    #[error("{path} cannot be {doing}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `created`, `read`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The database refused.
    #[error("the database {path} failed")]
    Database {
        /// The database file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
}

/// The folder with every database of the site.
#[derive(Clone)]
pub struct Store {
    folder: Arc<Path>,
    key: MasterKey,
}

impl Store {
    /// Opens the store in `folder`, making it if it is not there, and checks that the key opens what is.
    pub fn open(folder: &Path, key: MasterKey) -> Result<Self, StoreError> {
        private_folder(folder)?;
        private_folder(&folder.join("tenants"))?;
        let store = Self { folder: folder.into(), key };
        store.fleet().check()?;
        store.audit().check()?;
        Ok(store)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The database of the whole site: accounts.
    pub fn fleet(&self) -> Database {
        self.database(self.folder.join("fleet.db"), "fleet")
    }

    /// The database of the audit log.
    pub fn audit(&self) -> Database {
        self.database(self.folder.join("audit.db"), "audit")
    }

    /// The database of the index that searches the audit log. It can be made from the log again.
    pub fn audit_index(&self) -> Database {
        self.database(self.folder.join("audit-index.db"), "audit-index")
    }

    /// The audit log in a copy of this folder. The copy need not be anything else.
    pub(crate) fn copied_audit(folder: &Path, key: &MasterKey) -> Database {
        Database::new(folder.join("audit.db"), key.derive("database/audit"))
    }

    /// The database of a tenant.
    pub fn tenant(&self, tenant: &TenantId) -> Result<Database, StoreError> {
        let path = self.tenant_path(tenant);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(StoreError::UnknownTenant(tenant.clone())),
            Err(source) => return Err(StoreError::Io { path, doing: "read", source }),
        }
        Ok(self.database(path, &format!("tenant/{tenant}")))
    }

    /// The folder of a tenant, for what stands beside its database.
    pub fn tenant_folder(&self, tenant: &TenantId) -> PathBuf {
        self.folder.join("tenants").join(tenant.as_str())
    }

    /// Makes a tenant with an empty database.
    pub fn create_tenant(&self, tenant: &TenantId) -> Result<Database, StoreError> {
        let path = self.tenant_path(tenant);
        if path.exists() {
            return Err(StoreError::TenantExists(tenant.clone()));
        }
        private_folder(&self.tenant_folder(tenant))?;
        let database = self.database(path, &format!("tenant/{tenant}"));
        database.check()?;
        Ok(database)
    }

    /// The tenants there are, by name.
    pub fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let folder = self.folder.join("tenants");
        let read = |source| StoreError::Io { path: folder.clone(), doing: "read", source };
        let mut tenants = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            // What is no tenant's name was not put there by this program, and is left alone.
            let Some(tenant) = entry.file_name().to_str().and_then(|name| name.parse::<TenantId>().ok()) else {
                continue;
            };
            if self.tenant_path(&tenant).exists() {
                tenants.push(tenant);
            }
        }
        tenants.sort();
        Ok(tenants)
    }

    fn tenant_path(&self, tenant: &TenantId) -> PathBuf {
        self.tenant_folder(tenant).join("tenant.db")
    }

    fn database(&self, path: PathBuf, name: &str) -> Database {
        let key: DataKey = self.key.derive(&format!("database/{name}"));
        Database::new(path, key)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Makes `folder` with mode 0700, or checks that it is ours and closed to others.
fn private_folder(folder: &Path) -> Result<(), StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(|source| StoreError::Io { path: folder.to_owned(), doing: "created", source })?;
    let metadata = std::fs::metadata(folder).map_err(|source| StoreError::Io {
        path: folder.to_owned(),
        doing: "read",
        source,
    })?;
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        return Err(StoreError::OtherOwner { path: folder.to_owned(), owner: metadata.uid(), me });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(StoreError::TooOpen { path: folder.to_owned(), mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
