use std::collections::BTreeMap;

use axum::http::StatusCode;
use cloister_governance::audit::OutcomeKind;
use cloister_knowledge::parse::{InProcess, Source};
use cloister_terms::Role;
use serde_json::json;

use super::site::Site;
use crate::pipeline::Priority;

const HOW_LONG: &str = "How long do opened insulin pens keep at room temperature?";

#[tokio::test]
async fn an_answer_comes_with_everything_that_it_rests_on() {
    let site = Site::saying("Opened insulin pens keep at room temperature for 28 days.");
    let reply = site.post(Role::Agent, "/api/ask", &json!({"question": HOW_LONG})).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let reply = reply.json();
    assert_eq!((&reply["lane"], &reply["abstained"]), (&json!("composed"), &json!(false)));
    let citation = &reply["citations"][0];
    assert_eq!(citation["text"], "Opened insulin pens keep at room temperature for 28 days.");
    assert_eq!((&citation["name"], &citation["collection"]), (&json!("storage.md"), &json!("procedures")));
    assert_eq!(reply["claims"][0]["verdict"], "supported");
    assert_eq!(reply["scores"]["grounding"], 1.0);
    assert_eq!(reply["session"].as_str().unwrap().len(), 32);
    let outcomes = site.outcomes().await;
    let last = outcomes.last().unwrap();
    assert_eq!((last.kind, last.code.as_deref()), (OutcomeKind::Done, Some("composed")));
    assert!(last.documents.iter().any(|document| document.collection.as_str() == "procedures"));
}

