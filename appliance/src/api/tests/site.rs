//! A site in a temporary folder.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
};
use cloister_governance::{
    accounts::{AccountId, Accounts, Admitted, Credentials, NewAccount, Rules, Token},
    audit::{Body as Written, Log, RecordedOutcome},
    declarations::Declarations,
    keys::MasterKey,
    policy::Policy,
    store::Store,
};
use cloister_knowledge::{
    CollectionSpec, Embed, EmbedError, EmbedIdentity, Library,
    parse::{InProcess, Source},
};
use cloister_terms::{Clock, FixedClock, Random, Role};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    api::aws::eventstream,
    config::{Config, Tenant},
    edge::{Edge, metrics::Metrics, rig::Seeded},
    governed::Gate,
    identity::{Identity, cookie},
    pipeline::{
        Generate, Rerank,
        model::ModelName,
        rerank::{Answer, Asking, Relevances, RerankError},
        scripted::{Script, Scripted},
    },
    session::Sessions,
    wiring::{App, Declared},
};

/// The document that questions are about.
pub(super) const STORAGE: &str = "# Insulin storage\n\nStore unopened insulin pens in the refrigerator. Opened insulin \
    pens keep at room temperature for 28 days. Do not freeze insulin pens.\n";

const PAIRS: &str = r#"{"id": "refill", "question": "How do I refill a prescription?", "answer": "Call 555-0100 and press 2."}
"#;

pub(super) struct Site {
    pub(super) app: Arc<App>,
    pub(super) model: Arc<Scripted>,
    pub(super) clock: Arc<FixedClock>,
    router: axum::Router,
    keys: BTreeMap<Role, String>,
    _folder: tempfile::TempDir,
}

/// A reply, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
    pub(super) bytes: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The events of one of AWS's streams, in order.
    pub(super) fn frames(&self) -> Vec<(String, Value)> {
        eventstream::tests::events(&self.bytes)
    }

    /// The data of each event, in order.
    pub(super) fn events(&self) -> Vec<&str> {
        self.text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: "))).collect()
    }
}

impl Site {
    /// A site whose model plays `scripts`, with the composed lane open.
    pub(super) fn playing(scripts: Vec<Script>) -> Self {
        Self::under(Policy::built_in(), scripts)
    }

    /// The same under other policies.
    pub(super) fn under(policy: Policy, scripts: Vec<Script>) -> Self {
        Self::configured(Config::default(), policy, scripts)
    }

    /// The same with more tenants.
    pub(super) fn among(tenants: &[&str], scripts: Vec<Script>) -> Self {
        let mut config = Config::default();
        for tenant in tenants {
            config.tenants.insert(tenant.parse().unwrap(), Tenant::default());
        }
        Self::configured(config, Policy::built_in(), scripts)
    }

    /// The same with a configuration to begin from.
    pub(super) fn configured(config: Config, policy: Policy, scripts: Vec<Script>) -> Self {
        Self::declaring(&[], config, policy, scripts)
    }

