use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use cloister_governance::{accounts::NewAccount, audit::Body as Written};
use cloister_knowledge::parse::{InProcess, Source};
use cloister_terms::{Random as _, Role, SessionId, TenantId};
use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::site::{Reply, Site};
use crate::{edge::rig::Seeded, pipeline::scripted::Script, session::HEADER};

const ASK: &str = "How do I refill a prescription?";

impl Site {
    /// A request with a key, and a session in the header where one is named.
    async fn within(&self, key: &str, session: Option<&str>, method: &str, path: &str, body: &Value) -> Reply {
        let mut request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        if let Some(session) = session {
            request = request.header(HEADER, session);
        }
        self.read(self.send(request.body(Body::from(body.to_string())).unwrap()).await).await
    }

    fn key_of(&self, name: &str, tenant: &str) -> String {
        let labels = vec!["staff".parse().unwrap()];
        let new = NewAccount { labels, ..NewAccount::of(name, Role::Agent) }.within(tenant.parse().unwrap());
        self.app.identity.accounts().issue(new).unwrap().1.expose().to_owned()
    }
}

fn session_of(reply: &Reply) -> String {
    reply.headers[HEADER].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_returned_goes_on_and_ties_every_record_of_it_together() {
    let site = Site::saying("x");
    let key = site.key_of("desk", "larkfield");
    let first = site.within(&key, None, "POST", "/api/ask", &json!({"question": ASK})).await;
    let session = session_of(&first);
    assert_eq!(first.json()["session"], session.as_str());
    let by_header = site.within(&key, Some(&session), "POST", "/api/ask", &json!({"question": ASK})).await;
    let by_body = json!({"question": ASK, "session": session});
    let by_body = site.within(&key, None, "POST", "/api/ask", &by_body).await;
    let (path, query) = ("/api/collections/procedures/search", json!({"query": "insulin"}));
    let search = site.within(&key, Some(&session), "POST", path, &query).await;
    for reply in [&by_header, &by_body, &search] {
        assert_eq!((reply.status, session_of(reply)), (StatusCode::OK, session.clone()), "{}", reply.text);
    }
    let id: SessionId = session.parse().unwrap();
    let records = site.app.gate.audit.since(0, 1000).unwrap();
    let tied = records.iter().filter(|record| matches!(&record.body, Written::Intent(i) if i.session == Some(id)));
    assert_eq!(tied.count(), 4);
    let two = json!({"question": ASK, "session": "0".repeat(32)});
    let two = site.within(&key, Some(&session), "POST", "/api/ask", &two).await;
    assert_eq!(two.status, StatusCode::BAD_REQUEST, "{}", two.text);
}

#[tokio::test]
async fn a_session_that_is_anothers_over_or_made_up_is_refused_in_the_same_words() {
    let site = Site::saying("x");
    let (mine, other) = (site.key_of("desk", "larkfield"), site.key_of("other", "larkfield"));
    let ask = json!({"question": ASK});
    let session = session_of(&site.within(&mine, None, "POST", "/api/ask", &ask).await);
    let ended = session_of(&site.within(&mine, None, "POST", "/api/ask", &ask).await);
    let path = format!("/api/sessions/{ended}");
    let not_theirs = site.within(&other, None, "DELETE", &path, &Value::Null).await;
    assert_eq!(not_theirs.status, StatusCode::NOT_FOUND);
    assert_eq!(site.within(&mine, None, "DELETE", &path, &Value::Null).await.status, StatusCode::NO_CONTENT);
    let expired = session_of(&site.within(&mine, None, "POST", "/api/ask", &ask).await);
    let (made_up, malformed) = ("0123456789abcdef".repeat(2), "jane-roe".to_owned());
    let mut told = Vec::new();
    for (key, named) in [(&other, &session), (&mine, &ended), (&mine, &made_up), (&mine, &malformed)] {
        let reply = site.within(key, Some(named), "POST", "/api/ask", &ask).await;
        let mut said = reply.json();
        said["request_id"] = Value::Null;
        told.push((reply.status, said));
        assert!(!reply.headers.contains_key(HEADER) && !reply.text.contains("jane"), "{}", reply.text);
    }
    site.clock.advance(SignedDuration::from_mins(30));
    let reply = site.within(&mine, Some(&expired), "POST", "/api/ask", &ask).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert!(told.iter().all(|each| *each == told[0]) && told[0].0 == StatusCode::NOT_FOUND, "{told:?}");
    let last = site.outcomes().await.pop().unwrap();
    assert_eq!(last.code.as_deref(), Some("session_unknown"), "the try is on the record");
}

/// One of twenty sessions, five in each of four tenants.
struct Desk {
    tenant: usize,
    key: String,
    session: Option<String>,
}

/// What a tenant's documents hold and no other's do.
fn canary(tenant: usize) -> String {
    format!("gate code {}", [4711, 8152, 2963, 7074][tenant])
}

const TENANTS: [&str; 4] = ["larkfield", "ashgrove", "millbrook", "stonebridge"];

/// What a desk does next.
#[derive(Debug)]
enum Step {
    Ask,
    Search,
    Retrieve,
    /// Names a session of another desk.
    Trespass(String),
    /// Ends its own session, and names it once more.
    End(String),
}

impl Step {
    fn random(draw: &dyn Fn(usize) -> usize, desks: &[Desk], desk: usize) -> Self {
        let other = draw(desks.len());
        match (draw(8), &desks[desk].session, &desks[other].session) {
            (3, ..) => Self::Search,
            (4, ..) => Self::Retrieve,
            (5 | 6, _, Some(anothers)) if other != desk => Self::Trespass(anothers.clone()),
            (7, Some(own), _) => Self::End(own.clone()),
            _ => Self::Ask,
        }
    }

    /// Does it at the desk. Returns everything that came back.
    async fn take(&self, site: &Site, desk: &Desk) -> Vec<Reply> {
        let question = json!({"question": "What opens the night gate of the pharmacy?"});
        let (key, own) = (desk.key.as_str(), desk.session.as_deref());
        match self {
            Self::Ask => vec![site.within(key, own, "POST", "/api/ask", &question).await],
            Self::Search => {
                let search = json!({"query": "night gate"});
                vec![site.within(key, own, "POST", "/api/collections/procedures/search", &search).await]
            }
            Self::Retrieve => {
                let body = json!({"retrievalQuery": {"text": "night gate"}});
                vec![site.within(key, own, "POST", "/knowledgebases/procedures/retrieve", &body).await]
            }
            Self::Trespass(anothers) => vec![site.within(key, Some(anothers), "POST", "/api/ask", &question).await],
            Self::End(over) => {
                let ended = site.within(key, None, "DELETE", &format!("/api/sessions/{over}"), &Value::Null).await;
                vec![ended, site.within(key, Some(over), "POST", "/api/ask", &question).await]
            }
        }
    }

    /// What came back is what it must be, and holds nothing of another tenant.
    fn check(&self, desk: &Desk, replies: &[Reply]) {
        let statuses: Vec<u16> = replies.iter().map(|reply| reply.status.as_u16()).collect();
        let expected: &[u16] = match self {
            Self::Ask | Self::Search | Self::Retrieve => &[200],
            Self::Trespass(_) => &[404],
            Self::End(_) => &[204, 404],
        };
        assert_eq!(statuses, expected, "{self:?}: {}", replies[0].text);
        for reply in replies {
            let everything = format!("{}{:?}", reply.text, reply.headers);
            for foreign in (0..TENANTS.len()).filter(|foreign| *foreign != desk.tenant) {
                assert!(!everything.contains(&canary(foreign)), "{self:?}: {everything}");
            }
            let refused = reply.status == StatusCode::NOT_FOUND;
            assert!(!refused || !everything.contains("gate code"), "{self:?}: {everything}");
        }
        if let (Self::Ask, [reply]) = (self, replies) {
            assert!(reply.text.contains(&canary(desk.tenant)), "{}", reply.text);
            assert!(desk.session.as_ref().is_none_or(|own| *own == session_of(reply)), "another session");
        }
    }
}

/// Desks that are at work at the same moment.
const AT_ONCE: usize = 5;

/// `steps` random steps of twenty desks, five of them at a time: asking within a session or in a new one, searching,
/// naming another's session, ending their own. No reply holds what another tenant's documents hold, and none is of another
/// session than was named.
#[allow(clippy::print_stdout, reason = "how much was done is what the long run is quoted for")]
async fn interleave(steps: usize, seed: u64) {
    let site = Site::among(&TENANTS, vec![Script::Say(vec!["No.".to_owned()])]);
    for (tenant, name) in TENANTS.iter().enumerate() {
        let text = format!("# Night gate\n\nThe night gate of the pharmacy opens with {}.\n", canary(tenant));
        let source = Source { name: "gate.md".to_owned(), bytes: text.into_bytes() };
        let library = &site.app.tenants[&name.parse::<TenantId>().unwrap()].library;
        library.ingest(&"procedures".parse().unwrap(), &source, &BTreeMap::new(), &InProcess::default()).unwrap();
    }
    let mut desks: Vec<Desk> = (0..20)
        .map(|number| Desk {
            tenant: number % 4,
            key: site.key_of(&format!("desk-{number}"), TENANTS[number % 4]),
            session: None,
        })
        .collect();
    let random = Seeded::new(seed);
    let draw = |below: usize| {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % below
    };
    let (mut taken, mut answered, mut refused) = (0, 0, 0);
    while taken < steps {
        let mut chosen: Vec<usize> = (0..AT_ONCE).map(|_| draw(desks.len())).collect();
        chosen.sort_unstable();
        chosen.dedup();
        let round: Vec<(usize, Step)> =
            chosen.into_iter().map(|desk| (desk, Step::random(&draw, &desks, desk))).collect();
        let replies = join_all(round.iter().map(|(desk, step)| step.take(&site, &desks[*desk]))).await;
        for ((desk, step), replies) in round.iter().zip(&replies) {
            step.check(&desks[*desk], replies);
            match step {
                Step::Ask => desks[*desk].session = Some(session_of(&replies[0])),
                Step::End(_) => desks[*desk].session = None,
                Step::Search | Step::Retrieve | Step::Trespass(_) => {}
            }
            answered += usize::from(matches!(step, Step::Ask));
            refused += usize::from(matches!(step, Step::Trespass(_)));
        }
        taken += round.len();
    }
    assert!(answered > steps / 4 && refused > steps / 8, "{answered} answered, {refused} refused");
    println!("{taken} steps, up to {AT_ONCE} at once: {answered} answered, {refused} trespasses refused");
}

#[tokio::test]
async fn nothing_of_one_session_or_tenant_reaches_another_in_300_random_steps() {
    interleave(300, 1).await;
}

/// The soak: `cargo test -p cloister --lib -- --ignored 10_000_random_steps`.
#[tokio::test]
#[ignore = "takes minutes: run it by name"]
async fn nothing_of_one_session_or_tenant_reaches_another_in_10_000_random_steps() {
    interleave(10_000, 2).await;
}
