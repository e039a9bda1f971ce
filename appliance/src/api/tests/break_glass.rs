//! Emergency access over the router: asked for, used, marked, ended, reviewed.

use axum::{body::Bytes, extract::FromRef as _, http::StatusCode};
use cloister_governance::{
    accounts::{AccountId, EmergencyRequest, NewAccount, Token},
    audit::{Body as Written, Record},
    policy::{Policy, Principal},
};
use cloister_terms::{EmergencyGround, EmergencyId, Phi, Role};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    faces::Kept,
    site::{Reply, Site},
};
use crate::{
    config::Config,
    edge::{metrics::Metrics, request_log},
    pipeline::scripted::Script,
};

const PATH: &str = "/api/break-glass";
const REVIEWS: &str = "/api/break-glass/reviews";
const REASON: &str = "Jane Roe is in anaphylaxis, and the ward's list is closed to me";
const CLOSED: &str = "/api/collections/secret/search";

/// A technician who lists the procedures alone, signed in.
struct Technician<'a> {
    site: &'a Site,
    account: AccountId,
    token: Token,
}

impl<'a> Technician<'a> {
    fn at(site: &'a Site) -> Self {
        let collections = Some(vec!["procedures".parse().unwrap()]);
        let new =
            NewAccount { labels: vec!["staff".parse().unwrap()], collections, ..NewAccount::of("b.chen", Role::Agent) };
        let (account, token) = site.signed_in(new.within("larkfield".parse().unwrap()));
        Self { site, account, token }
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        self.site.read(self.site.browse(&self.token, method, path, body).await).await
    }

    /// Opens emergency access: its id.
    async fn open(&self, minutes: Option<u16>) -> String {
        let asked = json!({"ground": "patient_safety", "reason": REASON, "minutes": minutes});
        let reply = self.send("POST", PATH, asked).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text);
        reply.json()["emergency"].as_str().unwrap().to_owned()
    }

    async fn search_what_is_closed(&self) -> Reply {
        self.send("POST", CLOSED, json!({"query": "hidden words"})).await
    }
}

async fn records(site: &Site) -> Vec<Record> {
    site.app.gate.audit.flush().await.unwrap();
    site.app.gate.audit.since(0, 1000).unwrap()
}

/// The emergency on each intent from the `from`th record on.
async fn marked(site: &Site, from: usize) -> Vec<Option<String>> {
    let mark = |record: Record| match record.body {
        Written::Intent(intent) => Some(intent.emergency.map(|emergency| emergency.to_string())),
        Written::Outcome(_) => None,
    };
    records(site).await.into_iter().skip(from).filter_map(mark).collect()
}

#[tokio::test]
async fn what_is_closed_opens_for_the_emergency_each_use_is_marked_and_it_stays_in_the_queue_until_it_is_signed_off() {
    let site = Site::saying("x");
    let technician = Technician::at(&site);
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::FORBIDDEN);
    let before = records(&site).await.len();
    let emergency = technician.open(None).await;
    let found = technician.search_what_is_closed().await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.text);
    assert!(found.text.contains("Hidden words"), "{}", found.text);
    let collections = technician.send("GET", "/api/collections", Value::Null).await;
    assert!(collections.text.contains("secret"), "{}", collections.text);
    let asked = json!({"question": "How do I refill a prescription?", "collections": ["secret"]});
    assert_eq!(technician.send("POST", "/api/ask", asked).await.status, StatusCode::OK);
    let refused = technician.send("GET", "/api/audit/records", Value::Null).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "it is for reading documents");
    let state = technician.send("GET", PATH, Value::Null).await.json();
    assert_eq!(state["open"]["emergency"], emergency.as_str());
    let marks = marked(&site, before).await;
    assert_eq!(marks, vec![Some(emergency.clone()); 6], "every use, and the opening itself");

    let opened = site.outcomes().await.into_iter().find(|outcome| outcome.code.as_deref() == Some("emergency_opened"));
    let opened = opened.unwrap();
    assert_eq!((opened.counts["patient_safety"], opened.counts["minutes"]), (1, 60));
    let review = format!("{REVIEWS}/{emergency}");
    let listed = site.get(Role::Compliance, REVIEWS).await.json();
    assert_eq!((&listed["reviews"][0]["emergency"], &listed["reviews"][0]["open"]), (&json!(emergency), &json!(true)));
    let early = site.post(Role::Compliance, &review, &json!({"verdict": "justified"})).await;
    assert_eq!(early.status, StatusCode::BAD_REQUEST, "it lasts: {}", early.text);

    assert_eq!(technician.send("DELETE", PATH, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(technician.send("DELETE", PATH, Value::Null).await.status, StatusCode::NOT_FOUND);
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::FORBIDDEN);
    let shown = site.get(Role::Compliance, &review).await.json();
    assert_eq!((&shown["reason"], &shown["account"]), (&json!(REASON), &json!(technician.account)));
    let uses = shown["uses"]["entries"].as_array().unwrap();
    let actions: Vec<&str> = uses.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    for action in ["break_glass", "search", "list_collections", "ask", "read_audit"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(uses.iter().any(|entry| entry["policies"].to_string().contains("emergency-access-reads-the-own-tenant")));
    assert!(uses.iter().any(|entry| entry["commitment"] == shown["commitment"]), "the log binds the reason");
    let signed = json!({"verdict": "justified", "note": "The chart of Jane Roe bears it out."});
    assert_eq!(site.post(Role::Compliance, &review, &signed).await.status, StatusCode::NO_CONTENT);
    assert_eq!(site.get(Role::Compliance, REVIEWS).await.json()["reviews"], json!([]));
    let all = site.get(Role::Compliance, &format!("{REVIEWS}?all=true")).await.json();
    assert_eq!(all["reviews"][0]["verdict"], "justified");
    let again = site.post(Role::Compliance, &review, &signed).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "{}", again.text);

    let log = format!("{:?}", records(&site).await);
    assert!(!log.contains("Jane") && !log.contains("anaphylaxis"), "{log}");
    let metrics = site.app.metrics.render();
    assert!(!metrics.contains("Jane"));
    for counted in ["{event=\"opened\"} 1", "{event=\"ended\"} 1", "{event=\"reviewed\"} 1"] {
        assert!(metrics.contains(&format!("cloister_break_glass_total{counted}")), "{metrics}");
    }
    assert!(metrics.contains("cloister_break_glass_requests_total 6"), "{metrics}");
}

