//! Keys of a real site: rotated beside a running server, lost with a tenant.

use std::{
    fs,
    process::Output,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cloister_tests::{Client, Site};
use serde_json::{Value, json};

use super::site::{Over, program};

const QUESTIONS: [&str; 2] =
    ["At what temperature must vaccines be stored?", "How do I transfer a prescription to another pharmacy?"];

pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must succeed. Its standard output.
pub(crate) fn run(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments.iter().copied());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn json_of(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(site, arguments)).unwrap()
}

/// What was answered, without what differs from request to request.
pub(crate) fn answers(client: &Client) -> Vec<Value> {
    let ask = |question: &&str| {
        let reply = client.post("/api/ask", &json!({ "question": question }));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply = reply.json();
        json!({ "lane": reply["lane"], "answer": reply["answer"], "citations": reply["citations"] })
    };
    QUESTIONS.iter().map(ask).collect()
}

/// How many times the master key is replaced; `CLOISTER_ROTATIONS=100` for the long run.
fn rotations() -> u64 {
    std::env::var("CLOISTER_ROTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

/// Clients that ask all the time while keys are replaced, and the requests that must be answered between two replacements.
const CLIENTS: usize = 8;
const BETWEEN: u64 = 40;

/// One client's next request, of every kind that opens a database or uses a key. Returns its status, and what was said.
fn next_request(client: &Client, number: usize) -> (u16, String) {
    let reply = match number % 4 {
        0 => client.post("/api/ask", &json!({ "question": QUESTIONS[number % QUESTIONS.len()] })),
        1 => {
            client.post("/api/collections/procedures/search", &json!({ "query": QUESTIONS[number % QUESTIONS.len()] }))
        }
        2 => client.get("/api/collections/procedures/documents"),
        _ => client.get("/api/collections"),
    };
    (reply.status, reply.text())
}

/// Waits until so many requests more have been answered than there were.
fn answered(asked: &AtomicU64, more: u64) {
    let until = asked.load(Ordering::Acquire) + more;
    let begun = Instant::now();
    while asked.load(Ordering::Acquire) < until {
        assert!(begun.elapsed() < Duration::from_secs(120), "the server stands still: {asked:?}");
        std::thread::yield_now();
    }
}

#[test]
fn rotating_the_master_key_beside_a_server_under_load_fails_no_request() {
    let site = program().site();
    let limits = ["limits.requests_per_minute=1000000", "limits.burst=1000000", "answer.composed=false"];
    let server = site.serve_with(&limits);
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let failed: Mutex<Vec<(u16, String)>> = Mutex::default();
    let before = json_of(&site, &["key", "status", "--json"]);
    std::thread::scope(|scope| {
        let over = Over(&done);
        for number in 0..CLIENTS {
            let (server, site, done, asked, failed) = (&server, &site, &done, &asked, &failed);
            scope.spawn(move || {
                let client = Client::new(server, site.key("agent"));
                let mut number = number;
                while !done.load(Ordering::Acquire) {
                    let (status, said) = next_request(&client, number);
                    if status != 200 {
                        failed.lock().unwrap().push((status, said));
                    }
                    asked.fetch_add(1, Ordering::Release);
                    number += 1;
                }
            });
        }
        for rotation in 1..=rotations() {
            answered(&asked, BETWEEN);
            run(&site, &["key", "rotate"]);
            assert_eq!(*failed.lock().unwrap(), [], "by rotation {rotation}");
            if rotation % 10 == 0 {
                println!("{rotation} rotations, {} requests, none failed", asked.load(Ordering::Acquire));
            }
        }
        answered(&asked, BETWEEN);
        drop(over);
    });
    assert_eq!(*failed.lock().unwrap(), []);
    let after = json_of(&site, &["key", "status", "--json"]);
    assert_ne!(before["master"], after["master"]);
    assert_eq!(before["keys"], after["keys"]);
    let recorded = run(
        &site,
        &["audit", "search", "SELECT count(*) AS n FROM audit WHERE code = 'master_key_replaced'", "--json"],
    );
    assert_eq!(serde_json::from_str::<Value>(&recorded).unwrap()["n"], rotations());
    let used = run(
        &site,
        &[
            "audit",
            "search",
            "SELECT count(*) AS n FROM audit WHERE action = 'use_key' AND tenant = 'pharmacy'",
            "--json",
        ],
    );
    assert!(serde_json::from_str::<Value>(&used).unwrap()["n"].as_u64().unwrap() >= 1, "uses are recorded: {used}");
    drop(server);
    // The key in force opens everything, also for a server that never knew another.
    answers(&Client::new(&site.serve_with(&limits), site.key("agent")));
    run(&site, &["audit", "verify"]);
    println!("{} rotations, {} requests, none failed", rotations(), asked.load(Ordering::Acquire));
}

fn bundles_in(site: &Site) -> usize {
    json_of(site, &["key", "status", "--json"])["bundles"].as_array().unwrap().len()
}

#[test]
fn a_recovery_bundle_of_which_a_file_cannot_be_written_does_not_count_and_leaves_nothing() {
    let site = program().site();
    // So long that the bundle's path is the longest that there may be, and a share's is a byte longer.
    let mut folder = site.path().join("far");
    let wanted = 4095 - "/recovery-0123456789abcdef.bundle".len();
    while folder.as_os_str().len() < wanted {
        let rest = wanted - folder.as_os_str().len() - 1;
        folder.push("x".repeat(if rest > 200 { 199 } else { rest }));
    }
    let shown = folder.display().to_string();
    let refused = site.run(["key", "export", "--to", shown.as_str()]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains(".share-1"), "{}", text(&refused));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "the bundle's file stays behind");
    assert_eq!(bundles_in(&site), 0);
    let backup = site.path().join("site.backup").display().to_string();
    let made = site.run(["backup", "create", backup.as_str()]);
    assert!(text(&made).contains("no recovery bundle holds every key"), "{}", text(&made));
}

#[test]
fn a_destroyed_tenant_is_gone_from_the_site_and_from_its_backups() {
    let site = program().site();
    let recovery = tempfile::tempdir().unwrap();
    let folder = |name: &str| recovery.path().join(name).display().to_string();
    run(&site, &["key", "export", "--to", &folder("first")]);
    run(&site, &["backup", "create", &folder("site.backup")]);
    let server = site.serve();
    let destroy = ["key", "destroy", "pharmacy", "--confirm", "pharmacy"];
    let reissue = [destroy.as_slice(), &["--to"]].concat();
    let second = folder("second");
    let reissue = [reissue.as_slice(), &[second.as_str()]].concat();
    let running = site.run(reissue.iter().copied());
    assert_eq!(running.status.code(), Some(1), "{}", text(&running));
    assert!(text(&running).contains("stop the server"), "{}", text(&running));
    drop(server);
    let unnamed = site.run(destroy);
    assert!(text(&unnamed).contains("--to"), "{}", text(&unnamed));
    assert!(text(&running).contains("shred recovery bundle"), "before anything can fail: {}", text(&running));
    assert_eq!(bundles_in(&site), 1, "a bundle that was to take another's place stays behind");
    let said = run(&site, &reissue);
    assert!(said.contains("shred recovery bundle"), "{said}");
    let verified = site.run(["backup", "verify", folder("site.backup").as_str()]);
    assert_eq!(verified.status.code(), Some(3), "{}", text(&verified));
    assert!(text(&verified).contains("store/tenants/pharmacy/tenant.db does not open"), "{}", text(&verified));
    let status = json_of(&site, &["key", "status", "--json"]);
    let old = status["bundles"][0]["bundle"].as_str().unwrap();
    run(&site, &["key", "shredded", old]);
    assert!(!site.path().join("store/tenants/pharmacy").exists());
}

#[test]
fn a_tenant_is_stood_up_from_one_file_and_served_beside_the_configured_one() {
    let site = program().site();
    let file = site.path().join("clinic.toml");
    let declared = "name = \"clinic\"\ntitle = \"Infusion clinic\"\n\n[[collections]]\nid = \"infusion\"\n";
    fs::write(&file, declared).unwrap();
    let file = file.display().to_string();
    let planned = run(&site, &["tenant", "plan", &file]);
    assert_eq!(planned.lines().count(), 4, "{planned}");
    assert!(planned.contains("captures of questions and answers redacted for 30 days"), "{planned}");
    assert!(!site.path().join("store/tenants/clinic").exists(), "a plan makes nothing");
    run(&site, &["tenant", "apply", &file]);
    assert_eq!(run(&site, &["tenant", "apply", &file]).trim(), "nothing to do");
    assert_eq!(run(&site, &["tenant", "plan", &file]).trim(), "nothing to do");
    let listed = run(&site, &["tenant", "list"]);
    assert!(listed.contains("Infusion clinic") && listed.contains("the configuration"), "{listed}");
    let key = site.path().join("clinic.key").display().to_string();
    run(&site, &["account", "issue", "infusion desk", "--role", "agent", "--tenant", "clinic", "--key-file", &key]);
    let server = site.serve();
    let collections = |key: String| Client::new(&server, key).get("/api/collections").text();
    let of_clinic = collections(fs::read_to_string(&key).unwrap().trim().to_owned());
    assert!(of_clinic.contains("infusion") && !of_clinic.contains("procedures"), "{of_clinic}");
    assert!(!collections(site.key("agent")).contains("infusion"));
    drop(server);
    run(&site, &["tenant", "destroy", "clinic", "--confirm", "clinic"]);
    assert!(!run(&site, &["tenant", "list"]).contains("clinic"));
    let server = site.serve();
    assert_eq!(Client::new(&server, site.key("agent")).get("/api/collections").status, 200);
}
