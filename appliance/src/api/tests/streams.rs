use axum::{body::Bytes, http::StatusCode};
use cloister_governance::audit::OutcomeKind;
use cloister_terms::Role;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::site::Site;
use crate::pipeline::scripted::Script;

const HOW_LONG: &str = "How long do opened insulin pens keep at room temperature?";
const SAID: &str = "Opened insulin pens keep at room temperature for 28 days. Do not freeze insulin pens. Be well.";

fn streamed(model: &str, question: &str) -> Value {
    json!({"model": model, "stream": true, "messages": [{"role": "user", "content": question}]})
}

fn content(events: &[&str]) -> String {
    let chunks = events.iter().filter_map(|event| serde_json::from_str::<Value>(event).ok());
    chunks.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_streamed_answer_is_the_unstreamed_one() {
    let site = Site::saying(SAID);
    let mut request = streamed("pharmacy", HOW_LONG);
    let stream = site.post(Role::Agent, "/v1/chat/completions", &request).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream; charset=utf-8");
    request["stream"] = json!(false);
    let whole = site.post(Role::Agent, "/v1/chat/completions", &request).await.json();
    let events = stream.events();
    assert_eq!(content(&events), whole["choices"][0]["message"]["content"].as_str().unwrap());
    assert_eq!(*events.last().unwrap(), "[DONE]");
    let first: Value = serde_json::from_str(events[0]).unwrap();
    assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
    let last: Value = serde_json::from_str(events[events.len() - 2]).unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["cloister"]["citations"], whole["cloister"]["citations"]);
    assert_eq!(last["cloister"]["lane"], "composed");
    assert!(!stream.text.contains("Be well"), "what did not pass is not sent");
    assert!(last.get("usage").is_none());
}

#[tokio::test]
async fn usage_comes_last_and_only_when_asked_for() {
    for model in ["pharmacy", "scripted"] {
        let site = Site::saying(SAID);
        let mut request = streamed(model, HOW_LONG);
        request["stream_options"] = json!({"include_usage": true});
        let stream = site.post(Role::Service, "/v1/chat/completions", &request).await;
        let chunks: Vec<Value> = stream.events().iter().filter_map(|event| serde_json::from_str(event).ok()).collect();
        let (last, before) = chunks.split_last().unwrap();
        assert_eq!(last["choices"], json!([]));
        assert!(last["usage"]["completion_tokens"].as_u64().unwrap() > 0);
        assert!(before.iter().all(|chunk| chunk["usage"].is_null() && chunk["choices"].as_array().unwrap().len() == 1));
    }
}

#[tokio::test]
async fn a_raw_model_streams_chat_and_text() {
    let site = Site::saying(SAID);
    let chat = site.post(Role::Service, "/v1/chat/completions", &streamed("scripted", "Hi")).await;
    assert_eq!(content(&chat.events()), SAID);
    assert_eq!(chat.headers["x-should-retry"], "false");
    let text = json!({"model": "scripted", "prompt": "Hi", "stream": true});
    let text = site.post(Role::Service, "/v1/completions", &text).await;
    let said: String = text
        .events()
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|chunk| chunk["choices"][0]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, SAID);
    let outcomes = site.outcomes().await;
    assert!(
        outcomes.iter().all(|outcome| outcome.kind == OutcomeKind::Done && outcome.counts["completion_tokens"] > 0)
    );
}

