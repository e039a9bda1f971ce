//! Backups: one file with all of a store but its keys, made beside a running server.
//!
//! ```text
//! {"format":1,"key":"site/backup 1","at":"2026-...","generation":7,"salt":"..."}      in the clear
//! sealed chunks of 1 MiB: the site's own files, every database as of one moment each, the published tree of the audit log
//! ```
//!
//! # Why
//! - **Databases stand in it as they are encrypted**, each under its own data key, and no data key stands in it: destroy a
//!   tenant's key and its part of every backup is noise. The keys come back from a recovery bundle.
//! - **The audit log is taken last**, so that what the databases hold is recorded in it; its published tree just before, so
//!   that the log is never shorter than its own newest checkpoint.
//! - **The site's own files** (configuration, policies, certificates) come first, and one that is a key, a keyring or part of
//!   a recovery bundle is refused: with it a backup would open itself.
//! - **A backup is read back before it counts**: [`Store::back_up`] opens every chunk of what it wrote.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Database, Store, StoreError, captures_key, path_of, private_folder, tenant_key, uses::KeyUse, watermark};
use crate::keys::{DataKey, KeyName, KeyPurpose, KeyringError, listed};

mod archive;
mod error;
mod restore;
mod rollback;
mod site_files;
mod stream;
mod tree;

use archive::{Entries, Entry, end, put};
pub use error::{BackupError, Unreadable};
pub use restore::{Recovery, Restored};
pub use rollback::RolledBack;
pub use site_files::SiteFiles;
use stream::{Opener, Sealer};

/// The form that this program writes.
const FORMAT: u32 = 1;

/// What stands on a backup in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupLabel {
    format: u32,
    /// The key that it is sealed under, with its version.
    pub key: String,
    /// When it was made.
    pub at: Timestamp,
    /// How often the keyring had been changed.
    pub generation: u64,
    /// The release that last opened the store; none where none was noted, and in backups of early releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    salt: String,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// What stands on it.
    pub label: BackupLabel,
    /// Its parts with their lengths in bytes.
    pub parts: BTreeMap<String, u64>,
    /// Parts that do not open with the keys at hand, and why. Named only where they were tried.
    pub unreadable: BTreeMap<String, Unreadable>,
}

impl Contents {
    /// Bytes in all its parts.
    pub fn bytes(&self) -> u64 {
        self.parts.values().sum()
    }
}

/// Where the parts of a store begin; what else a site brings has names of its own.
const STORE: &str = "store/";

impl Store {
    /// Writes a backup of the store, and of the files in `beside` under their names, to the new file `path`, and reads it
    /// back. Others may read and write meanwhile.
    ///
    /// # Errors
    /// When something cannot be read, written or read back; the file is then not there.
    pub fn back_up(
        &self,
        path: &Path,
        beside: &BTreeMap<String, PathBuf>,
        at: Timestamp,
    ) -> Result<Contents, BackupError> {
        if path.exists() {
            return Err(BackupError::Exists { path: path.to_owned() });
        }
        let (key, version, generation) = self.backup_key()?;
        let mut salt = [0; 32];
        self.0.random.fill(&mut salt);
        let name = listed(&KeyName::site(KeyPurpose::Backup), version);
        let release = self.release()?;
        let label = BackupLabel { format: FORMAT, key: name, at, generation, release, salt: hex::encode(salt) };
        let partial = crate::keys::beside(path, "partial");
        let written = self.write_backup(&partial, &label, &key, beside).and_then(|()| {
            let contents = read_through(&partial, &key, |_, _| Ok(()))?;
            let io = |source| BackupError::Io { path: path.to_owned(), doing: "put in place", source };
            crate::keys::put_in_place(&partial, path).map_err(io)?;
            Ok(contents)
        });
        if written.is_err() {
            let _gone_or_named_in_the_error = fs::remove_file(&partial);
        }
        written
    }

