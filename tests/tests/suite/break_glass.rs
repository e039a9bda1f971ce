//! Emergency access on a real site: a person opens it in a browser, compliance reviews it at the machine.

use std::fs;

use cloister_tests::{Client, Reply, Site};
use serde_json::{Value, json};

use super::site::program;

const PATH: &str = "/api/break-glass";
const REASON: &str = "Jane Roe is in anaphylaxis, and the list is closed to me";

fn run(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let output = site.run(arguments.iter().copied());
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), told)
}

fn done(site: &Site, arguments: &[&str]) -> String {
    let (code, told) = run(site, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {told}");
    told
}

/// A browser in which somebody is signed in.
struct Browser {
    client: Client,
    headers: String,
}

impl Browser {
    fn signed_in(client: Client, name: &str, secret: &str) -> Self {
        let first = json!({"name": name, "password": secret, "new_password": "four words make one"}).to_string();
        let reply = client.send("POST", "/api/sign-in", "Sec-Fetch-Site: same-origin\r\n", first.as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let csrf = reply.json()["csrf"].as_str().unwrap().to_owned();
        let headers = format!("Sec-Fetch-Site: same-origin\r\nCookie: {cookie}\r\nCloister-Csrf: {csrf}\r\n");
        Self { client, headers }
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.client.send(method, path, &self.headers, body.as_bytes())
    }
}

#[test]
fn a_person_opens_what_is_closed_and_compliance_ends_reads_and_signs_off_what_was_done() {
    let site = program().site();
    let secret = site.path().join("b.chen.secret").display().to_string();
    let tenants = done(&site, &["tenant", "list"]);
    assert!(tenants.contains("pharmacy"), "{tenants}");
    let create = ["account", "create", "b.chen", "--role", "agent", "--tenant", "pharmacy", "--collection", "none"];
    done(&site, &[&create[..], &["--secret-file", &secret]].concat());
    let server = site.serve_with(&["sign_in.second_factor=false"]);
    let secret = fs::read_to_string(&secret).unwrap();
    let browser = Browser::signed_in(Client::new(&server, ""), "b.chen", secret.trim());
    let search = || browser.send("POST", "/api/collections/procedures/search", &json!({"query": "insulin"}));
    assert_eq!(search().status, 403);
    let opened = browser.send("POST", PATH, &json!({"ground": "patient_safety", "reason": REASON}));
    assert_eq!(opened.status, 201, "{}", opened.text());
    let id = opened.json()["emergency"].as_str().unwrap().to_owned();
    assert_eq!(search().status, 200);
    let logged = server.logged();
    let alert = logged.lines().find(|line| line.contains("\"break_glass\"")).unwrap();
    assert!(alert.contains("\"ERROR\"") && alert.contains(&id), "{alert}");

    let listed = done(&site, &["break-glass", "list"]);
    assert!(listed.contains(&id) && listed.contains("open"), "{listed}");
    let (code, told) = run(&site, &["break-glass", "review", &id, "--verdict", "justified"]);
    assert_eq!(code, Some(1), "it lasts: {told}");
    done(&site, &["break-glass", "end", &id]);
    assert_eq!(search().status, 403, "at the very next request");
    let (code, told) = run(&site, &["break-glass", "end", &id]);
    assert_eq!(code, Some(1), "{told}");

    let shown: Value = serde_json::from_str(&done(&site, &["break-glass", "show", &id])).unwrap();
    assert_eq!((&shown["reason"], &shown["reason_as_recorded"]), (&json!(REASON), &json!(true)));
    let uses = shown["uses"].as_array().unwrap();
    assert!(uses.iter().any(|entry| entry["action"] == "search" && entry["outcome"] == "done"), "{shown}");
    done(&site, &["break-glass", "review", &id, "--verdict", "not_justified", "--note", "No such patient was here."]);
    assert!(!done(&site, &["break-glass", "list"]).contains(&id));
    assert!(done(&site, &["break-glass", "list", "--all"]).contains("not_justified"));
    let found = done(&site, &["audit", "search", "--emergency", &id, "--json"]);
    assert!(found.lines().count() >= 7 && found.contains("emergency_reviewed"), "{found}");
    let (code, verified) = run(&site, &["audit", "verify"]);
    assert_eq!(code, Some(0), "{verified}");
    let exported = done(&site, &["audit", "export"]);
    assert!(!exported.contains("Jane") && !server.logged().contains("Jane"), "the reason stays in the register");
}

#[test]
fn the_cases_that_come_with_the_policies_are_as_they_say_and_an_explanation_names_the_emergency() {
    let site = program().site();
    let cases = std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../systemd/policies/cases.toml");
    done(&site, &["policy", "test", cases.to_str().unwrap()]);
    let ask = ["policy", "explain", "--role", "agent", "--tenant", "pharmacy", "--collection", "procedures"];
    let on = ["--action", "search", "--on", "collection:pharmacy/handbook"];
    let closed = done(&site, &[&ask[..], &on].concat());
    assert!(closed.starts_with("denied") && closed.contains("only-listed-collections"), "{closed}");
    let opened = done(&site, &[&ask[..], &on, &["--emergency"]].concat());
    assert!(opened.starts_with("permitted"), "{opened}");
    assert!(opened.contains("emergency-access-reads-the-own-tenant"), "{opened}");
    let key = done(&site, &[&ask[..], &on, &["--program", "--key-action", "ask"]].concat());
    assert!(key.contains("only-what-the-key-is-for"), "{key}");
}
