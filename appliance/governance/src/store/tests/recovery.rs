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

fn nothing(_: &SiteFiles) -> Result<(), BackupError> {
    Ok(())
}

fn exported(store: &Store) -> Bundle {
    store.issue_bundle((3, 5), None).unwrap().written().unwrap()
}

fn destroy(store: &Store, name: &str) -> Result<(), StoreError> {
    store.destroy_tenant(&tenant(name), || Ok(()))
}

fn left_out(part: &str, why: Unreadable) -> BTreeMap<String, Unreadable> {
    BTreeMap::from([(part.to_owned(), why)])
}

fn clock_now() -> jiff::Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn brought_back(backup: &Path, bundle: &Bundle) -> Result<(tempfile::TempDir, Store, Restored), BackupError> {
    let folder = tempfile::tempdir().unwrap();
    let master = MasterKey::load_or_create(&folder.path().join("master.key"), &Seeded::new(70)).unwrap();
    let shares: Vec<Zeroizing<String>> = bundle.shares.iter().take(3).cloned().collect();
    let (to, random) = (folder.path().join("data"), Seeded::new(71));
    let restored = Recovery::open(backup, &bundle.file, &shares)?.restore(&to, (&master, &random), nothing)?;
    let store = Store::open(&to, master, Arc::new(random))?;
    Ok((folder, store, restored))
}

#[test]
fn a_site_comes_back_on_another_machine_from_a_backup_and_a_bundle_with_a_log_that_verifies() {
    let (folder, store) = site();
    let bundle = exported(&store);
    let backup = back_up(&store, folder.path());
    let verified = store.verify_backup(&backup).unwrap();
    assert_eq!(verified.unreadable, BTreeMap::new());
    assert_eq!(verified.label.key, "site/backup 1");
    assert!(!verified.parts.keys().any(|part| part.contains("keyring")), "a backup holds no keys: {verified:?}");
    let (_folder, again, restored) = brought_back(&backup, &bundle).unwrap();
    assert_eq!(restored.unreadable, BTreeMap::new());
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
    let bundle = exported(&store);
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
    let early = exported(&store);
    let backup = back_up(&store, folder.path());
    let keyring = folder.path().join("data/keyring");
    let early_keyring = std::fs::read(&keyring).unwrap();
    destroy(&store, "a").unwrap();
    assert!(!store.tenant_folder(&tenant("a")).exists());
    assert!(matches!(store.tenant(&tenant("a")), Err(StoreError::UnknownTenant(_))));
    assert!(matches!(destroy(&store, "a"), Err(StoreError::UnknownTenant(_))));
    let bundle = exported(&store);
    let states = store.keys().unwrap().bundles;
    assert_eq!(states[0].destroyed, ["tenant/a/database 1"], "the early bundle is to be shredded");
    assert!(states[1].destroyed.is_empty() && states[1].is_complete());
    let gone = left_out("store/tenants/a/tenant.db", Unreadable::NoKey);
    assert_eq!(store.verify_backup(&backup).unwrap().unreadable, gone);

    let (_folder, again, restored) = brought_back(&backup, &bundle).unwrap();
    assert_eq!(restored.unreadable, gone);
    assert_eq!(restored.tenants_left_out(), [tenant("a")]);
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
    let bundle = exported(&store);
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
    let bundle = store.issue_bundle((2, 2), None).unwrap().written().unwrap();
    let backup = back_up(&store, folder.path());
    assert!(matches!(store.back_up(&backup, &BTreeMap::new(), clock_now()), Err(BackupError::Exists { .. })));
    let master = MasterKey::load(&folder.path().join("master.key")).unwrap();
    let recovery = Recovery::open(&backup, &bundle.file, &bundle.shares).unwrap();
    let again = recovery.restore(&folder.path().join("data"), (&master, &Seeded::new(1)), nothing);
    assert!(matches!(again, Err(BackupError::Exists { .. })));
    let too_few = Recovery::open(&backup, &bundle.file, &bundle.shares[..1]);
    assert!(matches!(too_few, Err(BackupError::Bundle(_))));
}

