use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use axum::{body::Bytes, http::StatusCode};
use cloister_governance::audit::OutcomeKind;
use cloister_terms::Role;
use serde_json::json;

use super::site::Site;
use crate::{
    edge::{
        request_log,
        router::{Access, Route, Verb},
    },
    pipeline::scripted::Script,
};

#[tokio::test]
async fn no_route_answers_without_a_key() {
    let site = Site::saying("x");
    let governed = |route: &&Arc<Route>| matches!(route.access, Access::Governed(_));
    for route in crate::api::routes().list().iter().filter(governed) {
        let method = serde_json::to_value(route.method).unwrap();
        let path =
            route.path.replace("{id}", "procedures").replace("{model}", "m").replace("{document}", &"0".repeat(32));
        let body = match (route.method, route.path) {
            (Verb::Post, "/api/sign-in") => r#"{"name": "nobody", "password": "x"}"#,
            _ => "{}",
        };
        let response = site.request(None, method.as_str().unwrap(), &path, Bytes::from(body)).await;
        // AWS's clients know no 401.
        let aws = ["/guardrail/", "/knowledgebases/", "/retrieveAndGenerate", "/model/"]
            .iter()
            .any(|of| path.starts_with(of));
        let refused = if aws { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        assert_eq!(response.status(), refused, "{path}");
    }
    let outcomes = site.outcomes().await;
    assert!(outcomes.iter().all(|outcome| outcome.kind == OutcomeKind::Denied), "{outcomes:?}");
    assert!(!outcomes.is_empty(), "each try is recorded");
}

#[tokio::test]
async fn the_description_is_served_without_an_account() {
    let site = Site::saying("x");
    let json = site.get(Role::Agent, "/api/openapi.json").await.json();
    assert!(json["openapi"].as_str().unwrap().starts_with("3."));
    let page = site.get(Role::Agent, "/api/docs").await;
    for path in ["/api/openapi.json", "/api/docs"] {
        assert_eq!(site.request(None, "GET", path, Bytes::new()).await.status(), StatusCode::OK, "{path}");
    }
    assert!(page.text.starts_with("<!doctype html>") && page.text.contains("/api/ask"));
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
}

/// A log that tests can read.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_client_sends_stands_in_no_log_no_record_and_no_error() {
    const CANARY: &str = "Zebulon Quartzmann";
    let log = Kept::default();
    let writer = log.clone();
    let subscriber = request_log::json_lines("trace", move || writer.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let site = Site::playing(vec![Script::Break(vec![format!("{CANARY} ")])]);
            let question = format!("May {CANARY} keep opened insulin pens at room temperature?");
            let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": question}]});
            let bodies = [
                ("/api/ask", json!({"question": question}).to_string()),
                ("/api/ask", json!({"question": question, "session": CANARY}).to_string()),
                ("/api/ask", json!({"question": question.repeat(200)}).to_string()),
                ("/api/ask", json!({"question": {CANARY: 1}}).to_string()),
                ("/api/ask", format!("{{\"question\": \"{CANARY}")),
                ("/api/collections/procedures/search", json!({"query": question, "mode": CANARY}).to_string()),
                ("/api/sign-in", json!({"name": CANARY, "password": CANARY, "code": CANARY}).to_string()),
                ("/api/sign-in", json!({"name": CANARY, "password": {CANARY: 1}}).to_string()),
                ("/v1/chat/completions", chat("pharmacy").to_string()),
                ("/v1/chat/completions", chat("scripted").to_string()),
                ("/v1/chat/completions", chat(CANARY).to_string()),
                ("/v1/completions", json!({"model": "scripted", "prompt": [CANARY, CANARY]}).to_string()),
                ("/v1/embeddings", json!({"model": "counting", "input": question.repeat(200)}).to_string()),
                ("/v1/embeddings", json!({"model": "counting", "input": "x", "encoding_format": CANARY}).to_string()),
                ("/v1/rerank", json!({"model": CANARY, "query": question, "documents": [CANARY]}).to_string()),
                ("/v1/rerank", json!({"query": format!("{CANARY} busy queue"), "documents": ["x"]}).to_string()),
            ];
            for (path, body) in bodies {
                let reply = site.post_text(Role::Service, path, &body).await;
                assert!(!reply.text.contains("Quartzmann"), "{path}: {}", reply.text);
            }
            let records = site.app.gate.audit.since(0, 1000).unwrap();
            assert!(!format!("{records:?}").contains("Quartzmann"));
        });
    });
    let log = log.text();
    assert!(log.contains("/api/ask") || log.contains("request"), "the log was kept: {log}");
    assert!(!log.contains("Quartzmann"), "{log}");
}
