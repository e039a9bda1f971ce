//! The one wrapper that every route uses: authorise, open the audit entry, work, close it.

use cloister_governance::{
    audit::{AuditError, Entry, Intent, Outcome, OutcomeKind},
    policy::{Decision, Permit, Resource},
};
use cloister_terms::{Action, SessionId};

use crate::{identity::Caller, pipeline::Stop, wiring::App};

/// What a caller wants to do.
#[derive(Debug, Clone)]
pub struct Call {
    /// The action.
    pub action: Action,
    /// What it touches.
    pub resource: Resource,
    /// The interaction it belongs to.
    pub session: Option<SessionId>,
}

/// Decides, and writes the intent. When this returns `Ok`, the intent is on the disk.
///
/// # Errors
/// [`Stop`] when policy denies or the audit log cannot be written.
pub async fn open(app: &App, caller: &Caller, call: Call) -> Result<(Permit, Entry), Stop> {
    let intent = Intent {
        who: (&caller.principal).into(),
        action: call.action,
        purpose: None,
        tenant: call.resource.tenant().cloned(),
        collections: Vec::new(),
        session: call.session,
        request: caller.request,
        policy: app.policy.version().to_owned(),
    };
    let entry = app.audit.intent(intent).await.map_err(unrecorded)?;
    match app.policy.decide(&caller.principal, call.action, &call.resource) {
        Decision::Permit(permit) => Ok((permit, entry)),
        Decision::Deny { reason } => {
            entry.complete(Outcome::denied(reason.code())).await.map_err(unrecorded)?;
            Err(Stop::forbidden(reason.to_string()))
        }
    }
}

/// Runs `work` between an intent and an outcome. What it returns leaves only once the outcome is on the disk.
///
/// # Errors
/// [`Stop`] from policy, from the audit log or from `work`.
pub async fn governed<T, F>(app: &App, caller: &Caller, call: Call, work: impl FnOnce(Permit) -> F) -> Result<T, Stop>
where
    F: Future<Output = Result<(T, Outcome), Stop>>,
{
    let (permit, entry) = open(app, caller, call).await?;
    match work(permit).await {
        Ok((done, outcome)) => entry.complete(outcome).await.map_err(unrecorded).map(|()| done),
        Err(stop) => {
            entry.complete(stopped(&stop)).await.map_err(unrecorded)?;
            Err(stop)
        }
    }
}

/// The outcome that records an early end.
pub fn stopped(stop: &Stop) -> Outcome {
    let kind = match stop {
        Stop::Denied { .. } => OutcomeKind::Denied,
        Stop::Blocked { .. } => OutcomeKind::Blocked,
        Stop::Held { .. } => OutcomeKind::Held,
        Stop::Failed { .. } => OutcomeKind::Failed,
    };
    Outcome::of(kind).with_code(stop.kind())
}

/// An audit log that cannot be written, as an early end.
pub fn unrecorded(error: AuditError) -> Stop {
    match error {
        AuditError::Full { retry_after } => Stop::busy("the audit log", retry_after),
        closed @ AuditError::Closed => Stop::internal("writing the audit log", closed),
    }
}
