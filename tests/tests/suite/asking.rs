//! What a caller sees over HTTPS: answers, passages, refusals, errors.

use cloister_tests::Client;
use serde_json::{Value, json};

use super::site::{client, program, shared};

fn ask(question: &str) -> Value {
    let reply = client("agent").post("/api/ask", &json!({ "question": question }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

#[test]
fn a_question_close_to_a_curated_pair_gets_the_approved_answer_word_for_word() {
    let pairs = include_str!("../../../appliance/sample/pairs.jsonl");
    let demo = include_str!("../../../appliance/sample/demo.jsonl");
    let asked = demo.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let question =
        asked.filter(|q| q["expect"] == "verified").map(|q| q["question"].as_str().unwrap().to_owned()).next().unwrap();
    let answer = ask(&question);
    assert_eq!(answer["lane"], "verified", "{answer}");
    let said = answer["answer"].as_str().unwrap();
    assert!(pairs.lines().any(|line| serde_json::from_str::<Value>(line).unwrap()["answer"] == said), "{said}");
    assert_eq!(answer["citations"].as_array().unwrap().len(), 1);
}

#[test]
fn a_curated_question_is_known_in_other_words_unless_the_site_wants_none() {
    let question = json!({ "question": "I have to pay, what payment forms are fine" });
    let answer = ask(question["question"].as_str().unwrap());
    assert_eq!(answer["lane"], "verified", "{answer}");
    assert!(answer["answer"].as_str().unwrap().starts_with("We take cash"), "{answer}");
    let site = program().site();
    let server = site.serve_with(&["answer.same_question.likely=1.0"]);
    let answer = Client::new(&server, site.key("agent")).post("/api/ask", &question).json();
    assert_ne!(answer["lane"], "verified", "{answer}");
}

#[test]
fn a_question_that_no_document_answers_is_declined_without_a_guess() {
    let answer = ask("What is the boiling point of tungsten at the surface of Venus?");
    assert_eq!(answer["lane"], "abstain", "{answer}");
    assert_eq!(answer["abstained"], true);
    assert!(answer["citations"].as_array().unwrap().is_empty());
}

#[test]
fn every_citation_stands_word_for_word_in_the_cited_document() {
    for question in
        ["At what temperature must vaccines be stored?", "How do I transfer a prescription to another pharmacy?"]
    {
        let answer = ask(question);
        let citations = answer["citations"].as_array().unwrap();
        assert!(!citations.is_empty(), "{answer}");
        for citation in citations {
            let id = citation["document"].as_str().unwrap();
            let path = format!("/api/collections/{}/documents/{id}", citation["collection"].as_str().unwrap());
            let reply = client("agent").get(&path);
            assert_eq!(reply.status, 200, "{}", reply.text());
            let document = reply.json();
            let text: Vec<char> = document["text"].as_str().unwrap().chars().collect();
            let (start, end) =
                (citation["start"].as_u64().unwrap() as usize, citation["end"].as_u64().unwrap() as usize);
            let quoted: String = text[start..end].iter().collect();
            assert_eq!(quoted, citation["text"].as_str().unwrap());
        }
    }
}

#[test]
fn a_superseded_procedure_is_never_found() {
    let reply = client("agent")
        .post("/api/collections/procedures/search", &json!({ "query": "early refill window days", "top": 50 }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let passages = reply.json()["passages"].as_array().unwrap().clone();
    assert!(!passages.is_empty());
    for passage in passages {
        assert!(!passage["name"].as_str().unwrap().contains("-v1"), "{passage}");
    }
}

#[test]
fn a_caller_without_a_valid_key_learns_nothing() {
    let known = client("agent");
    for key in ["", "clk_aaaaaaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "not-a-key"] {
        for path in ["/v1/models", "/api/collections"] {
            let reply = known.with_key(key).get(path);
            assert_eq!(reply.status, 401, "{path} {}", reply.text());
            assert!(reply.header("x-request-id").is_some());
        }
    }
}

#[test]
fn an_operator_cannot_ask_search_or_read() {
    let operator = client("operator");
    for (path, body) in [
        ("/api/ask", json!({ "question": "When is the pharmacy open?" })),
        ("/api/collections/procedures/search", json!({ "query": "open" })),
        ("/v1/chat/completions", json!({ "model": "pharmacy", "messages": [{ "role": "user", "content": "hi" }] })),
    ] {
        let reply = operator.post(path, &body);
        assert_eq!(reply.status, 403, "{path}: {}", reply.text());
    }
}

#[test]
fn errors_speak_the_dialect_of_their_face() {
    let agent = client("agent");
    let openai = agent.post(
        "/v1/chat/completions",
        &json!({ "model": "no-such-model", "messages": [{ "role": "user", "content": "hi" }] }),
    );
    assert_eq!(openai.status, 404);
    assert!(openai.json()["error"]["message"].is_string(), "{}", openai.text());
    let ours = agent.post("/api/ask", &json!({ "question": "" }));
    assert!((400..=422).contains(&ours.status), "{}", ours.text());
    assert_eq!(ours.header("content-type"), Some("application/problem+json"));
    assert!(ours.json()["code"].is_string());
    assert_eq!(agent.get("/nowhere").status, 404);
}

#[test]
fn no_question_text_reaches_the_log_or_the_metrics() {
    let canary = "Zyxwvutte Canarymann";
    let reply = client("agent").post("/api/ask", &json!({ "question": format!("When can {canary} refill?") }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let (_, server) = shared();
    assert!(!server.logged().contains("Zyxwvutte"));
    let metrics = client("operator").get("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(!metrics.text().contains("Zyxwvutte"));
}

#[test]
fn a_deleted_document_is_gone_from_the_next_search_of_a_running_server() {
    let site = super::site::program().site();
    let server = site.serve();
    let agent = cloister_tests::Client::new(&server, site.key("agent"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("walrus.md");
    std::fs::write(&file, "# Walrus protocol\n\nThe walrus protocol requires two herring per shift.\n").unwrap();
    let find = || {
        let reply =
            agent.post("/api/collections/procedures/search", &json!({ "query": "walrus protocol herring", "top": 5 }));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["passages"].as_array().unwrap().iter().any(|p| p["name"] == "walrus.md")
    };
    assert!(!find());
    let added = site.run(["kb", "ingest", "procedures", file.to_str().unwrap()]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    assert!(find(), "found at once after it was added by another process");
    let deleted = site.run(["kb", "delete", "procedures", "walrus.md"]);
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    assert!(!find(), "gone at once");
    let rebuilt = site.run(["kb", "rebuild", "procedures"]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    assert!(!find(), "gone after a rebuild");
}
