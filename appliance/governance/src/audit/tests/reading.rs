//! Searching, proving, exporting, and the checkpoints that go with them.

use cloister_terms::{EmergencyId, SessionId, TenantId};
use tlog_tiles::{Error as TheirError, Hash as TheirHash, HashReader, check_record, check_tree};

use super::*;

/// Writes `entries` entries that are done, in one group or few.
async fn write(log: &Log, entries: u128) {
    let work =
        (0..entries).map(|request| async move { log.intent(intent(request)).await?.complete(Outcome::done()).await });
    let mut tasks: Vec<_> = work.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        tasks.retain_mut(|task| task.as_mut().poll(context).map(Result::unwrap).is_pending());
        if tasks.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn reader(site: &Site) -> Reader {
    Reader::of(&site.store)
}

#[tokio::test]
async fn a_checkpoint_comes_after_a_thousand_records_at_most_and_at_the_end() {
    let mut site = site();
    let log = site.open();
    write(&log, 1_100).await;
    let first = log.newest_checkpoint().unwrap().unwrap();
    assert!((1000..=2200).contains(&first.checkpoint.size) && first.checkpoint.size.is_multiple_of(1000));
    drop(log);
    let verified = reader(&site).verify(&Evidence::default()).unwrap();
    assert_eq!(verified.findings, []);
    assert_eq!((verified.records, verified.covered, verified.published, verified.checkpoints), (2200, 2200, 2200, 3));
    drop(site.open());
    assert_eq!(reader(&site).checkpoint(None).unwrap().checkpoint.size, 2200, "nothing new, no new checkpoint");
}

#[tokio::test]
async fn a_log_from_before_there_were_checkpoints_gets_one_over_all_of_it() {
    let mut site = site();
    let log = site.open();
    write(&log, 3).await;
    drop(log);
    let connection = site.store.audit().connect().unwrap();
    connection
        .execute_batch(
            "DROP TABLE checkpoints; DROP TABLE checkpoint_keys; DROP TABLE bundles; PRAGMA user_version = 1",
        )
        .unwrap();
    drop(connection);
    std::fs::remove_dir_all(tree(&site.store.audit()).path()).unwrap();
    drop(site.open());
    let verified = reader(&site).verify(&Evidence::default()).unwrap();
    assert_eq!((verified.findings.len(), verified.records, verified.covered, verified.published), (0, 6, 6, 6));
}

#[tokio::test]
async fn the_key_changes_without_breaking_the_chain() {
    let mut site = site();
    let log = site.open();
    write(&log, 5).await;
    let before = log.next_key().unwrap();
    for _ in 0..3 {
        let key = log.next_key().unwrap();
        let entry = log.intent(intent(0)).await.unwrap();
        entry.complete(Outcome::done().announcing(key.clone())).await.unwrap();
        let signed = log.newest_checkpoint().unwrap().unwrap();
        assert!(signed.signed_by(key.verifier()).is_ok());
        assert_eq!(signed.note().lines().filter(|line| line.starts_with('\u{2014}')).count(), 2, "the old key vouches");
        write(&log, 2).await;
    }
    let newest = log.newest_checkpoint().unwrap().unwrap();
    assert!(newest.signed_by(before.verifier()).is_err(), "a key that was never announced signs nothing");
    drop(log);
    let verified = reader(&site).verify(&Evidence::default()).unwrap();
    assert_eq!(verified.findings, []);
    let keys = tree(&site.store.audit()).keys().unwrap();
    assert_eq!(keys.len(), 4);
    for key in keys {
        let evidence = Evidence { checkpoints: Vec::new(), key: Some(key) };
        assert_eq!(reader(&site).verify(&evidence).unwrap().findings, [], "each key of the chain is one of the log's");
    }
    let connection = site.store.audit().connect().unwrap();
    let seeds: i64 = connection.query_row("SELECT count(seed) FROM checkpoint_keys", [], |row| row.get(0)).unwrap();
    assert_eq!(seeds, 1, "the private half of a key that was replaced is gone");
}

#[tokio::test]
async fn a_command_beside_the_server_adds_to_the_same_tree() {
    let mut site = site();
    let (server, command) = (site.open(), site.open());
    for round in 0..6 {
        write(&server, 100 + round).await;
        write(&command, 3).await;
    }
    drop(command);
    write(&server, 2).await;
    drop(server);
    let verified = reader(&site).verify(&Evidence::default()).unwrap();
    assert_eq!(verified.findings, []);
    assert_eq!(verified.covered, 2 * (615 + 18 + 2));
}

#[tokio::test]
async fn what_is_published_holds_hashes_and_no_names() {
    let mut site = site();
    let log = site.open();
    write(&log, 300).await;
    drop(log);
    let mut folders = vec![tree(&site.store.audit()).path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            for word in ["local", "larkfield", "agent", "ask", "intent"] {
                assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word} in {path:?}");
            }
        }
    }
    assert_eq!(files, 7, "two tiles of leaves and a part of a third, one tile above, checkpoint, keys and lock");
}

