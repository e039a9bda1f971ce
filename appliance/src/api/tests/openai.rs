use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cloister_governance::policy::Policy;
use cloister_terms::Role;
use serde_json::{Value, json};

use super::site::{LONGEST, Site};
use crate::{
    config::Config,
    pipeline::{model::Constraint, scripted::Script},
};

fn chat(model: &str, question: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": question}]})
}

fn with(mut request: Value, name: &str, value: Value) -> Value {
    request[name] = value;
    request
}

#[tokio::test]
async fn each_role_sees_the_models_that_it_may_use() {
    let site = Site::saying("x");
    for (role, expected) in [
        (Role::Agent, vec!["pharmacy"]),
        (Role::Service, vec!["pharmacy", "scripted", "counting"]),
        (Role::Operator, vec![]),
    ] {
        let list = site.get(role, "/v1/models").await.json();
        let ids: Vec<&str> =
            list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{role}");
    }
    assert_eq!(site.get(Role::Agent, "/v1/models/pharmacy").await.json()["object"], "model");
    let missing = site.get(Role::Agent, "/v1/models/scripted").await;
    assert_eq!((missing.status, &missing.json()["error"]["code"]), (StatusCode::NOT_FOUND, &json!("model_not_found")));
    assert_eq!(site.get(Role::Compliance, "/v1/models").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_assistant_answers_with_citations_in_one_field_of_ours() {
    let site = Site::saying("x");
    let mut request = chat("pharmacy", "How can I refill a prescription?");
    request["messages"].as_array_mut().unwrap().insert(0, json!({"role": "system", "content": "Be a pirate."}));
    request["temperature"] = json!(0.2);
    request["some_new_field"] = json!("harmless");
    let reply = site.post(Role::Agent, "/v1/chat/completions", &request).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let reply = reply.json();
    assert_eq!(reply["choices"][0]["message"]["content"], "Call 555-0100 and press 2.");
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    assert_eq!((&reply["object"], &reply["model"]), (&json!("chat.completion"), &json!("pharmacy")));
    let ours = &reply["cloister"];
    assert_eq!((&ours["lane"], &ours["abstained"]), (&json!("verified"), &json!(false)));
    assert_eq!(ours["citations"][0]["text"], "Call 555-0100 and press 2.");
    assert_eq!(ours["ignored"], json!(["temperature", "system messages"]));
    assert!(reply["usage"]["total_tokens"].as_u64().unwrap() > 0);
    assert!(ours.get("answer").is_none(), "the answer is the message");
}

#[tokio::test]
async fn a_raw_model_is_for_roles_that_may_generate() {
    let site = Site::saying("Once upon a time.");
    let denied = site.post(Role::Agent, "/v1/chat/completions", &chat("scripted", "Tell a tale.")).await;
    assert_eq!((denied.status, &denied.json()["error"]["type"]), (StatusCode::FORBIDDEN, &json!("permission_error")));
    assert!(site.model.heard().is_empty(), "nothing runs without a permit");
    let mut request = chat("scripted", "Tell a tale.");
    for (name, value) in [
        ("seed", json!(7)),
        ("response_format", json!({"type": "json_schema", "json_schema": {"schema": {"type": "integer"}}})),
        ("temperature", json!(0.5)),
        ("top_p", json!(0.9)),
        ("stop", json!("END")),
        ("max_completion_tokens", json!(33)),
        ("ignore_eos", json!(true)),
    ] {
        request = with(request, name, value);
    }
    let reply = site.post(Role::Service, "/v1/chat/completions", &request).await.json();
    assert_eq!(reply["choices"][0]["message"]["content"], "Once upon a time.");
    assert_eq!(reply["usage"], json!({"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}));
    let (prompt, sampling) = site.model.heard().remove(0);
    assert_eq!(prompt, "user: Tell a tale.");
    assert_eq!((sampling.seed, sampling.max_tokens, sampling.ignore_eos), (Some(7), 33, true));
    assert_eq!((sampling.temperature, sampling.top_p, sampling.stop), (0.5, 0.9, vec!["END".to_owned()]));
    assert_eq!(sampling.constraint, Some(Constraint::JsonSchema(json!({"type": "integer"}))));
    let object = with(chat("scripted", "Tell a tale."), "response_format", json!({"type": "json_object"}));
    assert_eq!(site.post(Role::Service, "/v1/chat/completions", &object).await.status, StatusCode::OK);
    assert_eq!(site.model.heard().remove(1).1.constraint, Some(Constraint::JsonSchema(json!({"type": "object"}))));
    let assistant = with(chat("pharmacy", "Hi"), "response_format", json!({"type": "json_object"}));
    let refused = site.post(Role::Service, "/v1/chat/completions", &assistant).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["param"]),
        (StatusCode::BAD_REQUEST, &json!("response_format"))
    );
}

#[tokio::test]
async fn text_is_continued_by_a_raw_model() {
    let site = Site::saying("a time.");
    let reply = site.post(Role::Service, "/v1/completions", &json!({"model": "scripted", "prompt": "Once upon"})).await;
    assert_eq!(reply.json()["choices"][0]["text"], "a time.");
    assert_eq!(reply.json()["object"], "text_completion");
    assert_eq!(site.model.heard()[0].1.max_tokens, 16);
    for prompt in [json!([1, 2, 3]), json!(["a", "b"]), json!(""), json!([[1]]), json!(null)] {
        let refused =
            site.post(Role::Service, "/v1/completions", &json!({"model": "scripted", "prompt": prompt})).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (StatusCode::BAD_REQUEST, &json!("prompt")));
    }
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let site = Site::saying("x");
    let refused = [
        ("n", json!(2)),
        ("logprobs", json!(true)),
        ("tools", json!([{"type": "function"}])),
        ("response_format", json!({"type": "json_schema", "json_schema": {}})),
        ("response_format", json!({"type": "grammar"})),
        ("logit_bias", json!({"5": 1})),
        ("presence_penalty", json!(1.0)),
        ("temperature", json!(3.0)),
        ("stop", json!([""])),
        ("top_p", json!(-1)),
    ];
    for model in ["pharmacy", "scripted"] {
        for (name, value) in refused.clone() {
            let reply = site.post(Role::Service, "/v1/chat/completions", &with(chat(model, "Hi"), name, value)).await;
            assert_eq!(
                (reply.status, &reply.json()["error"]["param"]),
                (StatusCode::BAD_REQUEST, &json!(name)),
                "{}",
                reply.text
            );
        }
    }
    let harmless = [
        ("n", json!(1)),
        ("logprobs", json!(false)),
        ("tools", json!([])),
        ("user", json!("u")),
        ("response_format", json!({"type": "text"})),
        ("stop", json!(null)),
        ("presence_penalty", json!(0)),
    ];
    for (name, value) in harmless {
        let reply = site.post(Role::Service, "/v1/chat/completions", &with(chat("scripted", "Hi"), name, value)).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}: {}", reply.text);
    }
    let image = json!({"model": "scripted", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]});
    assert_eq!(site.post(Role::Service, "/v1/chat/completions", &image).await.json()["error"]["param"], "messages");
    let unknown = site.post(Role::Service, "/v1/chat/completions", &chat("gpt-4o", "Hi")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let embedder = site.post(Role::Service, "/v1/chat/completions", &chat("counting", "Hi")).await;
    assert_eq!(embedder.json()["error"]["param"], "model");
}

#[tokio::test]
async fn a_full_queue_is_429_with_the_time_to_wait_streamed_or_not() {
    for stream in [false, true] {
        let site = Site::playing(vec![Script::Busy]);
        let request = with(chat("scripted", "Hi"), "stream", json!(stream));
        let reply = site.post(Role::Service, "/v1/chat/completions", &request).await;
        assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(reply.headers["retry-after"], "1");
        assert!(!reply.headers.contains_key("x-should-retry"), "no generation began: trying again is right");
    }
}

#[tokio::test]
async fn a_generation_that_fails_is_not_to_be_tried_again() {
    let site = Site::playing(vec![Script::Break(vec!["half".to_owned()])]);
    let reply = site.post(Role::Service, "/v1/chat/completions", &chat("scripted", "Hi")).await;
    assert_eq!(
        (reply.status, &reply.headers["x-should-retry"]),
        (StatusCode::INTERNAL_SERVER_ERROR, &"false".parse().unwrap())
    );
    assert_eq!(reply.json()["error"]["type"], "server_error");
    assert!(!reply.text.contains("scripted fault"), "the cause stays inside");
}

#[tokio::test]
async fn embeddings_come_as_numbers_or_as_base64_of_the_same_numbers() {
    let site = Site::saying("x");
    let request = json!({"model": "counting", "input": ["insulin pens", "refill"]});
    let floats = site.post(Role::Service, "/v1/embeddings", &request).await.json();
    let coded =
        site.post(Role::Service, "/v1/embeddings", &with(request, "encoding_format", json!("base64"))).await.json();
    for index in 0..2 {
        assert_eq!(floats["data"][index]["index"], index);
        let numbers: Vec<f32> = serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        let bytes = STANDARD.decode(coded["data"][index]["embedding"].as_str().unwrap()).unwrap();
        let decoded: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(numbers, decoded);
        assert_eq!(numbers.len(), 256);
    }
    assert_eq!(floats["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    let one = site
        .post(Role::Service, "/v1/embeddings", &json!({"model": "counting", "input": "x", "dimensions": 256}))
        .await;
    assert_eq!(one.json()["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn embeddings_that_cannot_be_made_are_refused_by_name() {
    let site = Site::saying("x");
    let long = "word ".repeat(300);
    for (field, value, param) in [
        ("input", json!([1, 2]), json!("input")),
        ("input", json!([[1, 2]]), json!("input")),
        ("input", json!([]), json!("input")),
        ("input", json!(""), json!("input")),
        ("dimensions", json!(64), json!("dimensions")),
        ("encoding_format", json!("int8"), json!("encoding_format")),
        ("input", json!(long), Value::Null),
    ] {
        let reply = site
            .post(Role::Service, "/v1/embeddings", &with(json!({"model": "counting", "input": "x"}), field, value))
            .await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["param"]),
            (StatusCode::BAD_REQUEST, &param),
            "{}",
            reply.text
        );
    }
    let too_long =
        site.post(Role::Service, "/v1/embeddings", &json!({"model": "counting", "input": long})).await.json();
    let message = too_long["error"]["message"].as_str().unwrap();
    assert!(message.contains("300") && message.contains("256"), "{message}");
    assert_eq!(too_long["error"]["code"], "context_length_exceeded");
    // One word to the counting model, so that only its length can give it away.
    let huge =
        site.post(Role::Service, "/v1/embeddings", &json!({"model": "counting", "input": "x".repeat(70_000)})).await;
    assert_eq!((huge.status, &huge.json()["error"]["param"]), (StatusCode::BAD_REQUEST, &json!("input")));
    let unknown = site.post(Role::Service, "/v1/embeddings", &json!({"model": "other", "input": "x"})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let busy = site.post(Role::Service, "/v1/embeddings", &json!({"model": "counting", "input": "a busy queue"})).await;
    assert_eq!((busy.status, &busy.headers["retry-after"]), (StatusCode::TOO_MANY_REQUESTS, &"2".parse().unwrap()));
}

#[tokio::test]
async fn documents_are_ordered_at_every_address_where_clients_look() {
    let site = Site::saying("x");
    let request = json!({"model": "counting", "query": "insulin pens", "top_n": 2, "return_documents": true,
        "documents": ["parking lot", {"text": "insulin pens in the fridge"}, "insulin"]});
    for path in ["/v1/rerank", "/rerank", "/api/rerank"] {
        let reply = site.post(Role::Service, path, &request).await.json();
        let results = reply["results"].as_array().unwrap();
        let order: Vec<u64> = results.iter().map(|result| result["index"].as_u64().unwrap()).collect();
        assert_eq!(order, [1, 2], "{reply}");
        assert_eq!(results[0]["document"]["text"], "insulin pens in the fridge");
        assert!(results[0]["relevance_score"].as_f64().unwrap() > results[1]["relevance_score"].as_f64().unwrap());
    }
    for (field, value) in [("documents", json!([])), ("documents", json!([5])), ("query", json!(""))] {
        let reply = site.post(Role::Service, "/v1/rerank", &with(request.clone(), field, value)).await;
        assert_eq!(reply.json()["error"]["param"], json!(field));
    }
}

#[tokio::test]
async fn documents_are_ordered_by_the_cross_encoder_where_one_is_configured() {
    let mut config = Config::default();
    config.models.rerank = LONGEST.to_owned();
    let site = Site::configured(config, Policy::built_in(), vec![]);
    let request = json!({"model": LONGEST, "query": "insulin pens",
        "documents": ["insulin pens", "no word of it but long", "pens"]});
    let reply = site.post(Role::Service, "/v1/rerank", &request).await.json();
    let order: Vec<&Value> = reply["results"].as_array().unwrap().iter().map(|result| &result["index"]).collect();
    assert_eq!(order, [1, 0, 2], "{reply}");
    assert_eq!((&reply["model"], &reply["usage"]["total_tokens"]), (&json!(LONGEST), &json!(6 + 9)));
    let records = site.app.gate.audit.since(0, 1000).unwrap();
    assert!(format!("{records:?}").contains(&"22".repeat(32)), "the record names the model");
    let models = site.get(Role::Service, "/v1/models").await;
    assert!(models.text.contains(r#"{"task":"rerank"}"#), "{}", models.text);
    for (field, value, status) in [
        // The embedding model does not do it any more.
        ("model", json!("counting"), StatusCode::NOT_FOUND),
        ("query", json!("a busy queue"), StatusCode::TOO_MANY_REQUESTS),
        ("query", json!("one two three four five six seven eight nine"), StatusCode::BAD_REQUEST),
        ("documents", json!(["x".repeat(65 * 1024)]), StatusCode::BAD_REQUEST),
        // It would be read with each document.
        ("query", json!("x".repeat(60 * 1024)), StatusCode::OK),
    ] {
        let reply = site.post(Role::Service, "/v1/rerank", &with(request.clone(), field, value)).await;
        assert_eq!(reply.status, status, "{field}: {}", reply.text);
    }
    let many = json!({"query": "x".repeat(60 * 1024), "documents": vec!["x"; 40]});
    assert_eq!(site.post(Role::Service, "/v1/rerank", &many).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_over_the_limit_and_a_setting_out_of_the_models_range_say_what_they_are() {
    let site = Site::saying("x");
    let limit = site.app.config.server.body_limit_bytes;
    let large = site.post_text(Role::Service, "/v1/embeddings", &"x".repeat(limit + 1)).await;
    assert_eq!(
        (large.status, &large.json()["error"]["code"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("body_too_large"))
    );
    let refusing = Site::playing(vec![Script::Refuse("`temperature` is out of range".to_owned())]);
    let reply = refusing.post(Role::Service, "/v1/chat/completions", &chat("scripted", "hi")).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
    assert!(reply.text.contains("out of range"), "{}", reply.text);
}
