//! Whoever is let in no more is refused at the very next request to a running server, whatever they show.

use std::{
    fs,
    process::Output,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Instant,
};

use cloister_tests::{Client, Reply, Server, Site};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use super::site::program;

const PASSWORD: &str = "four words make one";

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must succeed. Its standard output.
fn run(site: &Site, arguments: &[&str]) -> String {
    let output = site.run(arguments.iter().copied());
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// A program's account: its id, and a client with its key.
fn program_account(site: &Site, server: &Server, name: &str) -> (String, Client) {
    let key = site.path().join(format!("{name}.key"));
    let key = key.to_str().unwrap();
    let said = run(site, &["account", "issue", name, "--role", "agent", "--tenant", "pharmacy", "--key-file", key]);
    let account = said.split(':').next().unwrap().to_owned();
    (account, Client::new(server, fs::read_to_string(key).unwrap().trim()))
}

fn posted(client: &Client, body: &Value) -> Reply {
    client.send("POST", "/api/sign-in", "Content-Type: application/json\r\n", body.to_string().as_bytes())
}

/// A person who has signed in with both factors: a browser with their cookie.
pub(super) fn person(site: &Site, server: &Server, name: &str) -> Client {
    let secret = site.path().join(format!("{name}.secret"));
    let secret = secret.to_str().unwrap();
    run(site, &["account", "create", name, "--role", "agent", "--tenant", "pharmacy", "--secret-file", secret]);
    let door = Client::new(server, "").browser("", "");
    let first = fs::read_to_string(secret).unwrap();
    let reply = posted(&door, &json!({"name": name, "password": first.trim(), "new_password": PASSWORD}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seed = reply.json()["second_factor"]["secret"].as_str().unwrap().to_owned();
    let totp = Builder::new().with_secret(Secret::try_from_base32(&seed).unwrap()).build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let code = totp.generate(now).to_string();
    let reply = posted(&door, &json!({"name": name, "password": PASSWORD, "code": code}));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap();
    door.browser(cookie, reply.json()["csrf"].as_str().unwrap())
}

/// Does `arguments` while `client` asks all the time. The first request after the command has returned is refused.
fn refused_at_once(site: &Site, client: &Client, arguments: &[&str]) {
    let (over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    assert_eq!(client.get("/api/collections").status, 200, "before {arguments:?}");
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            // Held in whatever caches there are until it is refused: whoever goes on then is told to slow down.
            while !over.load(Ordering::Acquire) && client.get("/api/collections").status == 200 {
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
        while served.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        let output = site.run(arguments.iter().copied());
        let returned = Instant::now();
        let next = client.get("/api/collections");
        let took = returned.elapsed();
        over.store(true, Ordering::Release);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
        assert_eq!(next.status, 401, "after {arguments:?}: {}", next.text());
        took
    });
    println!("{arguments:?}: {served:?} requests served meanwhile; the first after its return refused in {took:?}");
}

#[test]
fn whoever_is_let_in_no_more_is_refused_at_the_next_request() {
    let site = program().site();
    let server = site.serve_with(&[
        "answer.composed=false",
        "models.generate=''",
        "limits.requests_per_minute=1000000",
        "limits.burst=1000000",
    ]);
    let (account, client) = program_account(&site, &server, "till-1");
    refused_at_once(&site, &client, &["account", "revoke", &account]);
    let (account, client) = program_account(&site, &server, "till-2");
    refused_at_once(&site, &client, &["account", "disable", &account]);
    for (name, verb) in [("a.lopez", "sign-out"), ("b.chen", "disable"), ("c.okafor", "reset")] {
        let browser = person(&site, &server, name);
        refused_at_once(&site, &browser, &["account", verb, name]);
    }
}
