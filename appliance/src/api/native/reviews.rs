//! `/api/break-glass/reviews`: emergency accesses, for whoever signs them off.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    response::IntoResponse,
};
use cloister_governance::{
    accounts::{AccountId, EmergencyAccess, EmergencyError, EmergencyWords},
    audit::{Filter, Outcome, Reader},
    store::{Store, StoreError},
};
use cloister_terms::{Action, EmergencyGround, EmergencyId, EmergencyVerdict, Phi, Role, TenantId};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{break_glass::stopped, records::Records};
use crate::{
    api::{body::Short, call},
    governed::governed,
    identity::Caller,
    pipeline::{Stop, knowledge::blocking},
    wiring::App,
};

/// Records of what was done that a reply holds at most; the audit log has the rest.
const MOST: usize = 1000;

/// Which to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReviewsQuery {
    /// Those that are signed off too.
    #[serde(default)]
    all: bool,
}

/// Emergency accesses.
#[derive(Serialize, ToSchema)]
pub struct Reviews {
    /// The newest first.
    reviews: Vec<Listed>,
}

/// An emergency access, without the reason in words.
#[derive(Serialize, ToSchema)]
pub struct Listed {
    /// Which it is.
    #[schema(value_type = String)]
    emergency: EmergencyId,
    /// Who opened it.
    #[schema(value_type = String)]
    account: AccountId,
    /// The name of their account.
    name: String,
    /// Their role.
    #[schema(value_type = String)]
    role: Role,
    /// The tenant that it is to.
    #[schema(value_type = String)]
    tenant: TenantId,
    /// What for.
    #[schema(value_type = String)]
    ground: EmergencyGround,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    begun: Timestamp,
    /// When it ended, or will.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Whether it lasts.
    open: bool,
    /// What was found of it, once it is signed off.
    #[schema(value_type = Option<String>)]
    verdict: Option<EmergencyVerdict>,
    /// Who signed it off.
    #[schema(value_type = Option<String>)]
    reviewer: Option<AccountId>,
}

impl Listed {
    fn of(access: &EmergencyAccess, now: Timestamp) -> Self {
        Self {
            emergency: access.id,
            account: access.account.clone(),
            name: access.name.clone(),
            role: access.role,
            tenant: access.tenant.clone(),
            ground: access.ground,
            begun: access.begun,
            until: access.ended.unwrap_or(access.until),
            open: access.is_open(now),
            verdict: access.review.as_ref().map(|review| review.verdict),
            reviewer: access.review.as_ref().map(|review| review.reviewer.clone()),
        }
    }
}

/// An emergency access with all that a reviewer needs.
#[derive(Serialize, ToSchema)]
pub struct Reviewed {
    /// The same as in the list.
    #[serde(flatten)]
    listed: Listed,
    /// Why, in words. May name a patient. None where it is gone with its tenant.
    reason: Option<String>,
    /// What a reviewer noted.
    note: Option<String>,
    /// What the audit log must hold of the reason, as `commitment` of the entry that opened it.
    commitment: Option<String>,
    /// What was done: the entries of the audit log that carry its id, its opening, its end and its review among them.
    uses: Records,
}

/// What a reviewer found.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    /// `justified` or `not_justified`.
    #[schema(value_type = String)]
    verdict: EmergencyVerdict,
    /// A note, of 10 to 500 characters.
    note: Option<String>,
}

/// Emergency accesses to review
#[utoipa::path(get, path = "/api/break-glass/reviews", tag = "native", params(ReviewsQuery),
    responses((status = 200, description = "Those to the caller's tenant, or to every tenant for an account of the site", body = Reviews),
        (status = 403, description = "The role does not review them")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Query(wanted): Query<ReviewsQuery>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    governed(&app.gate, &caller, call(&caller, Action::ReviewBreakGlass), async |permit| {
        let (accounts, tenant) = (app.identity.accounts().clone(), permit.principal().tenant.clone());
        let found =
            blocking(move || accounts.emergencies(tenant.as_ref(), wanted.all).map_err(|error| stopped(error.into())));
        let now = app.clock.now();
        let reviews: Vec<Listed> = found.await?.iter().map(|access| Listed::of(access, now)).collect();
        let count = u64::try_from(reviews.len()).unwrap_or(u64::MAX);
        Ok((Json(Reviews { reviews }), Outcome::done().with_code("listed").with_count("rows", count)))
    })
    .await
}

