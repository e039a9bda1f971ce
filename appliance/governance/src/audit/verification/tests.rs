//! What an attacker with the key, a broken disk or a careless hand may do to the log, and what verification says of it.

use cloister_terms::EntryId;
use rusqlite::Connection;

use super::*;
use crate::{
    audit::{
        Outcome, Reader,
        chain::Chain,
        publisher::publish,
        record,
        table::{self, Row},
        tests::intent,
        tree,
    },
    store::Store,
    testing::{Seeded, clock, store},
};
use cloister_terms::Clock as _;

/// Every cut and every page is tried where this is `all`, some otherwise.
fn everything() -> bool {
    std::env::var("CLOISTER_TAMPER").is_ok_and(|value| value == "all")
}

struct Case {
    store: Store,
    records: u64,
    _folder: tempfile::TempDir,
}

/// Rows of entries that open and close at once.
fn rows(from: u64, to: u64) -> Vec<Row> {
    let row = |n: u64| {
        let (entry, closes) = (EntryId::from(u128::from(n.div_ceil(2)) << 64 | 7), n.is_multiple_of(2));
        let body = if closes {
            record::outcome_bytes(&Outcome::done().with_code("quoted").with_count("passages", n))
        } else {
            record::intent_bytes(&intent(u128::from(n)))
        };
        Row { at: clock().now(), entry, closes, body: body.unwrap(), key: None }
    };
    (from..=to).map(row).collect()
}

/// A log of `records` records under checkpoints, published, with its triggers taken away: the attacker has the key.
fn case(records: u64) -> Case {
    let (folder, store) = store();
    let mut connection = store.audit().connect().unwrap();
    table::migrate(&mut connection, &store.audit()).unwrap();
    let mut chain = Chain::open(&mut connection, &Seeded::new(3)).unwrap();
    let mut from = 1;
    while from <= records {
        let to = records.min(from + 249);
        chain.append(&mut connection, &rows(from, to), clock().now(), to == records).unwrap();
        from = to + 1;
    }
    publish(&connection, &tree(&store.audit())).unwrap();
    Case { store, records, _folder: folder }
}

impl Case {
    fn verify(&self) -> Verification {
        self.verify_with(&Evidence::default())
    }

    fn verify_with(&self, evidence: &Evidence) -> Verification {
        verify(&self.store.audit(), &tree(&self.store.audit()), evidence).unwrap()
    }

    /// Takes the guards away, as whoever has the key can.
    fn unguarded(&self) -> Connection {
        let connection = self.store.audit().connect().unwrap();
        let statement = "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_master WHERE type = 'trigger'";
        let drop: Option<String> = connection.query_row(statement, [], |row| row.get(0)).unwrap();
        connection.execute_batch(&drop.unwrap_or_default()).unwrap();
        connection.execute_batch("DROP INDEX IF EXISTS records_by_entry; CREATE INDEX IF NOT EXISTS by_entry ON records (entry); PRAGMA synchronous = OFF").unwrap();
        connection
    }

    /// A tenth of the records, spread over the whole log.
    fn batch(&self, batch: u64) -> impl Iterator<Item = u64> + use<> {
        (1..=self.records).filter(move |n| n % 10 == batch)
    }

    /// Keeps a batch aside, to be put back.
    fn hold(&self, connection: &Connection, batch: u64) {
        let hold = format!(
            "DROP TABLE IF EXISTS temp.held; CREATE TEMP TABLE held AS SELECT * FROM records WHERE sequence % 10 = {batch};
             CREATE INDEX temp.held_by_sequence ON held (sequence)"
        );
        connection.execute_batch(&hold).unwrap();
    }

    fn newest(&self) -> SignedCheckpoint {
        Reader::of(&self.store).checkpoint(None).unwrap()
    }
}

/// Findings about records, as (fault, from, to).
fn about_records(verified: &Verification) -> Vec<(Fault, u64, u64)> {
    let mut about: Vec<_> =
        verified.findings.iter().filter_map(|finding| Some((finding.fault, finding.from?, finding.to?))).collect();
    about.sort_by_key(|(_, from, _)| *from);
    about
}

/// Records of the log that is tampered with.
const RECORDS: u64 = 10_000;

#[test]
fn a_log_that_nobody_touched_verifies() {
    let case = case(RECORDS);
    let verified = case.verify();
    assert_eq!(verified.findings, []);
    assert_eq!((verified.records, verified.covered, verified.published), (RECORDS, RECORDS, RECORDS));
    assert_eq!(verified.checkpoints, RECORDS / 1000);
    assert_eq!(verified.evidence, 1);
    assert!(verified.origin.starts_with("cloister/audit/"));
}

