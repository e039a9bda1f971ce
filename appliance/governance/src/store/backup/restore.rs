//! A site brought back onto an empty machine, from a backup and a recovery bundle.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use cloister_terms::{Random, TenantId};
use zeroize::Zeroizing;

use super::{
    super::{Database, StoreError, generation, path_of, private_folder, tenant_key},
    BackupError, BackupLabel, STORE, SiteFiles, Unreadable, database_of, label_of, read_through, site_files, tried,
};
use crate::keys::{BundleLabel, DataKey, KeyName, KeyPurpose, MasterKey, Named, RingFile, Secret, listed, open_bundle};

/// What was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What stood on the backup.
    pub label: BackupLabel,
    /// Files of the store that were written.
    pub files: usize,
    /// Databases that were left out, and why. The backup holds them still.
    pub unreadable: BTreeMap<String, Unreadable>,
    /// The site's own files. Where they belong is the caller's to say.
    pub site_files: SiteFiles,
}

impl Restored {
    /// The tenants that were left out.
    pub fn tenants_left_out(&self) -> Vec<TenantId> {
        // One of which the captures alone were left out is there.
        let databases = self.unreadable.keys().filter_map(|part| database_of(part));
        let own = databases.filter(|name| name.purpose() == KeyPurpose::Database);
        own.filter_map(|name| name.of_tenant().cloned()).collect()
    }
}

/// A backup with the recovery bundle that opens it.
pub struct Recovery {
    path: PathBuf,
    label: BackupLabel,
    key: DataKey,
    bundle: BundleLabel,
    keys: Vec<Named>,
}

impl std::fmt::Debug for Recovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recovery").field("label", &self.label).field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

/// What was written so far.
#[derive(Default)]
struct Written {
    files: usize,
    databases: BTreeMap<KeyName, String>,
    unreadable: BTreeMap<String, Unreadable>,
    site_files: SiteFiles,
}

impl Recovery {
    /// The backup at `path` with the keys out of `bundle`, which `shares` open.
    ///
    /// # Errors
    /// When the bundle does not open, or does not hold the backup's key.
    pub fn open(path: &Path, bundle: &str, shares: &[Zeroizing<String>]) -> Result<Self, BackupError> {
        let label = label_of(path)?;
        let (bundle, keys) = open_bundle(bundle, shares)?;
        let key = keys.iter().find(|(name, version, _)| listed(name, *version) == label.key);
        let key = key.and_then(|(_, _, key)| Secret::of(key.bytes())).map(DataKey::new);
        let no_key = || BackupError::NoKey { path: path.to_owned(), key: label.key.clone() };
        Ok(Self { path: path.to_owned(), key: key.ok_or_else(no_key)?, label, bundle, keys })
    }

    /// The site's own files. The whole backup is read for them.
    ///
    /// # Errors
    /// When the backup is damaged.
    pub fn site_files(&self) -> Result<SiteFiles, BackupError> {
        let mut files = SiteFiles::default();
        read_through(&self.path, &self.key, |entry, content| match entry.name.starts_with(STORE) {
            true => Ok(()),
            false => files.take(&entry.name, content),
        })?;
        Ok(files)
    }

