//! Captures of questions and answers by the program itself: redacted by default, read by whoever may, gone with the tenant.

use std::fs;

use cloister_tests::Client;
use serde_json::{Value, json};

use super::site::program;

const QUESTION: &str =
    "Ms. Zorvena Quandrel, MRN 4471902, phone (503) 555-0142: how do I transfer a prescription to another pharmacy?";
const IDENTIFIERS: [&str; 4] = ["Zorvena", "Quandrel", "4471902", "555-0142"];

#[test]
fn what_was_asked_is_kept_without_identifiers_shown_to_nobody_else_and_destroyed_with_the_tenant() {
    let site = program().site();
    let run = |arguments: &[&str]| {
        let output = site.run(arguments.iter().copied());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = |arguments: &[&str]| {
        let output = site.run(arguments.iter().copied());
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let server = site.serve();
    let agent = Client::new(&server, site.key("agent"));
    let reply = agent.post("/api/ask", &json!({ "question": QUESTION }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = reply.json()["request"].as_str().unwrap().to_owned();
    for role in ["agent", "operator", "service"] {
        assert_eq!(Client::new(&server, site.key(role)).get("/api/captures").status, 403, "{role}");
    }

    // Beside the running server, by the person at the machine.
    let listed = run(&["capture", "list", "--request", &request]);
    let ids: Vec<&str> = listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let [id] = ids.as_slice() else { panic!("{listed}") };
    assert!(listed.contains("redacted") && !listed.contains("transfer"), "{listed}");
    let shown = run(&["capture", "show", id]);
    let capture: Value = serde_json::from_str(&shown).unwrap();
    let asked = capture["asked"][0]["text"].as_str().unwrap();
    assert!(asked.ends_with("how do I transfer a prescription to another pharmacy?"), "{asked}");
    assert!(asked.contains("[MRN-1]"), "{asked}");
    assert!(IDENTIFIERS.iter().all(|identifier| !shown.contains(identifier)), "{shown}");
    assert!(!capture["answered"].as_str().unwrap().is_empty());
    let why = refused(&["capture", "show", id, "--raw"]);
    assert!(why.contains("read_raw_capture"), "{why}");
    assert!(run(&["capture", "purge"]).contains("nothing was removed"));
    let read = format!("SELECT count(*) AS n FROM audit WHERE action = 'read_capture' AND capture = '{id}'");
    let counted: Value = serde_json::from_str(&run(&["audit", "search", &read, "--json"])).unwrap();
    assert_eq!(counted["n"], 1);
    let made = format!("SELECT request FROM audit WHERE captured = '{id}'");
    let found: Value = serde_json::from_str(&run(&["audit", "search", &made, "--json"])).unwrap();
    assert_eq!(found["request"], request.as_str());
    drop(server);

    // The copy of somebody who took it before is noise after.
    let folder = site.path().join("store/tenants/pharmacy");
    let copy = fs::read(folder.join("captures.db")).unwrap();
    run(&["tenant", "destroy", "pharmacy", "--confirm", "pharmacy"]);
    assert!(!folder.exists());
    run(&["init"]);
    fs::write(folder.join("captures.db"), copy).unwrap();
    let why = refused(&["capture", "list"]);
    assert!(why.contains("does not open with its key"), "{why}");
}
