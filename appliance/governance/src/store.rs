//! The encrypted store: one SQLCipher database per tenant, one for the fleet, one for the audit log.
//!
//! ```text
//! data/                 0700
//!   keyring             data keys, wrapped          see `keys`
//!   fleet.db            accounts                    key: site/database
//!   audit.db            the audit log               key: site/audit
//!   audit-index.db      its search index            key: site/audit-index
//!   audit/              its published tree          hashes and signatures only
//!   tenants/NAME/       0700
//!     tenant.db         documents, chunks, pairs    key: tenant/NAME/database
//!     captures.db       sealed captures, if any     key: tenant/NAME/captures
//!   store.lock          held by whoever has it open, alone by whoever encrypts a database anew
//! ```

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use cloister_terms::{Random, TenantId};
use rustix::fs::FlockOperation;

use crate::keys::{DataKey, KeyName, KeyPurpose, KeyringError, KeyringState, MasterKey, RingFile};

mod backup;
mod captures;
mod database;
mod error;
mod generation;
mod recovery;
mod release;
mod set_up;
mod uses;
pub(crate) mod watermark;
mod writer;

pub use backup::{BackupError, BackupLabel, Contents, Recovery, Restored, RolledBack, SiteFiles, Unreadable, label_of};
pub use database::Database;
pub use error::StoreError;
pub use recovery::Issuing;
pub use set_up::BEFORE_KEYRING;
use uses::{KeyUse, Recorder};
use watermark::Watermarks;
pub(crate) use writer::{NotWritten, Writer};

/// The folder with every database of the site. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    master: MasterKey,
    random: Arc<dyn Random>,
    ring: RingFile,
    fleet: Database,
    audit: Database,
    audit_index: Database,
    /// The tenants' databases whose keys were unwrapped.
    tenants: Mutex<BTreeMap<TenantId, Database>>,
    /// The same of their captures.
    captures: Mutex<BTreeMap<TenantId, Database>>,
    /// How far they had come, kept by the audit log.
    watermarks: Arc<Watermarks>,
    /// Keys that were unwrapped before there was a log to record it.
    unrecorded: Mutex<Vec<KeyUse>>,
    recorder: OnceLock<Recorder>,
    /// Held together with every other process that has the store open.
    lock: File,
}

