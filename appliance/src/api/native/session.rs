//! `DELETE /api/sessions/{session}`: the end of an interaction.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_governance::audit::Outcome;
use cloister_terms::{Action, SessionId};
use http::StatusCode;

use crate::{api::call, governed::governed, identity::Caller, pipeline::Stop, session::NoSession, wiring::App};

/// End a session
#[utoipa::path(delete, path = "/api/sessions/{session}", tag = "native",
    params(("session" = String, Path, description = "The session, as `Cloister-Session` named it")),
    responses((status = 204, description = "Over: whoever names it is refused from now on"),
        (status = 404, description = "No such session of the caller")))]
pub(crate) async fn end(
    State(app): State<Arc<App>>,
    Path(session): Path<String>,
    caller: Caller,
) -> Result<impl IntoResponse, Stop> {
    let unknown = || Stop::not_found("the session");
    let id: Option<SessionId> = session.parse().ok();
    let call = call(&caller, Action::EndSession);
    let call = id.map_or(call.clone(), |id| call.within(id));
    governed(&app.gate, &caller, call, async |_permit| {
        let ended = id.ok_or(NoSession).and_then(|id| app.sessions.end(&caller.principal().account, id));
        ended.map_err(|NoSession| unknown())?;
        Ok((StatusCode::NO_CONTENT, Outcome::done().with_code("ended")))
    })
    .await
}
