//! Keys and databases together: upgrade, rotation, replacement, damage, death at any moment.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use super::*;
use crate::{
    audit::{Body, Log},
    testing::clock,
};

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

fn master(folder: &Path) -> MasterKey {
    MasterKey::load_or_create(&folder.join("master.key"), &Seeded::new(7)).unwrap()
}

fn open(folder: &Path) -> Result<Store, StoreError> {
    Store::open(&folder.join("data"), master(folder), Arc::new(Seeded::new(12)))
}

fn write(database: &Database, text: &str) {
    let connection = database.connect().unwrap();
    connection.execute_batch("CREATE TABLE IF NOT EXISTS t(x TEXT)").unwrap();
    connection.execute("INSERT INTO t VALUES (?1)", [text]).unwrap();
}

fn read(database: &Database) -> rusqlite::Result<Vec<String>> {
    let connection = database.connect()?;
    let mut statement = connection.prepare("SELECT x FROM t ORDER BY rowid")?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// A store as releases without a keyring made it, with a row in each database.
fn old_form(folder: &Path) -> MasterKey {
    let (master, data) = (master(folder), folder.join("data"));
    private_folder(&data.join("tenants/a")).unwrap();
    private_folder(&data).unwrap();
    let names = [KeyName::site(KeyPurpose::Database), KeyName::site(KeyPurpose::Audit), tenant_key(&tenant("a"))];
    for name in names {
        let database = Database::new(path_of(&data, &name), DataKey::new(master.derive(&name.derivation())));
        database.create().unwrap();
        write(&database, &name.to_string());
    }
    master
}

#[test]
fn a_store_without_a_keyring_is_brought_into_todays_form_and_a_copy_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let key = old_form(folder.path());
    let store = open(folder.path()).unwrap();
    assert_eq!(read(&store.fleet()).unwrap(), ["site/database"]);
    assert_eq!(read(&store.audit()).unwrap(), ["site/audit"]);
    assert_eq!(read(&store.tenant(&tenant("a")).unwrap()).unwrap(), ["tenant/a/database"]);
    let name = tenant_key(&tenant("a"));
    let derived = || DataKey::new(key.derive(&name.derivation()));
    let path = path_of(store.folder(), &name);
    let by_derived = Database::new(path, derived()).check();
    assert!(matches!(by_derived, Err(StoreError::WrongKey { .. })), "the master key alone opens no database now");
    let aside = folder.path().join(BEFORE_KEYRING);
    assert_eq!(read(&Database::new(path_of(&aside, &name), derived())).unwrap(), ["tenant/a/database"]);
    assert!(store.keys().unwrap().keys.iter().all(|key| !key.replacing));
    drop(store);
    open(folder.path()).unwrap();
}

#[test]
fn an_upgrade_that_was_cut_off_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let key = old_form(folder.path());
    let data = folder.path().join("data");
    let ring = RingFile::of(&data);
    // As if the power had gone after the keyring was written and the first database encrypted anew.
    let names = [KeyName::site(KeyPurpose::Database), KeyName::site(KeyPurpose::Audit), tenant_key(&tenant("a"))];
    let add = |keyring: &mut crate::keys::Keyring| {
        names.iter().try_for_each(|n| keyring.add_replacing(n, &key.derive(&n.derivation()), &Seeded::new(5)))
    };
    ring.change(&key, add, |_| Ok::<_, StoreError>(())).unwrap();
    let new = ring.read(&key, |k| k.unwrap(&names[0]).map_err(StoreError::from)).unwrap().unwrap().0;
    Database::new(path_of(&data, &names[0]), DataKey::new(key.derive("database/fleet"))).rekey(&new).unwrap();
    let store = open(folder.path()).unwrap();
    assert_eq!(read(&store.fleet()).unwrap(), ["site/database"]);
    assert_eq!(read(&store.tenant(&tenant("a")).unwrap()).unwrap(), ["tenant/a/database"]);
}

#[test]
fn databases_whose_keyring_is_gone_are_not_taken_for_an_old_store() {
    let (folder, store) = store();
    drop(store);
    std::fs::remove_file(folder.path().join("data/keyring")).unwrap();
    assert!(matches!(open(folder.path()), Err(StoreError::Keys(KeyringError::Missing { .. }))));
    assert!(!folder.path().join(BEFORE_KEYRING).exists());
}

