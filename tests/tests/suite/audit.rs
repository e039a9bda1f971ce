//! The audit log of a real site: it verifies, it proves, and what was done to a copy of it shows.

use std::{fs, path::Path, process::Output};

use cloister_tests::{Client, Site};
use serde_json::{Value, json};

use super::site::program;

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must succeed. Its standard output.
fn run(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments.iter().copied());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn verified(site: &Site, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = site.run(["audit", "verify", "--json"].into_iter().chain(arguments.iter().copied()));
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output))))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files of the log alone.
fn copy_log(site: &Site, to: &Path) {
    let store = site.path().join("store");
    copy(&store.join("audit"), &to.join("audit"));
    for name in ["audit.db", "audit.db-wal"] {
        if store.join(name).exists() {
            fs::copy(store.join(name), to.join(name)).unwrap();
        }
    }
}

#[test]
fn a_sites_log_verifies_and_what_is_done_to_a_copy_is_located() {
    let site = program().site();
    let early = tempfile::tempdir().unwrap();
    copy_log(&site, early.path());
    let server = site.serve();
    let client = Client::new(&server, site.key("agent"));
    let question = "How long do opened insulin pens keep at room temperature?";
    for _ in 0..3 {
        assert_eq!(client.post("/api/ask", &json!({"question": question})).status, 200);
    }
    let (code, live) = verified(&site, &[]);
    assert_eq!((code, &live["findings"]), (Some(0), &json!([])), "beside a running server");

    // The checkpoint that this command makes covers what the server wrote; the server's own log has those before it.
    let note = run(&site, &["audit", "checkpoint"]);
    let kept = site.path().join("kept-checkpoint");
    fs::write(&kept, &note).unwrap();
    assert!(server.logged().contains("audit.checkpoint"), "{}", server.logged());
    let found = run(&site, &["audit", "search", "--action", "ask", "--json"]);
    assert_eq!(found.lines().count(), 3, "{found}");
    let first: Value = serde_json::from_str(found.lines().next().unwrap()).unwrap();
    assert_eq!(first["session"].as_str().unwrap().len(), 32);
    let by_session = run(&site, &["audit", "search", "--session", first["session"].as_str().unwrap(), "--json"]);
    assert_eq!(by_session.lines().count(), 1);
    let counted =
        run(&site, &["audit", "search", "SELECT count(*) AS n FROM audit WHERE action = 'read_audit'", "--json"]);
    assert!(
        serde_json::from_str::<Value>(&counted).unwrap()["n"].as_u64().unwrap() >= 3,
        "reads are recorded: {counted}"
    );
    let refused = site.run(["audit", "search", "DELETE FROM entries"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("only one SELECT"), "{}", text(&refused));

    let sequence = first["sequence"].as_u64().unwrap().to_string();
    let proof = run(&site, &["audit", "prove", "record", &sequence]);
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\nindex "), "{proof}");
    let exported = run(&site, &["audit", "export"]);
    assert!(!exported.contains("insulin"), "a record holds no text of a question or a document");
    assert!(exported.lines().zip(1..).all(|(line, n)| line.starts_with(&format!("{{\"sequence\":{n},"))));
    assert!(run(&site, &["audit", "export", "--format", "fhir"]).lines().all(|line| line.contains("\"AuditEvent\"")));
    let key = run(&site, &["audit", "rotate-key"]);
    drop(server);

    let evidence = ["--checkpoint", kept.to_str().unwrap(), "--key", key.trim()];
    let (code, whole) = verified(&site, &evidence);
    assert_eq!((code, &whole["findings"]), (Some(0), &json!([])));
    assert!(whole["evidence"].as_u64().unwrap() >= 2, "the published checkpoint and the one that was kept");

    let late = tempfile::tempdir().unwrap();
    copy_log(&site, late.path());
    let on = |folder: &Path| ["--copy".to_owned(), folder.display().to_string()];
    let verify_copy = |folder: &Path, more: &[&str]| {
        let copy = on(folder);
        let arguments: Vec<&str> = copy.iter().map(String::as_str).chain(more.iter().copied()).collect();
        verified(&site, &arguments)
    };
    assert_eq!(verify_copy(late.path(), &evidence), (Some(0), verify_copy(late.path(), &evidence).1));

    // The log of an earlier day, put back whole: only what was kept elsewhere tells.
    let (code, alone) = verify_copy(early.path(), &[]);
    assert_eq!(code, Some(0), "{alone}");
    let (code, cut) = verify_copy(early.path(), &["--checkpoint", kept.to_str().unwrap()]);
    let (last, size) = (alone["records"].as_u64().unwrap(), note.lines().nth(1).unwrap().parse::<u64>().unwrap());
    assert_eq!(code, Some(3), "{cut}");
    assert_eq!(
        (&cut["findings"][0]["fault"], &cut["findings"][0]["from"], &cut["findings"][0]["to"]),
        (&json!("cut"), &json!(last + 1), &json!(size))
    );

    // One bit of one page.
    let database = late.path().join("audit.db");
    let mut bytes = fs::read(&database).unwrap();
    let page = bytes.len() / 4096 / 2;
    bytes[page * 4096 + 100] ^= 1;
    fs::write(&database, bytes).unwrap();
    let copy = on(late.path());
    let flipped = site.run(["audit", "verify"].into_iter().chain(copy.iter().map(String::as_str)));
    assert_eq!(flipped.status.code(), Some(3), "{}", text(&flipped));
}

#[test]
fn commands_that_write_the_log_end_by_themselves() {
    let site = program().site();
    for _ in 0..8 {
        let output = site.run(["account", "list"]);
        assert_eq!(output.status.code(), Some(0), "ended by a signal? {:?} {}", output.status, text(&output));
    }
}
