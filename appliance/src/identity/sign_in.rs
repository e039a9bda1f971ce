//! Signing in with a password: from the door to a cookie.

use std::{net::IpAddr, sync::Arc, time::Duration, time::Instant};

use axum::{
    extract::{FromRef, FromRequestParts},
    response::{IntoResponse, Response},
};
use cloister_governance::{
    accounts::{self, AccountError, Admitted, Claimed, Credentials, SignInError},
    audit::Outcome,
};
use http::{StatusCode, request::Parts};

use super::{Caller, Identity, cookie};
use crate::{
    edge::{context::Context, problem::Problem},
    governed::{End, Refusal},
};

/// How long a try may wait for its turn to be hashed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Someone at the door who has not been asked yet. Extracting one takes from what their address may try.
#[derive(Debug)]
pub(crate) struct Visitor(Context);

impl Visitor {
    /// The address that they come from.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.0.source()
    }
}

impl<S> FromRequestParts<S> for Visitor
where
    S: Send + Sync,
    Identity: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let identity = Identity::from_ref(state);
        let context = parts.extensions.get::<Context>().cloned().ok_or_else(Problem::internal)?;
        let now = Instant::now();
        if cookie::from_elsewhere(&parts.headers) {
            let refused = identity.refuse(&context, &super::unknown(), "cross_site", now).await;
            return Err(refused.unless(cookie::cross_site()));
        }
        identity.0.attempts.take(context.source(), now).map_err(Problem::too_many_requests)?;
        Ok(Self(context))
    }
}

impl Identity {
    /// The caller that a visitor says they are, for the record of their try.
    pub(crate) async fn claimed(&self, visitor: Visitor, name: &str) -> Result<Caller, NotSignedIn> {
        let (inner, name) = (Arc::clone(&self.0), name.to_owned());
        let claimed = blocking(move || inner.accounts.claimed(&name)).await?;
        let Claimed(principal) = claimed.map_err(|error| failed(&error))?;
        Ok(Caller::claimed(principal, visitor.0))
    }

    /// Checks what a visitor shows. Waits for its turn: hashing many passwords at once would take the whole machine.
    pub(crate) async fn sign_in(&self, caller: &Caller, shown: Credentials) -> Result<Admitted, NotSignedIn> {
        let turn = tokio::time::timeout(PATIENCE, self.0.hashing.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(NotSignedIn::Busy) };
        let inner = Arc::clone(&self.0);
        let ended = blocking(move || inner.accounts.sign_in(&shown, &inner.rules)).await?;
        let context = caller.context().ok_or(NotSignedIn::Failed)?;
        match ended {
            Ok(admitted) => {
                context.identified(caller.principal().account.clone());
                self.0.metrics.count("cloister_sign_ins_total", 1, &[]);
                Ok(admitted)
            }
            Err(SignInError::Refused(refusal)) => {
                // The record is that of the route; past the limit of the address only the log line is left out.
                let _past_the_limit = self.tell(context, refusal.code(), Instant::now());
                Err(NotSignedIn::Refused(refusal))
            }
            Err(SignInError::NewPassword(reason)) => Err(NotSignedIn::NewPassword(reason)),
            Err(SignInError::Failed(error)) => Err(failed(&error)),
        }
    }

    /// Who is signed in with `token`, and until when.
    pub(crate) async fn signed_in(&self, token: &str) -> Result<accounts::SignIn, NotSignedIn> {
        let (inner, token) = (Arc::clone(&self.0), zeroize::Zeroizing::new(token.to_owned()));
        match blocking(move || inner.accounts.signed_in(&token, &inner.rules)).await? {
            Ok(signed_in) => Ok(signed_in),
            Err(accounts::AuthenticateError::Refused(refusal)) => Err(NotSignedIn::Refused(refusal)),
            Err(accounts::AuthenticateError::Failed(error)) => Err(failed(&error)),
        }
    }

    /// Signs out whoever holds `token`.
    pub(crate) async fn sign_out(&self, token: &str) -> Result<(), NotSignedIn> {
        let (inner, token) = (Arc::clone(&self.0), zeroize::Zeroizing::new(token.to_owned()));
        blocking(move || inner.accounts.sign_out(&token)).await?.map_err(|error| failed(&error))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotSignedIn> {
    tokio::task::spawn_blocking(work).await.map_err(|_| NotSignedIn::Failed)
}

fn failed(error: &AccountError) -> NotSignedIn {
    tracing::error!(error = error as &dyn std::error::Error, "nobody can be signed in");
    NotSignedIn::Failed
}

/// Why nobody was signed in, or out.
#[derive(Debug)]
pub(crate) enum NotSignedIn {
    /// What was shown is not accepted.
    Refused(accounts::Refusal),
    /// A new password is needed, or a better one.
    NewPassword(&'static str),
    /// Too many at once.
    Busy,
    /// Nobody is signed in here.
    NoCookie,
    /// The register failed. It is logged.
    Failed,
    /// The wrapper said no.
    Wrapper(Refusal),
}

impl From<Refusal> for NotSignedIn {
    fn from(refusal: Refusal) -> Self {
        Self::Wrapper(refusal)
    }
}

impl End for NotSignedIn {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(refusal) => Outcome::denied(refusal.code()),
            Self::NewPassword(_) => Outcome::denied("new_password_needed"),
            Self::Busy => Outcome::failed("busy"),
            Self::NoCookie => Outcome::failed("not_signed_in"),
            Self::Failed => Outcome::failed("failed"),
            Self::Wrapper(refusal) => refusal.outcome(),
        }
    }
}

impl From<NotSignedIn> for Problem {
    fn from(end: NotSignedIn) -> Self {
        match end {
            // The same words whatever was wrong, a policy that bars the role too: which role a name has is not told.
            NotSignedIn::Refused(_) | NotSignedIn::Wrapper(Refusal::Denied(_)) => Self::new(
                StatusCode::UNAUTHORIZED,
                "sign_in_refused",
                "Not signed in",
                "name, password or code is not right, or the account is locked or disabled: after five tries from one place in a quarter of an hour wait as long, or ask an administrator",
            ),
            NotSignedIn::NewPassword(reason) => {
                Self::new(StatusCode::FORBIDDEN, "new_password_needed", "New password needed", reason)
                    .at("new_password")
            }
            NotSignedIn::Busy => Self::overloaded(),
            NotSignedIn::NoCookie => Self::new(
                StatusCode::BAD_REQUEST,
                "not_signed_in",
                "Not signed in",
                "the request carries no cookie of a sign-in",
            ),
            NotSignedIn::Failed => Self::internal(),
            NotSignedIn::Wrapper(refusal) => refusal.into(),
        }
    }
}

impl IntoResponse for NotSignedIn {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
