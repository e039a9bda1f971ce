//! Keys of a real site: rotated beside a running server, lost with a tenant.

use std::{
    fs,
    process::Output,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use cloister_tests::{Client, Site};
use serde_json::{Value, json};

use super::site::program;

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

#[test]
fn rotating_the_master_key_beside_a_server_under_load_fails_no_request() {
    let site = program().site();
    let server = site.serve();
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let before = json_of(&site, &["key", "status", "--json"]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let client = Client::new(&server, site.key("agent"));
                while !done.load(Ordering::Relaxed) {
                    answers(&client);
                    asked.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..rotations() {
            run(&site, &["key", "rotate"]);
        }
        done.store(true, Ordering::Relaxed);
    });
    let after = json_of(&site, &["key", "status", "--json"]);
    assert_ne!(before["master"], after["master"]);
    assert_eq!(before["keys"], after["keys"]);
    assert!(asked.load(Ordering::Relaxed) > 2, "hardly a request: {asked:?}");
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
    println!("{} rotations, {} requests, none failed", rotations(), asked.load(Ordering::Relaxed));
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
    assert_eq!(planned.lines().count(), 3, "{planned}");
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