    /// Brings the store back into the folder `store`, with its keys wrapped by `master`. A tenant's database that does not
    /// open with them is left out.
    ///
    /// `site` puts the site's own files in their places when all else is ready: cut off anywhere, there is no store, and the
    /// whole is done again.
    ///
    /// # Errors
    /// When there is a store already, the backup is damaged, a database without which there is no site does not open, or
    /// `site` failed. The store then is not there.
    pub fn restore<E: From<BackupError>>(
        &self,
        store: &Path,
        (master, random): (&MasterKey, &dyn Random),
        site: impl FnOnce(&SiteFiles) -> Result<(), E>,
    ) -> Result<Restored, E> {
        if store.exists() {
            return Err(BackupError::Exists { path: store.to_owned() }.into());
        }
        let partial = crate::keys::beside(store, "partial");
        let io = |source| BackupError::Io { path: partial.clone(), doing: "restored", source };
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error).into()),
            _ => private_folder(&partial).map_err(BackupError::from)?,
        }
        let written = self.write(&partial, master, random).map_err(E::from).and_then(|written| {
            sync(&partial).map_err(io)?;
            site(&written.site_files)?;
            crate::keys::put_in_place(&partial, store).map_err(io)?;
            Ok(written)
        });
        if written.is_err() {
            let _removed_by_the_next_try = fs::remove_dir_all(&partial);
        }
        let Written { files, unreadable, site_files, .. } = written?;
        Ok(Restored { label: self.label.clone(), files, unreadable, site_files })
    }

    /// Writes every part, opens every database with its key, and makes the keyring of what opened.
    fn write(&self, partial: &Path, master: &MasterKey, random: &dyn Random) -> Result<Written, BackupError> {
        let mut written = Written::default();
        read_through(&self.path, &self.key, |entry, content| {
            let Some(within) = entry.name.strip_prefix(STORE) else {
                return written.site_files.take(&entry.name, content);
            };
            if let Some(name) = database_of(&entry.name) {
                if self.key_of(&name).is_none() {
                    written.unreadable.insert(entry.name.clone(), Unreadable::NoKey);
                    return Ok(());
                }
                written.databases.insert(name, entry.name.clone());
            }
            if !site_files::leads_down(within) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            written.files += 1;
            write(&partial.join(within), content)
        })?;
        self.leave_out(partial, &mut written)?;
        let fleet = KeyName::site(KeyPurpose::Database);
        for name in [fleet.clone(), KeyName::site(KeyPurpose::Audit)] {
            if !written.databases.contains_key(&name) {
                let part = format!("{STORE}{}", path_of(Path::new(""), &name).display());
                let why = written.unreadable.get(&part).copied().unwrap_or(Unreadable::Damaged);
                return Err(BackupError::Needed { path: self.path.clone(), part, why });
            }
        }
        // A keyring may have changed while the backup was made: the accounts know the newest number, which the label does
        // not.
        let mut generation = self.label.generation.max(self.bundle.generation);
        if let Some((key, _)) = self.key_of(&fleet) {
            generation = generation.max(generation::newest(&Database::new(path_of(partial, &fleet), key))?);
        }
        let made_anew = [KeyPurpose::AuditIndex, KeyPurpose::Backup].map(KeyName::site);
        let kept = |name: &KeyName| written.databases.contains_key(name) || made_anew.contains(name);
        let kept: Vec<&Named> = self.keys.iter().filter(|(name, _, _)| kept(name)).collect();
        RingFile::of(partial).change(
            master,
            |keyring| keyring.take_in(kept, &self.bundle, generation, random),
            |_| Ok::<_, StoreError>(()),
        )?;
        Ok(written)
    }

    /// Takes out again what does not open: a start of the site would otherwise end there.
    fn leave_out(&self, partial: &Path, written: &mut Written) -> Result<(), BackupError> {
        let io = |source| BackupError::Io { path: partial.to_owned(), doing: "restored", source };
        for (name, part) in std::mem::take(&mut written.databases) {
            let path = path_of(partial, &name);
            // In this order: a tenant's database comes before its captures, which are nobody's without it.
            let of_tenant = name.of_tenant().filter(|_| name.purpose() == KeyPurpose::Captures);
            let owned = of_tenant.is_none_or(|tenant| written.databases.contains_key(&tenant_key(tenant)));
            let opened = match self.key_of(&name).filter(|_| owned) {
                Some((key, version)) => tried(&Database::new(path.clone(), key), version),
                None => Err(Unreadable::NoKey),
            };
            match opened {
                Ok(()) => drop(written.databases.insert(name, part)),
                Err(why) => {
                    let whole = name.of_tenant().is_some() && of_tenant.is_none();
                    let folder = path.parent().filter(|_| whole);
                    match folder.map_or_else(|| fs::remove_file(&path), fs::remove_dir_all) {
                        // Captures go with the folder of their tenant.
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                        _ => {}
                    }
                    written.files -= 1;
                    written.unreadable.insert(part, why);
                }
            }
        }
        Ok(())
    }

    fn key_of(&self, name: &KeyName) -> Option<(DataKey, u32)> {
        let (_, version, key) = self.keys.iter().find(|(held, _, _)| held == name)?;
        Some((DataKey::new(Secret::of(key.bytes())?), *version))
    }
}

/// Writes a new file of mode 0600 with the folders above it.
pub(super) fn write(path: &Path, content: &mut dyn Read) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(content, &mut file)?;
    file.sync_all()
}

/// Syncs every folder, so that the names of the files in them are as durable as the files.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}