#[test]
fn a_backup_that_overlaps_changes_of_the_keyring_comes_back_with_a_bundle_from_before_them() {
    let (folder, store) = site();
    let bundle = exported(&store);
    let (pipe, backup) = (folder.path().join("pipe"), folder.path().join("site.backup"));
    let owner = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, owner, 0).unwrap();
    let beside = BTreeMap::from([("pipe".to_owned(), pipe.clone())]);
    std::thread::scope(|scope| {
        let made = scope.spawn(|| store.back_up(&backup, &beside, clock_now()));
        // The backup reads the pipe: its label is made, its databases are not yet copied.
        let writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        store.rotate_master().unwrap();
        store.create_tenant(&tenant("c")).unwrap();
        drop(writer);
        made.join().unwrap().unwrap();
    });
    let label = label_of(&backup).unwrap();
    assert!(label.generation + 1 < store.keys().unwrap().generation, "the changes did not overlap the backup");
    let (_folder, again, restored) = brought_back(&backup, &bundle).unwrap();
    assert_eq!(restored.unreadable, left_out("store/tenants/c/tenant.db", Unreadable::NoKey));
    assert_eq!(read(&again.tenant(&tenant("b")).unwrap()), ["b"]);
}

#[test]
fn a_tenant_whose_key_was_replaced_since_is_left_out_with_the_reason_and_the_site_starts_without_it() {
    let (folder, store) = site();
    let early = exported(&store);
    let backup = back_up(&store, folder.path());
    store.replace_tenant_key(&tenant("a")).unwrap();
    let states = store.keys().unwrap().bundles;
    assert_eq!(states[0].replaced, ["tenant/a/database 1"], "to be shredded once there is a newer backup");
    assert!(states[0].destroyed.is_empty() && !states[0].is_complete());
    let bundle = exported(&store);
    let why = left_out("store/tenants/a/tenant.db", Unreadable::OtherKey(2));
    assert_eq!(store.verify_backup(&backup).unwrap().unreadable, why);

    let (_folder, again, restored) = brought_back(&backup, &bundle).unwrap();
    assert_eq!(restored.unreadable, why);
    assert_eq!(again.tenants().unwrap(), [tenant("b")]);
    assert_eq!(read(&again.tenant(&tenant("b")).unwrap()), ["b"]);
    write(&again.create_tenant(&tenant("a")).unwrap(), "new");
    assert_eq!(read(&brought_back(&backup, &early).unwrap().1.tenant(&tenant("a")).unwrap()), ["a"]);
}

#[test]
fn a_backup_of_which_the_sites_own_database_does_not_open_brings_nothing_back() {
    let (folder, store) = site();
    let backup = back_up(&store, folder.path());
    let fleet = KeyName::site(KeyPurpose::Database);
    store.change(|keyring| keyring.begin_replacing(&fleet, &Seeded::new(808))).unwrap();
    let bundle = exported(&store);
    let refused = brought_back(&backup, &bundle).map(|_| ()).unwrap_err();
    assert!(matches!(refused, BackupError::Needed { why: Unreadable::OtherKey(2), .. }), "{refused}");
    let master = MasterKey::load(&folder.path().join("master.key")).unwrap();
    let recovery = Recovery::open(&backup, &bundle.file, &bundle.shares).unwrap();
    recovery.restore(&folder.path().join("elsewhere"), (&master, &Seeded::new(1)), nothing).unwrap_err();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("elsewhere")), "{left:?}");
}