    /// Reads the backup at `path`, and opens every database in it with its key.
    ///
    /// # Errors
    /// When it is damaged, or its key is not in the keyring.
    pub fn verify_backup(&self, path: &Path) -> Result<Contents, BackupError> {
        let label = label_of(path)?;
        let (key, version, _) = self.backup_key()?;
        if label.key != listed(&KeyName::site(KeyPurpose::Backup), version) {
            return Err(BackupError::NoKey { path: path.to_owned(), key: label.key });
        }
        let staging = Staging::new(&self.0.folder)?;
        let mut unreadable = BTreeMap::new();
        let mut contents = read_through(path, &key, |entry, content| {
            let Some(name) = database_of(&entry.name) else { return Ok(()) };
            let copy = staging.path.join(entry.name.replace('/', "-"));
            let mut file = File::create(&copy)?;
            io::copy(content, &mut file)?;
            drop(file);
            let kept = self.0.ring.read(&self.0.master, |keyring| Ok::<_, KeyringError>(keyring.unwrap(&name).ok()));
            let why = match kept {
                Ok(Some(Some((key, version)))) => {
                    self.used(KeyUse { name, version }).map_err(io::Error::other)?;
                    tried(&Database::new(copy.clone(), key), version).err()
                }
                _ => Some(Unreadable::NoKey),
            };
            unreadable.extend(why.map(|why| (entry.name.clone(), why)));
            fs::remove_file(&copy)
        })?;
        contents.unreadable = unreadable;
        Ok(contents)
    }

    fn backup_key(&self) -> Result<(DataKey, u32, u64), StoreError> {
        let name = KeyName::site(KeyPurpose::Backup);
        let random = self.0.random.as_ref();
        let read = |keyring: &crate::keys::Keyring| {
            let key = keyring.made(&name).map(|_| keyring.unwrap(&name)).transpose()?;
            Ok::<_, StoreError>((key, keyring.generation()))
        };
        let (key, generation) = match self.0.ring.read(&self.0.master, read)? {
            Some((Some(key), generation)) => (key, generation),
            // A keyring of a release that made no backups.
            _ => self.change(|keyring| {
                keyring.add(&name, random)?;
                keyring.mark_made(&name)?;
                Ok((keyring.unwrap(&name)?, keyring.generation().saturating_add(1)))
            })?,
        };
        self.used(KeyUse { name, version: key.1 })?;
        Ok((key.0, key.1, generation))
    }

    fn write_backup(
        &self,
        partial: &Path,
        label: &BackupLabel,
        key: &DataKey,
        beside: &BTreeMap<String, PathBuf>,
    ) -> Result<(), BackupError> {
        let io = |source| BackupError::Io { path: partial.to_owned(), doing: "written", source };
        let mut sealer = Sealer::create(partial, label, key).map_err(io)?;
        for (name, path) in beside {
            let bytes = site_files::read(path)?;
            put(&mut sealer, name, bytes.len() as u64, &mut bytes.as_slice()).map_err(io)?;
        }
        let staging = Staging::new(&self.0.folder)?;
        for tenant in self.tenants()? {
            self.snapshot(&self.tenant(&tenant)?, &tenant_key(&tenant), &staging, &mut sealer, partial)?;
            if let Some(captures) = self.kept_captures(&tenant)? {
                self.snapshot(&captures, &captures_key(&tenant), &staging, &mut sealer, partial)?;
            }
        }
        self.snapshot(&self.fleet(), &KeyName::site(KeyPurpose::Database), &staging, &mut sealer, partial)?;
        for (name, bytes) in tree::files(&self.0.folder.join("audit")).map_err(io)? {
            put(&mut sealer, &format!("{STORE}audit/{name}"), bytes.len() as u64, &mut bytes.as_slice()).map_err(io)?;
        }
        self.snapshot(&self.audit(), &KeyName::site(KeyPurpose::Audit), &staging, &mut sealer, partial)?;
        end(&mut sealer).and_then(|()| sealer.finish()).map_err(io)
    }

