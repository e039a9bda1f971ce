//! Making a store, bringing one that an earlier release made into today's form, and ending what a crash cut off.
//!
//! All of it runs while no other process has the store open.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use cloister_terms::Random;

use super::{Database, StoreError, generation, path_of, recovery, tenant_key, tenants_in};
use crate::keys::{DataKey, KeyName, KeyPurpose, KeyringError, MasterKey, RingFile};

/// The folder, beside the store's, with the copy that is made before a store of the form without a keyring is changed.
/// The master key of that day opens it.
pub const BEFORE_KEYRING: &str = "store-before-keyring";

const SITE: [KeyPurpose; 3] = [KeyPurpose::Database, KeyPurpose::Audit, KeyPurpose::AuditIndex];

/// Sees to it that the keyring and the databases of the site are there and belong together.
pub(super) fn complete(
    folder: &Path,
    ring: &RingFile,
    master: &MasterKey,
    random: &dyn Random,
) -> Result<(), StoreError> {
    if !ring.exists() {
        upgrade(folder, ring, master, random)?;
    }
    let prepared = path_of(folder, &KeyName::site(KeyPurpose::Backup));
    match fs::remove_dir_all(&prepared) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(StoreError::Io { path: prepared, doing: "removed", source });
        }
        _ => {}
    }
    let lacks = |keyring: &crate::keys::Keyring| {
        Ok::<_, StoreError>(SITE.iter().any(|purpose| keyring.made(&KeyName::site(*purpose)) != Some(true)))
    };
    if ring.read(master, lacks)? != Some(false) {
        make(folder, ring, master, random)?;
    }
    finish_replacing(folder, ring, master)?;
    let destroyed = ring.read(master, |keyring| Ok::<_, StoreError>(keyring.destroyed()))?.unwrap_or_default();
    for tenant in destroyed {
        recovery::clear(folder, &tenant)?;
        let cleared = |keyring: &mut crate::keys::Keyring| {
            keyring.cleared(&tenant);
            Ok(())
        };
        ring.change(master, cleared, |_| Ok::<_, StoreError>(()))?;
    }
    ring.settle(master, |keyring| {
        let (key, _) = keyring.unwrap(&KeyName::site(KeyPurpose::Database))?;
        generation::note(&Database::new(folder.join("fleet.db"), key), keyring.generation())
    })
}

/// Makes the site's keys and databases. First the keys, then the databases, then the note that they are made: cut off
/// anywhere, it goes on from there.
fn make(folder: &Path, ring: &RingFile, master: &MasterKey, random: &dyn Random) -> Result<(), StoreError> {
    let (names, backup) = (SITE.map(KeyName::site), KeyName::site(KeyPurpose::Backup));
    let keys = ring.change(
        master,
        |keyring| {
            names.iter().chain([&backup]).try_for_each(|name| keyring.add(name, random))?;
            names
                .iter()
                .filter(|name| keyring.made(name) == Some(false))
                .map(|n| Ok((n, keyring.unwrap(n)?.0)))
                .collect()
        },
        |_| Ok::<_, StoreError>(()),
    )?;
    let keys: Vec<(&KeyName, DataKey)> = keys;
    for (name, key) in keys {
        let database = Database::new(path_of(folder, name), key);
        database.create()?;
        database.check()?;
    }
    ring.change(
        master,
        |keyring| names.iter().chain([&backup]).try_for_each(|name| keyring.mark_made(name)),
        |_| Ok::<_, StoreError>(()),
    )
}

/// Encrypts anew what is still under a key that was replaced.
pub(super) fn finish_replacing(folder: &Path, ring: &RingFile, master: &MasterKey) -> Result<(), StoreError> {
    let names = ring.read(master, |keyring| Ok::<_, StoreError>(keyring.replacing()))?.unwrap_or_default();
    for name in names {
        let keys = ring
            .read(master, |keyring| Ok::<_, StoreError>((keyring.unwrap(&name)?.0, keyring.unwrap_previous(&name)?)))?;
        if let Some((new, Some(old))) = keys {
            let path = path_of(folder, &name);
            let (before, after) = (Database::new(path.clone(), old), Database::new(path, new.clone()));
            // The old key first: if the change was cut off, it is the one that rolls back what had been written.
            match before.check() {
                Ok(()) => before.rekey(&new)?,
                Err(StoreError::WrongKey { .. }) => {}
                Err(error) => return Err(error),
            }
            after.check()?;
        }
        ring.change(master, |keyring| keyring.end_replacing(&name), |_| Ok::<_, StoreError>(()))?;
    }
    Ok(())
}

/// Earlier releases derived each database's key from the master key. Here each gets a random key in its place, and is
/// encrypted anew, after a copy was made.
fn upgrade(folder: &Path, ring: &RingFile, master: &MasterKey, random: &dyn Random) -> Result<(), StoreError> {
    let tenants = tenants_in(folder)?;
    let names = [KeyPurpose::Database, KeyPurpose::Audit].map(KeyName::site).into_iter();
    let names: Vec<KeyName> =
        names.chain(tenants.iter().map(tenant_key)).filter(|name| path_of(folder, name).exists()).collect();
    if names.is_empty() {
        return Ok(());
    }
    for name in &names {
        let derived = DataKey::new(master.derive(&name.derivation()));
        match Database::new(path_of(folder, name), derived).fold() {
            Err(StoreError::WrongKey { .. }) => {
                return Err(KeyringError::Missing { path: ring.path().to_owned() }.into());
            }
            folded => folded?,
        }
    }
    set_aside(folder)?;
    // It is made from the log again.
    for ending in ["", "-wal", "-shm"] {
        let _often_not_there = fs::remove_file(folder.join(format!("audit-index.db{ending}")));
    }
    ring.change(
        master,
        |keyring| {
            names.iter().try_for_each(|name| keyring.add_replacing(name, &master.derive(&name.derivation()), random))
        },
        |_| Ok::<_, StoreError>(()),
    )
}

/// Copies the store's folder beside it. The copy bears its name only when it is whole.
fn set_aside(folder: &Path) -> Result<PathBuf, StoreError> {
    let aside = folder.with_file_name(BEFORE_KEYRING);
    let partial = folder.with_file_name(format!("{BEFORE_KEYRING}.partial"));
    let io = |source| StoreError::Io { path: partial.clone(), doing: "written as a copy of the store", source };
    for old in [&partial, &aside] {
        match fs::remove_dir_all(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
    }
    copy(folder, &partial).map_err(io)?;
    fs::rename(&partial, &aside).and_then(|()| crate::keys::sync_folder_of(&aside)).map_err(io)?;
    Ok(aside)
}

/// Copies a file or a folder, as far as it is there.
pub(super) fn copy_of(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        copy(from, to)
    } else if from.exists() {
        fs::copy(from, to).and_then(|_| File::open(to)?.sync_all())
    } else {
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    File::open(to)?.sync_all()
}
