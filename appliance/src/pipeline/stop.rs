//! Early ends: everything that can stop a request before its answer, as one type.

use std::{error::Error, time::Duration};

use cloister_governance::audit::{AuditError, Outcome, OutcomeKind};
use cloister_terms::EntryId;

use crate::governed::{End, Refusal};

/// Why a request ended without what it asked for. A refusal is an outcome, not an error; `?` carries it to the one
/// place that records it and to `edge/problem.rs`, which turns it into a response.
///
/// **Invariant (silent stop).** No variant holds text of a question, a document or an answer: a `Stop` may be logged.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// Policy or identity said no.
    #[error("denied: {denial}")]
    Denied {
        /// What was missing.
        denial: Denial,
    },
    /// A check refused the text itself.
    #[error("blocked by {check}: {finding}")]
    Blocked {
        /// The check's name, `screen` for example.
        check: &'static str,
        /// Type and place of the finding, never the text.
        finding: String,
    },
    /// The answer waits for a reviewer.
    #[error("held for review")]
    Held {
        /// What to ask about.
        review: EntryId,
    },
    /// It could not be done.
    #[error("{failure}")]
    Failed {
        /// What went wrong.
        failure: Failure,
    },
}

/// What was missing to permit the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// No caller, or a credential that is unknown, expired or revoked. Which of these is not said.
    #[error("no valid credential was given")]
    Unauthenticated,
    /// Policy does not permit this caller this action.
    #[error("{reason}")]
    Forbidden {
        /// A stable word for programs and records.
        code: &'static str,
        /// Policy's reason, in words for the caller.
        reason: String,
    },
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request cannot be understood or honoured as it stands.
    #[error("{message}")]
    Invalid {
        /// What to change, in words for the caller. Never repeats text that may be a patient's.
        message: String,
        /// The offending field, as the caller wrote its name.
        field: Option<&'static str>,
    },
    /// What was named does not exist, or the caller may not know that it does.
    #[error("{what} was not found among those that you may use")]
    NotFound {
        /// The kind of thing and its name: ``collection `procedures` ``.
        what: String,
    },
    /// There is no such model for this caller. Its name is the caller's and is not repeated.
    #[error("there is no such model among those that you may use: see /v1/models")]
    NoModel,
    /// The input has more tokens than the model takes.
    #[error("the input has {tokens} tokens, more than the {limit} that `{model}` takes: shorten it")]
    TooLong {
        /// The model's name.
        model: String,
        /// Tokens given.
        tokens: usize,
        /// Tokens that the model takes.
        limit: usize,
    },
    /// A queue is full.
    #[error("{what} is busy: try again later")]
    Busy {
        /// Which queue.
        what: &'static str,
        /// When trying again has a chance.
        retry_after: Duration,
    },
    /// The request's time was used up.
    #[error("the time allowed for this request is used up")]
    Deadline,
    /// Something needed is switched off, stopped or not installed.
    #[error("{what} is not available: {mend}")]
    Unavailable {
        /// What is missing.
        what: String,
        /// The command or setting that mends it.
        mend: String,
    },
    /// A fault of the server. The caller sees nothing of `source`; it is logged once, at the edge.
    #[error("an internal fault while {doing}")]
    Internal {
        /// What was being done.
        doing: &'static str,
        /// The cause. Free of patient text like every error of the leaves.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Stop {
    /// A request that cannot be honoured: `message` says what to change.
    pub fn invalid(field: impl Into<Option<&'static str>>, message: impl Into<String>) -> Self {
        Self::Failed { failure: Failure::Invalid { message: message.into(), field: field.into() } }
    }

    /// Something named that is not there for this caller.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::Failed { failure: Failure::NotFound { what: what.into() } }
    }

    /// A denial by policy.
    pub fn forbidden(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Denied { denial: Denial::Forbidden { code, reason: reason.into() } }
    }

    /// A caller without a valid credential.
    pub const fn unauthenticated() -> Self {
        Self::Denied { denial: Denial::Unauthenticated }
    }

    /// A full queue.
    pub const fn busy(what: &'static str, retry_after: Duration) -> Self {
        Self::Failed { failure: Failure::Busy { what, retry_after } }
    }

    /// A fault of the server.
    pub fn internal(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed { failure: Failure::Internal { doing, source: source.into() } }
    }

    /// One word for the audit log and the metrics: `denied`, `blocked`, `held`, `busy`, `deadline`, `invalid`, ...
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "denied",
            Self::Blocked { .. } => "blocked",
            Self::Held { .. } => "held",
            Self::Failed { failure } => match failure {
                Failure::Invalid { .. } => "invalid",
                Failure::NotFound { .. } | Failure::NoModel => "not_found",
                Failure::TooLong { .. } => "too_long",
                Failure::Busy { .. } => "busy",
                Failure::Deadline => "deadline",
                Failure::Unavailable { .. } => "unavailable",
                Failure::Internal { .. } => "internal",
            },
        }
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed { failure }
    }
}

/// What the wrapper refused.
impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => Self::forbidden(denial.code(), denial.to_string()),
            Refusal::Unrecorded(AuditError::Full { retry_after }) => Self::busy("the audit log", retry_after),
            Refusal::Unrecorded(AuditError::Closed) => Failure::Unavailable {
                what: "the audit log".to_owned(),
                mend: "nothing is done that cannot be recorded: tell the operator".to_owned(),
            }
            .into(),
            undeclared @ Refusal::Undeclared(_) => Self::internal("calling a route", undeclared),
        }
    }
}

impl End for Stop {
    fn outcome(&self) -> Outcome {
        let kind = match self {
            Self::Denied { .. } => OutcomeKind::Denied,
            Self::Blocked { .. } => OutcomeKind::Blocked,
            Self::Held { .. } => OutcomeKind::Held,
            Self::Failed { .. } => OutcomeKind::Failed,
        };
        Outcome::of(kind).with_code(self.kind())
    }
}