    /// Adds a database as of one moment, under the key that it has.
    fn snapshot(
        &self,
        database: &Database,
        name: &KeyName,
        staging: &Staging,
        sealer: &mut Sealer,
        partial: &Path,
    ) -> Result<(), BackupError> {
        let copy = staging.path.join("part.db");
        let copied = database.copy_to(&copy)?;
        if database.watermarks().is_some() {
            // The databases that were copied before it are a moment older than what it knows of them.
            copied.connect().and_then(|log| watermark::forget_all(&log)).map_err(|error| copied.error(error))?;
            copied.fold()?;
        }
        if !sound(&copied) {
            let part = path_of(Path::new(""), name).display().to_string();
            return Err(BackupError::Damaged { path: database.path().to_owned(), part });
        }
        let io = |source| BackupError::Io { path: partial.to_owned(), doing: "written", source };
        let mut file = File::open(&copy).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        put(sealer, &format!("{STORE}{}", path_of(Path::new(""), name).display()), size, &mut file).map_err(io)?;
        fs::remove_file(&copy).map_err(io)
    }
}

/// Whether every page of a database is as it was written, and they fit together.
pub(super) fn sound(database: &Database) -> bool {
    let checked = database.connect().and_then(|connection| {
        let mut pages = connection.prepare("PRAGMA cipher_integrity_check")?;
        let altered = pages.exists([])?;
        let fits: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok(!altered && fits == "ok")
    });
    checked.unwrap_or(false)
}

/// Whether `database` opens with its key, of that version, and is as it was written.
fn tried(database: &Database, version: u32) -> Result<(), Unreadable> {
    match database.check() {
        Err(StoreError::WrongKey { .. }) => Err(Unreadable::OtherKey(version)),
        Ok(()) if sound(database) => Ok(()),
        _ => Err(Unreadable::Damaged),
    }
}

/// The data key of the database that is a part of that name.
fn database_of(part: &str) -> Option<KeyName> {
    match part.strip_prefix(STORE)? {
        "fleet.db" => Some(KeyName::site(KeyPurpose::Database)),
        "audit.db" => Some(KeyName::site(KeyPurpose::Audit)),
        other => {
            let (tenant, file) = other.strip_prefix("tenants/")?.split_once('/')?;
            let tenant = tenant.parse().ok()?;
            match file {
                "tenant.db" => Some(tenant_key(&tenant)),
                "captures.db" => Some(captures_key(&tenant)),
                _ => None,
            }
        }
    }
}

/// What stands on the backup at `path`.
///
/// # Errors
/// When it cannot be read, or is none that this program knows.
pub fn label_of(path: &Path) -> Result<BackupLabel, BackupError> {
    Opener::label(path).map(|(label, _)| label)
}

/// Opens every chunk, and hands each part to `each`.
fn read_through(
    path: &Path,
    key: &DataKey,
    mut each: impl FnMut(&Entry, &mut dyn Read) -> io::Result<()>,
) -> Result<Contents, BackupError> {
    let (label, opener) = Opener::open(path, key)?;
    let mut entries = Entries::new(opener);
    let mut parts = BTreeMap::new();
    let mut last = "beginning".to_owned();
    loop {
        let damaged = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                BackupError::Damaged { path: path.to_owned(), part: format!("part after {last}") }
            }
            _ => BackupError::Io { path: path.to_owned(), doing: "read", source: error },
        };
        let Some(entry) = entries.next(&mut each).map_err(damaged)? else { break };
        last.clone_from(&entry.name);
        parts.insert(entry.name, entry.size);
    }
    Ok(Contents { label, parts, unreadable: BTreeMap::new() })
}

/// A folder for what a backup needs on the way, gone with the value. What a crash leaves of it, the next start removes.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn new(folder: &Path) -> Result<Self, StoreError> {
        let path = path_of(folder, &KeyName::site(KeyPurpose::Backup)).join(std::process::id().to_string());
        private_folder(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _removed_at_the_next_start = fs::remove_dir_all(&self.path);
    }
}
