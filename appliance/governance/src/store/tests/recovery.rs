//! Recovery bundles, destruction, backups: what is brought back, and what can no longer be.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::*;
use crate::{
    audit::{Evidence, Log, Reader},
    keys::Bundle,
    testing::clock,
};

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn open(folder: &Path) -> Result<Store, StoreError> {
    let master = MasterKey::load_or_create(&folder.join("master.key"), &Seeded::new(7)).unwrap();
    Store::open(&folder.join("data"), master, Arc::new(Seeded::new(12)))
}

fn write(database: &Database, text: &str) {
    let connection = database.connect().unwrap();
    connection.execute_batch("CREATE TABLE IF NOT EXISTS t(x TEXT)").unwrap();
    connection.execute("INSERT INTO t VALUES (?1)", [text]).unwrap();
}

fn read(database: &Database) -> Vec<String> {
    let connection = database.connect().unwrap();
    let mut statement = connection.prepare("SELECT x FROM t ORDER BY rowid").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// A site with two tenants, a row in each, and some records.
fn site() -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    for name in ["a", "b"] {
        write(&store.create_tenant(&tenant(name)).unwrap(), name);
    }
    let log = Log::open(&store.audit(), clock(), Arc::new(Seeded::new(3))).unwrap();
    store.record_key_uses(&log, "test-1").unwrap();
    drop(log);
    drop(store);
    // A recorder holds the log open as long as its store.
    let store = open(folder.path()).unwrap();
    (folder, store)
}

fn back_up(store: &Store, folder: &Path) -> PathBuf {
    let path = folder.join("site.backup");
    store.back_up(&path, &BTreeMap::new(), clock_now()).unwrap();
    path
}

fn clock_now() -> jiff::Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn brought_back(backup: &Path, bundle: &Bundle) -> Result<(tempfile::TempDir, Store, Restored), BackupError> {
    let folder = tempfile::tempdir().unwrap();
    let master = MasterKey::load_or_create(&folder.path().join("master.key"), &Seeded::new(70)).unwrap();
    let shares: Vec<Zeroizing<String>> = bundle.shares.iter().take(3).cloned().collect();
    let (to, random) = (folder.path().join("data"), Seeded::new(71));
    let restored = restore(backup, (&bundle.file, &shares), (&to, folder.path()), &master, &random)?;
    let store = Store::open(&to, master, Arc::new(random))?;
    Ok((folder, store, restored))
}

#[test]
fn a_site_comes_back_on_another_machine_from_a_backup_and_a_bundle_with_a_log_that_verifies() {
    let (folder, store) = site();
    let bundle = store.export_bundle(3, 5).unwrap();
    let backup = back_up(&store, folder.path());
    let verified = store.verify_backup(&backup).unwrap();
    assert_eq!(verified.unreadable, [] as [String; 0]);
    assert_eq!(verified.label.key, "site/backup 1");
    assert!(!verified.parts.keys().any(|part| part.contains("keyring")), "a backup holds no keys: {verified:?}");
    let (_folder, again, restored) = brought_back(&backup, &bundle).unwrap();
    assert_eq!(restored.unreadable, [] as [String; 0]);
    assert_eq!(read(&again.tenant(&tenant("a")).unwrap()), ["a"]);
    assert_eq!(read(&again.tenant(&tenant("b")).unwrap()), ["b"]);
    assert_ne!(again.keys().unwrap().master, store.keys().unwrap().master, "under a master key of its own");
    let log = Log::open(&again.audit(), clock(), Arc::new(Seeded::new(4))).unwrap();
    again.record_key_uses(&log, "test-1").unwrap();
    drop(log);
    let audited = Reader::of(&again).verify(&Evidence::default()).unwrap();
    assert_eq!(audited.findings, []);
    assert!(audited.records > 0);
}

