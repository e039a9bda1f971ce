//! Requests whose signature covers their body: the caller and the body come together.

use std::{sync::Arc, time::Instant};

use axum::extract::{FromRef, FromRequest, Request};
use bytes::Bytes;
use cloister_governance::accounts::{AuthenticateError, Refusal};
use http::HeaderMap;

use super::{Caller, Identity, sigv4};
use crate::edge::{context::Context, problem::Problem};

/// Bytes that a signed body may have: it is read before it is known who sent it.
const LIMIT: usize = 1024 * 1024;

/// A caller whose signature over the whole request was checked, or who showed a key or a cookie as everywhere else; and
/// the body.
#[derive(Debug)]
pub(crate) struct Signed(pub(crate) Caller, pub(crate) Bytes);

impl<S> FromRequest<S> for Signed
where
    S: Send + Sync,
    Identity: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let identity = Identity::from_ref(state);
        let (parts, body) = request.into_parts();
        let read = async || axum::body::to_bytes(body, LIMIT).await.map_err(|_| Problem::too_large(LIMIT));
        if !sigv4::signed(&parts.headers) {
            let caller = identity.caller(&parts).await?;
            return Ok(Self(caller, read().await?));
        }
        let context = parts.extensions.get::<Context>().cloned().ok_or_else(Problem::internal)?;
        let body = read().await?;
        let claim = sigv4::Claim::read(&parts.method, &parts.uri, &parts.headers, &body);
        Ok(Self(identity.signed(context, &parts.headers, claim).await?, body))
    }
}

impl Identity {
    async fn signed(
        &self,
        context: Context,
        headers: &HeaderMap,
        claim: Option<sigv4::Claim>,
    ) -> Result<Caller, Problem> {
        let now = Instant::now();
        let unknown = super::unknown();
        let Some(claim) = claim else {
            let refused = self.refuse(&context, &unknown, Refusal::WrongSignature.code(), now).await;
            return Err(refused.unless(Problem::unsigned(false)));
        };
        let inner = Arc::clone(&self.0);
        let checked = tokio::task::spawn_blocking(move || {
            let found = inner.accounts.authenticate_signature(&claim.key, |secret| claim.by(secret));
            (found, claim.is_current(inner.clock.now()))
        });
        match checked.await {
            Ok((Ok(principal), true)) => self.admit(principal, context, headers, now).await,
            Ok((Ok(_), false)) => {
                let refused = self.refuse(&context, &unknown, "signature_late", now).await;
                Err(refused.unless(Problem::unsigned(true)))
            }
            Ok((Err(AuthenticateError::Refused(refusal)), _)) => {
                let refused = self.refuse(&context, &unknown, refusal.code(), now).await;
                Err(refused.unless(Problem::unsigned(false)))
            }
            Ok((Err(AuthenticateError::Failed(error)), _)) => {
                tracing::error!(request_id = %context.request_id(), error = &error as &dyn std::error::Error, "no caller can be told");
                Err(Problem::internal())
            }
            Err(_) => Err(Problem::internal()),
        }
    }
}
