//! The one wrapper around every piece of work: intent, decision, work, outcome.
//!
//! [`governed`] does all four. [`open`] does the first two for a stream, which completes the entry itself before its last
//! byte. Nothing is read before the intent is on the disk, and no answer leaves before the outcome is.

use cloister_governance::{
    audit::{self, AuditError, Entry, Intent, Outcome, Who},
    policy::{Basis, Decision, Denial, Permit, Policy, Readable, Resource},
};
use cloister_terms::{Action, CollectionId, EmergencyId, Purpose, SessionId};

use crate::{edge::context::Context, identity::Caller};

/// What deciding and recording need.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The rules.
    pub policy: Policy,
    /// The log.
    pub audit: audit::Log,
}

impl AsRef<Self> for Gate {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// One thing that a caller wants done.
#[derive(Debug, Clone)]
pub struct Call {
    action: Action,
    resource: Resource,
    session: Option<SessionId>,
    purpose: Option<Purpose>,
    emergency: Option<EmergencyId>,
}

impl Call {
    /// `action` on `resource`.
    pub const fn new(action: Action, resource: Resource) -> Self {
        Self { action, resource, session: None, purpose: None, emergency: None }
    }

    /// Within an interaction, whose id then stands on the record.
    #[must_use]
    pub const fn within(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// About an emergency access, whose id then stands on the record: opened, ended or reviewed. What is done while the
    /// caller's own lasts is marked without this.
    #[must_use]
    pub const fn about(mut self, emergency: EmergencyId) -> Self {
        self.emergency = Some(emergency);
        self
    }

    /// For a purpose that the caller named.
    #[must_use]
    pub const fn for_purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = Some(purpose);
        self
    }
}

/// Why work was not begun, or its answer may not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Policy said no. It is recorded.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The record could not be made durable.
    #[error(transparent)]
    Unrecorded(#[from] AuditError),
    /// The handler does what its route was not registered for. A fault of ours.
    #[error("the route was not registered for `{0}`")]
    Undeclared(Action),
}

/// An early end of work, which says how it is recorded. Implemented by the pipeline's `Stop`, and by [`Refusal`] for work
/// that has no early ends of its own.
pub trait End: From<Refusal> {
    /// The outcome to record.
    fn outcome(&self) -> Outcome;
}

impl End for Refusal {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Denied(denial) => Outcome::denied(denial.code()),
            Self::Unrecorded(_) => Outcome::failed("unrecorded"),
            Self::Undeclared(_) => Outcome::failed("undeclared"),
        }
    }
}

/// Decides, records the intent with what decided, and hands out the permit with the open entry. A denial is recorded here.
///
/// Deciding reads no record, so that the intent can name the policies and is still on the disk before anything is read.
/// The caller completes the entry before the last byte leaves; dropping it records that the work was abandoned.
pub async fn open(gate: &impl AsRef<Gate>, caller: &Caller, call: Call) -> Result<(Permit, Entry), Refusal> {
    let gate = gate.as_ref();
    if let Some(context) = caller.context()
        && !context.route().is_some_and(|route| route.declares(call.action))
    {
        tracing::error!(action = %call.action, "a handler did what its route was not registered for");
        return Err(Refusal::Undeclared(call.action));
    }
    let decision = gate.policy.decide(caller.principal(), call.action, &call.resource);
    let entry = gate.audit.intent(intent(caller, &call, decision.basis())).await?;
    if let Some(context) = caller.context() {
        context.govern();
    }
    match decision {
        Decision::Permit(permit) => Ok((permit, entry)),
        Decision::Deny { reason, .. } => {
            entry.complete(Outcome::denied(reason.code())).await?;
            Err(reason.into())
        }
    }
}

/// Does `work` under a permit, with its intent recorded before and its outcome after.
///
/// `work` returns its result together with the outcome to record. When this returns, the outcome is on the disk; if it
/// cannot be put there, the result is withheld.
pub async fn governed<T, E: End>(
    gate: &impl AsRef<Gate>,
    caller: &Caller,
    call: Call,
    work: impl AsyncFnOnce(Permit) -> Result<(T, Outcome), E>,
) -> Result<T, E> {
    let (permit, entry) = open(gate, caller, call).await?;
    match work(permit).await {
        Ok((value, outcome)) => {
            entry.complete(outcome).await.map_err(Refusal::from)?;
            Ok(value)
        }
        Err(end) => {
            entry.complete(end.outcome()).await.map_err(Refusal::from)?;
            Err(end)
        }
    }
}

/// [`governed`] for commands, whose work blocks.
///
/// # Errors
/// [`Refusal`] as `E`, or what the work says.
pub fn governed_blocking<T, E: End>(
    gate: &impl AsRef<Gate>,
    caller: &Caller,
    call: Call,
    work: impl FnOnce(Permit) -> Result<(T, Outcome), E>,
) -> Result<T, E> {
    let gate = gate.as_ref();
    let decision = gate.policy.decide(caller.principal(), call.action, &call.resource);
    let entry = gate.audit.intent_blocking(intent(caller, &call, decision.basis())).map_err(Refusal::from)?;
    let ended = match decision {
        Decision::Permit(permit) => work(permit),
        Decision::Deny { reason, .. } => Err(E::from(reason.into())),
    };
    let outcome = match &ended {
        Ok((_, outcome)) => outcome.clone(),
        Err(end) => end.outcome(),
    };
    entry.complete_blocking(outcome).map_err(Refusal::from)?;
    ended.map(|(value, _)| value)
}

/// A command's error: what it says goes to the person at the machine, the record says only that it failed.
impl End for anyhow::Error {
    fn outcome(&self) -> Outcome {
        self.downcast_ref::<Refusal>().map_or_else(|| Outcome::failed("failed"), End::outcome)
    }
}

fn intent(caller: &Caller, call: &Call, basis: &Basis) -> Intent {
    let principal = caller.principal();
    let collections: Vec<CollectionId> = match (&call.resource, &principal.collections) {
        (Resource::Tenant(_), Readable::These(these)) => these.iter().cloned().collect(),
        (resource, _) => resource.collection().cloned().into_iter().collect(),
    };
    Intent {
        who: Who::from(principal),
        action: call.action,
        purpose: call.purpose,
        tenant: call.resource.tenant().cloned(),
        collections,
        session: call.session.or_else(|| caller.context().and_then(Context::session)),
        emergency: call.emergency.or_else(|| principal.emergency.as_ref().map(|emergency| emergency.id)),
        capture: call.resource.capture(),
        request: caller.request_id(),
        policy: basis.set().to_owned(),
        policies: basis.policies().to_vec(),
    }
}

#[cfg(test)]
mod tests;
