//! Every route, taken from the real router, times every role, times every relation: the status that comes back, and that
//! exactly one intent and one outcome were recorded, under an action that the route declares.

use std::collections::BTreeMap;

use axum::body::Bytes;
use cloister_governance::{
    accounts::{AccountId, EmergencyRequest, LONGEST_EMERGENCY, NewAccount, Token},
    audit::{Body as Written, OutcomeKind},
    policy::{Policy, Principal, Rules, Source, site_wide},
};
use cloister_knowledge::{CollectionSpec, parse::InProcess, parse::Source as File};
use cloister_terms::{EmergencyGround, EmergencyId, Phi, Role, TenantId};
use serde_json::json;

use super::site::Site;
use crate::{
    edge::router::{Access, Route},
    pipeline::scripted::Script,
};

mod table;

use table::TABLE;

/// Where a new route is told to go.
const WHERE: &str = "in appliance/src/api/tests/matrix/table.rs";

/// What is sent to a route in a relation: the path and the body. None if the route has no sample yet.
fn sample(place: &Place, route: &str, relation: &str) -> Option<(String, serde_json::Value)> {
    let collection = match relation {
        "unlisted" => "secret",
        "other" => "elsewhere",
        _ => "procedures",
    };
    let model = if relation == "raw" { "scripted" } else { "pharmacy" };
    let question = "How long do opened insulin pens keep?";
    let none = serde_json::Value::Null;
    let emergency = &place.emergencies[if relation == "other" { "riverside" } else { "larkfield" }];
    let in_collection = format!("/api/collections/{collection}");
    Some(match route {
        "GET /v1/models/{model}" => ("/v1/models/pharmacy".to_owned(), none),
        "POST /v1/chat/completions" => (
            "/v1/chat/completions".to_owned(),
            json!({"model": model, "messages": [{"role": "user", "content": question}]}),
        ),
        "POST /v1/completions" => ("/v1/completions".to_owned(), json!({"model": "scripted", "prompt": "Once"})),
        "POST /v1/embeddings" => ("/v1/embeddings".to_owned(), json!({"model": "counting", "input": "pens"})),
        "POST /v1/rerank" | "POST /rerank" | "POST /api/rerank" => {
            (route.trim_start_matches("POST ").to_owned(), json!({"query": "pens", "documents": ["pens", "ink"]}))
        }
        "POST /v1/files" => ("/v1/files".to_owned(), json!({})),
        "POST /v1/batches" => (
            "/v1/batches".to_owned(),
            json!({"input_file_id": format!("file-{}", "0".repeat(32)), "endpoint": "/v1/embeddings", "completion_window": "24h"}),
        ),
        "POST /v1/batches/{batch}/cancel"
        | "GET /v1/batches/{batch}"
        | "GET /v1/files/{file}"
        | "GET /v1/files/{file}/content"
        | "DELETE /v1/files/{file}" => {
            let path = route.split_once(' ').map(|(_, path)| path).unwrap_or_default();
            let (file, batch) = (format!("file-{}", "0".repeat(32)), format!("batch_{}", "0".repeat(32)));
            (path.replace("{file}", &file).replace("{batch}", &batch), none)
        }
        "POST /v1/moderations" => ("/v1/moderations".to_owned(), json!({"input": "How are pens stored?"})),
        "POST /guardrail/{id}/version/{version}/apply" => {
            let tenant = if relation == "other" { "riverside" } else { "larkfield" };
            let body = json!({"source": "INPUT", "content": [{"text": {"text": question}}]});
            (format!("/guardrail/{tenant}/version/built-in/apply"), body)
        }
        "GET /api/guardrails/{version}" => ("/api/guardrails/built-in".to_owned(), none),
        "POST /api/ask" => {
            let named = matches!(relation, "listed" | "unlisted" | "other").then(|| vec![collection]);
            ("/api/ask".to_owned(), json!({"question": question, "collections": named}))
        }
        "GET /api/collections/{id}/documents" => (format!("{in_collection}/documents"), none),
        "GET /api/collections/{id}/documents/{document}" => {
            (format!("{in_collection}/documents/{}", place.documents[collection]), none)
        }
        "POST /api/collections/{id}/search" => (format!("{in_collection}/search"), json!({"query": "insulin pens"})),
        "POST /knowledgebases/{id}/retrieve" => {
            (format!("/knowledgebases/{collection}/retrieve"), json!({"retrievalQuery": {"text": "insulin pens"}}))
        }
        "POST /retrieveAndGenerate" | "POST /retrieveAndGenerateStream" => {
            let base =
                json!({"knowledgeBaseId": collection, "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/x"});
            let within = json!({"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": base});
            let body = json!({"input": {"text": question}, "retrieveAndGenerateConfiguration": within});
            (route.trim_start_matches("POST ").to_owned(), body)
        }
        "POST /model/{model}/converse" | "POST /model/{model}/converse-stream" => (
            route.trim_start_matches("POST ").replace("{model}", model),
            json!({"messages": [{"role": "user", "content": [{"text": question}]}]}),
        ),
        "POST /api/sign-in" => ("/api/sign-in".to_owned(), json!({"name": "nobody", "password": "x"})),
        "POST /api/sign-out" => ("/api/sign-out".to_owned(), json!({})),
        "DELETE /api/sessions/{session}" => (format!("/api/sessions/{}", "0".repeat(32)), none),
        "POST /api/sessions/{session}/reidentify" => {
            let query = match relation {
                "other" => "?tenant=riverside",
                "site" => "?tenant=larkfield",
                _ => "",
            };
            (format!("/api/sessions/{}/reidentify{query}", "0".repeat(32)), json!({"text": "[NAME-1]"}))
        }
        "GET /api/captures" | "GET /api/captures/{capture}" => {
            let list = route == "GET /api/captures";
            let path = if list { "/api/captures".to_owned() } else { format!("/api/captures/{}", "0".repeat(32)) };
            let query = match relation {
                "other" => "?tenant=riverside",
                "site" => "?tenant=larkfield",
                "unredacted" => "?raw=true",
                _ => "",
            };
            (format!("{path}{query}"), none)
        }
        "POST /api/break-glass" => {
            let reason = "The ward's own list is closed to whoever stands in";
            ("/api/break-glass".to_owned(), json!({"ground": "patient_safety", "reason": reason}))
        }
        "DELETE /api/break-glass" => ("/api/break-glass".to_owned(), none),
        "GET /api/break-glass/reviews/{emergency}" => (format!("/api/break-glass/reviews/{emergency}"), none),
        "POST /api/break-glass/reviews/{emergency}" => {
            (format!("/api/break-glass/reviews/{emergency}"), json!({"verdict": "justified"}))
        }
        "GET /api/audit/records" if relation == "other" => ("/api/audit/records?tenant=riverside".to_owned(), none),
        "GET /v1/models"
        | "GET /v1/files"
        | "GET /v1/batches"
        | "GET /api/guardrails"
        | "GET /api/collections"
        | "GET /api/audit/records"
        | "GET /metrics"
        | "GET /api/sign-in"
        | "GET /api/break-glass"
        | "GET /api/break-glass/reviews"
        | "GET /api/openapi.json"
        | "GET /api/docs"
        | "GET /livez"
        | "GET /readyz" => (route.trim_start_matches("GET ").to_owned(), none),
        _ => return None,
    })
}

