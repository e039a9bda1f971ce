//! What is left when the process dies without a word.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use super::*;
use crate::{keys::MasterKey, store::Store};

const FOLDER: &str = "CLOISTER_TEST_AUDIT_FOLDER";

/// Runs in a child of the test below, which it never leaves: it writes entries until it aborts.
#[test]
#[allow(clippy::print_stdout, reason = "the parent reads what this child prints")]
fn child_writes_and_aborts() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let key = MasterKey::load(&folder.join("master.key")).unwrap();
    let store = Store::open(&folder.join("data"), key, Arc::new(Seeded::new(9))).unwrap();
    let log = Log::open(&store.audit(), clock(), Arc::new(Seeded::new(u64::from(std::process::id())))).unwrap();
    let mut open = Vec::new();
    for request in 0..20 {
        let entry = log.intent_blocking(intent(request)).unwrap();
        // Acknowledged: what is printed from here on must be found after the abort.
        println!("acknowledged {}", entry.id());
        if request % 2 == 0 {
            entry.complete_blocking(Outcome::done()).unwrap();
        } else {
            open.push(entry);
        }
    }
    std::process::abort();
}

#[test]
fn intents_survive_an_abort_and_their_orphans_are_closed_as_interrupted() {
    let mut site = site();
    drop(site.open());
    let folder = site._folder.path();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audit::tests::crash::child_writes_and_aborts", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let acknowledged: Vec<EntryId> = output
        .lines()
        .filter_map(|line| line.unwrap().split_once("acknowledged ").map(|(_, id)| id.parse().unwrap()))
        .collect();
    assert!(!child.wait().unwrap().success());
    assert_eq!(acknowledged.len(), 20);

    let log = site.open();
    assert_eq!(log.interrupted(), 10);
    let records = log.since(0, usize::MAX).unwrap();
    for entry in acknowledged {
        let of_entry: Vec<_> = records.iter().filter(|record| record.entry == entry).collect();
        assert_eq!(of_entry.len(), 2, "one intent and one outcome");
        assert!(matches!(of_entry[0].body, Body::Intent(_)) && matches!(of_entry[1].body, Body::Outcome(_)));
    }
    let kinds = outcomes(&log);
    assert_eq!(kinds.iter().filter(|kind| **kind == OutcomeKind::Interrupted).count(), 10);
    assert_eq!(kinds.iter().filter(|kind| **kind == OutcomeKind::Done).count(), 10);
    drop(log);
    assert_eq!(site.open().interrupted(), 0, "an orphan is closed once");
}

/// How many times the writers are killed; `CLOISTER_KILLS=200` for the long run.
fn kills() -> usize {
    std::env::var("CLOISTER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(3)
}

/// Runs in a child of the tests below: eight threads write entries, and say which records were acknowledged, until the
/// child is killed or the log refuses.
#[test]
#[allow(clippy::print_stdout, reason = "the parent reads what this child prints")]
fn child_writes_with_eight_threads() {
    let Some(folder) = std::env::var_os(EIGHT).map(PathBuf::from) else { return };
    let key = MasterKey::load(&folder.join("master.key")).unwrap();
    let store = Store::open(&folder.join("data"), key, Arc::new(Seeded::new(9))).unwrap();
    let log = Log::open(&store.audit(), clock(), Arc::new(Seeded::new(u64::from(std::process::id())))).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for request in 0..1_000_000 {
                    let Ok(entry) = log.intent_blocking(intent(request)) else { break };
                    println!("acknowledged {} intent", entry.id());
                    let id = entry.id();
                    let Ok(()) = entry.complete_blocking(Outcome::done()) else { break };
                    println!("acknowledged {id} outcome");
                }
            });
        }
    });
    println!("refused {}", log.is_open());
}

const EIGHT: &str = "CLOISTER_TEST_AUDIT_EIGHT";

