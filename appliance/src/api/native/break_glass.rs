//! `/api/break-glass`: emergency access, begun, ended, and reviewed.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_governance::{
    audit::Outcome,
    break_glass::{BreakGlassError, Emergency},
    policy::Resource,
};
use cloister_terms::{Action, EmergencyId, Phi};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{body::Body, call, tenant},
    governed::{Call, governed},
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// Minutes where none are asked for.
const USUAL: u32 = 30;

/// Why emergency access is needed, and for how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRequest {
    /// Why, in 10 to 1000 characters. Whoever reviews it reads this; it stands in no log and no record.
    pub reason: String,
    /// How long: 1 to 60 minutes, 30 by default.
    pub minutes: Option<u32>,
}

/// Emergency access that has begun.
#[derive(Serialize, ToSchema)]
pub struct BreakGlassReply {
    /// Its id, which every record of its use carries.
    #[schema(value_type = String)]
    id: EmergencyId,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// Begin emergency access
#[utoipa::path(post, path = "/api/break-glass", tag = "native", request_body = BreakGlassRequest,
    responses((status = 200, description = "Until it ends, the caller reads every collection of their tenant; each use is recorded and reviewed", body = BreakGlassReply),
        (status = 400, description = "No reason, or longer than an hour"), (status = 403, description = "Not for this role")))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<BreakGlassRequest>,
) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::BreakGlass);
    governed(&app.gate, &caller, call, async |_permit| {
        let (register, account) = (app.break_glass.clone(), caller.principal().account.clone());
        let (tenant, reason) = (tenant(&caller)?.clone(), Phi::new(request.reason));
        let minutes = request.minutes.unwrap_or(USUAL);
        let begun = blocking(move || register.begin(&account, &tenant, &reason, minutes).map_err(stop)).await?;
        app.alert_of_emergency(&begun);
        let outcome = Outcome::done().with_code("begun").with_count("minutes", minutes.into());
        Ok((Json(BreakGlassReply { id: begun.id, until: begun.until }), outcome))
    })
    .await
}

/// Whether there was something to end.
#[derive(Serialize, ToSchema)]
pub struct BreakGlassEnded {
    /// The emergency access that ended; none if there was none.
    #[schema(value_type = Option<String>)]
    ended: Option<EmergencyId>,
}

/// End one's own emergency access
#[utoipa::path(delete, path = "/api/break-glass", tag = "native",
    responses((status = 200, description = "It is over", body = BreakGlassEnded)))]
pub(crate) async fn end(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::BreakGlass);
    governed(&app.gate, &caller, call, async |_permit| {
        let (register, account) = (app.break_glass.clone(), caller.principal().account.clone());
        let ended = blocking(move || register.end(&account).map_err(stop)).await?;
        Ok((Json(BreakGlassEnded { ended }), Outcome::done().with_code("ended")))
    })
    .await
}

/// Emergency access that waits for its review.
#[derive(Serialize, ToSchema)]
pub struct Emergencies {
    /// Oldest first, also what still lasts.
    emergencies: Vec<Waiting>,
}

#[derive(Serialize, ToSchema)]
pub struct Waiting {
    /// Its id: what was read under it is in the audit log, under `emergency`.
    #[schema(value_type = String)]
    id: EmergencyId,
    /// Whose it is.
    account: String,
    /// In which tenant.
    tenant: String,
    /// Why, in that person's words.
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    began: Timestamp,
    /// When it ends or ended.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl From<Emergency> for Waiting {
    /// For a compliance officer under a permit: the reason is for their eyes.
    fn from(one: Emergency) -> Self {
        let (account, tenant) = (one.account.to_string(), one.tenant.to_string());
        Self { id: one.id, account, tenant, reason: one.reason.into_exposed(), began: one.began, until: one.until }
    }
}

/// Emergency access to review
#[utoipa::path(get, path = "/api/break-glass", tag = "native",
    responses((status = 200, description = "What waits for its review", body = Emergencies)))]
pub(crate) async fn waiting(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, reviewing(&caller), async |permit| {
        let (register, own) = (app.break_glass.clone(), permit.tenant().cloned());
        let waiting = blocking(move || register.unreviewed().map_err(stop)).await?;
        let of_theirs = |one: &Emergency| own.as_ref().is_none_or(|own| *own == one.tenant);
        let emergencies: Vec<Waiting> = waiting.into_iter().filter(of_theirs).map(Waiting::from).collect();
        let count = u64::try_from(emergencies.len()).unwrap_or(u64::MAX);
        Ok((Json(Emergencies { emergencies }), Outcome::done().with_code("listed").with_count("emergencies", count)))
    })
    .await
}

/// Note that an emergency access was reviewed
#[utoipa::path(post, path = "/api/break-glass/{id}/review", tag = "native",
    params(("id" = String, Path, description = "The emergency access")),
    responses((status = 200, description = "It is noted who reviewed it and when"),
        (status = 404, description = "None of this id that is over and waits")))]
pub(crate) async fn review(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, reviewing(&caller), async |permit| {
        let id: EmergencyId = id.parse().map_err(|_| Stop::not_found("the emergency access"))?;
        let (register, by, own) = (app.break_glass.clone(), permit.principal().account.clone(), permit.tenant().cloned());
        blocking(move || {
            let waiting = register.unreviewed().map_err(stop)?;
            let of_theirs = |one: &&Emergency| one.id == id && own.as_ref().is_none_or(|own| *own == one.tenant);
            waiting.iter().find(of_theirs).ok_or_else(|| Stop::not_found("the emergency access"))?;
            register.review(id, &by).map_err(stop)
        })
        .await?;
        Ok((Json(serde_json::json!({ "reviewed": id })), Outcome::done().with_code("reviewed")))
    })
    .await
}

/// The part of the log whose emergencies the caller reviews: of their tenant, or of the whole site.
fn reviewing(caller: &Caller) -> Call {
    Call::new(Action::ReviewBreakGlass, Resource::AuditLog(caller.principal().tenant.clone()))
}

fn stop(error: BreakGlassError) -> Stop {
    match error {
        BreakGlassError::Reason => Stop::invalid("reason", error.to_string()),
        BreakGlassError::Minutes => Stop::invalid("minutes", error.to_string()),
        BreakGlassError::Unknown => Stop::not_found("the emergency access"),
        BreakGlassError::OwnReview => Stop::forbidden("own_review", error.to_string()),
        BreakGlassError::Store(source) => Stop::internal("keeping emergency access", source),
    }
}
