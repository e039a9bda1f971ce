use std::path::Path;

use super::*;
use crate::{
    keys::{KEY_BYTES, KeyPurpose},
    testing::Seeded,
};

struct Ring {
    folder: tempfile::TempDir,
    file: RingFile,
    random: Seeded,
}

fn names() -> [KeyName; 3] {
    let tenant = |name: &str| KeyName::tenant(name.parse().unwrap(), KeyPurpose::Database);
    [KeyName::site(KeyPurpose::Audit), tenant("a"), tenant("b")]
}

fn nothing(_: &Keyring) -> Result<(), KeyringError> {
    Ok(())
}

impl Ring {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (file, random) = (RingFile::of(folder.path()), Seeded::new(41));
        let ring = Self { folder, file, random };
        let add = |keyring: &mut Keyring| names().iter().try_for_each(|name| keyring.add(name, &ring.random));
        ring.file.change(&ring.master(), add, nothing).unwrap();
        ring
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("master.key")
    }

    fn master(&self) -> MasterKey {
        MasterKey::load_or_create(&self.path(), &Seeded::new(40)).unwrap()
    }

    /// Every data key, as `master` opens it.
    fn keys(&self, master: &MasterKey) -> Result<Vec<[u8; KEY_BYTES]>, KeyringError> {
        let unwrap = |keyring: &Keyring| {
            names().iter().map(|name| Ok(*keyring.unwrap(name)?.0.secret().bytes())).collect::<Result<Vec<_>, _>>()
        };
        self.file.read(master, unwrap).map(Option::unwrap)
    }
}

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn each_name_has_a_key_of_its_own_that_reads_back() {
    let ring = Ring::new();
    let keys = ring.keys(&ring.master()).unwrap();
    assert_eq!(keys, ring.keys(&ring.master()).unwrap());
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    let text = std::fs::read_to_string(ring.file.path()).unwrap();
    assert!(keys.iter().all(|key| !text.contains(&hex::encode(key))), "a key stands in the file as it is");
}

#[test]
fn no_flipped_bit_and_no_cut_of_the_file_is_overlooked() {
    let ring = Ring::new();
    let whole = std::fs::read(ring.file.path()).unwrap();
    let master = ring.master();
    for bit in 0..whole.len() * 8 {
        let mut altered = whole.clone();
        flip(&mut altered, bit);
        std::fs::write(ring.file.path(), &altered).unwrap();
        // The very last byte ends the line of the MAC, and a line end of another kind changes nothing that is read.
        let harmless = bit / 8 == whole.len() - 1;
        assert!(ring.keys(&master).is_err() || harmless, "bit {bit}");
    }
    for length in 0..whole.len() - 1 {
        std::fs::write(ring.file.path(), &whole[..length]).unwrap();
        assert!(ring.keys(&master).is_err(), "cut to {length}");
    }
}

#[test]
fn a_key_that_was_moved_to_another_name_does_not_open_there() {
    let ring = Ring::new();
    let master = ring.master();
    let swap = |keyring: &mut Keyring| {
        let (a, b) = (keyring.body.keys[1].wraps.clone(), keyring.body.keys[2].wraps.clone());
        (keyring.body.keys[1].wraps, keyring.body.keys[2].wraps) = (b, a);
        Ok(())
    };
    ring.file.change(&master, swap, nothing).unwrap();
    assert!(matches!(ring.keys(&master), Err(KeyringError::Damaged { .. })));
}

#[test]
fn rotation_keeps_every_data_key_and_the_old_master_key_opens_nothing_after_it() {
    let ring = Ring::new();
    let (old, keys) = (ring.master(), ring.keys(&ring.master()).unwrap());
    let kept = tempfile::tempdir().unwrap();
    let old_copy = kept.path().join("old.key");
    std::fs::copy(ring.path(), &old_copy).unwrap();
    std::fs::copy(ring.file.path(), kept.path().join("keyring")).unwrap();
    let id = ring.file.rotate(&old, &ring.random, nothing).unwrap();
    assert_eq!(ring.master().id(), id);
    assert_ne!(old.id(), id);
    assert_eq!(ring.keys(&ring.master()).unwrap(), keys);
    assert_eq!(ring.keys(&old).unwrap(), keys, "a process that still has the old one reads the new one");
    let copied = MasterKey::load(&old_copy).unwrap();
    assert!(matches!(ring.keys(&copied), Err(KeyringError::OtherMaster { .. })));
    std::fs::copy(kept.path().join("keyring"), ring.file.path()).unwrap();
    assert!(matches!(ring.keys(&ring.master()), Err(KeyringError::OtherMaster { .. })), "an old keyring is of no use");
}