    /// The same with tenants' own files as well.
    pub(super) fn declaring(declared: &[&str], mut config: Config, policy: Policy, scripts: Vec<Script>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hands = Arc::new(FixedClock::at("2026-03-01T12:00:00Z".parse().unwrap()));
        let clock: Arc<dyn Clock> = hands.clone();
        let random: Arc<dyn Random> = Arc::new(Seeded::new(11));
        let key = MasterKey::load_or_create(&folder.path().join("master.key"), &*random).unwrap();
        let store = Store::open(&folder.path().join("store"), key, Arc::clone(&random)).unwrap();
        let audit = Log::open(&store.audit(), Arc::clone(&clock), Arc::clone(&random)).unwrap();
        let accounts = Accounts::open(&store.fleet(), Arc::clone(&clock), Arc::clone(&random)).unwrap();
        let declarations = Declarations::open(&store.fleet()).unwrap();
        for text in declared {
            declarations.put(&Declared::parse(text).unwrap().name, text).unwrap();
        }
        config.answer.composed = true;
        // Some tests are refused on every route there is.
        config.limits.refusals_per_minute = 100_000;
        // The clock stands still: what is spent does not come back, and long tests spend much.
        config.limits.burst = 100_000;
        let assistant = Tenant { assistant: Some("pharmacy".to_owned()), ..Tenant::default() };
        config.tenants.entry("larkfield".parse().unwrap()).or_insert(assistant);
        config.tenants.insert("riverside".parse().unwrap(), Tenant::default());
        let metrics = Metrics::new();
        let model = Arc::new(Scripted::new(scripts));
        let keys = keys(&accounts);
        let gate = Gate { policy, audit };
        let sessions = Sessions::new(&config.session, Arc::clone(&clock), Arc::clone(&random));
        let mut app = App {
            identity: Identity::new(
                accounts,
                gate.clone(),
                &config,
                sessions.clone(),
                Arc::clone(&clock),
                metrics.clone(),
            ),
            sessions,
            gate,
            metrics: metrics.clone(),
            embed: Arc::new(Counting),
            generate: Some(Arc::clone(&model) as Arc<dyn Generate>),
            rerank: (config.models.rerank == LONGEST).then(|| Arc::new(Longest) as Arc<dyn Rerank>),
            pools: None,
            tenants: BTreeMap::new(),
            config,
            clock,
            random,
            store,
        };
        app.open_tenants(None).unwrap();
        fill(&app);
        let app = Arc::new(app);
        let edge = Edge::new(&app.config.server, metrics, Arc::clone(&app.random));
        let router = edge.guard(super::super::every_route().into_router(Arc::clone(&app)));
        Self { app, model, clock: hands, router, keys, _folder: folder }
    }

    /// A site whose model always says `text`.
    pub(super) fn saying(text: &str) -> Self {
        Self::playing(vec![Script::Say(text.split_inclusive(' ').map(str::to_owned).collect())])
    }

    pub(super) async fn get(&self, role: Role, path: &str) -> Reply {
        self.read(self.request(Some(role), "GET", path, Bytes::new()).await).await
    }

    pub(super) async fn post(&self, role: Role, path: &str, body: &Value) -> Reply {
        self.post_text(role, path, &body.to_string()).await
    }

    pub(super) async fn post_text(&self, role: Role, path: &str, body: &str) -> Reply {
        self.read(self.request(Some(role), "POST", path, Bytes::from(body.to_owned())).await).await
    }

