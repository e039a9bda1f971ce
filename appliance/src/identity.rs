//! Who is calling: the one extractor that every governed handler takes.
//!
//! A key comes as `Authorization: Bearer clk_...` or `x-api-key: clk_...`. Whatever is wrong with it, the answer is the
//! same 401. A session cookie, a client certificate and an OIDC token will end in the same [`Caller`].
//!
//! **What it is not:** it permits nothing. `governed` asks policy.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::extract::{FromRef, FromRequestParts};
use cloister_governance::{
    accounts::{AccountId, Accounts, AuthenticateError},
    policy::Principal,
};
use cloister_terms::{RequestId, Role, TenantId};
use http::{HeaderMap, header, request::Parts};

use crate::{
    config,
    edge::{context::Context, limits::Buckets, metrics::Metrics, problem::Problem},
};

/// What identity needs to tell callers apart.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    accounts: Accounts,
    metrics: Metrics,
    requests: Buckets<AccountId>,
    refusals: Buckets<Option<IpAddr>>,
}

impl Identity {
    /// Identity over the account register, with the limits of `limits`.
    pub fn new(accounts: Accounts, limits: &config::Limits, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            accounts,
            metrics,
            requests: Buckets::new(limits.requests_per_minute, limits.burst),
            refusals: Buckets::new(limits.refusals_per_minute, limits.refusals_per_minute),
        }))
    }

    /// The account register.
    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    async fn caller(&self, parts: &Parts) -> Result<Caller, Problem> {
        let Some(context) = parts.extensions.get::<Context>().cloned() else {
            tracing::error!("a caller was asked for without the edge around the route");
            return Err(Problem::internal());
        };
        let now = Instant::now();
        // A request without a key takes the same path as one with a wrong key.
        let key = zeroize::Zeroizing::new(key(&parts.headers).unwrap_or_default().to_owned());
        let inner = self.0.clone();
        let found = tokio::task::spawn_blocking(move || inner.accounts.authenticate(&key)).await;
        let principal = match found {
            Ok(Ok(principal)) => principal,
            Ok(Err(AuthenticateError::Refused(refusal))) => return Err(self.refuse(&context, refusal.code(), now)),
            Ok(Err(AuthenticateError::Failed(error))) => {
                tracing::error!(request_id = %context.request_id(), error = &error as &dyn std::error::Error, "no caller can be told");
                return Err(Problem::internal());
            }
            Err(_) => return Err(Problem::internal()),
        };
        context.identified(principal.account.clone());
        if let Err(wait) = self.0.requests.take(principal.account.clone(), now) {
            self.0.metrics.count("cloister_rate_limited_total", 1, &[]);
            return Err(Problem::too_many_requests(wait));
        }
        Ok(Caller { principal, origin: Origin::Request(context) })
    }

    /// Counts a refused sign-in. Past the limit of its source it is answered 429 and not logged, so that nobody can fill
    /// the log. A right key is let in from the same address all the same: 256 random bits are not found by trying, and a
    /// ward behind one address must not be locked out by one wrong client.
    fn refuse(&self, context: &Context, why: &'static str, now: Instant) -> Problem {
        self.0.metrics.count("cloister_sign_ins_refused_total", 1, &[("why", why)]);
        match self.0.refusals.take(context.source(), now) {
            Ok(()) => {
                tracing::warn!(target: "sign_in", why, request_id = %context.request_id(), "a sign-in was refused");
                Problem::unauthenticated()
            }
            Err(wait) => Problem::too_many_requests(wait),
        }
    }
}

/// The key as it was sent. Two that differ are none: which one is meant cannot be known.
fn key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).map(|value| {
        let (scheme, key) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer") { key.trim() } else { "" }
    });
    let own = headers.get("x-api-key").map(|value| value.to_str().unwrap_or_default().trim());
    match (bearer, own) {
        (Some(a), Some(b)) => (a == b).then_some(a),
        (one, other) => one.or(other),
    }
}

/// Who is calling, and in which request. Made by extraction from a request, or by [`Caller::local`] for a command.
#[derive(Debug, Clone)]
pub struct Caller {
    principal: Principal,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    Request(Context),
    Command(RequestId),
}

impl Caller {
    /// The person at the machine, who could read the master key, acting in `role` through a command.
    pub fn local(role: Role, tenant: Option<TenantId>, request: RequestId) -> Self {
        Self { principal: Principal::local(role, tenant), origin: Origin::Command(request) }
    }

    /// Who it is.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The request or command it is part of.
    pub fn request_id(&self) -> RequestId {
        match &self.origin {
            Origin::Request(context) => context.request_id(),
            Origin::Command(request) => *request,
        }
    }

    /// The request's context; none for a command.
    pub(crate) const fn context(&self) -> Option<&Context> {
        match &self.origin {
            Origin::Request(context) => Some(context),
            Origin::Command(_) => None,
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Identity: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Identity::from_ref(state).caller(parts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_key_is_read_from_either_header() {
        assert_eq!(key(&headers(&[("authorization", "Bearer clk_a")])), Some("clk_a"));
        assert_eq!(key(&headers(&[("authorization", "bearer  clk_a")])), Some("clk_a"));
        assert_eq!(key(&headers(&[("x-api-key", "clk_a")])), Some("clk_a"));
        assert_eq!(key(&headers(&[("x-api-key", "clk_a"), ("authorization", "Bearer clk_a")])), Some("clk_a"));
    }

    #[test]
    fn no_key_two_keys_and_other_schemes_are_no_key() {
        assert_eq!(key(&headers(&[])), None);
        assert_eq!(key(&headers(&[("x-api-key", "clk_a"), ("authorization", "Bearer clk_b")])), None);
        assert_eq!(key(&headers(&[("authorization", "Basic clk_a")])), Some(""));
        assert_eq!(key(&headers(&[("authorization", "clk_a")])), Some(""));
    }
}