/// What a crash between any two steps of a rotation leaves, made by doing the steps by hand.
#[test]
fn a_rotation_that_was_cut_off_anywhere_leaves_a_keyring_that_opens_and_can_be_changed() {
    for step in 0..3 {
        let ring = Ring::new();
        let (old, keys) = (ring.master(), ring.keys(&ring.master()).unwrap());
        let next = old.successor(&ring.random);
        let waiting = file::beside(&ring.path(), "next");
        file::write(&waiting, next.text().as_bytes(), rustix::fs::OFlags::TRUNC).unwrap();
        if step > 0 {
            let mut keyring = ring.file.read(&old, |k| Ok::<_, KeyringError>(k.body.clone())).unwrap().unwrap();
            keyring.next = Some(Next { id: next.id().to_owned(), by_hand: false });
            let mut keyring = Keyring { path: ring.file.path().to_owned(), master: old.clone(), body: keyring };
            keyring.wrap_for(&next, &ring.random).unwrap();
            keyring.save(&[&old, &next]).unwrap();
        }
        if step > 1 {
            file::put_in_place(&waiting, &ring.path()).unwrap();
        }
        let now = ring.master();
        assert_eq!(now.id() == next.id(), step > 1);
        assert_eq!(ring.keys(&now).unwrap(), keys, "step {step}");
        ring.file.settle(&now, nothing).unwrap();
        ring.file.change(&now, |keyring| keyring.mark_made(&names()[0]), nothing).unwrap();
        assert_eq!(ring.keys(&now).unwrap(), keys, "step {step}, changed");
        ring.file.rotate(&now, &ring.random, nothing).unwrap();
        assert_eq!(ring.keys(&ring.master()).unwrap(), keys, "step {step}, rotated again");
    }
}

#[test]
fn a_master_key_that_somebody_puts_in_place_opens_beside_the_old_one_until_it_is_there() {
    let ring = Ring::new();
    let (old, keys) = (ring.master(), ring.keys(&ring.master()).unwrap());
    let new_path = ring.folder.path().join("new.key");
    let next = MasterKey::load_or_create(&new_path, &Seeded::new(77)).unwrap();
    ring.file.prepare(&old, &next, &ring.random, nothing).unwrap();
    assert_eq!((ring.keys(&old).unwrap(), ring.keys(&next).unwrap()), (keys.clone(), keys.clone()));
    ring.file.settle(&old, nothing).unwrap();
    assert!(ring.keys(&next).is_ok(), "a start with the old one ends nothing");
    let change = |keyring: &mut Keyring| keyring.mark_made(&names()[0]);
    assert!(matches!(ring.file.change(&old, change, nothing), Err(KeyringError::Waiting { .. })));
    assert!(matches!(ring.file.rotate(&old, &ring.random, nothing), Err(KeyringError::Waiting { .. })));
    ring.file.settle(&next, nothing).unwrap();
    assert_eq!(ring.keys(&next).unwrap(), keys);
    assert!(matches!(ring.keys(&old), Err(KeyringError::OtherMaster { .. })), "the old one is forgotten");

    let third = MasterKey::load_or_create(&ring.folder.path().join("third.key"), &Seeded::new(78)).unwrap();
    ring.file.prepare(&next, &third, &ring.random, nothing).unwrap();
    assert!(ring.file.abandon(&next, nothing).unwrap());
    assert!(!ring.file.abandon(&next, nothing).unwrap());
    assert!(matches!(ring.keys(&third), Err(KeyringError::OtherMaster { .. })));
    assert_eq!(ring.keys(&next).unwrap(), keys);
}

#[test]
fn readers_beside_a_hundred_rotations_are_never_refused() {
    let ring = Ring::new();
    let keys = ring.keys(&ring.master()).unwrap();
    let (file, path) = (ring.file.clone(), ring.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    let read = |path: &Path| {
        let mut reads = 0;
        let mut master = MasterKey::load(path).unwrap();
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            if reads % 3 == 0 {
                master = MasterKey::load(path).unwrap();
            }
            let unwrap = |keyring: &Keyring| {
                names().iter().map(|name| Ok(*keyring.unwrap(name)?.0.secret().bytes())).collect::<Result<Vec<_>, _>>()
            };
            let read: Result<_, KeyringError> = file.read(&master, unwrap);
            assert_eq!(read.unwrap().unwrap(), keys);
            reads += 1;
        }
        reads
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(|| read(path.as_path())), scope.spawn(|| read(path.as_path()))];
        for _ in 0..100 {
            ring.file.rotate(&MasterKey::load(&path).unwrap(), &ring.random, nothing).unwrap();
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let reads: i32 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(reads > 10, "hardly anything was read: {reads}");
    });
}