#[test]
fn a_database_that_is_gone_or_empty_is_not_made_again() {
    for damage in [|path: &Path| std::fs::remove_file(path).unwrap(), |path: &Path| std::fs::write(path, "").unwrap()] {
        for name in ["fleet.db", "audit.db"] {
            let (folder, store) = store();
            drop(store);
            damage(&folder.path().join("data").join(name));
            assert!(matches!(open(folder.path()), Err(StoreError::Gone { .. })), "{name}");
        }
        let (folder, store) = store();
        store.create_tenant(&tenant("a")).unwrap();
        drop(store);
        damage(&folder.path().join("data/tenants/a/tenant.db"));
        let store = open(folder.path()).unwrap();
        assert!(store.tenant(&tenant("a")).and_then(|database| database.check()).is_err());
        assert!(matches!(
            store.create_tenant(&tenant("a")),
            Err(StoreError::Gone { .. } | StoreError::TenantExists(_))
        ));
    }
}

#[test]
fn an_earlier_keyring_is_refused() {
    let (folder, store) = store();
    let keyring = folder.path().join("data/keyring");
    let early = std::fs::read(&keyring).unwrap();
    store.create_tenant(&tenant("a")).unwrap();
    drop(store);
    std::fs::write(&keyring, early).unwrap();
    assert!(matches!(open(folder.path()), Err(StoreError::Keys(KeyringError::RolledBack { .. }))));
}

#[test]
fn a_tenants_new_data_key_opens_its_data_and_the_old_one_does_not() {
    let (folder, store) = store();
    let a = tenant("a");
    write(&store.create_tenant(&a).unwrap(), "kept");
    let old = store.tenant(&a).unwrap();
    let other = open(folder.path()).unwrap();
    assert!(matches!(store.replace_tenant_key(&a), Err(StoreError::InUse { .. })), "another has the store open");
    drop(other);
    store.replace_tenant_key(&a).unwrap();
    assert_eq!(read(&store.tenant(&a).unwrap()).unwrap(), ["kept"]);
    assert!(matches!(old.check(), Err(StoreError::WrongKey { .. })));
    assert_eq!(store.keys().unwrap().keys.iter().map(|key| key.version).max(), Some(2));
    drop((store, old));
    assert_eq!(read(&open(folder.path()).unwrap().tenant(&a).unwrap()).unwrap(), ["kept"]);
}

#[test]
fn every_use_of_a_key_is_recorded_and_one_that_cannot_be_is_refused() {
    let (folder, store) = store();
    store.create_tenant(&tenant("a")).unwrap();
    drop(store);
    let store = open(folder.path()).unwrap();
    let log = Log::open(&store.audit(), clock(), Arc::new(Seeded::new(3))).unwrap();
    store.record_key_uses(&log, "test-1").unwrap();
    store.tenant(&tenant("a")).unwrap();
    store.tenant(&tenant("a")).unwrap();
    let records = log.since(0, 100).unwrap();
    let codes: Vec<String> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::Outcome(outcome) => outcome.code.clone(),
            Body::Intent(intent) => (intent.action != cloister_terms::Action::UseKey).then(|| "other".to_owned()),
        })
        .collect();
    assert_eq!(codes, ["database", "audit", "audit-index", "database"], "once each, not once a call");
}

/// Threads that open a new database at the same moment once failed now and then, each with a salt of its own.
#[test]
fn many_that_make_and_open_a_new_database_at_once_all_open_the_same() {
    let (_folder, store) = store();
    for round in 0..20 {
        let path = store.folder().join(format!("round-{round}.db"));
        let database = Database::new(path, DataKey::new(crate::keys::Secret::random(&Seeded::new(round))));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let database = &database;
                scope.spawn(move || {
                    database.create().unwrap();
                    let connection = database.connect().unwrap();
                    connection.execute_batch("CREATE TABLE IF NOT EXISTS t(x TEXT)").unwrap();
                    connection.execute("INSERT INTO t VALUES (?1)", [thread.to_string()]).unwrap();
                });
            }
        });
        assert_eq!(read(&database).unwrap().len(), 8);
    }
    let left =
        std::fs::read_dir(store.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.contains(".new")).count(), 0, "no half-made file stays behind");
}