impl Store {
    /// Opens the store in `folder`, making it if it is not there, and checks that the keys open what is. One that an
    /// earlier release made is brought into today's form, after a copy of it was set aside.
    pub fn open(folder: &Path, master: MasterKey, random: Arc<dyn Random>) -> Result<Self, StoreError> {
        private_folder(folder)?;
        private_folder(&folder.join("tenants"))?;
        let (lock, alone) = hold(folder)?;
        let ring = RingFile::of(folder);
        if alone {
            set_up::complete(folder, &ring, &master, random.as_ref())?;
            share(&lock, folder)?;
        }
        let watermarks = Arc::new(Watermarks::default());
        let mut unrecorded = Vec::new();
        let opened = ring.read(&master, |keyring| {
            if !keyring.replacing().is_empty() {
                return Err(StoreError::InUse { folder: folder.to_owned() });
            }
            let mut unwrap = |purpose| {
                let name = KeyName::site(purpose);
                let (key, version) = keyring.unwrap(&name)?;
                unrecorded.push(KeyUse { name: name.clone(), version });
                Ok::<_, StoreError>((path_of(folder, &name), key))
            };
            let (path, key) = unwrap(KeyPurpose::Database)?;
            let fleet = Database::new(path, key);
            let (path, key) = unwrap(KeyPurpose::Audit)?;
            let audit = Database::keeping(path, key, &watermarks);
            let (path, key) = unwrap(KeyPurpose::AuditIndex)?;
            let audit_index = Database::remade(path, key);
            there(&fleet)?;
            there(&audit)?;
            generation::check(&fleet, keyring.generation(), ring.path())?;
            audit.check()?;
            watched(&watermarks, &audit, &KeyName::site(KeyPurpose::Database), &fleet)?;
            Ok((fleet, audit, audit_index))
        })?;
        let missing = || KeyringError::Missing { path: ring.path().to_owned() };
        let (fleet, audit, audit_index) = opened.ok_or_else(missing)?;
        Ok(Self(Arc::new(Inner {
            folder: folder.to_owned(),
            master,
            random,
            ring,
            fleet,
            audit,
            audit_index,
            tenants: Mutex::default(),
            captures: Mutex::default(),
            watermarks,
            unrecorded: Mutex::new(unrecorded),
            recorder: OnceLock::new(),
            lock,
        })))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// The database of the whole site: accounts.
    pub fn fleet(&self) -> Database {
        self.0.fleet.clone()
    }

    /// The database of the audit log.
    pub fn audit(&self) -> Database {
        self.0.audit.clone()
    }

    /// The database of the index that searches the audit log. It can be made from the log again.
    pub fn audit_index(&self) -> Database {
        self.0.audit_index.clone()
    }

    /// The audit log in a copy of a store's folder, opened with the key of the store in `keys`. The copy need not be
    /// anything else.
    pub(crate) fn copied_audit(copy: &Path, keys: &Path, master: &MasterKey) -> Result<Database, StoreError> {
        let (path, name) = (copy.join("audit.db"), KeyName::site(KeyPurpose::Audit));
        let kept = RingFile::of(keys).read(master, |keyring| keyring.unwrap(&name).map_err(StoreError::from))?;
        // A copy that is older than the keyring is under the key that was derived then.
        let derived = DataKey::new(master.derive(&name.derivation()));
        let database = match kept {
            Some((key, _)) => Database::new(path.clone(), key),
            None => return Ok(Database::new(path, derived)),
        };
        match database.check() {
            Err(StoreError::WrongKey { .. }) if Database::new(path.clone(), derived.clone()).check().is_ok() => {
                Ok(Database::new(path, derived))
            }
            _ => Ok(database),
        }
    }

    /// The database of a tenant. Its key is unwrapped the first time, which is recorded before anything is read.
    pub fn tenant(&self, tenant: &TenantId) -> Result<Database, StoreError> {
        let mut tenants = self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = tenants.get(tenant) {
            return Ok(database.clone());
        }
        let name = tenant_key(tenant);
        let path = path_of(&self.0.folder, &name);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(StoreError::UnknownTenant(tenant.clone())),
            Err(source) => return Err(StoreError::Io { path, doing: "read", source }),
        }
        let unwrapped = self.0.ring.read(&self.0.master, |keyring| keyring.unwrap(&name).map_err(StoreError::from))?;
        let (key, version) = unwrapped.ok_or_else(|| self.no_keyring())?;
        self.used(KeyUse { name: name.clone(), version })?;
        let database = Database::new(path, key);
        watched(&self.0.watermarks, &self.0.audit, &name, &database)?;
        tenants.insert(tenant.clone(), database.clone());
        Ok(database)
    }

    /// The folder of a tenant, for what stands beside its database.
    pub fn tenant_folder(&self, tenant: &TenantId) -> PathBuf {
        self.0.folder.join("tenants").join(tenant.as_str())
    }

    /// Makes a tenant with a key of its own and an empty database.
    pub fn create_tenant(&self, tenant: &TenantId) -> Result<Database, StoreError> {
        let name = tenant_key(tenant);
        let path = path_of(&self.0.folder, &name);
        if path.exists() {
            return Err(StoreError::TenantExists(tenant.clone()));
        }
        private_folder(&self.tenant_folder(tenant))?;
        let random = self.0.random.as_ref();
        let (made, (key, version)) = self.change(|keyring| {
            let made = keyring.made(&name) == Some(true);
            keyring.add(&name, random)?;
            Ok((made, keyring.unwrap(&name)?))
        })?;
        if made {
            return Err(StoreError::Gone { path });
        }
        self.used(KeyUse { name: name.clone(), version })?;
        let database = Database::new(path, key);
        watermark::forget(&self.0.audit, &name)?;
        database.create()?;
        database.check()?;
        self.0.watermarks.watch(&name, &database);
        self.change(|keyring| keyring.mark_made(&name))?;
        let mut tenants = self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.insert(tenant.clone(), database.clone());
        Ok(database)
    }

