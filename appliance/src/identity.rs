//! Who is calling: the one extractor that every governed handler takes.
//!
//! A program shows an API key, as `Authorization: Bearer clk_...` or `x-api-key: clk_...`; a person who has signed in
//! shows a cookie; a client of AWS signs its request with an access key (`sigv4`); whoever the hospital's own
//! provider vouches for shows its token (`oidc`), and whoever its authority vouches for a certificate
//! (`certificate`). Whatever is wrong with it, the answer is the same 401, and a record says what it was. A request that
//! names no key and carries a cookie is a browser's: where it changes something it must come from our own page
//! (`cookie`). Whoever shows that they are there themselves carries the emergency access that they have open (`emergency`).
//!
//! **What it is not:** it permits nothing. `governed` asks policy.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::extract::{FromRef, FromRequestParts};
use cloister_governance::{
    accounts::{AccountError, AccountId, Accounts, AuthenticateError, Rules},
    audit::{Intent, Outcome, Who},
    policy::{Principal, Resource},
};
use cloister_terms::{AccessLabel, Action, Clock, RequestId, Role, TenantId};
use http::{HeaderMap, header, request::Parts};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    config::{ClientCertificates, Config},
    edge::{
        context::{ClientCertificate, Context},
        limits::Buckets,
        metrics::Metrics,
        problem::Problem,
    },
    governed::{Gate, Refusal},
    session::{self, NoSession, Sessions},
};

mod certificate;
pub(crate) mod cookie;
mod emergency;
mod oidc;
mod sign_in;
mod signature;
pub(crate) mod sigv4;

pub(crate) use sign_in::{NotSignedIn, Visitor};
pub(crate) use signature::Signed;

/// Passwords hashed at once at most: each takes 64 MiB and a processor.
const HASHING: usize = 2;

/// What identity needs to tell callers apart.
#[derive(Clone)]
pub struct Identity(Arc<Inner>);

struct Inner {
    accounts: Accounts,
    gate: Gate,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    rules: Rules,
    provider: Option<oidc::Provider>,
    certificates: Option<ClientCertificates>,
    metrics: Metrics,
    requests: Buckets<AccountId>,
    refusals: Buckets<Option<IpAddr>>,
    attempts: Buckets<Option<IpAddr>>,
    hashing: Semaphore,
}

/// What somebody showed.
enum Shown {
    Key(Zeroizing<String>),
    Cookie(Zeroizing<String>),
    Certificate(ClientCertificate),
}

