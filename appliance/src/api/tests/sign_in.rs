use std::sync::Arc;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use cloister_governance::{
    accounts::{AccountId, Accounts, NewAccount, OneTimeSecret},
    audit::Body as Written,
};
use cloister_terms::{Action, Role};
use jiff::SignedDuration;
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

use super::site::{Reply, Site};
use crate::edge::{context::Peer, rig::Seeded};

const PASSWORD: &str = "four words make one";

/// A browser on our own page, with a cookie once it has one.
struct Browser<'a> {
    site: &'a Site,
    cookie: Option<String>,
    csrf: String,
}

impl<'a> Browser<'a> {
    fn new(site: &'a Site) -> Self {
        Self { site, cookie: None, csrf: String::new() }
    }

    async fn send(&self, method: &str, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("host", "rx:8443");
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", format!("other=1; {cookie}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if method == "GET" { Body::empty() } else { Body::from(body.to_string()) };
        self.site.read(self.site.send(request.body(body).unwrap()).await).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &Value::Null, &[("sec-fetch-site", "same-origin")]).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        let headers = [("sec-fetch-site", "same-origin"), ("cloister-csrf", self.csrf.as_str())];
        self.send("POST", path, body, &headers).await
    }

    /// Signs in and keeps the cookie, if there is one.
    async fn sign_in(&mut self, body: Value) -> Reply {
        let reply = self.post("/api/sign-in", &body).await;
        if let Some(cookie) = reply.headers.get("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.starts_with("__Host-cloister="), "{cookie}");
            for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"] {
                assert!(cookie.contains(attribute), "{cookie} lacks {attribute}");
            }
            self.cookie = cookie.split(';').next().map(str::to_owned);
            self.csrf = reply.json()["csrf"].as_str().unwrap().to_owned();
        }
        reply
    }
}

impl Site {
    fn person(&self, name: &str) -> (AccountId, OneTimeSecret) {
        let new = NewAccount { labels: vec!["staff".parse().unwrap()], ..NewAccount::of(name, Role::Agent) };
        self.app.identity.accounts().create(new.within("larkfield".parse().unwrap())).unwrap()
    }

    fn code(&self, seed: &str) -> String {
        let totp = Builder::new().with_secret(Secret::try_from_base32(seed).unwrap()).build().unwrap();
        totp.generate(u64::try_from(self.clock.now_seconds()).unwrap()).to_string()
    }
}

trait Seconds {
    fn now_seconds(&self) -> i64;
}

impl Seconds for cloister_terms::FixedClock {
    fn now_seconds(&self) -> i64 {
        cloister_terms::Clock::now(self).as_second()
    }
}