#[test]
fn a_log_that_grows_while_it_is_verified_is_sound() {
    let case = case(2_000);
    let done = std::sync::atomic::AtomicBool::new(false);
    let (mut found, mut longest) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut connection = case.store.audit().connect().unwrap();
            let mut chain = Chain::open(&mut connection, &Seeded::new(3)).unwrap();
            let mut from = case.records + 1;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                chain.append(&mut connection, &rows(from, from + 49), clock().now(), true).unwrap();
                publish(&connection, &tree(&case.store.audit())).unwrap();
                from += 50;
            }
        });
        for _ in 0..20 {
            let verified = case.verify();
            found.extend(verified.findings);
            longest = verified.records;
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(found, []);
    assert!(longest > case.records, "nothing was written meanwhile: the test shows nothing");
}

/// Every record of the log is altered once, a tenth of them at a time, and each is named.
#[test]
fn every_altered_record_is_found_in_its_place() {
    let case = case(RECORDS);
    let connection = case.unguarded();
    for batch in 0..10 {
        // Intents name a policy, outcomes a code; some batches alter another column instead.
        let column = match batch {
            3 | 8 => "at = '2026-01-01T00:00:01Z'",
            5 | 6 => "entry = 'ffffffffffffffffffffffffffffffff'",
            odd if odd % 2 == 1 => "body = CAST(replace(CAST(body AS TEXT), 'built-in-1', 'built-in-2') AS BLOB)",
            _ => "body = CAST(replace(CAST(body AS TEXT), 'quoted', 'quoteD') AS BLOB)",
        };
        case.hold(&connection, batch);
        connection.execute(&format!("UPDATE records SET {column} WHERE sequence % 10 = {batch}"), []).unwrap();
        let expected: Vec<_> = case.batch(batch).map(|n| (Fault::Altered, n, n)).collect();
        assert_eq!(about_records(&case.verify()), expected, "{column}");
        connection
            .execute(
                "UPDATE records SET (at, entry, body) = (SELECT at, entry, body FROM held WHERE held.sequence = records.sequence)
                 WHERE sequence IN (SELECT sequence FROM held)",
                [],
            )
            .unwrap();
    }
    assert_eq!(about_records(&case.verify()), [], "everything was put back");
}

#[test]
fn every_deleted_record_is_found_missing_and_the_last_one_cut() {
    let case = case(RECORDS);
    let connection = case.unguarded();
    for batch in 0..10 {
        case.hold(&connection, batch);
        connection.execute("DELETE FROM records WHERE sequence IN (SELECT sequence FROM held)", []).unwrap();
        let fault = |n| if n == RECORDS { Fault::Cut } else { Fault::Missing };
        let expected: Vec<_> = case.batch(batch).map(|n| (fault(n), n, n)).collect();
        assert_eq!(about_records(&case.verify()), expected);
        connection.execute_batch("INSERT INTO records SELECT * FROM held").unwrap();
    }
}

#[test]
fn every_two_records_that_changed_places_are_found() {
    let case = case(RECORDS);
    let connection = case.unguarded();
    for batch in 0..4 {
        // Each record of the batch with the next one.
        let swap = format!(
            "UPDATE records SET sequence = -sequence - 1 WHERE sequence % 4 = {batch} AND sequence < {RECORDS};
             UPDATE records SET sequence = sequence - 1 WHERE sequence > 1 AND (sequence - 1) % 4 = {batch};
             UPDATE records SET sequence = -sequence WHERE sequence < 0"
        );
        connection.execute_batch(&swap).unwrap();
        let firsts = (1..RECORDS).filter(|n| n % 4 == batch);
        let expected: Vec<_> = firsts.map(|n| (Fault::Altered, n, n + 1)).collect();
        assert_eq!(about_records(&case.verify()), expected);
        connection.execute_batch(&swap).unwrap();
    }
    assert_eq!(about_records(&case.verify()), [], "everything was put back");
}

#[test]
fn every_record_that_was_added_twice_is_found() {
    let case = case(RECORDS);
    let connection = case.unguarded();
    for batch in 0..10 {
        let copies = format!(
            "INSERT INTO records SELECT {RECORDS} + row_number() OVER (ORDER BY sequence), at, entry, closes, body
             FROM records WHERE sequence % 10 = {batch}"
        );
        assert_eq!(connection.execute(&copies, []).unwrap(), 1000);
        let expected: Vec<_> = (RECORDS + 1..=RECORDS + 1000).map(|n| (Fault::Duplicate, n, n)).collect();
        assert_eq!(about_records(&case.verify()), expected);
        connection.execute(&format!("DELETE FROM records WHERE sequence > {RECORDS}"), []).unwrap();
    }
}

