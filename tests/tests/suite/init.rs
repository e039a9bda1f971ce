//! A site that a hospital makes for itself: configuration, `init`, an account, a server.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use cloister_tests::Client;
use serde_json::json;

use super::site::program;

/// A configuration in `folder`, and its path.
fn configuration(folder: &Path, text: &str) -> String {
    let path = folder.join("cloister.toml");
    let data = folder.join("data").display().to_string();
    fs::write(&path, format!("[data]\nfolder = {data:?}\n[server]\nport = 0\n{text}")).unwrap();
    path.display().to_string()
}

fn run(config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = program().run(arguments.iter().copied().chain(["--config", config]));
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), told)
}

#[test]
fn init_makes_a_site_once_and_its_administrator_can_make_the_accounts_that_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let models = cloister_models::cache_dir().join("models").display().to_string();
    let config = configuration(folder.path(), &format!("[models]\nfolder = {models:?}\n[tenants.ward]\n"));
    let (early, told) = run(&config, &["serve"]);
    assert_eq!(early, Some(1), "a server makes no site of its own: {told}");
    assert!(told.contains("cloister init"), "{told}");

    let (code, told) = run(&config, &["init"]);
    assert_eq!(code, Some(0), "{told}");
    let data = folder.path().join("data");
    for private in ["master.key", "administrator.key"] {
        let mode = fs::metadata(data.join(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}");
    }
    let key = fs::read_to_string(data.join("administrator.key")).unwrap();
    assert!(!told.contains(key.trim()), "the key itself stays in its file");
    assert!(told.contains("ward"), "{told}");

    let master = fs::read(data.join("master.key")).unwrap();
    let (code, told) = run(&config, &["init"]);
    assert_eq!((code, fs::read(data.join("master.key")).unwrap() == master), (Some(0), true), "{told}");
    assert!(told.contains("there is one already"), "{told}");

    let agent = folder.path().join("agent.key").display().to_string();
    let issue = ["account", "issue", "counter", "--role", "agent", "--tenant", "ward", "--key-file", &agent];
    let (code, told) = run(&config, &issue);
    assert_eq!(code, Some(0), "{told}");
    let server = program().serve(Path::new(&config), &data);
    let reply = Client::new(&server, fs::read_to_string(&agent).unwrap().trim())
        .post("/api/ask", &json!({ "question": "Who?" }));
    assert_eq!((reply.status, &reply.json()["lane"]), (200, &json!("abstain")), "{}", reply.text());
    let metrics = Client::new(&server, key.trim()).get("/metrics").text();
    assert!(metrics.contains("cloister_certificate_not_after_seconds"), "{metrics}");
}

#[test]
fn a_configuration_that_is_wrong_ends_with_exit_code_2_and_the_place_marked() {
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(folder.path(), "prot = 1\n");
    let (code, told) = run(&config, &["init"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("prot") && told.contains("cloister.toml"), "{told}");
    assert!(!folder.path().join("data").exists());
}
