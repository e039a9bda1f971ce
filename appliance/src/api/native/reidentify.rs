//! `POST /api/sessions/{session}/reidentify`: a text with the placeholders of a session turned back into what they stand for.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    response::IntoResponse,
};
use cloister_governance::{audit::Outcome, policy::Resource, vault::Vault};
use cloister_guardrails::detect::Kind;
use cloister_terms::{Action, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::captures::tenant;
use crate::{
    api::body::Body,
    governed::{Call, governed},
    identity::Caller,
    pipeline::{Stop, knowledge::blocking, vault},
    wiring::App,
};

/// Characters of a text at most.
const LONGEST: usize = 200_000;

/// Whose session.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReidentifyQuery {
    /// The tenant; the account's own if none is named. An account of the whole site names one.
    tenant: Option<String>,
}

/// A text with placeholders.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReidentifyRequest {
    /// The text, 200,000 characters at most.
    text: String,
}

/// The text without them.
#[derive(Serialize, ToSchema)]
pub struct ReidentifyReply {
    /// The text. What the session has no placeholder for stays as it was.
    text: String,
    /// How many placeholders were turned back.
    restored: u64,
}

/// Turn placeholders back
#[utoipa::path(post, path = "/api/sessions/{session}/reidentify", tag = "native", request_body = ReidentifyRequest,
    params(("session" = String, Path, description = "The session, as `Cloister-Session` or an audit record names it"), ReidentifyQuery),
    responses((status = 200, description = "The text with what its placeholders stand for", body = ReidentifyReply),
        (status = 403, description = "Nobody may turn placeholders back unless a policy of the site's own permits `reidentify`"),
        (status = 404, description = "The vault of the tenant has nothing of such a session, or its time is over")))]
pub(crate) async fn reidentify(
    State(app): State<Arc<App>>,
    Path(session): Path<String>,
    Query(wanted): Query<ReidentifyQuery>,
    caller: Caller,
    Body(request): Body<ReidentifyRequest>,
) -> Result<impl IntoResponse, Stop> {
    let id: Option<SessionId> = session.parse().ok();
    let tenant = tenant(&caller, wanted.tenant.as_deref());
    let call = Call::new(Action::Reidentify, tenant.map_or(Resource::Appliance, Resource::Tenant));
    let call = id.map_or(call.clone(), |id| call.within(id));
    governed(&app.gate, &caller, call, async |permit| {
        let unknown = || Stop::not_found("the session's placeholders");
        if request.text.chars().count() > LONGEST {
            return Err(Stop::invalid("text", format!("`text` takes {LONGEST} characters")));
        }
        let id = id.ok_or_else(unknown)?;
        let vault: Vault = app.vault(permit.tenant().ok_or_else(unknown)?)?;
        let restored = blocking(move || {
            let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
            let placeholders = vault::opened(&vault, &permit, id)?;
            Ok(placeholders.map(|placeholders| {
                let tell = |kind: Kind| *kinds.entry(kind.word()).or_default() += 1;
                (placeholders.restore_telling(&request.text, tell), kinds)
            }))
        });
        let (text, kinds) = restored.await?.ok_or_else(unknown)?;
        let restored = kinds.values().sum();
        let outcome = Outcome::done().with_code("reidentified").with_count("restored", restored);
        let outcome = kinds.into_iter().fold(outcome, |outcome, (kind, number)| outcome.with_count(kind, number));
        Ok((Json(ReidentifyReply { text: text.expose().clone(), restored }), outcome))
    })
    .await
}