    /// The tenants there are, by name.
    pub fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        tenants_in(&self.0.folder)
    }

    /// How the keyring stands.
    pub fn keys(&self) -> Result<KeyringState, StoreError> {
        let state = self.0.ring.read(&self.0.master, |keyring| Ok::<_, StoreError>(keyring.state()))?;
        state.ok_or_else(|| self.no_keyring())
    }

    /// Replaces a master key that is kept in a file by a new one, and wraps every data key for it. No database is touched,
    /// and a server may run. The new key's id.
    pub fn rotate_master(&self) -> Result<String, StoreError> {
        self.0.ring.rotate(&self.0.master, self.0.random.as_ref(), |keyring| self.note(keyring.generation()))
    }

    /// Wraps every data key for `next` as well, which somebody then puts in place: with both the store opens until then.
    pub fn prepare_master(&self, next: &MasterKey) -> Result<(), StoreError> {
        let random = self.0.random.as_ref();
        self.0.ring.prepare(&self.0.master, next, random, |keyring| self.note(keyring.generation()))
    }

    /// Gives up a master key that was prepared and not put in place. Whether there was one.
    pub fn abandon_master(&self) -> Result<bool, StoreError> {
        self.0.ring.abandon(&self.0.master, |keyring| self.note(keyring.generation()))
    }

    /// Gives a tenant new data keys and encrypts its databases anew, its captures too. Nobody else may have the store open.
    pub fn replace_tenant_key(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let (name, captures) = (tenant_key(tenant), captures_key(tenant));
        // Its connections go with their holders; SQLite refuses below if there are any left.
        self.forget(tenant);
        self.alone(|| {
            self.change(|keyring| {
                keyring.begin_replacing(&name, self.0.random.as_ref())?;
                match keyring.made(&captures) {
                    Some(true) => keyring.begin_replacing(&captures, self.0.random.as_ref()),
                    _ => Ok(()),
                }
            })?;
            set_up::finish_replacing(&self.0.folder, &self.0.ring, &self.0.master)?;
            let generation = self.0.ring.read(&self.0.master, |keyring| Ok::<_, StoreError>(keyring.generation()))?;
            self.note(generation.unwrap_or(0))
        })
    }

    fn change<T>(
        &self,
        work: impl FnOnce(&mut crate::keys::Keyring) -> Result<T, KeyringError>,
    ) -> Result<T, StoreError> {
        self.0.ring.change(&self.0.master, work, |keyring| self.note(keyring.generation()))
    }

    /// Lets go of the databases of a tenant that were opened.
    fn forget(&self, tenant: &TenantId) {
        [tenant_key(tenant), captures_key(tenant)].iter().for_each(|name| self.0.watermarks.release(name));
        for opened in [&self.0.tenants, &self.0.captures] {
            opened.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
        }
    }

    fn note(&self, generation: u64) -> Result<(), StoreError> {
        generation::note(&self.0.fleet, generation)
    }

    fn no_keyring(&self) -> StoreError {
        KeyringError::Missing { path: self.0.ring.path().to_owned() }.into()
    }

    /// Does `work` while no other process has the store open.
    fn alone<T, E: From<StoreError>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let taken = rustix::fs::flock(&self.0.lock, FlockOperation::NonBlockingLockExclusive);
        let done = match taken {
            Ok(()) => work(),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse { folder: self.0.folder.clone() }.into()),
            Err(errno) => Err(lock_error(&self.0.folder, errno.into()).into()),
        };
        // A lock that was asked for anew may have been lost on the way.
        share(&self.0.lock, &self.0.folder)?;
        done
    }
}