#[tokio::test]
async fn a_question_of_a_batch_stands_behind_those_that_somebody_waits_for() {
    let site = Site::saying("Opened insulin pens keep at room temperature for 28 days.");
    site.post(Role::Agent, "/api/ask", &json!({"question": HOW_LONG})).await;
    site.post(Role::Agent, "/api/ask", &json!({"question": HOW_LONG, "priority": "batch"})).await;
    let chat =
        json!({"model": "pharmacy", "messages": [{"role": "user", "content": HOW_LONG}], "service_tier": "flex"});
    site.post(Role::Agent, "/v1/chat/completions", &chat).await;
    let raw = json!({"model": "scripted", "prompt": "Once", "service_tier": "flex"});
    site.post(Role::Service, "/v1/completions", &raw).await;
    let (waits, batch) = (Priority::Interactive, Priority::Batch);
    assert_eq!(site.model.priorities(), [waits, batch, batch, batch]);
    let refused = site.post(Role::Agent, "/api/ask", &json!({"question": HOW_LONG, "priority": "now"})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_citation_is_found_again_in_the_document_that_it_names() {
    let site = Site::saying("No.");
    let reply = site.post(Role::Agent, "/api/ask", &json!({"question": HOW_LONG})).await.json();
    assert_eq!(reply["lane"], "quoted", "{reply}");
    let citation = &reply["citations"][0];
    let field = |name: &str| citation[name].as_str().unwrap().to_owned();
    let path = format!("/api/collections/{}/documents/{}", field("collection"), field("document"));
    for path in [path.clone(), format!("{path}?version={}", field("version"))] {
        let document = site.get(Role::Agent, &path).await.json();
        let number = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
        let characters = document["text"].as_str().unwrap().chars();
        let cited: String = characters.skip(number("start")).take(number("end") - number("start")).collect();
        assert_eq!(cited, field("text"));
        assert_eq!(document["name"], "storage.md");
    }
    assert_eq!(reply["answer"].as_str().unwrap(), field("text"));
    let elsewhere = format!("/api/collections/pairs/documents/{}", field("document"));
    assert_eq!(site.get(Role::Agent, &elsewhere).await.status, StatusCode::NOT_FOUND);
    assert_eq!(site.get(Role::Service, &path).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_question_that_nothing_answers_is_declined_with_200() {
    let site = Site::saying("The moon.");
    let reply = site.post(Role::Agent, "/api/ask", &json!({"question": "Which football team won yesterday?"})).await;
    assert_eq!(reply.status, StatusCode::OK);
    let reply = reply.json();
    assert_eq!(
        (&reply["lane"], &reply["abstained"], &reply["citations"]),
        (&json!("abstain"), &json!(true), &json!([]))
    );
    assert!(reply["answer"].as_str().unwrap().contains("pairs, procedures"), "{reply}");
    assert!(site.model.heard().is_empty());
}

#[tokio::test]
async fn a_question_that_cannot_be_taken_is_refused_as_a_problem() {
    let site = Site::saying("x");
    let long = "a".repeat(5000);
    for (body, status, code) in [
        (json!({"question": ""}), 400, "invalid_request"),
        (json!({"question": long}), 400, "invalid_request"),
        (json!({"question": "x", "typo": 1}), 400, "invalid_request"),
        (json!({}), 400, "invalid_request"),
        (json!({"question": "x", "collections": ["secret"]}), 404, "not_found"),
        (json!({"question": "x", "collections": ["absent"]}), 404, "not_found"),
        (json!({"question": "the busy queue"}), 429, "busy"),
    ] {
        let reply = site.post(Role::Agent, "/api/ask", &body).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.text);
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        assert_eq!(reply.json()["code"], code);
    }
    let denied = site.post(Role::Operator, "/api/ask", &json!({"question": "x"})).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_search_returns_passages_with_their_places() {
    let site = Site::saying("x");
    let path = "/api/collections/procedures/search";
    for mode in ["hybrid", "words", "meaning"] {
        let reply =
            site.post(Role::Agent, path, &json!({"query": "opened insulin pens", "mode": mode, "top": 3})).await;
        let passage = &reply.json()["passages"][0];
        assert_eq!(passage["name"], "storage.md", "{mode}: {}", reply.text);
        let length = passage["end"].as_u64().unwrap() - passage["start"].as_u64().unwrap();
        assert_eq!(length, passage["text"].as_str().unwrap().chars().count() as u64);
        assert!(passage["score"].is_f64() && passage["headings"].is_array());
    }
    let filtered = site.post(Role::Agent, path, &json!({"query": "insulin", "filter": {"topic": "none"}})).await;
    assert_eq!(filtered.json()["passages"], json!([]));
    for (body, status) in [
        (json!({"query": "x", "top": 0}), 400),
        (json!({"query": ""}), 400),
        (json!({"query": "x", "mode": "odd"}), 400),
    ] {
        assert_eq!(site.post(Role::Agent, path, &body).await.status.as_u16(), status, "{body}");
    }
    for absent in ["secret", "absent", "..", "%2e%2e"] {
        let path = format!("/api/collections/{absent}/search");
        let status = site.post(Role::Agent, &path, &json!({"query": "x"})).await.status;
        assert!(matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN), "{absent}: {status}");
    }
}

#[tokio::test]
async fn collections_and_documents_are_listed_as_far_as_the_caller_may_read() {
    let site = Site::saying("x");
    let names = |reply: serde_json::Value| -> Vec<String> {
        let list = reply["collections"].as_array().unwrap().clone();
        list.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(site.get(Role::Agent, "/api/collections").await.json()), ["pairs", "procedures"]);
    assert_eq!(
        names(site.get(Role::KnowledgeManager, "/api/collections").await.json()),
        ["pairs", "procedures", "secret"]
    );
    let documents = site.get(Role::Agent, "/api/collections/procedures/documents").await.json();
    let document = &documents["documents"][0];
    assert_eq!((&document["name"], &document["in_force"]), (&json!("storage.md"), &json!(true)));
    let hidden = site.get(Role::Agent, "/api/collections/secret/documents").await;
    assert!(matches!(hidden.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN));
}

#[tokio::test]
async fn the_audit_log_is_searched_by_compliance_alone_and_the_search_is_in_it() {
    let site = Site::saying("No.");
    site.post(Role::Agent, "/api/ask", &json!({"question": HOW_LONG})).await;
    for role in Role::ALL.iter().filter(|role| **role != Role::Compliance) {
        assert_eq!(site.get(*role, "/api/audit/records").await.status, StatusCode::FORBIDDEN, "{role}");
    }
    let reply = site.get(Role::Compliance, "/api/audit/records?action=ask&limit=1").await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let reply = reply.json();
    let entry = &reply["entries"][0];
    assert_eq!((&entry["action"], &entry["outcome"]), (&json!("ask"), &json!("done")));
    assert_eq!((&entry["role"], &entry["tenant"]), (&json!("agent"), &json!("larkfield")));
    assert_eq!(entry["session"].as_str().unwrap().len(), 32);
    assert!(!reply.to_string().contains("insulin"), "a record holds no text of a question or a document");
    let again = site.get(Role::Compliance, "/api/audit/records?action=read_audit&outcome=denied").await.json();
    assert_eq!(again["entries"].as_array().unwrap().len(), Role::ALL.len() - 1, "each refusal is there");
    let own = site.get(Role::Compliance, "/api/audit/records?action=read_audit&outcome=done").await.json();
    assert_eq!(own["entries"].as_array().unwrap().len(), 2, "and each search before");
    let wrong = site.get(Role::Compliance, "/api/audit/records?since=Jane").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(!wrong.text.contains("Jane"), "{}", wrong.text);
}

#[tokio::test]
async fn what_a_caller_may_not_read_is_not_counted_either() {
    let site = Site::saying("x");
    let library = &site.app.tenants.values().next().unwrap().library;
    let (procedures, parser) = ("procedures".parse().unwrap(), InProcess::default());
    let source = Source { name: "board.md".to_owned(), bytes: b"# Board\n\nFor the board alone.\n".to_vec() };
    let label = BTreeMap::from([("access".to_owned(), "board".to_owned())]);
    library.ingest(&procedures, &source, &label, &parser).unwrap();
    assert_eq!(library.show(&procedures).unwrap().documents, 2);
    let list = site.get(Role::Agent, "/api/collections").await.json();
    let shown = list["collections"].as_array().unwrap().iter().find(|one| one["id"] == "procedures").unwrap();
    assert_eq!((&shown["documents"], &shown["passages"]), (&json!(1), &json!(1)), "{list}");
}