#[tokio::test]
async fn it_is_over_within_the_hour_whatever_is_done() {
    let site = Site::saying("x");
    let technician = Technician::at(&site);
    technician.open(Some(60)).await;
    for _ in 0..5 {
        site.clock.advance(SignedDuration::from_mins(10));
        assert_eq!(technician.search_what_is_closed().await.status, StatusCode::OK);
    }
    site.clock.advance(SignedDuration::from_secs(599));
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::OK);
    site.clock.advance(SignedDuration::from_secs(1));
    let before = records(&site).await.len();
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::FORBIDDEN);
    assert_eq!(marked(&site, before).await, [None]);
    assert_eq!(technician.send("GET", PATH, Value::Null).await.json(), json!({"open": null}));
}

#[tokio::test]
async fn a_reason_is_required_and_the_site_may_shorten_the_hour() {
    let mut config = Config::default();
    config.break_glass.longest_minutes = 30;
    let site = Site::configured(config, Policy::built_in(), vec![Script::Say(vec!["x".to_owned()])]);
    let technician = Technician::at(&site);
    for asked in [
        json!({"ground": "patient_safety"}),
        json!({"ground": "patient_safety", "reason": "quickly"}),
        json!({"ground": "curiosity", "reason": REASON}),
        json!({"ground": "other", "reason": REASON, "minutes": 31}),
        json!({"ground": "other", "reason": REASON, "minutes": 0}),
    ] {
        let reply = technician.send("POST", PATH, asked).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.text);
        assert!(!reply.text.contains("Jane"), "{}", reply.text);
    }
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::FORBIDDEN);
    technician.open(None).await;
    site.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::OK);
    site.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::OK);
    site.clock.advance(SignedDuration::from_mins(10));
    assert_eq!(technician.search_what_is_closed().await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_key_of_the_same_account_gains_nothing_and_opens_none() {
    let site = Site::saying("x");
    let technician = Technician::at(&site);
    technician.open(None).await;
    let key = site.app.identity.accounts().issue_access_key(&technician.account, None, None).unwrap();
    let body = r#"{"retrievalQuery": {"text": "hidden words"}}"#;
    let signed = async |path| site.signed(path, key.id(), key.secret(), 0, body, body).await;
    assert_eq!(signed("/knowledgebases/procedures/retrieve").await.status, StatusCode::OK);
    assert_eq!(signed("/knowledgebases/secret/retrieve").await.status, StatusCode::FORBIDDEN);
    let asked = site.post(Role::Agent, PATH, &json!({"ground": "other", "reason": REASON})).await;
    assert_eq!((asked.status, &asked.json()["code"]), (StatusCode::FORBIDDEN, &json!("person_needed")));
}

#[tokio::test]
async fn whoever_keeps_watch_is_told_at_once_without_the_reason() {
    let site = Site::saying("x");
    let log = Kept::default();
    let writer = log.clone();
    let account = AccountId::of_digest(&[3; 32]);
    let principal =
        Principal { account: account.clone(), ..Principal::local(Role::Agent, Some("larkfield".parse().unwrap())) };
    let request = EmergencyRequest {
        id: EmergencyId::from(77),
        ground: EmergencyGround::PatientSafety,
        reason: Phi::new(REASON.to_owned()),
        lasts: SignedDuration::from_mins(60),
        labels: std::collections::BTreeSet::new(),
    };
    let database = site.app.store.tenant(&"larkfield".parse().unwrap()).unwrap();
    // The level that a server logs at by default.
    tracing::subscriber::with_default(request_log::json_lines("info", move || writer.clone()), || {
        site.app.identity.open_emergency(&principal, request, &database).unwrap();
    });
    let log = log.text();
    let line: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&line["level"], &line["target"]), (&json!("ERROR"), &json!("break_glass")));
    assert_eq!((&line["account"], &line["ground"]), (&json!(account), &json!("patient_safety")));
    assert_eq!(line["emergency"], EmergencyId::from(77).to_string());
    assert!(!log.contains("Jane") && !log.contains("anaphylaxis"), "{log}");
    assert!(site.app.metrics.render().contains("cloister_break_glass_total{event=\"opened\"} 1"));
    let levels = || Metrics::from_ref(&site.app).render();
    assert!(levels().contains("cloister_break_glass_unreviewed 0"), "{}", levels());
    site.app.identity.accounts().end_emergency(&principal.account).unwrap();
    assert!(levels().contains("cloister_break_glass_unreviewed 1"), "{}", levels());
    assert!(levels().contains("cloister_break_glass_oldest_unreviewed_seconds "), "{}", levels());
}
