//! `/api/break-glass`: emergency access, for whoever needs it. Its reviews are in `reviews`.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use cloister_governance::{
    accounts::{EmergencyAccess, EmergencyError, EmergencyRequest},
    audit::Outcome,
};
use cloister_terms::{Action, EmergencyGround, EmergencyId, Phi, TenantId};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    api::{body::Short, call, tenant},
    governed::governed,
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// What somebody says who opens emergency access.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BreakGlassRequest {
    /// What for: `patient_safety`, `system_down`, `disaster` or `other`. Stands in the audit log.
    #[schema(value_type = String)]
    ground: EmergencyGround,
    /// Why, in 10 to 500 characters. Kept sealed, and shown to whoever reviews.
    reason: String,
    /// For how long: 60 at most, which is also what it is without.
    minutes: Option<u16>,
}

/// Emergency access that lasts.
#[derive(Serialize, ToSchema)]
pub struct BreakGlassReply {
    /// Which it is: on every record of what is done while it lasts.
    #[schema(value_type = String)]
    emergency: EmergencyId,
    /// The tenant that it is to.
    #[schema(value_type = String)]
    tenant: TenantId,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    begun: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl From<EmergencyAccess> for BreakGlassReply {
    fn from(access: EmergencyAccess) -> Self {
        let EmergencyAccess { id, tenant, begun, until, .. } = access;
        Self { emergency: id, tenant, begun, until }
    }
}

/// What is open.
#[derive(Serialize, ToSchema)]
pub struct BreakGlassState {
    /// The emergency access that the caller has open, if any.
    open: Option<BreakGlassReply>,
}

/// Open emergency access
#[utoipa::path(post, path = "/api/break-glass", tag = "native", request_body = BreakGlassRequest,
    responses((status = 201, description = "Open: every collection of the tenant can be read, every use is marked and reviewed", body = BreakGlassReply),
        (status = 400, description = "No reason, or for too long"),
        (status = 403, description = "The role has none, or a key asks: it is for a person who has signed in")))]
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    caller: Caller,
    Short(request): Short<BreakGlassRequest>,
) -> Result<impl IntoResponse, Stop> {
    let id = EmergencyId::random(app.random.as_ref());
    let settings = &app.config.break_glass;
    let minutes = request.minutes.unwrap_or(settings.longest_minutes);
    let asked = EmergencyRequest {
        id,
        ground: request.ground,
        reason: Phi::new(request.reason),
        lasts: SignedDuration::from_mins(i64::from(minutes)),
        labels: settings.labels.iter().cloned().collect(),
    };
    governed(&app.gate, &caller, call(&caller, Action::BreakGlass).about(id), async |permit| {
        if minutes > settings.longest_minutes {
            let most = settings.longest_minutes;
            return Err(Stop::invalid("minutes", format!("emergency access lasts {most} minutes at most here")));
        }
        let (identity, store, reason) = (app.identity.clone(), app.store.clone(), asked.reason.clone());
        let tenant = tenant(&caller)?.clone();
        let opened = blocking(move || {
            let database = store.tenant(&tenant).map_err(|error| stopped(EmergencyError::Words(error)))?;
            identity.open_emergency(permit.principal(), asked, &database).map_err(stopped)
        })
        .await?;
        let outcome = Outcome::done()
            .with_code("emergency_opened")
            .with_count(opened.ground.as_str(), 1)
            .with_count("minutes", u64::from(minutes))
            .committing_to(opened.commitment(&reason));
        Ok(((StatusCode::CREATED, Json(BreakGlassReply::from(opened))), outcome))
    })
    .await
}

/// Emergency access that lasts
#[utoipa::path(get, path = "/api/break-glass", tag = "native",
    responses((status = 200, description = "What the caller has open, if anything", body = BreakGlassState)))]
pub(crate) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::BreakGlass), async |permit| {
        let open = match permit.principal().emergency.as_ref().map(|emergency| emergency.id) {
            Some(id) => {
                let identity = app.identity.clone();
                blocking(move || identity.accounts().emergency(id, None).map_err(|error| stopped(error.into()))).await?
            }
            None => None,
        };
        let open = open.filter(|access| access.is_open(app.clock.now())).map(BreakGlassReply::from);
        Ok((Json(BreakGlassState { open }), Outcome::done().with_code("shown")))
    })
    .await
}

/// End emergency access
#[utoipa::path(delete, path = "/api/break-glass", tag = "native",
    responses((status = 204, description = "Over"), (status = 404, description = "None was open")))]
pub(crate) async fn end(State(app): State<Arc<App>>, caller: Caller) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::BreakGlass), async |permit| {
        let identity = app.identity.clone();
        let ended = blocking(move || identity.end_emergency(permit.principal()).map_err(stopped)).await?;
        if !ended {
            return Err(Stop::not_found("emergency access"));
        }
        Ok((StatusCode::NO_CONTENT, Outcome::done().with_code("emergency_ended")))
    })
    .await
}

/// Why it was not opened, ended or reviewed. None of the words repeats what was sent.
pub(super) fn stopped(error: EmergencyError) -> Stop {
    match error {
        EmergencyError::Length => Stop::invalid("reason", error.to_string()),
        EmergencyError::Lasting => Stop::invalid("minutes", error.to_string()),
        EmergencyError::NoTenant => Stop::forbidden("no_tenant", error.to_string()),
        EmergencyError::Unknown => Stop::not_found("the emergency access"),
        EmergencyError::Open | EmergencyError::Reviewed => Stop::invalid(None, error.to_string()),
        EmergencyError::Own => Stop::forbidden("own_emergency", error.to_string()),
        EmergencyError::Failed(source) => Stop::internal("keeping emergency access", source),
        EmergencyError::Words(source) => Stop::internal("keeping what was said of emergency access", source),
    }
}