/// Their tree, from our leaves: an independent implementation to check our proofs with.
struct Theirs(Vec<TheirHash>);

impl HashReader for Theirs {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<TheirHash>, TheirError> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}

#[tokio::test]
async fn proofs_are_accepted_by_another_implementation_and_exported_lines_are_the_leaves() {
    let mut site = site();
    let log = site.open();
    write(&log, 650).await;
    drop(log);
    let reader = reader(&site);
    let mut theirs = Theirs(Vec::new());
    let mut leaves = Vec::new();
    reader
        .records(0, |leaf, record| {
            let hashes = tlog_tiles::stored_hashes(record.sequence - 1, leaf, &theirs).unwrap();
            theirs.0.extend(hashes);
            leaves.push(leaf.to_vec());
            let line: serde_json::Value = serde_json::from_slice(leaf).unwrap();
            assert_eq!(line["sequence"], record.sequence);
            Ok(())
        })
        .unwrap();
    let newest = reader.checkpoint(None).unwrap().checkpoint;
    let hash = |hash: merkle::Hash| TheirHash(*hash.as_bytes());
    assert_eq!(newest.size, 1300);
    assert_eq!(tlog_tiles::tree_hash(1300, &theirs).unwrap().0, *newest.root.as_bytes());
    for without_tiles in [false, true] {
        for sequence in [1, 2, 256, 257, 1000, 1300] {
            let proof = reader.prove_record(sequence, None).unwrap();
            assert_eq!(proof.leaf, leaves[usize::try_from(sequence).unwrap() - 1]);
            let hashes = proof.hashes.iter().copied().map(hash).collect();
            check_record(&hashes, 1300, hash(newest.root), sequence - 1, tlog_tiles::record_hash(&proof.leaf)).unwrap();
            let text = proof.to_string();
            assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {}\n", sequence - 1)));
            assert!(text.ends_with(proof.signed.note()));
        }
        let proof = reader.prove_consistency(1000, None).unwrap();
        let hashes = proof.hashes.iter().copied().map(hash).collect();
        check_tree(&hashes, 1300, hash(newest.root), 1000, hash(proof.earlier.checkpoint.root)).unwrap();
        assert!(proof.to_string().starts_with("old 1000\n"));
        if !without_tiles {
            std::fs::remove_dir_all(reader.tree()).unwrap();
        }
    }
    assert!(matches!(reader.prove_record(1301, None), Err(ReadError::NoRecord(1301))));
    assert!(matches!(reader.prove_record(0, None), Err(ReadError::NoRecord(0))));
    assert!(matches!(reader.prove_consistency(7, None), Err(ReadError::NoCheckpoint(7))));
}

