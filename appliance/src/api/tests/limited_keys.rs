//! Keys that are limited to named actions, over the router.

use axum::{body::Bytes, http::StatusCode};
use cloister_governance::accounts::NewAccount;
use cloister_terms::{Action, Role};
use serde_json::json;

use super::site::{Reply, Site};

const ASK: &str = "How do I refill a prescription?";

impl Site {
    fn limited(&self, role: Role, actions: &[Action]) -> String {
        let labels = vec!["staff".parse().unwrap()];
        let actions = Some(actions.iter().copied().collect());
        let new =
            NewAccount { labels, actions, ..NewAccount::of("limited", role) }.within("larkfield".parse().unwrap());
        self.app.identity.accounts().issue(new).unwrap().1.expose().to_owned()
    }

    async fn ask(&self, key: &str) -> Reply {
        let body = Bytes::from(json!({"question": ASK}).to_string());
        self.read(self.request_with(Some(key), "POST", "/api/ask", body).await).await
    }

    async fn search(&self, key: &str) -> Reply {
        let body = Bytes::from(json!({"query": "insulin pens"}).to_string());
        self.read(self.request_with(Some(key), "POST", "/api/collections/procedures/search", body).await).await
    }

    async fn fetch(&self, key: &str, path: &str) -> Reply {
        self.read(self.request_with(Some(key), "GET", path, Bytes::new()).await).await
    }
}

#[tokio::test]
async fn a_key_that_is_for_asking_asks_and_does_nothing_else() {
    let site = Site::saying("x");
    let key = site.limited(Role::Service, &[Action::Ask]);
    assert_eq!(site.ask(&key).await.status, StatusCode::OK);
    let refused = site.search(&key).await;
    assert_eq!((refused.status, &refused.json()["code"]), (StatusCode::FORBIDDEN, &json!("key_not_for_action")));
    assert!(refused.text.contains("not for `search`"), "{}", refused.text);
    for path in ["/api/collections", "/v1/models", "/api/collections/procedures/documents"] {
        assert_eq!(site.fetch(&key, path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    let raw = json!({"model": "scripted", "messages": [{"role": "user", "content": ASK}]}).to_string();
    let raw = site.read(site.request_with(Some(&key), "POST", "/v1/chat/completions", Bytes::from(raw)).await).await;
    assert_eq!(raw.status, StatusCode::FORBIDDEN, "a raw model is another action on the same path");
    let codes: Vec<_> = site.outcomes().await.into_iter().filter_map(|outcome| outcome.code).collect();
    assert_eq!(codes.iter().filter(|code| *code == "key_not_for_action").count(), 5, "{codes:?}");
}

#[tokio::test]
async fn a_key_that_is_for_searching_searches_and_does_not_ask() {
    let site = Site::saying("x");
    let key = site.limited(Role::Agent, &[Action::Search, Action::ListCollections]);
    assert_eq!(site.search(&key).await.status, StatusCode::OK);
    assert_eq!(site.fetch(&key, "/api/collections").await.status, StatusCode::OK);
    assert_eq!(site.ask(&key).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn naming_an_action_grants_it_to_no_role_that_lacks_it() {
    let site = Site::saying("x");
    let every: Vec<Action> = Action::ALL.to_vec();
    for (role, path) in [(Role::Agent, "/api/audit/records"), (Role::Service, "/metrics"), (Role::Agent, "/metrics")] {
        let reply = site.fetch(&site.limited(role, &every), path).await;
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (StatusCode::FORBIDDEN, &json!("role_not_allowed")),
            "{path}"
        );
    }
    let key = site.limited(Role::Agent, &[Action::ReadAudit]);
    assert_eq!(site.fetch(&key, "/api/audit/records").await.json()["code"], "role_not_allowed");
}