#[test]
fn the_sites_own_files_come_back_and_no_key_is_taken_along() {
    let (folder, store) = site();
    let bundle = exported(&store);
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let policy = b"// Nobody asks at night.\n";
    let beside = BTreeMap::from([("policy.folder/night.cedar".to_owned(), file("night.cedar", policy))]);
    let backup = folder.path().join("site.backup");
    let made = store.back_up(&backup, &beside, clock_now()).unwrap();
    assert_eq!(made.parts["policy.folder/night.cedar"], policy.len() as u64);
    assert_eq!(store.verify_backup(&backup).unwrap().parts, made.parts);
    let (_folder, again, restored) = brought_back(&backup, &bundle).unwrap();
    assert_eq!(restored.site_files.iter().collect::<Vec<_>>(), [("policy.folder/night.cedar", policy.as_slice())]);
    let recovery = Recovery::open(&backup, &bundle.file, &bundle.shares).unwrap();
    assert_eq!(recovery.site_files().unwrap(), restored.site_files);
    assert!(!again.folder().join("policy.folder").exists());
    let master = MasterKey::load(&folder.path().join("master.key")).unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let fails = |_: &SiteFiles| Err(StoreError::Gone { path: "place".into() }.into());
    let refused = recovery.restore::<BackupError>(&elsewhere, (&master, &Seeded::new(1)), fails);
    assert!(refused.is_err() && !elsewhere.exists(), "no store before the site's files are in their places");

    let keys = [
        folder.path().join("master.key"),
        folder.path().join("data/keyring"),
        file("a.bundle", bundle.file.as_bytes()),
        file("a.share", bundle.shares[0].as_bytes()),
    ];
    for key in keys {
        let refused =
            store.back_up(&folder.path().join("other"), &BTreeMap::from([("x".to_owned(), key)]), clock_now());
        assert!(matches!(refused, Err(BackupError::Key { .. })), "{refused:?}");
        assert!(!folder.path().join("other").exists() && !folder.path().join("other.partial").exists());
    }
}

#[test]
fn a_bundle_counts_once_its_files_are_written_and_is_known_before() {
    let (folder, store) = site();
    let withdrawn = store.issue_bundle((3, 5), None).unwrap();
    assert_eq!(store.keys().unwrap().bundles.len(), 1, "what a crash leaves of it must be known");
    assert!(!store.keys().unwrap().bundles[0].is_complete());
    withdrawn.withdraw().unwrap();
    assert_eq!(store.keys().unwrap().bundles, []);
    // As if the power had gone while the files were written.
    drop(store.issue_bundle((3, 5), None).unwrap());
    drop(store);
    let store = open(folder.path()).unwrap();
    let made = exported(&store);
    let states = store.keys().unwrap().bundles;
    assert_eq!(states.iter().map(|state| state.written).collect::<Vec<_>>(), [false, true]);
    assert_eq!((states[1].bundle.as_str(), states[1].is_complete()), (made.label.bundle.as_str(), true));
}

#[test]
fn a_tenant_is_not_destroyed_when_the_bundle_that_takes_the_place_of_its_own_cannot_be_written() {
    let (folder, store) = site();
    let early = exported(&store);
    let fails = || Err(StoreError::InUse { folder: folder.path().to_owned() });
    assert!(matches!(store.destroy_tenant(&tenant("a"), fails), Err(StoreError::InUse { .. })));
    assert_eq!(read(&store.tenant(&tenant("a")).unwrap()), ["a"]);
    let mut late = None;
    let reissue = || {
        late = Some(store.issue_bundle((3, 5), Some(&tenant("a")))?.written()?);
        Ok::<_, StoreError>(())
    };
    store.destroy_tenant(&tenant("a"), reissue).unwrap();
    let late = late.unwrap();
    assert!(early.label.keys.iter().any(|key| key.starts_with("tenant/a/")));
    assert!(!late.label.keys.iter().any(|key| key.starts_with("tenant/a/")));
    assert!(store.keys().unwrap().bundles[1].is_complete());
}

#[test]
fn a_bundle_with_a_destroyed_tenants_key_does_not_pass_for_one_with_the_key_of_a_later_tenant_of_its_name() {
    let (_folder, store) = site();
    let early = exported(&store);
    destroy(&store, "a").unwrap();
    store.create_tenant(&tenant("a")).unwrap();
    let state = &store.keys().unwrap().bundles[0];
    assert_eq!(state.bundle, early.label.bundle);
    assert_eq!((state.lacks.as_slice(), state.is_complete()), (["tenant/a/database 2".to_owned()].as_slice(), false));
}