const ROTATING: &str = "CLOISTER_TEST_ROTATING_FOLDER";
const REPLACING: &str = "CLOISTER_TEST_REPLACING_FOLDER";

/// How many times the child is killed; `CLOISTER_KILLS=50` for the long run.
fn kills() -> u64 {
    std::env::var("CLOISTER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(6)
}

/// Runs in a child of the test below, until it is killed: one thread rotates the master key, another writes.
#[test]
#[allow(clippy::print_stdout, reason = "the parent reads what this child prints")]
fn child_rotates_under_a_writer() {
    let Some(folder) = std::env::var_os(ROTATING).map(PathBuf::from) else { return };
    let store = open(&folder).unwrap();
    let database = store.tenant(&tenant("a")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let connection = database.connect().unwrap();
            for row in 0.. {
                let text = format!("{}-{row}", std::process::id());
                connection.execute("INSERT INTO t VALUES (?1)", [&text]).unwrap();
                println!("acknowledged {text}");
            }
        });
        scope.spawn(|| {
            loop {
                store.rotate_master().unwrap();
                println!("rotated");
            }
        });
    });
}

#[test]
#[allow(clippy::print_stdout, reason = "the parent reads what this child prints")]
fn child_replaces_a_data_key() {
    let Some(folder) = std::env::var_os(REPLACING).map(PathBuf::from) else { return };
    let store = open(&folder).unwrap();
    loop {
        store.replace_tenant_key(&tenant("a")).unwrap();
        println!("rotated");
    }
}

fn child(folder: &Path, test: &str, variable: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("store::tests::keys::{test}"), "--nocapture"])
        .env(variable, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killing_a_rotation_under_a_writer_leaves_nothing_unreadable_and_loses_no_row() {
    let (folder, store) = store();
    let a = tenant("a");
    write(&store.create_tenant(&a).unwrap(), "first");
    drop(store);
    let (mut acknowledged, mut rotations) = (vec!["first".to_owned()], 0);
    for kill in 0..kills() {
        let mut child = child(folder.path(), "child_rotates_under_a_writer", ROTATING);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut note = |line: String| {
            rotations += usize::from(line.ends_with("rotated"));
            acknowledged.extend(line.split_once("acknowledged ").map(|(_, row)| row.to_owned()));
        };
        lines.by_ref().take(5 + (kill as usize * 7) % 23).for_each(&mut note);
        // Somewhere within a rotation, spread by a fixed multiplier.
        std::thread::sleep(std::time::Duration::from_micros((kill * 0x9E37_79B9) % 9_000));
        child.kill().unwrap();
        lines.for_each(&mut note);
        child.wait().unwrap();
        let store = open(folder.path()).unwrap();
        let rows: std::collections::BTreeSet<String> = read(&store.tenant(&a).unwrap()).unwrap().into_iter().collect();
        let lost: Vec<_> = acknowledged.iter().filter(|row| !rows.contains(*row)).collect();
        assert!(lost.is_empty(), "after kill {kill}: {lost:?}");
        // As a running server would go on: with a new key of its own.
        store.create_tenant(&tenant(&format!("t{kill}"))).unwrap();
    }
    assert!(rotations > 0 && acknowledged.len() > 1, "nothing happened: {rotations} rotations");
}

#[test]
fn killing_the_replacement_of_a_data_key_leaves_the_database_readable() {
    let (folder, store) = store();
    let a = tenant("a");
    let database = store.create_tenant(&a).unwrap();
    let connection = database.connect().unwrap();
    connection.execute_batch("CREATE TABLE t(x TEXT)").unwrap();
    connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i FROM n",
            [],
        )
        .unwrap();
    drop((connection, database, store));
    for kill in 0..kills() {
        let mut child = child(folder.path(), "child_replaces_a_data_key", REPLACING);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let rotated = lines.by_ref().find(|line| line.ends_with("rotated"));
        assert!(rotated.is_some(), "the child did not replace the key once");
        std::thread::sleep(std::time::Duration::from_micros((kill * 0x9E37_79B9) % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(folder.path()).unwrap();
        let connection = store.tenant(&a).unwrap().connect().unwrap();
        let sum: i64 = connection.query_row("SELECT sum(x) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 20000 * 20001 / 2, "after kill {kill}");
        let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
    }
}