/// A person who is signed in with both factors.
async fn signed_in<'a>(site: &'a Site, name: &str) -> (AccountId, Browser<'a>) {
    let (account, secret) = site.person(name);
    let mut browser = Browser::new(site);
    let first = json!({"name": name, "password": secret.expose(), "new_password": PASSWORD});
    let reply = browser.sign_in(first).await.json();
    assert_eq!((&reply["signed_in"], browser.cookie.is_some()), (&json!(false), false), "{reply}");
    let code = site.code(reply["second_factor"]["secret"].as_str().unwrap());
    let reply = browser.sign_in(json!({"name": name, "password": PASSWORD, "code": code})).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    let reply = reply.json();
    assert_eq!(reply["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!((&reply["role"], &reply["tenant"]), (&json!("agent"), &json!("larkfield")));
    (account, browser)
}

#[tokio::test]
async fn a_person_signs_in_with_two_factors_works_and_signs_out() {
    let site = Site::saying("x");
    let (account, browser) = signed_in(&site, "a.lopez").await;
    let who = browser.get("/api/sign-in").await.json();
    assert_eq!((&who["account"], &who["csrf"]), (&json!(account.as_str()), &json!(browser.csrf)));
    assert_eq!(browser.get("/api/collections").await.status, StatusCode::OK);
    let asked = browser.post("/api/ask", &json!({"question": "How do I refill a prescription?"})).await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text);
    let out = browser.post("/api/sign-out", &json!({})).await;
    assert_eq!(out.status, StatusCode::OK, "{}", out.text);
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(browser.get("/api/collections").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_page_can_change_nothing_with_the_cookie() {
    let site = Site::saying("x");
    let (_, browser) = signed_in(&site, "a.lopez").await;
    let ask = json!({"question": "How do I refill a prescription?"});
    let own = ("cloister-csrf", browser.csrf.as_str());
    for headers in [
        &[][..],
        &[own],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "cross-site"), own],
        &[("sec-fetch-site", "same-site"), own],
        &[("origin", "https://evil.example"), own],
    ] {
        let reply = browser.send("POST", "/api/ask", &ask, headers).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{headers:?}: {}", reply.text);
        assert_eq!(reply.json()["code"], "cross_site");
    }
    let read = browser.send("GET", "/api/collections", &Value::Null, &[("sec-fetch-site", "cross-site")]).await;
    assert_eq!(read.status, StatusCode::FORBIDDEN);
    let in_the_name_of = browser.send("POST", "/api/sign-in", &json!({}), &[("origin", "https://evil.example")]).await;
    assert_eq!(in_the_name_of.status, StatusCode::FORBIDDEN, "nor sign anyone in");
    let origin = [("origin", "https://rx:8443"), own];
    assert_eq!(browser.send("POST", "/api/ask", &ask, &origin).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_is_refused_cannot_tell_why_and_the_record_can() {
    let site = Site::saying("x");
    let mut browser = Browser::new(&site);
    let mut told = Vec::new();
    let names = ["wrong", "locked", "disabled", "nobody"];
    let mut accounts = Vec::new();
    for name in &names[..3] {
        let (account, secret) = site.person(name);
        let first = json!({"name": name, "password": secret.expose(), "new_password": PASSWORD});
        assert_eq!(browser.sign_in(first).await.status, StatusCode::OK);
        accounts.push(account);
    }
    site.app.identity.accounts().disable(&accounts[2]).unwrap();
    for _ in 0..5 {
        browser.sign_in(json!({"name": "locked", "password": "wrong"})).await;
    }
    for (name, password) in names.iter().zip(["wrong", PASSWORD, PASSWORD, PASSWORD]) {
        let reply = browser.sign_in(json!({"name": name, "password": password, "code": "000000"})).await;
        let mut said = reply.json();
        said["request_id"] = Value::Null;
        told.push((reply.status, said));
    }
    assert_eq!(told[0].0, StatusCode::UNAUTHORIZED);
    assert!(told.iter().all(|each| *each == told[0]), "{told:?}");
    let codes: Vec<String> = site.outcomes().await.into_iter().rev().take(4).filter_map(|o| o.code).collect();
    assert_eq!(codes, ["name_unknown", "account_disabled", "locked", "password_wrong"]);
    let records = site.app.gate.audit.since(0, 1000).unwrap();
    let tried = records.into_iter().rev().find_map(|record| match record.body {
        Written::Intent(intent) if intent.who.account == accounts[2] => Some(intent.action),
        _ => None,
    });
    assert_eq!(tried, Some(Action::SignIn), "under whose name it was tried");
}

#[tokio::test]
async fn a_person_who_is_signed_out_from_elsewhere_or_does_nothing_is_out() {
    let site = Site::saying("x");
    let (account, browser) = signed_in(&site, "a.lopez").await;
    site.clock.advance(SignedDuration::from_secs(899));
    assert_eq!(browser.get("/api/collections").await.status, StatusCode::OK);
    let clock: Arc<dyn cloister_terms::Clock> = site.clock.clone();
    let elsewhere = Accounts::open(&site.app.store.fleet(), clock, Arc::new(Seeded::new(5))).unwrap();
    elsewhere.sign_out_everywhere(&account).unwrap();
    assert_eq!(browser.get("/api/collections").await.status, StatusCode::UNAUTHORIZED, "at the very next request");

    let (_, browser) = signed_in(&site, "b.chen").await;
    site.clock.advance(SignedDuration::from_secs(900));
    assert_eq!(browser.get("/api/collections").await.status, StatusCode::UNAUTHORIZED);
    let outcomes = site.outcomes().await;
    assert_eq!(outcomes.last().unwrap().code.as_deref(), Some("idle"));
}

#[tokio::test]
async fn a_large_body_is_not_read_for_someone_who_has_shown_nothing() {
    let site = Site::saying("x");
    let browser = Browser::new(&site);
    let body = json!({"name": "a.lopez", "password": "x".repeat(17 * 1024)});
    assert_eq!(browser.post("/api/sign-in", &body).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn tries_past_the_limit_of_an_address_are_not_even_read() {
    let site = Site::saying("x");
    let browser = Browser::new(&site);
    let limit = site.app.config.sign_in.attempts_per_minute;
    for _ in 0..limit {
        assert_eq!(browser.post("/api/sign-in", &json!({})).await.status, StatusCode::BAD_REQUEST);
    }
    let reply = browser.post("/api/sign-in", &json!({"name": "a", "password": "b"})).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn wrong_tries_from_another_address_do_not_lock_the_owner_out() {
    let site = Site::saying("x");
    let (_, secret) = site.person("a.lopez");
    let from = async |device: u8, body: Value| {
        let request = Request::builder().method("POST").uri("/api/sign-in").header("host", "rx:8443");
        let peer = Peer(([10, 0, 0, device], 40_000).into());
        site.read(site.send(request.extension(peer).body(Body::from(body.to_string())).unwrap()).await).await
    };
    let first = json!({"name": "a.lopez", "password": secret.expose(), "new_password": PASSWORD});
    assert_eq!(from(1, first).await.status, StatusCode::OK);
    for _ in 0..6 {
        let reply = from(2, json!({"name": "a.lopez", "password": "wrong"})).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    let outcomes = site.outcomes().await;
    assert_eq!(outcomes.last().unwrap().code.as_deref(), Some("locked"));
    let owner = from(1, json!({"name": "a.lopez", "password": PASSWORD})).await;
    assert_eq!(owner.status, StatusCode::OK, "{}", owner.text);
}