#[test]
fn a_record_slipped_in_or_taken_out_with_the_rest_renumbered_is_found_where_it_happened() {
    let case = case(2_100);
    let connection = case.unguarded();
    let shift = |from: u64, by: i64| {
        let both = format!(
            "UPDATE records SET sequence = -sequence WHERE sequence >= {from};
             UPDATE records SET sequence = -sequence + {by} WHERE sequence < 0"
        );
        connection.execute_batch(&both).unwrap();
    };
    connection.execute_batch("CREATE TEMP TABLE held AS SELECT * FROM records WHERE 0").unwrap();
    for n in [1, 256, 257, 1000, case.records - 1] {
        shift(n + 1, 1);
        let copy =
            format!("INSERT INTO records SELECT {}, at, entry, closes, body FROM records WHERE sequence = {n}", n + 1);
        connection.execute(&copy, []).unwrap();
        let found = about_records(&case.verify());
        assert_eq!(found[0], (Fault::Altered, n + 1, case.records), "slipped in after {n}: {found:?}");
        connection.execute("DELETE FROM records WHERE sequence = ?1", [table::signed(n + 1)]).unwrap();
        shift(n + 2, -1);

        let hold = "DELETE FROM held; INSERT INTO held SELECT * FROM records WHERE sequence = ";
        connection.execute_batch(&format!("{hold} {n}; DELETE FROM records WHERE sequence = {n}")).unwrap();
        shift(n + 1, -1);
        let mut found = about_records(&case.verify());
        // An outcome whose intent was taken out shows in the tail as well.
        found.retain(|(fault, _, _)| *fault != Fault::Duplicate);
        let expected = [(Fault::Altered, n, case.records - 1), (Fault::Cut, case.records, case.records)];
        assert_eq!(found, expected, "{n} taken out");
        shift(n, 1);
        connection.execute_batch("INSERT INTO records SELECT * FROM held").unwrap();
    }
    assert_eq!(about_records(&case.verify()), []);
}

#[test]
fn a_cut_tail_shows_by_the_published_checkpoint_or_by_one_kept_elsewhere() {
    let case = case(RECORDS);
    let connection = case.unguarded();
    let kept = case.newest();
    let cuts = if everything() { (1..=case.records).collect() } else { vec![1, 256, 1000, 1001, case.records] };
    for cut in cuts.into_iter().rev() {
        // Records and the checkpoints over them: as if the file of an earlier moment had been put back.
        connection.execute("DELETE FROM records WHERE sequence >= ?1", [table::signed(cut)]).unwrap();
        connection.execute("DELETE FROM checkpoints WHERE size >= ?1", [table::signed(cut)]).unwrap();
        assert_eq!(about_records(&case.verify()), [(Fault::Cut, cut, case.records)]);
    }
    std::fs::remove_dir_all(tree(&case.store.audit()).path()).unwrap();
    assert_eq!(
        about_records(&case.verify()),
        [],
        "nothing here knows better: that is why checkpoints are kept elsewhere"
    );
    let evidence = Evidence { checkpoints: vec![("the journal".to_owned(), kept)], key: None };
    let found = case.verify_with(&evidence);
    assert_eq!(about_records(&found), [(Fault::Cut, 1, case.records)]);
    assert!(found.findings.iter().any(|finding| finding.detail.contains("the journal")));
}

#[test]
fn without_the_published_tree_damage_is_located_between_two_checkpoints_and_only_there() {
    let case = case(2_500);
    std::fs::remove_dir_all(tree(&case.store.audit()).path()).unwrap();
    let connection = case.unguarded();
    connection.execute("UPDATE records SET at = '2026-01-01T00:00:01Z' WHERE sequence IN (7, 2100)", []).unwrap();
    assert_eq!(about_records(&case.verify()), [(Fault::Unproven, 1, 1000), (Fault::Unproven, 2001, 2500)]);
}

