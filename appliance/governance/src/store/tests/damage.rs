//! A database file that was altered, cut, exchanged or put back: nothing is read from it that was not written, and the checks
//! that a backup and a verification make find it.

use super::*;

mod site;

/// Bytes of a page: the unit that SQLCipher authenticates.
const PAGE: usize = 4096;

/// Every byte is altered where this is `all`, some otherwise.
fn everything() -> bool {
    std::env::var("CLOISTER_TAMPER").is_ok_and(|value| value == "all")
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A store with two tenants whose tables take several pages, an index and an overflow chain.
fn case() -> (tempfile::TempDir, Store) {
    let (folder, store) = store();
    for name in ["a", "b"] {
        let connection = store.create_tenant(&tenant(name)).unwrap().connect().unwrap();
        let fill = format!(
            "CREATE TABLE t(x TEXT); CREATE INDEX by_x ON t(x);
             WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 60)
             INSERT INTO t SELECT '{name} ' || n || ' ' || hex(zeroblob(60)) FROM n;
             INSERT INTO t VALUES ('{name} ' || hex(zeroblob(6000)))"
        );
        connection.execute_batch(&fill).unwrap();
    }
    (folder, store)
}

/// All that is in the table, in the order of its rows and of its index.
fn read(database: &Database) -> rusqlite::Result<Vec<String>> {
    let connection = database.connect()?;
    let mut all = Vec::new();
    for statement in ["SELECT x FROM t NOT INDEXED ORDER BY rowid", "SELECT x FROM t INDEXED BY by_x ORDER BY x"] {
        let mut statement = connection.prepare(statement)?;
        all.extend(statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(all)
}

/// The file of a tenant with nothing beside it, what is read from it, and a handle.
fn file(store: &Store, name: &str) -> (Vec<u8>, Vec<String>, Database) {
    let database = store.tenant(&tenant(name)).unwrap();
    let rows = read(&database).unwrap();
    assert!(backup::sound(&database));
    store.0.watermarks.release(&tenant_key(&tenant(name)));
    database.fold().unwrap();
    (std::fs::read(database.path()).unwrap(), rows, database)
}

/// Puts a file in the place of a database, with nothing beside it.
fn place(database: &Database, bytes: &[u8]) {
    for ending in ["-wal", "-shm", "-journal"] {
        let mut beside = database.path().as_os_str().to_owned();
        beside.push(ending);
        let _often_not_there = std::fs::remove_file(beside);
    }
    std::fs::write(database.path(), bytes).unwrap();
}

struct Counted {
    tried: usize,
    refused: usize,
}

/// Puts each of the damaged files in place: reading fails or gives what was there, and the check never lets it pass.
fn none_passes(database: &Database, rows: &[String], damaged: impl Iterator<Item = (String, Vec<u8>)>) -> Counted {
    let mut counted = Counted { tried: 0, refused: 0 };
    for (what, bytes) in damaged {
        place(database, &bytes);
        let read = read(database);
        counted.tried += 1;
        counted.refused += usize::from(read.is_err());
        assert!(read.is_err() || read.is_ok_and(|read| read == rows), "{what}: something else was read");
        assert!(!backup::sound(database), "{what}: the check lets it pass");
    }
    counted
}

fn say(what: &str, counted: &Counted) {
    #[allow(clippy::print_stdout, reason = "the figures of a long run are what it is for")]
    if everything() {
        println!("{what}: {} tried, {} refused when read, all found by the check", counted.tried, counted.refused);
    }
}

#[test]
fn no_altered_byte_of_a_database_is_read_or_passes_the_check() {
    let (_folder, store) = case();
    let (good, rows, database) = file(&store, "a");
    let dice = Seeded::new(5);
    let places: Vec<usize> = if everything() {
        (0..good.len()).collect()
    } else {
        // In every page: its first and last byte, what SQLCipher keeps at its end, and some in between.
        let within = [0, 15, 16, 100, 1000, 2500, PAGE - 80, PAGE - 64, PAGE - 1];
        (0..good.len() / PAGE).flat_map(|page| within.map(|at| page * PAGE + at)).collect()
    };
    let damaged = places.into_iter().map(|at| {
        let mut bit = [0];
        dice.fill(&mut bit);
        let mut bad = good.clone();
        bad[at] ^= 1 << (bit[0] % 8);
        (format!("byte {at}"), bad)
    });
    say("altered bytes of a database", &none_passes(&database, &rows, damaged));
    place(&database, &good);
    assert_eq!(read(&database).unwrap(), rows);
}

#[test]
fn a_database_that_was_cut_or_whose_pages_changed_places_is_not_read() {
    let (_folder, store) = case();
    let (other, _, _) = file(&store, "b");
    let (good, rows, database) = file(&store, "a");
    let pages = good.len() / PAGE;
    let step = if everything() { 64 } else { 1365 };
    let cut = (0..good.len()).step_by(step).map(|length| (format!("cut to {length}"), good[..length].to_vec()));
    say("cut databases", &none_passes(&database, &rows, cut));
    let page = |bytes: &[u8], number: usize| bytes[number * PAGE..(number + 1) * PAGE].to_vec();
    let put = |mut bytes: Vec<u8>, number: usize, page: &[u8]| {
        bytes[number * PAGE..(number + 1) * PAGE].copy_from_slice(page);
        bytes
    };
    let pairs = (0..pages).flat_map(|one| (one + 1..pages).map(move |other| (one, other)));
    let exchanged = pairs.map(|(one, two)| {
        let bytes = put(put(good.clone(), one, &page(&good, two)), two, &page(&good, one));
        (format!("pages {one} and {two} exchanged"), bytes)
    });
    say("exchanged pages", &none_passes(&database, &rows, exchanged));
    let doubled = (0..pages)
        .filter(|number| *number > 0)
        .map(|number| (format!("page {number} doubled"), put(good.clone(), number, &page(&good, number - 1))));
    say("doubled pages", &none_passes(&database, &rows, doubled));
    let foreign = (0..pages.min(other.len() / PAGE))
        .map(|number| (format!("page {number} of another tenant"), put(good.clone(), number, &page(&other, number))));
    say("pages of another tenant", &none_passes(&database, &rows, foreign));
    let whole = std::iter::once(("the file of another tenant".to_owned(), other.clone()));
    say("files of another tenant", &none_passes(&database, &rows, whole));
}

/// A page that SQLCipher wrote once stays authentic. What an old one among new ones amounts to is what the database's own
/// structure lets show: the documentation says so.
#[test]
fn a_single_page_put_back_is_the_one_damage_that_may_pass() {
    let (_folder, store) = case();
    let (early, _, database) = file(&store, "a");
    database.connect().unwrap().execute_batch("UPDATE t SET x = x || ' changed' WHERE rowid = 1").unwrap();
    database.fold().unwrap();
    let late = std::fs::read(database.path()).unwrap();
    let of = |page: usize| page * PAGE..(page + 1) * PAGE;
    let changed = (0..early.len().min(late.len()) / PAGE).filter(|page| early[of(*page)] != late[of(*page)]);
    let passes = changed.filter(|page| {
        let at = of(*page);
        let mut mixed = late.clone();
        mixed[at.clone()].copy_from_slice(&early[at]);
        place(&database, &mixed);
        backup::sound(&database)
    });
    assert!(passes.count() > 0, "the documentation says that this cannot be told; it can");
}

#[test]
fn no_damage_to_a_backup_is_overlooked() {
    let (folder, store) = case();
    let path = folder.path().join("site.backup");
    store.back_up(&path, &std::collections::BTreeMap::new(), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let good = std::fs::read(&path).unwrap();
    let dice = Seeded::new(8);
    let tries = if everything() { 5_000 } else { 20 };
    let of = |bound: usize| {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % bound as u64) as usize
    };
    for _ in 0..tries {
        let (at, bit, length) = (of(good.len()), of(8), of(good.len()));
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        std::fs::write(&path, bad).unwrap();
        assert!(store.verify_backup(&path).is_err(), "bit {bit} of byte {at}");
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(store.verify_backup(&path).is_err(), "cut to {length}");
    }
    std::fs::write(&path, &good).unwrap();
    assert!(store.verify_backup(&path).unwrap().unreadable.is_empty());
    say("altered and cut backups", &Counted { tried: 2 * tries, refused: 2 * tries });
}
