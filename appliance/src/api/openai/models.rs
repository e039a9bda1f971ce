//! `GET /v1/models` and `GET /v1/models/{model}`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_governance::{
    audit::Outcome,
    policy::{Decision, Permit, Resource},
};
use cloister_terms::Action;
use serde_json::{Value, json};

use crate::{
    api::call,
    governed::governed,
    identity::Caller,
    pipeline::{Failure, Stop},
    wiring::App,
};

/// Models
#[utoipa::path(get, path = "/v1/models", tag = "openai",
    responses((status = 200, description = "The tenant's assistant, and the raw models that the role may use")))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::ListModels);
    governed(&app.gate, &caller, call, async |permit| {
        let models = usable(&app, &permit);
        let count = u64::try_from(models.len()).unwrap_or(u64::MAX);
        Ok((Json(json!({"object": "list", "data": models})), Outcome::done().with_count("models", count)))
    })
    .await
}

/// One model
#[utoipa::path(get, path = "/v1/models/{model}", tag = "openai", params(("model" = String, Path, description = "Its name")),
    responses((status = 200, description = "The model"), (status = 404, description = "None of that name for this caller")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(model): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::ListModels);
    governed(&app.gate, &caller, call, async |permit| {
        let found = usable(&app, &permit).into_iter().find(|known| known.get("id").is_some_and(|id| id == &model));
        let found = found.ok_or_else(|| Stop::from(Failure::NoModel))?;
        Ok((Json(found), Outcome::done()))
    })
    .await
}

/// What this caller may name as a model.
fn usable(app: &App, permit: &Permit) -> Vec<Value> {
    let resource = permit.tenant().cloned().map_or(Resource::Appliance, Resource::Tenant);
    let may = |action| matches!(app.gate.policy.decide(permit.principal(), action, &resource), Decision::Permit(_));
    let created = app.clock.now().as_second();
    let shown = |id: &str, owner: &str, task: &str| json!({"id": id, "object": "model", "created": created, "owned_by": owner, "cloister": {"task": task}});
    let tenancy = permit.tenant().and_then(|tenant| Some((tenant, app.tenants.get(tenant)?)));
    let assistant = tenancy.filter(|_| may(Action::Ask));
    let assistant = assistant.map(|(tenant, tenancy)| shown(&tenancy.assistant, tenant.as_str(), "assistant"));
    let raw = app.generate.as_ref().filter(|_| may(Action::Generate));
    let raw = raw.map(|model| shown(&model.identity().name, "cloister", "generate"));
    let ordered_by_it = app.rerank.is_none() && may(Action::Rerank);
    let embedder =
        (may(Action::Embed) || ordered_by_it).then(|| shown(&app.embed.identity().name, "cloister", "embed"));
    let reranker = app.rerank.as_ref().filter(|_| may(Action::Rerank));
    let reranker = reranker.map(|model| shown(&model.identity().name, "cloister", "rerank"));
    assistant.into_iter().chain(raw).chain(embedder).chain(reranker).collect()
}