fn tenant_key(tenant: &TenantId) -> KeyName {
    KeyName::tenant(tenant.clone(), KeyPurpose::Database)
}

fn captures_key(tenant: &TenantId) -> KeyName {
    KeyName::tenant(tenant.clone(), KeyPurpose::Captures)
}

/// What a key encrypts.
fn path_of(folder: &Path, name: &KeyName) -> PathBuf {
    match (name.of_tenant(), name.purpose()) {
        (Some(tenant), KeyPurpose::Captures) => folder.join("tenants").join(tenant.as_str()).join("captures.db"),
        (Some(tenant), _) => folder.join("tenants").join(tenant.as_str()).join("tenant.db"),
        (None, KeyPurpose::Database) => folder.join("fleet.db"),
        (None, KeyPurpose::Audit) => folder.join("audit.db"),
        (None, KeyPurpose::AuditIndex) => folder.join("audit-index.db"),
        // No database, but the folder in which a backup is prepared.
        (None, KeyPurpose::Backup) => folder.join("backup"),
        // Never made: captures are a tenant's.
        (None, KeyPurpose::Captures) => folder.join("captures.db"),
    }
}

fn tenants_in(folder: &Path) -> Result<Vec<TenantId>, StoreError> {
    let folder = folder.join("tenants");
    let read = |source| StoreError::Io { path: folder.clone(), doing: "read", source };
    let mut tenants = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        // What is no tenant's name was not put there by this program, and is left alone.
        let Some(tenant) = entry.file_name().to_str().and_then(|name| name.parse::<TenantId>().ok()) else {
            continue;
        };
        if entry.path().join("tenant.db").exists() {
            tenants.push(tenant);
        }
    }
    tenants.sort();
    Ok(tenants)
}

/// Refuses to open in place of a database that was made and is not there: SQLite would make a new one.
fn there(database: &Database) -> Result<(), StoreError> {
    match database.path().metadata() {
        Ok(metadata) if metadata.len() > 0 => Ok(()),
        _ => Err(StoreError::Gone { path: database.path().to_owned() }),
    }
}

/// Refuses a database that was put back, and has the audit log keep how far it comes from here.
fn watched(marks: &Watermarks, log: &Database, name: &KeyName, database: &Database) -> Result<(), StoreError> {
    watermark::check(log, name, database)?;
    database.follow()?;
    marks.watch(name, database);
    Ok(())
}

/// The store's lock, and whether nobody else has the store open. If so it is held alone until [`share`].
fn hold(folder: &Path) -> Result<(File, bool), StoreError> {
    let path = folder.join("store.lock");
    match crate::keys::locked(&path, FlockOperation::NonBlockingLockExclusive) {
        Ok(lock) => Ok((lock, true)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            // Waits for one that is just being set up.
            let lock = crate::keys::locked(&path, FlockOperation::LockShared);
            Ok((lock.map_err(|error| lock_error(folder, error))?, false))
        }
        Err(error) => Err(lock_error(folder, error)),
    }
}

fn share(lock: &File, folder: &Path) -> Result<(), StoreError> {
    rustix::fs::flock(lock, FlockOperation::LockShared).map_err(|errno| lock_error(folder, errno.into()))
}

fn lock_error(folder: &Path, source: io::Error) -> StoreError {
    StoreError::Io { path: folder.join("store.lock"), doing: "locked", source }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

/// Makes `folder` durably with mode 0700, or checks that it is ours and closed to others.
fn private_folder(folder: &Path) -> Result<(), StoreError> {
    let created = |source| StoreError::Io { path: folder.to_owned(), doing: "created", source };
    let missing = folder.ancestors().skip(1).take_while(|above| !above.as_os_str().is_empty() && !above.exists());
    let made: Vec<&Path> = missing.chain([folder]).collect();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).map_err(created)?;
    // What is synced within a folder is there after a power loss only if the folder's own name is. One that is there already
    // may have been made by a process that died before it came to this.
    made.into_iter().try_for_each(crate::keys::sync_folder_of).map_err(created)?;
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