#[test]
fn a_site_that_came_back_knows_the_bundle_it_came_back_with() {
    let (folder, store) = site();
    let bundle = exported(&store);
    let (_folder, again, _) = brought_back(&back_up(&store, folder.path()), &bundle).unwrap();
    let states = again.keys().unwrap().bundles;
    assert_eq!(
        (states.len(), states[0].bundle.as_str(), states[0].is_complete()),
        (1, bundle.label.bundle.as_str(), true)
    );
    destroy(&again, "a").unwrap();
    assert_eq!(again.keys().unwrap().bundles[0].destroyed, ["tenant/a/database 1"]);
}

fn hour(hour: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(clock_now().as_second() + hour * 3600).unwrap()
}

/// A site that release 1 left and release 2 took over, with a row of each, and the backup between them.
fn taken_over() -> (tempfile::TempDir, Store, PathBuf) {
    let (folder, store) = site();
    let backups = folder.path().join("backups");
    store.taken_over_by("1", &backups, hour(0)).unwrap();
    store.taken_over_by("2", &backups, hour(1)).unwrap();
    write(&store.tenant(&tenant("a")).unwrap(), "later");
    write(&store.fleet(), "later");
    let (backup, label) = store.left_by("1", &backups).unwrap().unwrap();
    assert_eq!(label.release.as_deref(), Some("1"));
    (folder, store, backup)
}

#[test]
fn a_store_goes_back_to_what_the_release_before_left_and_keeps_its_log_and_what_was_there() {
    let (folder, store, backup) = taken_over();
    store.destroy_tenant(&tenant("b"), || Ok::<_, StoreError>(())).unwrap();
    let log = Log::open(&store.audit(), clock(), Arc::new(Seeded::new(4))).unwrap();
    store.record_key_uses(&log, "test-2").unwrap();
    drop(log);
    drop(store);
    let store = open(folder.path()).unwrap();
    let records = Reader::of(&store).verify(&Evidence::default()).unwrap().records;
    let back = store.roll_back(&backup, hour(2)).unwrap();
    assert_eq!(back.destroyed, [tenant("b")]);
    drop(store);
    let store = open(folder.path()).unwrap();
    assert_eq!(read(&store.tenant(&tenant("a")).unwrap()), ["a"]);
    assert_eq!(store.tenants().unwrap(), [tenant("a")]);
    let audited = Reader::of(&store).verify(&Evidence::default()).unwrap();
    assert_eq!((audited.findings, audited.records), (vec![], records));
    let backups = folder.path().join("backups");
    assert_eq!(store.left_by("1", &backups).unwrap(), None, "it is where it was to go");
    assert!(!store.taken_over_by("1", &backups, hour(3)).unwrap());
    // What was there is kept, and opens with the keyring in force alone.
    assert!(!back.kept.join("keyring").exists());
    std::fs::copy(folder.path().join("data/keyring"), back.kept.join("keyring")).unwrap();
    let master = MasterKey::load(&folder.path().join("master.key")).unwrap();
    let kept = Store::open(&back.kept, master, Arc::new(Seeded::new(13))).unwrap();
    assert_eq!(read(&kept.tenant(&tenant("a")).unwrap()), ["a", "later"]);
}

#[test]
fn going_back_is_refused_where_it_would_lose_a_tenant_or_somebody_works_and_then_changes_nothing() {
    let (folder, store, backup) = taken_over();
    let refused = |store: &Store| {
        let refused = store.roll_back(&backup, hour(2)).unwrap_err();
        let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(
            left.into_iter().all(|name| !name.to_string_lossy().contains("rollback")),
            "something stays: {refused}"
        );
        assert_eq!(read(&store.tenant(&tenant("a")).unwrap()), ["a", "later"]);
        refused
    };
    let other = open(folder.path()).unwrap();
    assert!(matches!(refused(&store), BackupError::Store(StoreError::InUse { .. })));
    drop(other);
    let connection = store.fleet().connect().unwrap();
    assert!(matches!(refused(&store), BackupError::Store(StoreError::InUse { .. })));
    drop(connection);
    store.create_tenant(&tenant("c")).unwrap();
    assert!(matches!(refused(&store), BackupError::NewerTenant { .. }));
    destroy(&store, "c").unwrap();
    store.replace_tenant_key(&tenant("b")).unwrap();
    assert!(matches!(refused(&store), BackupError::Needed { why: Unreadable::OtherKey(2), .. }));
}