#[tokio::test]
async fn entries_are_found_by_every_filter_and_the_index_can_be_made_again() {
    let mut site = site();
    let log = site.open();
    write(&log, 3).await;
    let session = SessionId::from(9);
    let emergency = Some(EmergencyId::from(5));
    let within = Intent { session: Some(session), tenant: Some("elmhurst".parse().unwrap()), emergency, ..intent(1) };
    let refused = Outcome::denied("other_tenant").committing_to("ab".repeat(32));
    log.intent(within).await.unwrap().complete(refused).await.unwrap();
    site.clock.advance(jiff::SignedDuration::from_secs(10));
    let open = log.intent(Intent { action: Action::Search, ..intent(2) }).await.unwrap();
    let reader = reader(&site);
    let count = |filter: Filter| reader.search(&filter, 100).unwrap().rows.len();
    for _ in 0..2 {
        assert_eq!(count(Filter::default()), 5);
        assert_eq!(count(Filter { session: Some(session), ..Filter::default() }), 1);
        assert_eq!(count(Filter { emergency, ..Filter::default() }), 1);
        assert_eq!(count(Filter { emergency: Some(EmergencyId::from(6)), ..Filter::default() }), 0);
        assert_eq!(count(Filter { tenant: Some("elmhurst".parse::<TenantId>().unwrap()), ..Filter::default() }), 1);
        assert_eq!(count(Filter { outcome: Some(OutcomeKind::Denied), ..Filter::default() }), 1);
        assert_eq!(count(Filter { action: Some(Action::Search), ..Filter::default() }), 1);
        assert_eq!(count(Filter { who: Some("local".to_owned()), ..Filter::default() }), 5);
        assert_eq!(count(Filter { who: Some("nobody".to_owned()), ..Filter::default() }), 0);
        let later = Some("2026-01-01T00:00:05Z".parse().unwrap());
        assert_eq!(count(Filter { since: later, ..Filter::default() }), 1);
        assert_eq!(count(Filter { until: later, ..Filter::default() }), 4);
        assert_eq!(count(Filter { after: 2, ..Filter::default() }), 3);
        assert!(reader.search(&Filter::default(), 2).unwrap().more);
        let statement = "SELECT action, count(*) FROM audit WHERE outcome IS NOT NULL GROUP BY action ORDER BY 2 DESC";
        assert_eq!(reader.query(statement, 10).unwrap().rows, [[serde_json::json!("ask"), serde_json::json!(4)]]);
        reader.rebuild_index().unwrap();
    }
    open.complete(Outcome::done()).await.unwrap();
    assert_eq!(
        count(Filter { action: Some(Action::Search), outcome: Some(OutcomeKind::Done), ..Filter::default() }),
        1
    );
    assert_eq!(reader.verify(&Evidence::default()).unwrap().findings, []);

    let index = site.store.audit_index().connect().unwrap();
    index.execute("UPDATE entries SET outcome = 'done' WHERE outcome = 'denied'", []).unwrap();
    let found = reader.verify(&Evidence::default()).unwrap().findings;
    assert_eq!(
        found.iter().map(|finding| (finding.fault, finding.from)).collect::<Vec<_>>(),
        [(Fault::Index, Some(7))]
    );
    index.execute("UPDATE entries SET outcome = 'denied' WHERE sequence = 7", []).unwrap();
    index.execute("DELETE FROM entries WHERE sequence = 7", []).unwrap();
    assert_eq!(reader.verify(&Evidence::default()).unwrap().findings[0].fault, Fault::Index);
    drop(index);
    std::fs::write(site.store.audit_index().path(), b"not a database").unwrap();
    assert_eq!(count(Filter::default()), 5, "an index that does not open is made again");
}

#[tokio::test]
async fn a_statement_can_read_the_view_and_nothing_else() {
    let mut site = site();
    let log = site.open();
    write(&log, 2).await;
    let reader = reader(&site);
    for statement in [
        "DELETE FROM entries",
        "UPDATE entries SET action = 'ask'",
        "INSERT INTO indexed VALUES (9)",
        "DROP VIEW audit",
        "SELECT * FROM entries",
        "SELECT * FROM indexed",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_table_info('entries')",
        "SELECT sql FROM sqlite_schema UNION SELECT action FROM audit",
        "PRAGMA key",
        "PRAGMA query_only = OFF",
        "ATTACH DATABASE '/tmp/elsewhere.db' AS elsewhere",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT sqlcipher_export('main')",
        "SELECT action FROM audit; DELETE FROM entries",
        "CREATE TEMP TABLE t AS SELECT * FROM audit",
        "BEGIN",
        "VACUUM INTO '/tmp/elsewhere.db'",
        "WITH gone AS (SELECT 1) DELETE FROM entries",
        "EXPLAIN DELETE FROM entries",
    ] {
        let refused = reader.query(statement, 10);
        assert!(matches!(refused, Err(ReadError::Search(SearchError::Refused))), "{statement}: {refused:?}");
    }
    let mistyped = reader.query("SELECT acton FROM audit", 10);
    assert!(matches!(&mistyped, Err(ReadError::Search(SearchError::Statement(why))) if why.contains("acton")));
    for statement in [
        "SELECT sequence, action FROM audit WHERE at > datetime('2020-01-01') ORDER BY sequence DESC",
        "WITH a AS (SELECT action, count(*) AS n FROM audit GROUP BY action) SELECT * FROM a WHERE n > 1",
        "SELECT json_extract(counts, '$.passages'), upper(name), row_number() OVER (ORDER BY sequence) FROM audit",
        "SELECT count(*) FROM audit",
        "SELECT count(*) FROM audit WHERE name LIKE 'loc%'",
    ] {
        assert!(!reader.query(statement, 10).unwrap().rows.is_empty(), "{statement}");
    }
}

