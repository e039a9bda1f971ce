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
    let store = Store::open(&folder.join("data"), key).unwrap();
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