    /// The response, its body not yet read.
    pub(super) async fn request(
        &self,
        role: Option<Role>,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> axum::response::Response {
        self.request_with(role.map(|role| self.keys[&role].as_str()), method, path, body).await
    }

    /// The same with any key.
    pub(super) async fn request_with(
        &self,
        key: Option<&str>,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> axum::response::Response {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// A person with this account who has signed in with a password alone.
    pub(super) fn signed_in(&self, new: NewAccount) -> (AccountId, Token) {
        let (name, accounts) = (new.name.clone(), self.app.identity.accounts());
        let (account, secret) = accounts.create(new).unwrap();
        let first = Credentials {
            name,
            password: secret.expose().to_owned().into(),
            new_password: Some("four words make one".to_owned().into()),
            ..Credentials::default()
        };
        let rules = Rules { second_factor: false, ..self.app.config.sign_in.rules() };
        match accounts.sign_in(&first, &rules).unwrap() {
            Admitted::In { token, .. } => (account, token),
            other @ Admitted::Enrol { .. } => panic!("{other:?}"),
        }
    }

    /// A request of our own page, by whoever is signed in with `token`.
    pub(super) async fn browse(
        &self,
        token: &Token,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> axum::response::Response {
        let request = Request::builder().method(method).uri(path).header("host", "rx:8443");
        let request =
            request.header("sec-fetch-site", "same-origin").header(cookie::CSRF, cookie::csrf(token.expose()));
        let request = request.header("cookie", format!("__Host-cloister={}", token.expose()));
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    /// Any request.
    pub(super) async fn send(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(super) async fn read(&self, response: axum::response::Response) -> Reply {
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply { status: head.status, headers: head.headers, text, bytes }
    }

    /// Outcomes recorded so far, in order.
    pub(super) async fn outcomes(&self) -> Vec<RecordedOutcome> {
        self.app.gate.audit.flush().await.unwrap();
        let records = self.app.gate.audit.since(0, 1000).unwrap();
        let outcome = |written| match written {
            Written::Outcome(outcome) => Some(outcome),
            Written::Intent(_) => None,
        };
        records.into_iter().filter_map(|record| outcome(record.body)).collect()
    }
}

fn keys(accounts: &Accounts) -> BTreeMap<Role, String> {
    let issue = |role: Role| {
        let tenant = (!cloister_governance::policy::site_wide(role)).then(|| "larkfield".parse().unwrap());
        let labels = vec!["staff".parse().unwrap()];
        let collections = (role == Role::Agent).then(|| vec!["procedures".parse().unwrap(), "pairs".parse().unwrap()]);
        let (_, key) =
            accounts.issue(NewAccount { tenant, labels, collections, ..NewAccount::of(role.as_str(), role) }).unwrap();
        (role, key.expose().to_owned())
    };
    Role::ALL.iter().map(|role| issue(*role)).collect()
}

fn fill(app: &App) {
    app.tenants.values().for_each(|tenant| fill_library(&tenant.library));
}

fn fill_library(library: &Library) {
    let files = [
        ("procedures", "storage.md", STORAGE),
        ("pairs", "pairs.jsonl", PAIRS),
        ("secret", "s.md", "# S\n\nHidden words.\n"),
    ];
    for (collection, name, text) in files {
        let id = collection.parse().unwrap();
        library.create(CollectionSpec { id, title: collection.to_owned() }).unwrap();
        let source = Source { name: name.to_owned(), bytes: text.as_bytes().to_vec() };
        let parser = InProcess::default();
        library.ingest(&collection.parse().unwrap(), &source, &BTreeMap::new(), &parser).unwrap();
    }
}

/// Configured by this name, a cross-encoder that plays its part.
pub(super) const LONGEST: &str = "longest";

/// The more words a text has, the better it answers. A query of more than eight words is too long.
struct Longest;

impl Rerank for Longest {
    fn identity(&self) -> ModelName {
        ModelName { name: LONGEST.to_owned(), sha256: "22".repeat(32) }
    }

    fn rerank(&self, query: String, texts: Vec<String>, _who: Asking) -> Answer {
        let words = |text: &str| text.split_whitespace().count();
        let asked = words(&query);
        Box::pin(std::future::ready(if query.contains("busy queue") {
            Err(RerankError::Busy { retry_after: std::time::Duration::from_millis(1500) })
        } else if asked > 8 {
            Err(RerankError::TooLong { tokens: asked, limit: 8 })
        } else {
            let scores = texts.iter().map(|text| 1.0 - 1.0 / (1.0 + words(text) as f32)).collect();
            Ok(Relevances { scores, tokens: texts.iter().map(|text| asked + words(text)).sum() })
        }))
    }
}

/// Each word is a place in the vector: texts that share words are near each other.
struct Counting;

impl Embed for Counting {
    fn identity(&self) -> EmbedIdentity {
        EmbedIdentity { name: "counting".to_owned(), sha256: "11".repeat(32), dimensions: 256, max_tokens: 256 }
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts.iter().any(|text| text.contains("busy queue")) {
            return Err(EmbedError::Busy { retry_after: std::time::Duration::from_millis(1500) });
        }
        Ok(texts.iter().map(|text| vector(text)).collect())
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut vector = vec![0.001_f32; 256];
    for stem in cloister_guardrails::words::stems(text) {
        let place = stem.bytes().fold(7_usize, |hash, byte| (hash * 31 + usize::from(byte)) % 256);
        vector[place] += 1.0;
    }
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}