/// The relations that a route must have rows for.
fn needed(route: &Route) -> Vec<&'static str> {
    match (&route.access, route.path.contains("{id}")) {
        (Access::Open(_), _) => vec!["anyone"],
        (_, true) => vec!["own", "listed", "unlisted", "other", "site"],
        (_, false) => vec!["own", "site"],
    }
}

/// A site with two tenants, an account for every role and standing, and a document in each collection.
struct Place {
    site: Site,
    keys: BTreeMap<(Role, &'static str), String>,
    documents: BTreeMap<&'static str, String>,
    /// What a person of each role was given when they signed in.
    tokens: BTreeMap<Role, Token>,
    /// An emergency access to each tenant, which is over.
    emergencies: BTreeMap<&'static str, EmergencyId>,
}

impl Place {
    fn under(policy: Policy) -> Self {
        let said = "Opened insulin pens keep at room temperature for 28 days.".split_inclusive(' ').map(str::to_owned);
        let site = Site::under(policy, vec![Script::Say(said.collect())]);
        let (larkfield, riverside): (TenantId, TenantId) = ("larkfield".parse().unwrap(), "riverside".parse().unwrap());
        let library = &site.app.tenants[&riverside].library;
        let elsewhere = "elsewhere".parse().unwrap();
        library.create(CollectionSpec { id: elsewhere, title: "elsewhere".to_owned() }).unwrap();
        let file = File { name: "e.md".to_owned(), bytes: b"# E\n\nInsulin pens elsewhere.\n".to_vec() };
        library.ingest(&"elsewhere".parse().unwrap(), &file, &BTreeMap::new(), &InProcess::default()).unwrap();
        let mut documents = BTreeMap::new();
        for (tenant, collection) in [(&larkfield, "procedures"), (&larkfield, "secret"), (&riverside, "elsewhere")] {
            let listed = site.app.tenants[tenant].shelf.0.documents(&collection.parse().unwrap()).unwrap();
            documents.insert(collection, listed[0].id.to_string());
        }
        let mut keys = BTreeMap::new();
        for role in Role::ALL.iter().copied() {
            let labels = vec!["staff".parse().unwrap(), "all".parse().unwrap()];
            let all = NewAccount { labels, ..NewAccount::of("x", role).within(larkfield.clone()) };
            let listing = NewAccount { collections: Some(vec!["procedures".parse().unwrap()]), ..all.clone() };
            let mut issue = |standing, account| {
                let (_, secret) = site.app.identity.accounts().issue(account).unwrap();
                keys.insert((role, standing), secret.expose().to_owned());
            };
            if site_wide(role) {
                issue("site", NewAccount { tenant: None, ..all.clone() });
            }
            issue("all", all);
            issue("listing", listing);
        }
        let tokens = Role::ALL.iter().filter_map(|role| Some((*role, token(&site, *role)?))).collect();
        let emergencies = ["larkfield", "riverside"].map(|tenant| (tenant, emergency(&site, tenant))).into();
        Self { site, keys, documents, tokens, emergencies }
    }

