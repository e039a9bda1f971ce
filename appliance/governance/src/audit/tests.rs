use std::collections::HashSet;

use cloister_terms::{Action, DocumentId, FixedClock, RequestId, Role};

use super::*;
use crate::{
    policy::Principal,
    testing::{Seeded, clock, store},
};

mod crash;
mod reading;

struct Site {
    store: crate::store::Store,
    clock: Arc<FixedClock>,
    seed: u64,
    _folder: tempfile::TempDir,
}

fn site() -> Site {
    let (folder, store) = store();
    Site { store, clock: clock(), seed: 1, _folder: folder }
}

impl Site {
    fn open(&mut self) -> Log {
        self.seed += 1;
        Log::open(&self.store.audit(), self.clock.clone(), Arc::new(Seeded::new(self.seed))).unwrap()
    }
}

pub(super) fn intent(request: u128) -> Intent {
    Intent {
        who: Who::from(&Principal::local(Role::Agent, Some("larkfield".parse().unwrap()))),
        action: Action::Ask,
        purpose: None,
        tenant: Some("larkfield".parse().unwrap()),
        collections: Vec::new(),
        session: None,
        emergency: None,
        capture: None,
        request: RequestId::from(request),
        policy: "built-in-1".to_owned(),
        policies: vec!["staff-ask-and-read".to_owned()],
    }
}

fn outcomes(log: &Log) -> Vec<OutcomeKind> {
    log.since(0, usize::MAX)
        .unwrap()
        .into_iter()
        .filter_map(|record| match record.body {
            Body::Outcome(outcome) => Some(outcome.kind),
            Body::Intent(_) => None,
        })
        .collect()
}

#[tokio::test]
async fn an_entry_is_an_intent_and_an_outcome_with_what_was_used() {
    let mut site = site();
    let log = site.open();
    let entry = log.intent(intent(7)).await.unwrap();
    let id = entry.id();
    let read_before = log.since(0, 10).unwrap();
    assert_eq!(read_before.len(), 1, "the intent is on the disk before any work");
    let document =
        Document { collection: "faq".parse().unwrap(), document: DocumentId::from(5), version: "3".to_owned() };
    let outcome = Outcome::done().with_code("quoted").with_count("passages", 3).with_document(document.clone());
    entry.complete(outcome).await.unwrap();

    let records = log.since(0, 10).unwrap();
    assert_eq!(records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [1, 2]);
    assert!(records.iter().all(|record| record.entry == id && record.at == site.clock.now()));
    let Body::Intent(recorded) = &records[0].body else { panic!() };
    assert_eq!((recorded.action, recorded.request), (Action::Ask, RequestId::from(7)));
    let Body::Outcome(recorded) = &records[1].body else { panic!() };
    assert_eq!(recorded.kind, OutcomeKind::Done);
    assert_eq!(recorded.code.as_deref(), Some("quoted"));
    assert_eq!(recorded.counts["passages"], 3);
    assert_eq!(recorded.documents, [document]);
    assert_eq!(log.since(1, 10).unwrap(), records[1..]);
}

#[tokio::test]
async fn a_dropped_entry_is_recorded_as_abandoned() {
    let mut site = site();
    let log = site.open();
    drop(log.intent(intent(1)).await.unwrap());
    log.flush().await.unwrap();
    assert_eq!(outcomes(&log), [OutcomeKind::Abandoned]);
}