#[tokio::test]
async fn an_entry_is_an_audit_event_of_fhir() {
    let mut site = site();
    let log = site.open();
    let asked = Intent {
        session: Some(SessionId::from(9)),
        purpose: Some(cloister_terms::Purpose::Treatment),
        emergency: Some(EmergencyId::from(5)),
        ..intent(7)
    };
    let document =
        Document { collection: "faq".parse().unwrap(), document: DocumentId::from(5), version: "3".to_owned() };
    log.intent(asked)
        .await
        .unwrap()
        .complete(Outcome::done().with_code("quoted").with_document(document))
        .await
        .unwrap();
    let open = log.intent(intent(8)).await.unwrap();
    let mut events = Events::default();
    let mut made = Vec::new();
    reader(&site)
        .records(0, |_, record| {
            made.extend(events.record(record));
            Ok(())
        })
        .unwrap();
    made.extend(events.unfinished());
    assert_eq!(made.len(), 2);
    for event in &made {
        // What R4 asks of every AuditEvent: type, recorded, agent.requestor, source.observer.
        assert_eq!(event["resourceType"], "AuditEvent");
        for needed in ["/type/code", "/recorded", "/agent/0/requestor", "/source/observer/display", "/action"] {
            assert!(!event.pointer(needed).unwrap().is_null(), "{needed}");
        }
    }
    let done = &made[0];
    assert_eq!((&done["outcome"], &done["outcomeDesc"]), (&"0".into(), &"done: quoted".into()));
    assert_eq!(done["purposeOfEvent"][0]["coding"][0]["code"], "TREAT");
    assert_eq!(done["purposeOfEvent"][1]["coding"][0]["code"], "BTG");
    let entities = done["entity"].as_array().unwrap();
    assert!(
        entities.iter().any(|entity| entity["type"]["code"] == "document" && entity["detail"][0]["valueString"] == "3")
    );
    assert!(made[1].get("outcome").is_none(), "an open entry has no outcome yet");
    drop(open);
}

#[test]
fn checkpoints_are_found_in_log_output_and_journals() {
    let mut site = site();
    let log = site.open();
    log.intent_blocking(intent(1)).unwrap().complete_blocking(Outcome::done()).unwrap();
    log.checkpoint_blocking().unwrap();
    let signed = log.newest_checkpoint().unwrap().unwrap();
    assert_eq!(signed.checkpoint.size, 2);
    let line = serde_json::json!({"timestamp": "t", "level": "INFO", "target": "audit.checkpoint", "size": 2, "note": signed.note()});
    let journal = serde_json::json!({"MESSAGE": line.to_string(), "_PID": "1"});
    let other = serde_json::json!({"target": "request", "note": signed.note()});
    let text = format!(
        "starting\nNov 25 10:00:00 host cloister[7]: {line}\n{other}\n{journal}\n{{\"target\":\"audit.checkpoint\"\n"
    );
    assert_eq!(checkpoints_in(&text), [signed.clone(), signed.clone()]);
    assert_eq!(checkpoints_in(signed.note()), [signed]);
    assert_eq!(checkpoints_in("nothing"), []);
}