#[tokio::test]
async fn our_own_stream_sends_units_and_then_the_whole() {
    let site = Site::saying(SAID);
    let stream = site.post(Role::Agent, "/api/ask", &json!({"question": HOW_LONG, "stream": true})).await;
    let names: Vec<&str> = stream.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let (last, before) = names.split_last().unwrap();
    assert!(*last == "answer" && !before.is_empty() && before.iter().all(|name| *name == "unit"), "{}", stream.text);
    let events: Vec<Value> = stream.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let (whole, units) = events.split_last().unwrap();
    let units: String = units.iter().map(|unit| unit["text"].as_str().unwrap()).collect();
    assert_eq!(units, whole["answer"].as_str().unwrap());
    assert_eq!(whole["cut"], true);
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_and_is_not_done() {
    let site = Site::playing(vec![Script::Break(vec!["half a ".to_owned(), "sentence".to_owned()])]);
    let stream = site.post(Role::Service, "/v1/chat/completions", &streamed("scripted", "Hi")).await;
    assert_eq!(stream.status, StatusCode::OK);
    let events = stream.events();
    let error: Value = serde_json::from_str(events.last().unwrap()).unwrap();
    assert_eq!(error["error"]["type"], "server_error");
    assert!(!stream.text.contains("[DONE]") && !stream.text.contains("scripted fault"));
    assert_eq!(site.outcomes().await.last().unwrap().kind, OutcomeKind::Failed);
}

#[tokio::test]
async fn a_failure_before_the_first_unit_has_the_status_of_a_failure() {
    let site = Site::saying("x");
    for (path, body) in
        [("/v1/chat/completions", streamed("pharmacy", " ")), ("/api/ask", json!({"question": " ", "stream": true}))]
    {
        let reply = site.post(Role::Agent, path, &body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
    }
    assert!(site.outcomes().await.iter().all(|outcome| outcome.kind == OutcomeKind::Failed));
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_generation_and_the_record_says_so() {
    for (path, body) in [
        ("/v1/chat/completions", streamed("scripted", "Hi")),
        ("/v1/chat/completions", streamed("pharmacy", HOW_LONG)),
        ("/api/ask", json!({"question": HOW_LONG, "stream": true})),
    ] {
        let first = "Opened insulin pens keep at room temperature for 28 days. Then ";
        let site = Site::playing(vec![Script::Hang(vec![first.to_owned(), "more words ".to_owned()])]);
        let response = site.request(Some(Role::Service), "POST", path, Bytes::from(body.to_string())).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body().into_data_stream();
        body.next().await.unwrap().unwrap();
        assert_eq!(site.model.running(), 1);
        assert!(site.outcomes().await.is_empty(), "the record is open while the stream is");
        drop(body);
        assert_eq!(site.model.running(), 0, "{path}");
        assert_eq!(site.outcomes().await.last().unwrap().kind, OutcomeKind::Abandoned);
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_byte_ends_the_generation_too() {
    let site = Site::playing(vec![Script::Hang(Vec::new())]);
    for stream in [true, false] {
        let mut body = streamed("scripted", "Hi");
        body["stream"] = json!(stream);
        let bytes = Bytes::from(body.to_string());
        let mut asking = Box::pin(site.request(Some(Role::Service), "POST", "/v1/completions", bytes.clone()));
        let path = "/v1/chat/completions";
        asking.set(site.request(Some(Role::Service), "POST", path, bytes));
        if stream {
            // The opening chunk is sent at once, so the response is there; leaving is dropping it.
            let response = (&mut asking).await;
            assert_eq!(site.model.running(), 1);
            drop(response);
        } else {
            while site.model.running() == 0 {
                tokio::select! { biased; _ = &mut asking => panic!("it hangs"), () = tokio::task::yield_now() => {} }
            }
        }
        drop(asking);
        assert_eq!(site.model.running(), 0);
    }
}

#[tokio::test]
async fn the_outcome_is_on_the_disk_before_the_last_byte() {
    let site = Site::saying(SAID);
    let body = Bytes::from(streamed("pharmacy", HOW_LONG).to_string());
    let response = site.request(Some(Role::Agent), "POST", "/v1/chat/completions", body).await;
    let mut chunks = response.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        if chunk.unwrap().ends_with(b"[DONE]\n\n") {
            assert_eq!(site.outcomes().await.last().unwrap().kind, OutcomeKind::Done);
            return;
        }
    }
    panic!("the stream ended without [DONE]");
}