#[test]
fn a_log_written_anew_and_signed_with_the_current_key_shows_by_a_checkpoint_kept_elsewhere() {
    let case = case(2_000);
    let kept = case.newest();
    let mut connection = case.unguarded();
    connection.execute("UPDATE records SET at = '2026-01-01T00:00:01Z' WHERE sequence = 1500", []).unwrap();
    connection.execute("DELETE FROM checkpoints WHERE size > 1000", []).unwrap();
    let mut chain = Chain::open(&mut connection, &Seeded::new(3)).unwrap();
    chain.append(&mut connection, &[], clock().now(), true).unwrap();
    std::fs::remove_dir_all(tree(&case.store.audit()).path()).unwrap();
    publish(&connection, &tree(&case.store.audit())).unwrap();
    assert_eq!(about_records(&case.verify()), [], "nothing here knows better");
    let evidence = Evidence { checkpoints: vec![("a witness".to_owned(), kept)], key: None };
    let found = about_records(&case.verify_with(&evidence));
    assert_eq!(found.first(), Some(&(Fault::Unproven, 1001, 2000)), "{found:?}");
}

#[test]
fn an_altered_or_missing_tile_is_told_from_an_altered_record() {
    let case = case(2_100);
    let folder = tree(&case.store.audit()).path().to_owned();
    for (path, byte, expected) in [
        ("tile/0/003", 32 * 5 + 1, (Fault::Tile, 3 * 256 + 6, 3 * 256 + 6)),
        ("tile/0/008.p/52", 0, (Fault::Tile, 8 * 256 + 1, 8 * 256 + 1)),
        ("tile/1/000.p/8", 32 * 2, (Fault::Tile, 2 * 256 + 1, 3 * 256)),
    ] {
        let path = folder.join(path);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[byte] ^= 1;
        std::fs::write(&path, bad).unwrap();
        assert!(about_records(&case.verify()).contains(&expected), "{path:?}: {:?}", case.verify().findings);
        std::fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(case.verify().findings.iter().any(|finding| finding.fault == Fault::Tile), "{path:?} cut");
        std::fs::remove_file(&path).unwrap();
        assert!(case.verify().findings.iter().any(|finding| finding.fault == Fault::Tile), "{path:?} gone");
        std::fs::write(&path, good).unwrap();
    }
    assert_eq!(case.verify().findings, []);
}

/// Altered, cut, removed, exchanged: every file of the folder that may be handed to anyone.
#[test]
fn no_damage_to_the_published_tree_is_overlooked() {
    let case = case(600);
    let folder = tree(&case.store.audit());
    let files: Vec<std::path::PathBuf> =
        ["checkpoint", "keys", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
            .map(|name| folder.path().join(name))
            .into();
    let good: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let (keys, newest) = (folder.keys().unwrap(), folder.checkpoint().unwrap());
    // What reads as it did is no damage: an end of line of another kind, for example.
    let noticed = || {
        let inert = folder.keys().is_ok_and(|read| read == keys)
            && folder.checkpoint().is_ok_and(|read| read == newest)
            && files[2..]
                .iter()
                .zip(&good[2..])
                .all(|(path, good)| std::fs::read(path).is_ok_and(|read| read == *good));
        !case.verify().findings.is_empty() || inert
    };
    let mut tried = 0;
    for (path, good) in files.iter().zip(&good) {
        let small = good.len() < 400;
        let step = if everything() || small { 1 } else { 131 };
        for at in (0..good.len()).step_by(step) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            std::fs::write(path, bad).unwrap();
            assert!(noticed(), "byte {at} of {}", path.display());
            std::fs::write(path, &good[..at]).unwrap();
            assert!(noticed(), "{} cut to {at}", path.display());
            tried += 2;
        }
        std::fs::write(path, good).unwrap();
    }
    for (one, other) in (0..files.len()).flat_map(|one| (0..one).map(move |other| (one, other))) {
        std::fs::write(&files[one], &good[other]).unwrap();
        std::fs::write(&files[other], &good[one]).unwrap();
        assert!(noticed(), "{} and {} exchanged", files[one].display(), files[other].display());
        std::fs::write(&files[one], &good[one]).unwrap();
        std::fs::write(&files[other], &good[other]).unwrap();
        tried += 1;
    }
    for path in &files[1..] {
        let good = std::fs::read(path).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(noticed(), "{} gone", path.display());
        std::fs::write(path, good).unwrap();
        tried += 1;
    }
    // Without its checkpoint the folder says nothing, and the log is verified by what it holds itself.
    std::fs::remove_file(&files[0]).unwrap();
    let unpublished = case.verify();
    assert_eq!((unpublished.findings.as_slice(), unpublished.published), ([].as_slice(), 0));
    #[allow(clippy::print_stdout, reason = "the figure of a long run is what it is for")]
    if everything() {
        println!("the published tree: {tried} kinds of damage, all noticed");
    }
}