fn eight_writers(folder: &std::path::Path, through_shell: Option<&str>) -> Command {
    let program = std::env::current_exe().unwrap();
    let mut command = match through_shell {
        Some(script) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).arg(program);
            shell
        }
        None => Command::new(program),
    };
    command
        .args(["--exact", "audit::tests::crash::child_writes_with_eight_threads", "--nocapture"])
        .env(EIGHT, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Every acknowledged record stands in the log above record `after`. Returns the number of the last.
fn assert_kept(site: &mut super::Site, after: u64, acknowledged: &HashSet<(EntryId, bool)>) -> u64 {
    let records = site.open().since(after, usize::MAX).unwrap();
    let kept: HashSet<_> =
        records.iter().map(|record| (record.entry, matches!(record.body, Body::Outcome(_)))).collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(records.iter().zip(after + 1..).all(|(record, number)| record.sequence == number));
    after + records.len() as u64
}

/// The log verifies, to its end.
fn assert_sound(site: &super::Site) {
    let verified = Reader::of(&site.store).verify(&Evidence::default()).unwrap();
    assert_eq!(verified.findings, []);
    assert_eq!((verified.covered, verified.published), (verified.records, verified.records));
}

fn acknowledged(line: &str) -> Option<(EntryId, bool)> {
    let (_, said) = line.split_once("acknowledged ")?;
    let (id, kind) = said.split_once(' ')?;
    Some((id.parse().ok()?, kind == "outcome"))
}

#[test]
fn killing_eight_writers_loses_no_acknowledged_record_and_leaves_a_log_that_verifies() {
    let mut site = site();
    drop(site.open());
    let mut after = 0;
    for kill in 0..kills() {
        let mut kept = HashSet::new();
        let mut child = eight_writers(site._folder.path(), None).spawn().unwrap();
        // Spread over the first 700 records, by a fixed multiplier; checkpoints fall due across the runs.
        let until = 1 + (kill * 0x9E37) % 700;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        kept.extend(lines.by_ref().filter_map(|line| acknowledged(&line)).take(until));
        child.kill().unwrap();
        // What it had said before it died, and was not read yet, was acknowledged too.
        kept.extend(lines.filter_map(|line| acknowledged(&line)));
        child.wait().unwrap();
        after = assert_kept(&mut site, after, &kept);
        // Now and then: reading the whole log after each of many kills would take as long as their square.
        if kill % 10 == 0 {
            assert_sound(&site);
        }
    }
    assert_sound(&site);
}

#[test]
fn a_file_that_cannot_grow_stops_the_work_and_loses_nothing() {
    let mut site = site();
    drop(site.open());
    // The shell's limit on the size of a file stands for a disk that is full: writing beyond it fails.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    let output = eight_writers(site._folder.path(), Some(script)).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.lines().any(|line| line.ends_with("refused false")), "the log went on: {}", said.len());
    let kept: HashSet<_> = said.lines().filter_map(acknowledged).collect();
    assert!(!kept.is_empty());
    assert_kept(&mut site, 0, &kept);
    assert_sound(&site);
}

/// A small file system of its own, taken away with the value.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(size: &str) -> Option<Self> {
        if std::env::var("CLOISTER_TESTS").ok().as_deref() != Some("all") {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={size},mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "mounting needs root");
        Some(Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _gone_with_the_machine = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test names itself to whoever runs the suite")]
fn on_a_full_disk_what_is_open_is_recorded_new_work_is_refused_and_room_brings_it_back() {
    let Some(disk) = Mounted::new("40m") else {
        eprintln!("SKIPPED a full disk: set CLOISTER_TESTS=all to run it, as root");
        return;
    };
    let key = MasterKey::load_or_create(&disk.0.path().join("master.key"), &Seeded::new(7)).unwrap();
    let store = Store::open(&disk.0.path().join("data"), key, Arc::new(Seeded::new(8))).unwrap();
    let clock = clock();
    let log = Log::open(&store.audit(), clock.clone(), Arc::new(Seeded::new(3))).unwrap();
    let open: Vec<_> = (0..200).map(|request| log.intent_blocking(intent(request)).unwrap()).collect();
    let filler = disk.0.path().join("filler");
    let filled = std::fs::File::create(&filler).and_then(|mut file| std::io::copy(&mut std::io::repeat(7), &mut file));
    assert_eq!(filled.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let mut done = 0;
    let refused = loop {
        match log.intent_blocking(intent(1000)) {
            Ok(entry) => entry.complete_blocking(Outcome::done()).unwrap(),
            Err(refused) => break refused,
        }
        done += 1;
        assert!(done < 100_000, "the disk never was full");
    };
    assert!(matches!(refused, AuditError::DiskFull { .. }), "{refused}");
    for entry in open {
        entry.complete_blocking(Outcome::done()).unwrap();
    }
    assert!(matches!(log.intent_blocking(intent(2)), Err(AuditError::DiskFull { .. })), "still full");
    std::fs::remove_file(&filler).unwrap();
    clock.advance(jiff::SignedDuration::from_secs(1));
    let again = log.intent_blocking(intent(3)).expect("there is room, so work is taken again");
    again.complete_blocking(Outcome::done()).unwrap();
    drop(log);
    let verified = Reader::of(&store).verify(&Evidence::default()).unwrap();
    assert_eq!(verified.findings, []);
}
