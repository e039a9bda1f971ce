//! Batches: a file of requests through the command, a server that is killed meanwhile, and what people wait for beside it.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use cloister_tests::{Client, Server, Site};
use serde_json::{Value, json};

use super::site::{program, shared};

/// Runs `cloister batch` against a server as the demo's program account.
fn batch(site: &Site, server: &Server, arguments: &[&str]) -> (bool, String) {
    let url = format!("https://localhost:{}", server.address.port());
    let (ca, key) = (server.authority.display().to_string(), site.path().join("accounts/service.key"));
    let key = key.display().to_string();
    let target = ["--server", url.as_str(), "--ca", ca.as_str(), "--key-file", key.as_str()];
    let output = site.program().run(["batch"].into_iter().chain(arguments.iter().copied()).chain(target));
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), told)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_of_questions_is_worked_through_across_a_kill_and_a_person_is_answered_meanwhile() {
    const LINES: usize = 24;
    let site = program().site();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let request = |id: usize| {
        let messages = json!([{"role": "user", "content": format!("Tell a long story about a letter number {id}.")}]);
        let body = json!({"model": "smollm2-135m-instruct", "messages": messages, "max_tokens": 48, "temperature": 0,
            "ignore_eos": true});
        json!({"custom_id": id.to_string(), "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
    };
    std::fs::write(path("requests.jsonl"), (0..LINES).map(request).collect::<Vec<_>>().join("\n")).unwrap();

    let server = site.serve();
    let program_account = Client::new(&server, site.key("service"));
    let stands = |client: &Client| client.get("/v1/batches").json()["data"][0].clone();
    std::thread::scope(|scope| {
        let running =
            scope.spawn(|| batch(&site, &server, &["run", &path("requests.jsonl"), "--out", &path("first.jsonl")]));
        let until = Instant::now() + Duration::from_secs(120);
        let done = |batch: &Value| batch["request_counts"]["completed"].as_u64().unwrap_or_default();
        while done(&stands(&program_account)) < 3 {
            assert!(Instant::now() < until, "nothing of the batch is done: {}", stands(&program_account));
            std::thread::sleep(Duration::from_millis(20));
        }
        let person = Client::new(&server, site.key("agent"));
        let answer = person.post("/api/ask", &json!({"question": "At what temperature must vaccines be stored?"}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(stands(&program_account)["status"], "in_progress", "the batch outlasts a question");
        assert!(kill(&server));
        let (well, told) = running.join().unwrap();
        assert!(!well && !Path::new(&path("first.jsonl")).exists(), "{told}");
    });
    drop(server);

    let server = site.serve();
    let (well, listed) = batch(&site, &server, &["list"]);
    assert!(well, "{listed}");
    let name = listed.split_whitespace().find(|word| word.starts_with("batch_")).unwrap().to_owned();
    let (well, told) = batch(&site, &server, &["follow", &name, "--out", &path("answers.jsonl")]);
    assert!(well && told.contains(&format!("{name} completed: {LINES} answered, 0 not")), "{told}");
    let answers = lines(Path::new(&path("answers.jsonl")));
    let ids: BTreeSet<&str> = answers.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert_eq!((answers.len(), ids.len()), (LINES, LINES), "each line once");
    for line in &answers {
        let body = &line["response"]["body"];
        assert_eq!(body["usage"]["completion_tokens"], 48, "{line}");
        assert!(!body["choices"][0]["message"]["content"].as_str().unwrap().trim().is_empty());
    }
    let (again, told) = batch(&site, &server, &["follow", &name, "--out", &path("answers.jsonl")]);
    assert!(!again && told.contains("is there already"), "nothing is written over: {told}");
    let logged = server.logged();
    assert!(!logged.contains("long story") && !logged.contains("requests.jsonl"), "{logged}");
}

fn kill(server: &Server) -> bool {
    std::process::Command::new("kill").args(["-s", "KILL", &server.id().to_string()]).status().unwrap().success()
}

#[test]
fn a_file_that_cannot_be_worked_through_is_told_by_line() {
    let (site, server) = shared();
    let folder = tempfile::tempdir().unwrap();
    let requests = folder.path().join("requests.jsonl");
    let well = json!({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}});
    std::fs::write(&requests, format!("{well}\n{well}\nJane Roe\n")).unwrap();
    let out = folder.path().join("out.jsonl").display().to_string();
    let (done, told) = batch(site, server, &["run", requests.to_str().unwrap(), "--out", &out]);
    assert!(!done && told.contains("line 2: an earlier line has this `custom_id`"), "{told}");
    assert!(told.contains("line 3: the line is not a JSON object") && !told.contains("Jane"), "{told}");
}