#[tokio::test]
async fn an_intent_whose_caller_left_while_it_was_written_is_recorded_as_abandoned() {
    let mut site = site();
    let log = site.open();
    let mut waiting = Box::pin(log.intent(intent(1)));
    // One poll hands the record over; then the caller is gone.
    let polled = std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    drop(waiting);
    log.flush().await.unwrap();
    assert_eq!(outcomes(&log), [OutcomeKind::Abandoned]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_one_sequence_without_gaps() {
    let mut site = site();
    let log = site.open();
    let tasks: Vec<_> = (0..200)
        .map(|request| {
            let log = log.clone();
            tokio::spawn(async move { log.intent(intent(request)).await?.complete(Outcome::done()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let records = log.since(0, usize::MAX).unwrap();
    assert!(records.iter().map(|record| record.sequence).eq(1..=400));
    let entries: HashSet<_> = records.iter().map(|record| record.entry).collect();
    assert_eq!(entries.len(), 200);
}

#[test]
fn commands_write_without_a_runtime() {
    let mut site = site();
    let log = site.open();
    let entry = log.intent_blocking(intent(1)).unwrap();
    entry.complete_blocking(Outcome::denied("role_not_allowed")).unwrap();
    assert_eq!(outcomes(&log), [OutcomeKind::Denied]);
}

#[test]
fn two_processes_number_their_records_in_one_sequence() {
    let mut site = site();
    let (server, command) = (site.open(), site.open());
    let first = server.intent_blocking(intent(1)).unwrap();
    let second = command.intent_blocking(intent(2)).unwrap();
    first.complete_blocking(Outcome::done()).unwrap();
    second.complete_blocking(Outcome::done()).unwrap();
    let records = server.since(0, usize::MAX).unwrap();
    assert!(records.iter().map(|record| record.sequence).eq(1..=4));
}

#[test]
fn opening_the_log_leaves_a_living_process_its_open_entries() {
    let mut site = site();
    let server = site.open();
    let working = server.intent_blocking(intent(1)).unwrap();
    let command = site.open();
    assert_eq!(command.interrupted(), 0);
    working.complete_blocking(Outcome::done()).unwrap();
    assert_eq!(outcomes(&command), [OutcomeKind::Done]);
}

#[test]
fn the_past_cannot_be_changed_or_forgotten() {
    let mut site = site();
    let log = site.open();
    log.intent_blocking(intent(1)).unwrap().complete_blocking(Outcome::done()).unwrap();
    let connection = site.store.audit().connect().unwrap();
    for statement in [
        "UPDATE records SET body = x'00'",
        "DELETE FROM records",
        "DELETE FROM records WHERE sequence = 2",
        "INSERT OR REPLACE INTO records VALUES (1, '', '', 0, x'00')",
        "INSERT INTO records VALUES (9, '', '', 0, x'00')",
        "INSERT INTO records VALUES (3, '', 'nobody', 1, x'00')",
        "INSERT OR REPLACE INTO records SELECT 3, at, entry, closes, body FROM records WHERE sequence = 2",
    ] {
        // The last one is a second outcome for an entry that has one: REPLACE would delete the first.
        let before = log.since(0, 10).unwrap();
        assert!(connection.execute(statement, []).is_err(), "{statement}");
        assert_eq!(log.since(0, 10).unwrap(), before, "{statement}");
    }
}

#[tokio::test]
async fn after_a_failed_write_the_log_refuses_work() {
    let mut site = site();
    let log = site.open();
    let open = log.intent(intent(1)).await.unwrap();
    // The table goes away under the writer, as a broken disk would take it.
    site.store.audit().connect().unwrap().execute_batch("DROP TABLE records").unwrap();
    assert_eq!(log.intent(intent(2)).await.unwrap_err(), AuditError::Closed);
    assert!(!log.is_open());
    assert_eq!(log.intent(intent(3)).await.unwrap_err(), AuditError::Closed);
    assert_eq!(open.complete(Outcome::done()).await.unwrap_err(), AuditError::Closed, "no outcome, no last byte");
}

#[tokio::test]
async fn a_full_log_refuses_intents_and_still_takes_outcomes() {
    let site = site();
    let log = Log::with_room(&site.store.audit(), site.clock.clone(), Arc::new(Seeded::new(5)), 8).unwrap();
    let mut open = Vec::new();
    let refused = loop {
        match log.intent(intent(open.len() as u128)).await {
            Ok(entry) => open.push(entry),
            Err(error) => break error,
        }
        assert!(open.len() <= 16, "the log is not bounded");
    };
    assert!(matches!(refused, AuditError::Full { .. }));
    for entry in open {
        entry.complete(Outcome::done()).await.unwrap();
    }
    assert!(log.intent(intent(0)).await.is_ok(), "room came back");
}

#[test]
fn the_last_handle_waits_until_the_writer_has_written_and_closed() {
    let mut site = site();
    let log = site.open();
    // SQLite removes its write-ahead log when the last connection closes.
    let ahead = site.store.audit().path().with_extension("db-wal");
    let entry = log.intent_blocking(intent(1)).unwrap();
    drop(log);
    assert!(ahead.exists(), "an entry is a handle too");
    drop(entry);
    assert!(!ahead.exists(), "the writer is still there");
    assert_eq!(outcomes(&site.open()), [OutcomeKind::Abandoned]);
}
