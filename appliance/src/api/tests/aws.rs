use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode},
};
use cloister_governance::accounts::{AccessKey, AccountId, NewAccount};
use cloister_terms::{Clock as _, Role};
use jiff::SignedDuration;
use serde_json::json;

use super::site::{Reply, Site};
use crate::identity::sigv4;

const PATH: &str = "/knowledgebases/procedures/retrieve";
const BODY: &str = r#"{"retrievalQuery": {"text": "opened insulin pens"}}"#;

impl Site {
    fn access_key(&self, role: Role) -> (AccountId, AccessKey) {
        let accounts = self.app.identity.accounts();
        let new = NewAccount { labels: vec!["staff".parse().unwrap()], ..NewAccount::of("prototype", role) };
        let (account, _) = accounts.issue(new.within("larkfield".parse().unwrap())).unwrap();
        let key = accounts.issue_access_key(&account, None, None).unwrap();
        (account, key)
    }

    /// Signs `signed` with a clock that is `late` seconds off, and sends `sent` in its place.
    pub(super) async fn signed(
        &self,
        path: &str,
        id: &str,
        secret: &str,
        late: i64,
        signed: &str,
        sent: &str,
    ) -> Reply {
        let at = (self.clock.now() + SignedDuration::from_secs(late)).strftime("%Y%m%dT%H%M%SZ").to_string();
        let request = Request::builder().method("POST").uri(path).header("host", "localhost:8443");
        let (mut parts, ()) = request.header("x-amz-date", at).body(()).unwrap().into_parts();
        let authorization = sigv4::authorization(id, secret, &parts, signed.as_bytes());
        parts.headers.insert("authorization", authorization.parse().unwrap());
        self.read(self.send(Request::from_parts(parts, Body::from(sent.to_owned()))).await).await
    }
}

#[tokio::test]
async fn a_signed_retrieval_is_answered_in_awss_shape() {
    let site = Site::saying("x");
    let (_, key) = site.access_key(Role::Agent);
    let reply = site.signed(PATH, key.id(), key.secret(), 0, BODY, BODY).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let first = &reply.json()["retrievalResults"][0];
    assert_eq!(first["content"]["type"], "TEXT");
    assert!(first["content"]["text"].as_str().unwrap().contains("insulin"), "{first}");
    assert_eq!(first["location"]["customDocumentLocation"]["id"], first["metadata"]["document"]);
    assert!(first["score"].is_f64());
    let outcome = site.outcomes().await.pop().unwrap();
    assert!(!outcome.documents.is_empty(), "what was read is on the record");
}

#[tokio::test]
async fn a_wrong_key_an_altered_body_and_a_skewed_clock_are_refused_as_aws_refuses_them() {
    let site = Site::saying("x");
    let (account, key) = site.access_key(Role::Agent);
    let (id, secret) = (key.id(), key.secret());
    let altered = BODY.replace("insulin", "morphine");
    let far = "CLOISTER000000000000";
    let mut replies = vec![
        ("a wrong secret", site.signed(PATH, id, "wrong", 0, BODY, BODY).await),
        ("an unknown key", site.signed(PATH, far, secret, 0, BODY, BODY).await),
        ("an altered body", site.signed(PATH, id, secret, 0, BODY, &altered).await),
        ("a wrong secret and a skewed clock", site.signed(PATH, id, "wrong", 3600, BODY, BODY).await),
    ];
    site.app.identity.accounts().disable(&account).unwrap();
    replies.push(("a disabled account", site.signed(PATH, id, secret, 0, BODY, BODY).await));
    site.app.identity.accounts().enable(&account).unwrap();
    for (what, reply) in &replies {
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{what}");
        assert_eq!(reply.headers["x-amzn-errortype"], "InvalidSignatureException", "{what}");
        assert_eq!(reply.text, replies[0].1.text, "{what}: the same words whatever was wrong");
    }
    for late in [301, -301, 86_400] {
        let reply = site.signed(PATH, id, secret, late, BODY, BODY).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{late} s");
        assert!(reply.json()["message"].as_str().unwrap().contains("clock"), "{}", reply.text);
    }
    assert_eq!(site.signed(PATH, id, secret, 299, BODY, BODY).await.status, StatusCode::OK);
    let codes: Vec<_> = site.outcomes().await.into_iter().filter_map(|outcome| outcome.code).collect();
    let expected = ["signature_wrong", "key_unknown", "signature_wrong", "signature_wrong", "account_disabled"];
    assert_eq!(codes[..5], expected);
    assert_eq!(codes[5..8], ["signature_late"; 3]);
}

#[tokio::test]
async fn errors_have_the_names_that_awss_clients_know() {
    let site = Site::saying("x");
    let (_, key) = site.access_key(Role::Agent);
    let send = async |path, body: &str| site.signed(path, key.id(), key.secret(), 0, body, body).await;
    let many = json!({"retrievalQuery": {"text": "x"},
        "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": 101}}});
    for (path, body, kind) in [
        (PATH, "{}".to_owned(), "ValidationException"),
        (PATH, many.to_string(), "ValidationException"),
        ("/knowledgebases/absent/retrieve", BODY.to_owned(), "ResourceNotFoundException"),
    ] {
        let reply = send(path, &body).await;
        assert_eq!(reply.headers["x-amzn-errortype"], kind, "{}", reply.text);
        assert!(reply.json()["message"].is_string());
    }
    let (_, operator) = site.access_key(Role::Operator);
    let denied = site.signed(PATH, operator.id(), operator.secret(), 0, BODY, BODY).await;
    assert_eq!(denied.headers["x-amzn-errortype"], "AccessDeniedException", "{}", denied.text);
    let nothing = site.read(site.request(None, "POST", PATH, Bytes::from(BODY)).await).await;
    assert_eq!(nothing.status, StatusCode::FORBIDDEN);
    assert_eq!(nothing.headers["x-amzn-errortype"], "UnrecognizedClientException");
}

#[tokio::test]
async fn an_api_key_as_a_bearer_token_works_too_and_what_may_be_read_is_the_same() {
    let site = Site::saying("x");
    assert_eq!(site.post_text(Role::Agent, PATH, BODY).await.status, StatusCode::OK);
    let secret = site.post_text(Role::Agent, "/knowledgebases/secret/retrieve", BODY).await;
    assert!(matches!(secret.status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN), "{}", secret.text);
    assert!(!secret.text.contains("Hidden"));
}