impl Identity {
    /// Identity over the account register, with the limits of `config`. Refusals are recorded through `gate`.
    pub fn new(
        accounts: Accounts,
        gate: Gate,
        config: &Config,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let (limits, sign_in) = (&config.limits, &config.sign_in);
        Self(Arc::new(Inner {
            accounts,
            gate,
            sessions,
            clock,
            rules: sign_in.rules(),
            certificates: config.client_certificates.clone(),
            provider: config.oidc.clone().map(oidc::Provider::new),
            metrics,
            requests: Buckets::new(limits.requests_per_minute, limits.burst),
            refusals: Buckets::new(limits.refusals_per_minute, limits.refusals_per_minute),
            attempts: Buckets::new(sign_in.attempts_per_minute, sign_in.attempts_per_minute),
            hashing: Semaphore::new(HASHING),
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
        let shown = shown(parts);
        let may = match &shown {
            Shown::Key(_) => true,
            Shown::Cookie(token) => cookie::may(&parts.method, &parts.headers, token),
            // A browser shows it unasked, whichever page makes the request.
            Shown::Certificate(_) => !cookie::from_elsewhere(&parts.headers),
        };
        if !may {
            return Err(self.refuse(&context, &unknown(), "cross_site", now).await.unless(cookie::cross_site()));
        }
        let inner = self.0.clone();
        let found = tokio::task::spawn_blocking(move || inner.principal(&shown));
        let principal = match found.await {
            Ok(Ok(principal)) => principal,
            Ok(Err(NobodyKnown::Refused(why))) => {
                let refused = self.refuse(&context, &unknown(), why, now).await;
                return Err(refused.unless(Problem::unauthenticated()));
            }
            Ok(Err(NobodyKnown::Failed(error))) => {
                tracing::error!(request_id = %context.request_id(), error = &error as &dyn std::error::Error, "no caller can be told");
                return Err(Problem::internal());
            }
            Err(_) => return Err(Problem::internal()),
        };
        self.admit(principal, context, &parts.headers, now).await
    }

    /// The caller, unless they ask too often or name a session that is not theirs.
    async fn admit(
        &self,
        principal: Principal,
        context: Context,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<Caller, Problem> {
        context.identified(principal.account.clone());
        if principal.emergency.is_some() {
            self.0.metrics.count("cloister_break_glass_requests_total", 1, &[]);
        }
        if let Err(wait) = self.0.requests.take(principal.account.clone(), now) {
            self.0.metrics.count("cloister_rate_limited_total", 1, &[]);
            return Err(Problem::too_many_requests(wait));
        }
        if let Some(named) = headers.get(session::HEADER) {
            let id = named.to_str().ok().and_then(|text| text.parse().ok());
            let resumed = id.ok_or(NoSession).and_then(|id| self.0.sessions.resume(&principal.account, id));
            match resumed {
                Ok(session) => context.within(session.id()),
                Err(NoSession) => {
                    let refused = self.refuse(&context, &principal, "session_unknown", now).await;
                    return Err(refused.unless(Problem::no_session()));
                }
            }
        }
        Ok(Caller { principal, origin: Origin::Request(context) })
    }

    /// Records that nobody was let in. Past the limit of its source it is answered 429, neither logged nor recorded, so
    /// that nobody can fill the log. A right key is let in from the same address all the same: 256 random bits are not
    /// found by trying, and a ward behind one address must not be locked out by one wrong client.
    async fn refuse(&self, context: &Context, who: &Principal, why: &'static str, now: Instant) -> Refused {
        if let Err(wait) = self.tell(context, why, now) {
            return Refused(Some(Problem::too_many_requests(wait)));
        }
        let decision = self.0.gate.policy.decide(who, Action::SignIn, &Resource::Appliance);
        let intent = Intent {
            who: Who::from(who),
            action: Action::SignIn,
            purpose: None,
            tenant: None,
            collections: Vec::new(),
            session: None,
            emergency: who.emergency.as_ref().map(|emergency| emergency.id),
            capture: None,
            request: context.request_id(),
            policy: decision.basis().set().to_owned(),
            policies: decision.basis().policies().to_vec(),
        };
        let recorded = match self.0.gate.audit.intent(intent).await {
            Ok(entry) => entry.complete(Outcome::denied(why)).await,
            Err(error) => Err(error),
        };
        Refused(recorded.err().map(|error| Refusal::from(error).into()))
    }

    /// Counts and logs that nobody was let in; says how long to wait where the limit of the source is passed.
    fn tell(&self, context: &Context, why: &'static str, now: Instant) -> Result<(), std::time::Duration> {
        self.0.metrics.count("cloister_sign_ins_refused_total", 1, &[("why", why)]);
        self.0.refusals.take(context.source(), now)?;
        tracing::warn!(target: "sign_in", why, request_id = %context.request_id(), "a sign-in was refused");
        Ok(())
    }
}

impl Inner {
    /// Who shows what is shown. Blocks.
    fn principal(&self, shown: &Shown) -> Result<Principal, NobodyKnown> {
        let found = match shown {
            // An API key holds no dot and a token of a provider two.
            Shown::Key(token) if token.contains('.') => {
                let Some(provider) = &self.provider else { return Err(NobodyKnown::Refused("no_provider")) };
                let principal = provider.principal(token, self.clock.now()).map_err(NobodyKnown::Refused)?;
                self.accounts.vouched(principal)
            }
            Shown::Certificate(ClientCertificate(der)) => {
                let Some(settings) = &self.certificates else { return Err(NobodyKnown::Refused("no_authority")) };
                let principal = certificate::principal(der, settings, self.clock.now());
                self.accounts.vouched(principal.map_err(NobodyKnown::Refused)?)
            }
            Shown::Key(key) => self.accounts.authenticate(key),
            Shown::Cookie(token) => self.accounts.signed_in(token, &self.rules).map(|signed_in| signed_in.principal),
        };
        let mut principal = found.map_err(|error| match error {
            AuthenticateError::Refused(refusal) => NobodyKnown::Refused(refusal.code()),
            AuthenticateError::Failed(error) => NobodyKnown::Failed(error),
        })?;
        if principal.person {
            principal.emergency = self.accounts.emergency_of(&principal).map_err(NobodyKnown::Failed)?;
        }
        Ok(principal)
    }
}

/// Why no caller is known.
enum NobodyKnown {
    /// For this reason, as records name it.
    Refused(&'static str),
    /// The register failed.
    Failed(AccountError),
}

/// What came of recording a refusal: a problem of its own, or none.
struct Refused(Option<Problem>);

impl Refused {
    fn unless(self, usual: Problem) -> Problem {
        self.0.unwrap_or(usual)
    }
}

/// Someone whom no account stands for. A record needs a role, and a caller that has shown nothing is a program to us.
fn unknown() -> Principal {
    Principal { account: AccountId::unknown(), name: "unknown".to_owned(), ..Principal::local(Role::Service, None) }
}

/// What was shown. A request without anything takes the same path as one with a wrong key. A key goes before a cookie:
/// no page of another site can make a browser send one. A certificate, which is shown with every request, comes last.
fn shown(parts: &Parts) -> Shown {
    let headers = &parts.headers;
    let keyed = headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key");
    match (cookie::token(headers), parts.extensions.get::<ClientCertificate>()) {
        (Some(token), _) if !keyed => Shown::Cookie(Zeroizing::new(token.to_owned())),
        (None, Some(certificate)) if !keyed => Shown::Certificate(certificate.clone()),
        _ => Shown::Key(Zeroizing::new(key(headers).unwrap_or_default().to_owned())),
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

    /// The same reading as somebody with these access labels, for a command that answers or searches as they would.
    pub fn local_reading(
        role: Role,
        tenant: Option<TenantId>,
        labels: impl IntoIterator<Item = AccessLabel>,
        request: RequestId,
    ) -> Self {
        let principal = Principal { labels: labels.into_iter().collect(), ..Principal::local(role, tenant) };
        Self { principal, origin: Origin::Command(request) }
    }

    /// Somebody for whom work goes on that they handed in, as the account register says they are now.
    pub(crate) const fn acting(principal: Principal, request: RequestId) -> Self {
        Self { principal, origin: Origin::Command(request) }
    }

    /// Someone who says that they are `principal` and has proven nothing yet.
    const fn claimed(principal: Principal, context: Context) -> Self {
        Self { principal, origin: Origin::Request(context) }
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
