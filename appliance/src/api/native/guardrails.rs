//! `GET /api/guardrails`: the versions of the caller's tenant's guardrail, and what each says.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_governance::{audit::Outcome, guardrails::Guardrails};
use cloister_terms::Action;
use serde_json::json;

use crate::{
    api::{call, tenant},
    governed::governed,
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// List versions of the guardrail
#[utoipa::path(get, path = "/api/guardrails", tag = "native",
    responses((status = 200, description = "The tenant's guardrail: the version in force, and those that were published, oldest first")))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReadGuardrails), async |_permit| {
        let (parts, own) = (Arc::clone(&app), tenant(&caller)?.clone());
        let (guarding, versions) = blocking(move || {
            let stored = Guardrails::open(&parts.store.fleet()).and_then(|guardrails| guardrails.versions(&own));
            let stored = stored.map_err(|fault| Stop::internal("reading the guardrails", fault))?;
            Ok((parts.guarding(&own, None)?, stored))
        })
        .await?;
        let in_force = &guarding.guardrail;
        let shown = versions.iter().map(
            |version| json!({"version": version.number.to_string(), "sha256": version.sha256, "published": version.at}),
        );
        let reply = json!({
            "name": in_force.name(),
            "in_force": {"version": in_force.version(), "sha256": in_force.sha256()},
            "versions": shown.collect::<Vec<_>>(),
        });
        let count = u64::try_from(versions.len()).unwrap_or(u64::MAX);
        Ok((Json(reply), Outcome::done().with_count("versions", count)))
    })
    .await
}

/// Show a version of the guardrail
#[utoipa::path(get, path = "/api/guardrails/{version}", tag = "native",
    params(("version" = String, Path, description = "A published version's number, `DRAFT`, or the version in force")),
    responses((status = 200, description = "What it says"), (status = 404, description = "No such version")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(version): Path<String>,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReadGuardrails), async |_permit| {
        let (parts, own) = (Arc::clone(&app), tenant(&caller)?.clone());
        let guarding = blocking(move || parts.guarding(&own, Some(&version))).await?;
        let shown = &guarding.guardrail;
        let reply = json!({
            "name": shown.name(), "version": shown.version(), "sha256": shown.sha256(), "document": shown.document(),
        });
        Ok((Json(reply), Outcome::done().with_guardrail(shown.applied())))
    })
    .await
}
