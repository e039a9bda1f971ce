//! A site brought back onto an empty machine, from a backup and a recovery bundle.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Component, Path, PathBuf},
};

use cloister_terms::Random;
use zeroize::Zeroizing;

use super::{super::private_folder, BackupError, BackupLabel, STORE, database_of, label_of, read_through};
use crate::keys::{DataKey, KeyName, KeyPurpose, MasterKey, RingFile, listed, open_bundle};

/// What was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What stood on the backup.
    pub label: BackupLabel,
    /// Files that were written.
    pub files: usize,
    /// Databases that were left out, because the bundle does not hold their keys: their tenants were destroyed, or are
    /// newer than the bundle.
    pub unreadable: Vec<String>,
}

/// Brings the store in the backup `path` back into the folder `store`, and the site's other files into `site`; a file that
/// is there already stays. The data keys come out of `bundle`, which `shares` open, and are wrapped by `master`.
///
/// # Errors
/// When there is a store already, the bundle does not open, or the backup is damaged. The store then is not there.
pub fn restore(
    path: &Path,
    (bundle, shares): (&str, &[Zeroizing<String>]),
    (store, site): (&Path, &Path),
    master: &MasterKey,
    random: &dyn Random,
) -> Result<Restored, BackupError> {
    if store.exists() {
        return Err(BackupError::Exists { path: store.to_owned() });
    }
    let label = label_of(path)?;
    let (of_bundle, keys) = open_bundle(bundle, shares)?;
    let is_its_key = |name: &KeyName, version: u32| listed(name, version) == label.key;
    let key = keys.iter().find(|(name, version, _)| is_its_key(name, *version));
    let no_key = || BackupError::NoKey { path: path.to_owned(), key: label.key.clone() };
    let key = key.and_then(|(_, _, key)| crate::keys::Secret::of(key.bytes())).map(DataKey::new).ok_or_else(no_key)?;

    let partial = crate::keys::beside(store, "partial");
    let io = |source| BackupError::Io { path: partial.clone(), doing: "restored", source };
    match fs::remove_dir_all(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => private_folder(&partial)?,
    }
    let held: BTreeSet<&KeyName> = keys.iter().map(|(name, _, _)| name).collect();
    let (mut unreadable, mut found, mut files) = (Vec::new(), BTreeSet::new(), 0);
    read_through(path, &key, |entry, content| {
        let to = match (database_of(&entry.name), entry.name.strip_prefix(STORE)) {
            (Some(name), _) if !held.contains(&name) => {
                unreadable.push(entry.name.clone());
                return Ok(());
            }
            (name, Some(within)) => {
                found.extend(name);
                inside(&partial, within)?
            }
            (_, None) => inside(site, &entry.name)?,
        };
        files += usize::from(write(&to, content)?);
        Ok(())
    })?;
    let site_keys = [KeyPurpose::AuditIndex, KeyPurpose::Backup].map(KeyName::site);
    let kept: Vec<_> =
        keys.into_iter().filter(|(name, _, _)| found.contains(name) || site_keys.contains(name)).collect();
    let generation = label.generation.max(of_bundle.generation);
    RingFile::of(&partial).change(
        master,
        |keyring| keyring.take_in(&kept, generation, random),
        |_| Ok::<_, super::StoreError>(()),
    )?;
    sync(&partial).map_err(io)?;
    crate::keys::put_in_place(&partial, store).map_err(io)?;
    Ok(Restored { label, files, unreadable })
}

/// The path of a part below `folder`. A name that leads out of it is no name that a backup has.
fn inside(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let path = Path::new(name);
    match path.components().all(|part| matches!(part, Component::Normal(_))) {
        true => Ok(folder.join(path)),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Writes a new file of mode 0600 with the folders above it. Whether it was not there.
fn write(path: &Path, content: &mut dyn Read) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        file => file?,
    };
    io::copy(content, &mut file)?;
    file.sync_all()?;
    Ok(true)
}

/// Syncs every folder, so that the names of the files in them are as durable as the files.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}
