//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use cloister_governance::{accounts::Accounts, audit, audit::Outcome, policy::Resource};
use cloister_terms::Action;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{
    metrics::Metrics,
    router::{Routes, Verb},
};
use crate::{
    edge::problem::Problem,
    governed::{Call, Gate, Refusal, governed},
    identity::{Caller, Identity},
};

/// Something without which no work can be done: its name, and what is the matter with it, if anything. Both are words of
/// ours, because anyone may read them.
#[derive(Clone)]
pub struct Check {
    name: &'static str,
    run: Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>,
}

impl Check {
    /// A check. `run` may block for a moment.
    pub fn new(name: &'static str, run: impl Fn() -> Result<(), &'static str> + Send + Sync + 'static) -> Self {
        Self { name, run: Arc::new(run) }
    }

    /// That the account register can be read.
    pub fn store(accounts: Accounts) -> Self {
        Self::new("store", move || accounts.check().map_err(|_| "the store cannot be read"))
    }

    /// That the audit log takes records.
    pub fn audit(log: audit::Log) -> Self {
        Self::new("audit", move || if log.is_open() { Ok(()) } else { Err("the audit log refuses work") })
    }
}

/// Whether the machine can work: every check, run each time it is asked.
#[derive(Clone, Default)]
pub struct Readiness(Arc<[Check]>);

impl Readiness {
    /// All of `checks`.
    pub fn new(checks: Vec<Check>) -> Self {
        Self(checks.into())
    }

    fn run(&self) -> Report {
        let checks = self.0.iter().map(|check| (check.name, (check.run)())).map(|(name, result)| Item {
            name,
            ok: result.is_ok(),
            problem: result.err(),
        });
        let checks: Vec<Item> = checks.collect();
        Report { ready: checks.iter().all(|item| item.ok), checks }
    }
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    checks: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    name: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
}

/// Whether `path` asks after health: such requests are answered also when the server has no room for others.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

/// The routes of this page.
pub fn routes<S>() -> Routes<S>
where
    S: Clone + Send + Sync + 'static,
    Readiness: FromRef<S>,
    Metrics: FromRef<S>,
    Gate: FromRef<S>,
    Identity: FromRef<S>,
{
    Routes::new()
        .open_route(Verb::Get, "/livez", "says only that the process answers; a load balancer has no account", livez)
        .open_route(Verb::Get, "/readyz", "says only which of our parts work; a load balancer has no account", readyz)
        .route(Verb::Get, "/metrics", Action::ReadMetrics, metrics)
}

async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let Ok(report) = tokio::task::spawn_blocking(move || readiness.run()).await else {
        return Problem::internal().into_response();
    };
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

async fn metrics(
    State(metrics): State<Metrics>,
    State(gate): State<Gate>,
    caller: Caller,
) -> Result<Response, Problem> {
    let call = Call::new(Action::ReadMetrics, Resource::Appliance);
    let text =
        governed(&gate, &caller, call, async |_permit| Ok::<_, Refusal>((metrics.render(), Outcome::done()))).await?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