    /// One cell: what came back, and what is wrong with its record.
    async fn ask(&self, route: &Route, role: Role, relation: &str) -> Result<String, String> {
        let shown = shown(route);
        let standing = match relation {
            "listed" | "unlisted" => "listing",
            "site" | "nowhere" => "site",
            _ => "all",
        };
        let token = if relation == "person" { self.tokens.get(&role) } else { None };
        let key = match relation {
            "anyone" => None,
            "person" if token.is_some() => None,
            "person" => return Ok(".".to_owned()),
            _ => match self.keys.get(&(role, standing)) {
                Some(key) => Some(key.as_str()),
                None => return Ok(".".to_owned()),
            },
        };
        let Some((path, body)) = sample(self, &shown, relation) else {
            return Err(format!("{shown} has no sample request: add a case to `sample` {WHERE}"));
        };
        let before = self.last().await;
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let (method, _) = shown.split_once(' ').unwrap();
        let response = match token {
            Some(token) => self.site.browse(token, method, &path, body).await,
            None => self.site.request_with(key, method, &path, body).await,
        };
        let reply = self.site.read(response).await;
        self.recorded(route, before, reply.status.as_u16()).await?;
        Ok(reply.status.as_str().to_owned())
    }

    async fn last(&self) -> u64 {
        self.site.app.gate.audit.flush().await.unwrap();
        self.site.app.gate.audit.since(0, usize::MAX).unwrap().last().map_or(0, |record| record.sequence)
    }

