//! How long a large site takes.

#![allow(clippy::print_stdout, reason = "whoever runs it by hand wants the times")]

use std::time::Instant;

use super::*;

const GIBIBYTE: i64 = 1 << 30;
const BLOB: i64 = 64 << 10;

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    println!("{what}: {:.1} s", began.elapsed().as_secs_f64());
    done
}

/// Run by hand: `cargo test -p cloister-governance --lib -- --ignored --nocapture a_gibibyte`.
#[test]
#[ignore = "writes five gigabytes; prints how long each step takes"]
#[allow(clippy::print_stdout, reason = "its figures are what it is run for")]
fn a_gibibyte_is_backed_up_verified_and_brought_back() {
    let (folder, store) = store();
    let database = store.create_tenant(&"large".parse().unwrap()).unwrap();
    timed("filling the tenant", || {
        let mut connection = database.connect().unwrap();
        connection.execute_batch("CREATE TABLE blobs(n INTEGER PRIMARY KEY, bytes BLOB)").unwrap();
        for part in 0..64 {
            let transaction = connection.transaction().unwrap();
            let rows = GIBIBYTE / BLOB / 64;
            for n in part * rows..(part + 1) * rows {
                transaction.execute("INSERT INTO blobs VALUES (?1, randomblob(?2))", [n, BLOB]).unwrap();
            }
            transaction.commit().unwrap();
        }
    });
    let bundle = store.issue_bundle((3, 5), None).unwrap().written().unwrap();
    let backup = folder.path().join("site.backup");
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let made = timed("backup, read back", || store.back_up(&backup, &BTreeMap::new(), at).unwrap());
    assert!(made.bytes() > GIBIBYTE as u64);
    timed("verify", || assert!(store.verify_backup(&backup).unwrap().unreadable.is_empty()));
    let master = MasterKey::load_or_create(&folder.path().join("other.key"), &Seeded::new(70)).unwrap();
    let to = folder.path().join("again");
    let recovery = Recovery::open(&backup, &bundle.file, &bundle.shares).unwrap();
    let restored = timed("restore, every page checked", || {
        recovery.restore(&to, (&master, &Seeded::new(71)), |_| Ok::<_, BackupError>(())).unwrap()
    });
    assert!(restored.unreadable.is_empty());
    let again = timed("opening the store", || Store::open(&to, master, Arc::new(Seeded::new(72))).unwrap());
    let sum = |store: &Store| {
        let connection = store.tenant(&"large".parse().unwrap()).unwrap().connect().unwrap();
        let sum = "SELECT count(*), sum(unicode(substr(hex(substr(bytes, 1, 8)), 1 + n % 16, 1))) FROM blobs";
        connection.query_row(sum, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };
    assert_eq!(sum(&again), sum(&store));
}