/// An emergency access to review
#[utoipa::path(get, path = "/api/break-glass/reviews/{emergency}", tag = "native",
    params(("emergency" = String, Path, description = "Which, as the list has it")),
    responses((status = 200, description = "Why it was opened, and what was done", body = Reviewed),
        (status = 404, description = "No such emergency access for this caller")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(emergency): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let id: Option<EmergencyId> = emergency.parse().ok();
    let call = call(&caller, Action::ReviewBreakGlass);
    governed(&app.gate, &caller, id.map_or(call.clone(), |id| call.about(id)), async |permit| {
        let id = id.ok_or_else(unknown)?;
        let (accounts, tenant) = (app.identity.accounts().clone(), permit.principal().tenant.clone());
        let store = app.store.clone();
        let (access, words, uses) = blocking(move || {
            let access = accounts.emergency(id, tenant.as_ref()).map_err(|error| stopped(error.into()))?;
            let access = access.ok_or_else(unknown)?;
            let filter = Filter { emergency: Some(id), ..Filter::default() };
            let uses = Reader::of(&store).search(&filter, MOST);
            let uses = uses.map_err(|error| Stop::internal("searching the audit log", error))?;
            Ok((access.clone(), words(&store, &access)?, uses))
        })
        .await?;
        let reviewed = Reviewed {
            listed: Listed::of(&access, app.clock.now()),
            commitment: words.as_ref().map(|words| access.commitment(&words.reason)),
            note: words.as_ref().and_then(|words| words.note.as_ref()).map(|note| note.expose().clone()),
            reason: words.map(|words| words.reason.into_exposed()),
            uses: Records::from(uses),
        };
        let rows = u64::try_from(reviewed.uses.len()).unwrap_or(u64::MAX);
        Ok((Json(reviewed), Outcome::done().with_code("shown").with_count("rows", rows)))
    })
    .await
}

/// Sign an emergency access off
#[utoipa::path(post, path = "/api/break-glass/reviews/{emergency}", tag = "native", request_body = ReviewRequest,
    params(("emergency" = String, Path, description = "Which, as the list has it")),
    responses((status = 204, description = "Signed off"),
        (status = 400, description = "It lasts, or is signed off already"),
        (status = 404, description = "No such emergency access for this caller")))]
pub(crate) async fn review(
    State(app): State<Arc<App>>,
    Path(emergency): Path<String>,
    caller: Caller,
    Short(request): Short<ReviewRequest>,
) -> Result<impl IntoResponse, Stop> {
    let id: Option<EmergencyId> = emergency.parse().ok();
    let call = call(&caller, Action::ReviewBreakGlass);
    governed(&app.gate, &caller, id.map_or(call.clone(), |id| call.about(id)), async |permit| {
        let id = id.ok_or_else(unknown)?;
        let ReviewRequest { verdict, note } = request;
        let (identity, store) = (app.identity.clone(), app.store.clone());
        blocking(move || {
            let reviewer = permit.principal();
            let access = identity.accounts().emergency(id, reviewer.tenant.as_ref());
            let access = access.map_err(|error| stopped(error.into()))?.ok_or_else(unknown)?;
            let database = note.as_ref().map(|_| store.tenant(&access.tenant)).transpose();
            let database = database.map_err(|error| stopped(EmergencyError::Words(error)))?;
            let note = note.map(Phi::new).zip(database.as_ref());
            identity.review_emergency(id, reviewer, verdict, note).map_err(stopped)
        })
        .await?;
        let outcome = Outcome::done().with_code("emergency_reviewed").with_count(verdict.as_str(), 1);
        Ok((StatusCode::NO_CONTENT, outcome))
    })
    .await
}

/// What was said in words, unless it is gone with its tenant.
fn words(store: &Store, access: &EmergencyAccess) -> Result<Option<EmergencyWords>, Stop> {
    let kept = match store.tenant(&access.tenant) {
        Ok(database) => EmergencyWords::of(&database, access.id),
        Err(StoreError::UnknownTenant(_)) => Ok(None),
        Err(error) => Err(error),
    };
    kept.map_err(|error| stopped(EmergencyError::Words(error)))
}

fn unknown() -> Stop {
    Stop::not_found("the emergency access")
}