    /// A governed route leaves an intent and an outcome that tells what became of it; an open one leaves nothing.
    async fn recorded(&self, route: &Route, before: u64, status: u16) -> Result<(), String> {
        self.site.app.gate.audit.flush().await.unwrap();
        let records = self.site.app.gate.audit.since(before, 100).unwrap();
        let bodies: Vec<Written> = records.into_iter().map(|record| record.body).collect();
        match (&route.access, bodies.as_slice()) {
            (Access::Open(_), []) => Ok(()),
            (Access::Governed(actions), [Written::Intent(intent), Written::Outcome(outcome)]) => {
                let kind = match status {
                    200..=299 => OutcomeKind::Done,
                    401 | 403 => OutcomeKind::Denied,
                    _ => OutcomeKind::Failed,
                };
                if !actions.contains(&intent.action) || outcome.kind != kind {
                    return Err(format!("recorded as {} {:?}, answered {status}", intent.action, outcome.kind));
                }
                if kind != OutcomeKind::Denied && intent.policies.is_empty() {
                    return Err("the record does not name the policy that permitted it".to_owned());
                }
                Ok(())
            }
            (_, other) => Err(format!("recorded as {other:?}")),
        }
    }
}

/// A person of the role who signs in, where persons hold it.
fn token(site: &Site, role: Role) -> Option<Token> {
    let new = NewAccount::of(&role.as_str().replace('_', "-"), role).within("larkfield".parse().unwrap());
    (role != Role::Service).then(|| site.signed_in(new).1)
}

/// An emergency access to a tenant, by somebody whom nobody here knows, that was ended.
fn emergency(site: &Site, tenant: &str) -> EmergencyId {
    let accounts = site.app.identity.accounts();
    let id = EmergencyId::random(site.app.random.as_ref());
    let account = AccountId::of_digest(&[tenant.len() as u8; 32]);
    let principal = Principal { account, ..Principal::local(Role::Agent, Some(tenant.parse().unwrap())) };
    let request = EmergencyRequest {
        id,
        ground: EmergencyGround::Other,
        reason: Phi::new("What nobody here needs to know".to_owned()),
        lasts: LONGEST_EMERGENCY,
        labels: std::collections::BTreeSet::new(),
    };
    let database = site.app.store.tenant(&tenant.parse().unwrap()).unwrap();
    accounts.open_emergency(&principal, request, &database).unwrap();
    assert!(accounts.end_emergency(&principal.account).unwrap());
    id
}

fn shown(route: &Route) -> String {
    format!("{} {}", serde_json::to_value(route.method).unwrap().as_str().unwrap(), route.path)
}

/// A row of the table: route, relation, cells.
type Row = (&'static str, &'static str, Vec<&'static str>);

/// The roles at the head of the table, and its rows.
fn rows() -> (Vec<Role>, Vec<Row>) {
    let mut lines = TABLE.lines().filter(|line| !line.trim().is_empty());
    let roles = lines.next().unwrap().split_whitespace().map(|word| word.parse().unwrap()).collect();
    let (mut route, mut rows) = ("", Vec::new());
    for line in lines {
        if line.starts_with(' ') {
            let mut words = line.split_whitespace();
            rows.push((route, words.next().unwrap(), words.collect()));
        } else {
            route = line.trim();
        }
    }
    (roles, rows)
}

/// Every cell that is otherwise than the table says, with what to do.
async fn mismatches(place: &Place) -> (usize, Vec<String>) {
    let (roles, rows) = rows();
    assert_eq!(roles, Role::ALL, "a role is missing from the table {WHERE}");
    let routes = crate::api::every_route();
    let (mut cells, mut wrong) = (0, Vec::new());
    for route in routes.list() {
        let name = shown(route);
        let own: Vec<_> = rows.iter().filter(|(of, ..)| *of == name).collect();
        for relation in needed(route) {
            if !own.iter().any(|(_, stated, _)| *stated == relation) {
                wrong.push(format!("{name}: the table has no row `{relation}` for it: add it to `TABLE` {WHERE}"));
            }
        }
        for (_, relation, expected) in own {
            let anyone = *relation == "anyone";
            let asking = if anyone { &roles[..1] } else { &roles[..] };
            assert_eq!(expected.len(), asking.len(), "{name} {relation}: a cell is missing from the table");
            for (role, expected) in asking.iter().zip(expected) {
                cells += 1;
                match place.ask(route, *role, relation).await {
                    Ok(got) if got == *expected => {}
                    Ok(got) => wrong.push(format!("{name} {relation} {role}: {got}, and the table says {expected}")),
                    Err(why) => wrong.push(format!("{name} {relation} {role}: {why}")),
                }
            }
        }
    }
    for (of, ..) in &rows {
        if !routes.list().iter().any(|route| shown(route) == *of) {
            wrong.push(format!("{of} is in `TABLE` {WHERE} and no longer a route"));
        }
    }
    (cells, wrong)
}

#[tokio::test]
async fn every_route_answers_every_role_in_every_relation_as_the_table_says_and_leaves_its_record() {
    let place = Place::under(Policy::built_in());
    let (cells, wrong) = mismatches(&place).await;
    assert!(cells > 250, "only {cells} cells");
    assert!(wrong.is_empty(), "{} of {cells} cells:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn the_table_catches_a_site_policy_that_opens_too_much() {
    let text = "@id(\"a\") @why(\"Service accounts read documents.\")
        permit(principal in Role::\"service\", action == Action::\"read_document\", resource);";
    let rules = Rules::with(&[Source { name: "site.cedar".to_owned(), text: text.to_owned() }]).unwrap();
    let (_, wrong) = mismatches(&Place::under(Policy::of(rules))).await;
    let about = "GET /api/collections/{id}/documents/{document}";
    assert!(wrong.iter().any(|line| line.contains("own service: 200, and the table says 403")), "{wrong:?}");
    assert!(wrong.iter().all(|line| line.starts_with(about)), "{wrong:?}");
}

#[tokio::test]
async fn the_table_catches_a_site_policy_that_closes_too_much() {
    let text = "@id(\"a\") @why(\"Nobody searches.\") forbid(principal, action == Action::\"search\", resource);";
    let rules = Rules::with(&[Source { name: "site.cedar".to_owned(), text: text.to_owned() }]).unwrap();
    let (_, wrong) = mismatches(&Place::under(Policy::of(rules))).await;
    assert!(wrong.iter().any(|line| line.contains("search own agent: 403, and the table says 200")), "{wrong:?}");
}