#[test]
fn a_backup_made_under_a_writer_is_of_one_moment() {
    let (folder, store) = site();
    let bundle = store.export_bundle(3, 5).unwrap();
    let database = store.tenant(&tenant("a")).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = database.connect().unwrap();
            connection.execute_batch("CREATE TABLE pairs(n INTEGER)").unwrap();
            for n in 0.. {
                // Two rows or none: a backup with one of them is torn.
                let transaction = connection.transaction().unwrap();
                transaction.execute("INSERT INTO pairs VALUES (?1)", [n]).unwrap();
                transaction.execute("INSERT INTO pairs VALUES (?1)", [n]).unwrap();
                transaction.commit().unwrap();
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
        });
        for round in 0..5 {
            let path = folder.path().join(format!("{round}.backup"));
            store.back_up(&path, &BTreeMap::new(), clock_now()).unwrap();
            let (_folder, again, _) = brought_back(&path, &bundle).unwrap();
            let connection = again.tenant(&tenant("a")).unwrap().connect().unwrap();
            let pairs = "SELECT count(*) % 2 FROM pairs";
            assert_eq!(connection.query_row(pairs, [], |row| row.get::<_, i64>(0)).unwrap_or(0), 0, "torn");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_destroyed_tenant_is_unreadable_in_backups_too() {
    let (folder, store) = site();
    let early = store.export_bundle(3, 5).unwrap();
    let backup = back_up(&store, folder.path());
    let keyring = folder.path().join("data/keyring");
    let early_keyring = std::fs::read(&keyring).unwrap();
    store.destroy_tenant(&tenant("a")).unwrap();
    assert!(!store.tenant_folder(&tenant("a")).exists());
    assert!(matches!(store.tenant(&tenant("a")), Err(StoreError::UnknownTenant(_))));
    assert!(matches!(store.destroy_tenant(&tenant("a")), Err(StoreError::UnknownTenant(_))));
    let bundle = store.export_bundle(3, 5).unwrap();
    let states = store.keys().unwrap().bundles;
    assert_eq!(states[0].outlived, ["tenant/a/database 1"], "the early bundle is to be shredded");
    assert_eq!((states[1].outlived.len(), states[1].lacks.len()), (0, 0));
    assert_eq!(store.verify_backup(&backup).unwrap().unreadable, ["store/tenants/a/tenant.db"]);

    let (_folder, again, restored) = brought_back(&backup, &bundle).unwrap();
    assert_eq!(restored.unreadable, ["store/tenants/a/tenant.db"]);
    assert_eq!(again.tenants().unwrap(), [tenant("b")]);
    assert_eq!(read(&again.tenant(&tenant("b")).unwrap()), ["b"]);
    // Why the early bundle must be shredded.
    assert_eq!(read(&brought_back(&backup, &early).unwrap().1.tenant(&tenant("a")).unwrap()), ["a"]);
    assert!(store.bundle_shredded(&early.label.bundle).unwrap());
    assert!(!store.bundle_shredded(&early.label.bundle).unwrap());
    assert_eq!(store.keys().unwrap().bundles.len(), 1);
    drop(store);
    // A copy of the keyring as it was holds the key still, and is of no use: its master key is no more.
    std::fs::write(&keyring, early_keyring).unwrap();
    assert!(matches!(open(folder.path()), Err(StoreError::Keys(KeyringError::OtherMaster { .. }))));
}

#[test]
fn destroying_that_was_cut_off_after_the_keys_went_is_ended_at_the_next_start() {
    let (folder, store) = site();
    store.change(|keyring| Ok(keyring.destroy(&tenant("a")))).unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    assert!(!store.tenant_folder(&tenant("a")).exists());
    write(&store.create_tenant(&tenant("a")).unwrap(), "new");
    drop(store);
    assert_eq!(
        read(&open(folder.path()).unwrap().tenant(&tenant("a")).unwrap()),
        ["new"],
        "the name may be used again"
    );
}

#[test]
fn a_flipped_bit_or_a_cut_anywhere_in_a_backup_is_found() {
    let (folder, store) = site();
    let backup = back_up(&store, folder.path());
    let whole = std::fs::read(&backup).unwrap();
    assert!(store.verify_backup(&backup).is_ok());
    // The first 300 bytes bit by bit, the rest at places spread by a fixed multiplier.
    let spread = (0..200_u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (whole.len() as u64 * 8)) as usize);
    for bit in (0..300 * 8).chain(spread) {
        let mut altered = whole.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&backup, &altered).unwrap();
        assert!(store.verify_backup(&backup).is_err(), "bit {bit}");
    }
    for length in (0..whole.len()).step_by(whole.len() / 97) {
        std::fs::write(&backup, &whole[..length]).unwrap();
        assert!(store.verify_backup(&backup).is_err(), "cut to {length}");
    }
    let bundle = store.export_bundle(3, 5).unwrap();
    let error = brought_back(&backup, &bundle).map(|_| ()).unwrap_err();
    assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
}

#[test]
fn chunks_that_are_left_out_swapped_or_taken_from_another_backup_do_not_open() {
    let (folder, store) = site();
    let large = "x".repeat(3 << 20);
    write(&store.tenant(&tenant("b")).unwrap(), &large);
    let backup = back_up(&store, folder.path());
    let other = folder.path().join("other.backup");
    store.back_up(&other, &BTreeMap::new(), clock_now()).unwrap();
    let (whole, foreign) = (std::fs::read(&backup).unwrap(), std::fs::read(&other).unwrap());
    let head = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let chunk = (1 << 20) + 16;
    assert!(whole.len() > head + 3 * chunk, "too small to move chunks about");
    let (first, second) = (head..head + chunk, head + chunk..head + 2 * chunk);
    let mut swapped = whole.clone();
    swapped[first.clone()].copy_from_slice(&whole[second.clone()]);
    swapped[second.clone()].copy_from_slice(&whole[first.clone()]);
    let without = [&whole[..first.end], &whole[second.end..]].concat();
    let mut mixed = whole.clone();
    mixed[second.clone()].copy_from_slice(&foreign[second.clone()]);
    for altered in [swapped, without, mixed, whole[..second.end].to_vec(), [whole.as_slice(), b"x"].concat()] {
        std::fs::write(&backup, altered).unwrap();
        assert!(matches!(store.verify_backup(&backup), Err(BackupError::Damaged { .. })));
    }
}

#[test]
fn a_store_that_is_there_is_not_restored_over() {
    let (folder, store) = site();
    let bundle = store.export_bundle(2, 2).unwrap();
    let backup = back_up(&store, folder.path());
    assert!(matches!(store.back_up(&backup, &BTreeMap::new(), clock_now()), Err(BackupError::Exists { .. })));
    let master = MasterKey::load(&folder.path().join("master.key")).unwrap();
    let folders = (folder.path().join("data"), folder.path().to_owned());
    let again = restore(&backup, (&bundle.file, &bundle.shares), (&folders.0, &folders.1), &master, &Seeded::new(1));
    assert!(matches!(again, Err(BackupError::Exists { .. })));
    let too_few = restore(
        &backup,
        (&bundle.file, &bundle.shares[..1]),
        (&folder.path().join("elsewhere"), folder.path()),
        &master,
        &Seeded::new(1),
    );
    assert!(matches!(too_few, Err(BackupError::Bundle(_))));
    assert!(!folder.path().join("elsewhere").exists());
}
