//! Keys and backups of a real site: rotated beside a running server, lost with a tenant, brought back elsewhere.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Instant,
};

use cloister_tests::{Client, Site};
use serde_json::{Value, json};

use super::site::program;

const QUESTIONS: [&str; 2] =
    ["At what temperature must vaccines be stored?", "How do I transfer a prescription to another pharmacy?"];

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must succeed. Its standard output.
fn run(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments.iter().copied());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&run(site, arguments)).unwrap()
}

/// What was answered, without what differs from request to request.
fn answers(client: &Client) -> Vec<Value> {
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

fn files_of(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.display().to_string().contains(kind));
    paths.sort();
    paths
}

/// The arguments that restore `backup` with the bundle and three shares in `recovery`.
fn restoring<'a>(backup: &'a str, bundle: &'a str, shares: &'a [String]) -> Vec<&'a str> {
    let shares = shares.iter().take(3).flat_map(|share| ["--share", share.as_str()]);
    ["backup", "restore", backup, "--bundle", bundle].into_iter().chain(shares).collect()
}

#[test]
fn a_site_that_was_wiped_comes_back_with_its_answers_and_a_log_that_verifies() {
    let site = program().site();
    let recovery = tempfile::tempdir().unwrap();
    let elsewhere = recovery.path().display().to_string();
    let backup = recovery.path().join("site.backup").display().to_string();
    let server = site.serve();
    let before = answers(&Client::new(&server, site.key("agent")));
    run(&site, &["key", "export", "--to", &elsewhere]);
    let began = Instant::now();
    let made = json_of(&site, &["backup", "create", &backup, "--json"]);
    println!("backup in {:?}", began.elapsed());
    assert_eq!(made["key"], "site/backup 1");
    assert!(made["parts"]["store/tenants/pharmacy/tenant.db"].as_u64().unwrap() > 0, "{made}");
    drop(server);
    run(&site, &["backup", "verify", &backup]);

    let config = fs::read_to_string(site.config()).unwrap();
    for gone in ["store", "tls"] {
        fs::remove_dir_all(site.path().join(gone)).unwrap();
    }
    fs::remove_file(site.path().join("master.key")).unwrap();
    let bundle = files_of(recovery.path(), ".bundle").remove(0).display().to_string();
    let shares: Vec<String> =
        files_of(recovery.path(), ".share-").iter().map(|path| path.display().to_string()).collect();
    assert_eq!(shares.len(), 5);
    let too_few = site.run(restoring(&backup, &bundle, &shares[..2]));
    assert_eq!(too_few.status.code(), Some(1), "{}", text(&too_few));
    assert!(text(&too_few).contains("2 different shares were given, and 3 are needed"), "{}", text(&too_few));
    let began = Instant::now();
    run(&site, &restoring(&backup, &bundle, &shares));
    println!("restored in {:?}", began.elapsed());
    assert_eq!(fs::read_to_string(site.config()).unwrap(), config);
    run(&site, &["audit", "verify"]);
    let server = site.serve();
    assert_eq!(answers(&Client::new(&server, site.key("agent"))), before);
    let again = site.run(restoring(&backup, &bundle, &shares));
    assert_eq!(again.status.code(), Some(1), "a store that is there is not restored over: {}", text(&again));
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
