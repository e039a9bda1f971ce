//! The site's own policies, as its administrator works with them: check, try, put in force, explain.

use std::{fs, process::Command, time::Duration};

use cloister_tests::{Client, Server};
use serde_json::json;

use super::site::program;

const NO_SEARCH: &str = "@id(\"no-search\")\n@why(\"Nobody searches while the index is checked.\")\n\
    forbid(principal, action == Action::\"search\", resource);\n";

/// Sends SIGHUP, and waits for what comes of it.
pub(super) fn hang_up(server: &Server, until: impl Fn() -> bool) {
    assert!(Command::new("kill").args(["-HUP", &server.id().to_string()]).status().unwrap().success());
    for _ in 0..100 {
        if until() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nothing came of the signal: {}", server.logged());
}

#[test]
fn policies_are_put_in_force_by_a_signal_and_an_invalid_set_changes_nothing_and_says_where() {
    let site = program().site();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("00-none.cedar"), "// No policy of the site's own yet.\n").unwrap();
    let setting = format!("policy.folder={}", toml::Value::from(folder.path().to_str().unwrap()));
    let server = site.serve_with(&[&setting]);
    let agent = Client::new(&server, site.key("agent"));
    let search = || agent.post("/api/collections/procedures/search", &json!({"query": "vaccine"})).status;
    assert_eq!(search(), 200);
    fs::write(folder.path().join("10-search.cedar"), NO_SEARCH).unwrap();
    hang_up(&server, || search() == 403);
    fs::write(folder.path().join("20-more.cedar"), "\npermit(principal, action, resource);\n").unwrap();
    hang_up(&server, || server.logged().contains("the policies in force stay"));
    let logged = server.logged();
    let line = logged.lines().find(|line| line.contains("the policies in force stay")).unwrap();
    for part in ["20-more.cedar", "\"line\":2", "@id"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(search(), 403);
    let found = site.run(["audit", "search", "--action", "manage_policy", "--json", "--set", &setting]);
    assert!(!found.status.success(), "a command does not act under half a set either");
    fs::remove_file(folder.path().join("20-more.cedar")).unwrap();
    let found = site.run(["audit", "search", "--action", "manage_policy", "--json", "--set", &setting]);
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(text.contains("reloaded") && text.contains("policies_invalid"), "{text}");
}

#[test]
fn policies_are_checked_tried_on_cases_and_explained_without_a_site() {
    let run = |arguments: &[&str]| {
        let output = program().run(arguments.iter().copied());
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), text)
    };
    let (code, text) = run(&["policy", "check"]);
    assert!(code == 0 && text.contains("no-other-tenant") && text.contains("valid; version "), "{text}");

    let cases = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../systemd/policies/cases.toml");
    let (code, text) = run(&["policy", "test", cases.to_str().unwrap()]);
    assert!(code == 0 && text.contains("19 of 19 cases are as they say"), "{text}");

    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().to_str().unwrap();
    fs::write(
        folder.path().join("a.cedar"),
        "@id(\"a\") @why(\"b\")\nforbid(principal, action == Action::\"ask\", resource);",
    )
    .unwrap();
    let (code, text) = run(&["policy", "test", cases.to_str().unwrap(), "--folder", named]);
    assert!(code == 3 && text.contains("not so: An agent asks") && text.contains("denied by a"), "{text}");

    let explain = ["policy", "explain", "--role", "agent", "--tenant", "pharmacy", "--action", "ask"];
    let (code, text) = run(&[&explain[..], &["--on", "tenant:pharmacy"]].concat());
    assert!(code == 0 && text.starts_with("permitted") && text.contains("staff-ask-and-read"), "{text}");
    let (_, text) = run(&[&explain[..], &["--on", "tenant:pharmacy", "--folder", named]].concat());
    assert!(text.starts_with("denied: the site's policy `a` forbids it") && text.contains("a.cedar:1"), "{text}");
    let (_, text) = run(&[&explain[..], &["--on", "tenant:clinic"]].concat());
    assert!(text.contains("denied") && text.contains("forbidden by no-other-tenant"), "{text}");

    fs::write(folder.path().join("b.cedar"), "\n\npermit(principal, action == Action::\"fly\", resource);").unwrap();
    let (code, text) = run(&["policy", "check", "--folder", named]);
    assert!(code == 3 && text.contains("b.cedar:3: "), "{text}");
}