#[test]
fn checkpoints_keys_and_guards_are_checked_too() {
    let case = case(2_100);
    let connection = case.store.audit().connect().unwrap();
    let other = Evidence { checkpoints: Vec::new(), key: Some(case_key()) };
    assert_eq!(case.verify_with(&other).findings[0].fault, Fault::Key);
    connection
        .execute_batch(
            "DROP TRIGGER records_stay; CREATE TRIGGER records_stay BEFORE UPDATE ON records BEGIN SELECT 1; END",
        )
        .unwrap();
    let faults: Vec<Fault> = case.verify().findings.iter().map(|finding| finding.fault).collect();
    assert_eq!(faults, [Fault::Guard, Fault::Guard], "one is missing, and one was not made here");
    let connection = case.unguarded();
    connection.execute("DELETE FROM checkpoints WHERE size = 2000", []).unwrap();
    assert_eq!(about_records(&case.verify()), [(Fault::Checkpoint, 1001, 2100)]);
    connection.execute("UPDATE checkpoints SET note = replace(note, 'A', 'B') WHERE size = 1000", []).unwrap();
    assert!(about_records(&case.verify()).contains(&(Fault::Checkpoint, 1000, 1000)));
}

#[test]
fn records_that_were_removed_early_show_even_where_their_hashes_were_kept() {
    let case = case(2_100);
    let connection = case.unguarded();
    let folder = tree(&case.store.audit());
    let hashes = std::fs::read(folder.path().join("tile/0/000")).unwrap();
    let insert = "INSERT INTO bundles (bundle, purged, hashes) VALUES (0, ?1, ?2)";
    // Removed at once, or at a time that is said to be six years on.
    for purged in ["2026-01-01T00:00:00Z", "2032-01-02T00:00:00Z"] {
        connection.execute(insert, rusqlite::params![purged, hashes]).unwrap();
        connection.execute("DELETE FROM records WHERE sequence <= 256", []).unwrap();
        assert_eq!(about_records(&case.verify()), [(Fault::Purged, 1, 256)], "{purged}");
        connection.execute("DELETE FROM bundles", []).unwrap();
    }
}

fn case_key() -> Verifier {
    let seed = zeroize::Zeroizing::new([9; 32]);
    crate::audit::note::Signer::new("cloister/audit/0000000000000000", seed).unwrap().verifier().clone()
}

#[test]
#[allow(clippy::print_stdout, reason = "the figures are what the long run is for")]
fn a_flipped_bit_in_the_file_is_found_and_located() {
    let case = case(2_100);
    let path = case.store.audit().path().to_owned();
    case.store.audit().connect().unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let good = std::fs::read(&path).unwrap();
    let pages = good.len() / 4096;
    let (mut located, mut refused, mut tried) = (0, 0, 0);
    for page in (1..pages).step_by(if everything() { 1 } else { pages / 12 }) {
        let mut bad = good.clone();
        bad[page * 4096 + page % 4096] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        tried += 1;
        match verify(&case.store.audit(), &tree(&case.store.audit()), &Evidence::default()) {
            Ok(verified) => {
                assert!(!verified.findings.is_empty(), "page {page}");
                located += usize::from(verified.findings.iter().any(|finding| finding.fault == Fault::Unreadable));
            }
            // A page without which no record can be looked up: the keys, the checkpoints, the list of tables.
            Err(LogError::Store(_)) => refused += 1,
            Err(error) => panic!("page {page}: {error}"),
        }
        std::fs::write(&path, &good).unwrap();
    }
    println!("flipped bits: {tried} pages tried, {located} located among the records, {refused} refused as a whole");
    assert!(refused < tried / 2, "most of the file is records");
    assert!(located > 0, "no page of records was hit: the test shows nothing");
    assert_eq!(case.verify().findings, []);
}

/// Prints how fast a log of `CLOISTER_RECORDS` records is verified.
#[test]
#[allow(clippy::print_stdout, reason = "the figure is what it is for")]
fn the_rate_is_measured() {
    let Some(records) = std::env::var("CLOISTER_RECORDS").ok().and_then(|records| records.parse::<u64>().ok()) else {
        return;
    };
    let case = case(records);
    let begun = std::time::Instant::now();
    let verified = case.verify();
    let took = begun.elapsed();
    assert_eq!(verified.findings, []);
    println!("{records} records in {took:?}: {:.0} records/s", records as f64 / took.as_secs_f64());
}
