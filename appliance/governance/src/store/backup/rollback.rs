//! A store as an earlier release left it, in place of what a later one made of it.
//!
//! ```text
//! from the backup    fleet.db, tenants/NAME/tenant.db
//! from today         keyring, audit.db, audit/, tenants/NAME/captures.db
//! ```
//!
//! The audit log stays whole, and so do the captures: what was done is recorded, whatever became of it. The keyring stays
//! the newest, so that a destroyed tenant stays destroyed. Both folders change places in one step, and today's is kept
//! without a keyring.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use cloister_terms::TenantId;
use jiff::Timestamp;
use rustix::fs::{CWD, RenameFlags};

use super::{
    super::{Store, captures_key, path_of, private_folder, set_up, watermark},
    BackupError, BackupLabel, Contents, STORE, Unreadable, database_of, read_through,
    restore::{sync, write},
    site_files,
};
use crate::keys::{KeyName, KeyPurpose};

/// What a store went back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// What stood on the backup.
    pub label: BackupLabel,
    /// The folder in which the store is kept as it was until now.
    pub kept: PathBuf,
    /// Tenants that were destroyed since, and stay so.
    pub destroyed: Vec<TenantId>,
}

impl Store {
    /// Puts accounts and tenants as they are in the backup at `path` in place of today's. Nobody else may have the store
    /// open, and this one must be opened anew.
    ///
    /// # Errors
    /// When the store is in use, a tenant was made since, a key was replaced since, or a file cannot be read or written.
    /// The store then is as it was.
    pub fn roll_back(&self, path: &Path, at: Timestamp) -> Result<RolledBack, BackupError> {
        self.alone(|| {
            let contents = self.verify_backup(path)?;
            self.can_go_back_to(path, &contents)?;
            let today = &self.0.folder;
            let other = today.with_file_name(format!("store-before-rollback-{}", at.as_second()));
            if other.exists() {
                return Err(BackupError::Exists { path: other });
            }
            // Into one file each; and whoever has one open is noticed.
            for tenant in self.tenants()? {
                self.tenant(&tenant)?.fold()?;
                if let Some(captures) = self.kept_captures(&tenant)? {
                    captures.fold()?;
                }
            }
            self.fleet().fold()?;
            self.audit().fold()?;
            let io = |source| BackupError::Io { path: other.clone(), doing: "written", source };
            if let Err(error) = self.build(path, &contents.unreadable, &other) {
                let _half_of_it = fs::remove_dir_all(&other);
                return Err(error);
            }
            rustix::fs::renameat_with(CWD, &other, CWD, today, RenameFlags::EXCHANGE)
                .map_err(|errno| io(errno.into()))?;
            crate::keys::sync_folder_of(today).map_err(io)?;
            // Its databases open with the keyring in force, and a copy of that would outlive a key that is destroyed.
            fs::remove_file(other.join("keyring")).map_err(io)?;
            fs::File::open(&other).and_then(|folder| folder.sync_all()).map_err(io)?;
            let destroyed: BTreeSet<TenantId> = contents.unreadable.keys().filter_map(|part| held_by(part)).collect();
            Ok(RolledBack { label: contents.label, kept: other, destroyed: destroyed.into_iter().collect() })
        })
    }

    /// Refuses to lose a tenant that was made since, or whose key was replaced since.
    fn can_go_back_to(&self, path: &Path, contents: &Contents) -> Result<(), BackupError> {
        let replaced = contents.unreadable.iter().find(|(_, why)| **why != Unreadable::NoKey);
        if let Some((part, why)) = replaced {
            return Err(BackupError::Needed { path: path.to_owned(), part: part.clone(), why: *why });
        }
        let held: Vec<TenantId> = contents.parts.keys().filter_map(|part| held_by(part)).collect();
        match self.tenants()?.into_iter().find(|tenant| !held.contains(tenant)) {
            Some(tenant) => Err(BackupError::NewerTenant { path: path.to_owned(), tenant }),
            None => Ok(()),
        }
    }

    /// Makes the folder `to` hold what the store is to hold.
    fn build(&self, path: &Path, left_out: &BTreeMap<String, Unreadable>, to: &Path) -> Result<(), BackupError> {
        let io = |source| BackupError::Io { path: to.to_owned(), doing: "written", source };
        private_folder(to)?;
        let (key, _, _) = self.backup_key()?;
        read_through(path, &key, |entry, content| {
            let Some(within) = entry.name.strip_prefix(STORE) else { return Ok(()) };
            if gives_way(&entry.name) || left_out.contains_key(&entry.name) {
                return Ok(());
            }
            match site_files::leads_down(within) {
                true => write(&to.join(within), content),
                false => Err(io::ErrorKind::InvalidData.into()),
            }
        })?;
        for name in ["keyring", "audit"] {
            set_up::copy_of(&self.0.folder.join(name), &to.join(name)).map_err(io)?;
        }
        for tenant in self.tenants()? {
            let captures = path_of(Path::new(""), &captures_key(&tenant));
            let kept = self.0.folder.join(&captures);
            if kept.exists() {
                set_up::copy_of(&kept, &to.join(&captures)).map_err(io)?;
            }
        }
        let log = self.audit().copy_to(&path_of(to, &KeyName::site(KeyPurpose::Audit)))?;
        // The databases beside it are to be as they were, and not to pass for put back.
        log.connect().and_then(|log| watermark::forget_all(&log)).map_err(|error| log.error(error))?;
        log.fold()?;
        sync(to).map_err(io)
    }
}

fn held_by(part: &str) -> Option<TenantId> {
    database_of(part)?.of_tenant().cloned()
}

/// Whether a part of a backup gives way to today's: the audit log and captures.
fn gives_way(part: &str) -> bool {
    let kept = [KeyPurpose::Audit, KeyPurpose::Captures];
    database_of(part).is_some_and(|name| kept.contains(&name.purpose()))
        || part.strip_prefix(STORE).is_some_and(|within| within.starts_with("audit/"))
}
