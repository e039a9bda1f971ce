//! The power goes while the master key is being replaced: whatever of what was not synced the disk kept, dropped or tore, the
//! keyring and the master key that are there belong together.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::*;
use crate::{
    keys::{
        KEY_BYTES, KeyPurpose,
        file::recorded::{Step, during},
    },
    testing::Seeded,
};

/// How many power losses are played; `CLOISTER_POWER_LOSSES=100000` for the long run.
fn losses() -> u64 {
    std::env::var("CLOISTER_POWER_LOSSES").ok().and_then(|n| n.parse().ok()).unwrap_or(1000)
}

/// The disk may write these whole or not at all.
const SECTOR: usize = 512;

/// A disk that keeps for certain only what was synced: content by file, names by folder.
#[derive(Clone, Default)]
struct Disk {
    /// Each file's content as it is synced, and as it was last written.
    files: Vec<(Vec<u8>, Vec<u8>)>,
    /// Names as they are synced.
    kept: BTreeMap<PathBuf, usize>,
    /// Names as programs see them.
    seen: BTreeMap<PathBuf, usize>,
    /// What changed of the names in each folder since it was synced.
    pending: BTreeMap<PathBuf, Vec<(PathBuf, Option<usize>)>>,
}

impl Disk {
    /// What lies in `folder` now, all of it synced.
    fn of(folder: &Path) -> Self {
        let mut disk = Self::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    disk.kept.insert(path.clone(), disk.files.len());
                    disk.files.push((bytes.clone(), bytes));
                }
            }
        }
        disk.seen = disk.kept.clone();
        disk
    }

    fn name(&mut self, path: &Path, file: Option<usize>) {
        match file {
            Some(file) => self.seen.insert(path.to_owned(), file),
            None => self.seen.remove(path),
        };
        self.pending.entry(path.parent().unwrap().to_owned()).or_default().push((path.to_owned(), file));
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Write(path, bytes) => {
                let file = self.seen.get(path).copied().unwrap_or_else(|| {
                    self.files.push((Vec::new(), Vec::new()));
                    self.files.len() - 1
                });
                self.name(path, Some(file));
                self.files[file].1.clone_from(bytes);
            }
            Step::Sync(path) => {
                let file = self.seen[path];
                self.files[file].0 = self.files[file].1.clone();
            }
            Step::Rename(from, to) => {
                let file = self.seen[from];
                self.name(to, Some(file));
                self.name(from, None);
            }
            Step::SyncFolder(folder) => {
                for (path, file) in self.pending.remove(folder).unwrap_or_default() {
                    match file {
                        Some(file) => self.kept.insert(path, file),
                        None => self.kept.remove(&path),
                    };
                }
            }
        }
    }

    /// Puts what a power loss leaves into `root` in place of what lies there. `dice` gives numbers below a bound.
    fn lose_power(mut self, root: &Path, mut dice: impl FnMut(usize) -> usize) {
        for changes in self.pending.values() {
            // A folder keeps its changes in order, up to one that it lost with all that follow.
            for (path, file) in changes.iter().take(dice(changes.len() + 1)) {
                match file {
                    Some(file) => self.kept.insert(path.clone(), *file),
                    None => self.kept.remove(path),
                };
            }
        }
        std::fs::remove_dir_all(root).unwrap();
        std::fs::create_dir(root).unwrap();
        for (path, file) in &self.kept {
            let (synced, written) = &self.files[*file];
            let content = if synced == written { synced.clone() } else { torn(synced, written, &mut dice) };
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(path, private).unwrap();
        }
    }
}

/// Each sector is the new one, the old one or zeros, and the end may be missing.
fn torn(old: &[u8], new: &[u8], dice: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut content = Vec::new();
    for (number, sector) in new.chunks(SECTOR).enumerate() {
        let old = old.get(number * SECTOR..).unwrap_or_default();
        match dice(3) {
            0 => content.extend_from_slice(sector),
            1 => content.extend_from_slice(&old[..old.len().min(SECTOR)]),
            _ => content.extend(std::iter::repeat_n(0, sector.len())),
        }
    }
    content.truncate(dice(content.len() + 1));
    content
}

fn nothing(_: &Keyring) -> Result<(), KeyringError> {
    Ok(())
}

fn names() -> Vec<KeyName> {
    (0..6).map(|n| KeyName::tenant(format!("t{n}").parse().unwrap(), KeyPurpose::Database)).collect()
}

type Keys = Vec<[u8; KEY_BYTES]>;

fn keys(root: &Path) -> Result<Keys, KeyringError> {
    let master = MasterKey::load(&root.join("master.key"))?;
    let ring = RingFile::of(&root.join("store"));
    let unwrap = |keyring: &Keyring| {
        names().iter().map(|name| Ok(*keyring.unwrap(name)?.0.secret().bytes())).collect::<Result<Keys, KeyringError>>()
    };
    ring.read(&master, unwrap)?.ok_or_else(|| KeyringError::Missing { path: ring.path().to_owned() })
}

/// A site's folder with a keyring, how it looked before a rotation, and what the rotation asked of the disk.
fn rotated(root: &Path, random: &Seeded) -> (Disk, Vec<Step>, Keys) {
    std::fs::create_dir_all(root.join("store")).unwrap();
    let master = MasterKey::load_or_create(&root.join("master.key"), random).unwrap();
    let ring = RingFile::of(&root.join("store"));
    let add = |keyring: &mut Keyring| names().iter().try_for_each(|name| keyring.add(name, random));
    ring.change(&master, add, nothing).unwrap();
    let (before, held) = (Disk::of(root), keys(root).unwrap());
    let steps = during(|| drop(ring.rotate(&master, random, nothing).unwrap()));
    (before, steps, held)
}

fn dice(random: &Seeded) -> impl FnMut(usize) -> usize {
    move |bound| {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    }
}

/// How many of the power losses leave no keyring that opens with all its keys and can be changed.
fn lost(keeps: impl Fn(&Step) -> bool) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("site");
    let (before, steps, held) = rotated(&root, &Seeded::new(90));
    let steps: Vec<&Step> = steps.iter().filter(|step| keeps(step)).collect();
    let mut lost = 0;
    for seed in 0..losses() {
        let random = Seeded::new(seed);
        let mut dice = dice(&random);
        let mut disk = before.clone();
        steps.iter().take(dice(steps.len() + 1)).for_each(|step| disk.play(step));
        disk.lose_power(&root, dice);
        let opened = keys(&root).is_ok_and(|keys| keys == held) && {
            let (master, ring) =
                (MasterKey::load(&root.join("master.key")).unwrap(), RingFile::of(&root.join("store")));
            ring.settle(&master, nothing).is_ok()
                && ring.rotate(&master, &random, nothing).is_ok()
                && keys(&root).is_ok_and(|keys| keys == held)
        };
        lost += u64::from(!opened);
    }
    lost
}

#[test]
fn no_power_loss_while_the_master_key_is_replaced_loses_a_key() {
    assert_eq!(lost(|_| true), 0);
}

#[test]
fn without_any_one_kind_of_sync_the_same_power_losses_do_lose_keys() {
    assert!(lost(|step| !matches!(step, Step::Sync(_))) > 0, "the harness would not notice a missing sync");
    assert!(lost(|step| !matches!(step, Step::SyncFolder(_))) > 0, "nor a missing sync of a folder");
}
