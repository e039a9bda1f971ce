//! What is known about one request, shared by the guards, the route and the log.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use cloister_governance::accounts::AccountId;
use cloister_terms::{Random, RequestId, SessionId};
use http::HeaderMap;

use super::router::Route;

/// The header that carries a request's id, both ways.
pub const REQUEST_ID: &str = "x-request-id";

/// Where a request came from, as the connection knows it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// The certificate that the caller showed when the connection was made, checked against the authority of clients. DER.
#[derive(Debug, Clone)]
pub struct ClientCertificate(pub Arc<[u8]>);

/// What is known about one request. An extension of the request; cheap to clone.
#[derive(Debug, Clone)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    request_id: RequestId,
    source: Option<IpAddr>,
    route: OnceLock<Arc<Route>>,
    account: OnceLock<AccountId>,
    session: OnceLock<SessionId>,
    governed: AtomicBool,
}

impl Context {
    /// The context of a request that has just arrived.
    pub fn new(request_id: RequestId, peer: Option<SocketAddr>) -> Self {
        Self(Arc::new(Inner {
            request_id,
            source: peer.map(|peer| peer.ip()),
            route: OnceLock::new(),
            account: OnceLock::new(),
            session: OnceLock::new(),
            governed: AtomicBool::new(false),
        }))
    }

    /// The request's id.
    pub fn request_id(&self) -> RequestId {
        self.0.request_id
    }

    /// The address it came from.
    pub fn source(&self) -> Option<IpAddr> {
        self.0.source
    }

    /// The route that took it; none for a path that there is not.
    pub fn route(&self) -> Option<&Route> {
        self.0.route.get().map(AsRef::as_ref)
    }

    /// The account that made it, once it is known.
    pub fn account(&self) -> Option<&AccountId> {
        self.0.account.get()
    }

    /// The interaction that it belongs to, once that is known.
    pub fn session(&self) -> Option<SessionId> {
        self.0.session.get().copied()
    }

    /// Whether an audit entry was opened for it.
    pub fn is_governed(&self) -> bool {
        self.0.governed.load(Ordering::Acquire)
    }

    pub(super) fn routed(&self, route: Arc<Route>) {
        let _ = self.0.route.set(route);
    }

    pub(crate) fn identified(&self, account: AccountId) {
        let _ = self.0.account.set(account);
    }

    pub(crate) fn within(&self, session: SessionId) {
        let _ = self.0.session.set(session);
    }

    pub(crate) fn govern(&self) {
        self.0.governed.store(true, Ordering::Release);
    }
}

/// The id that the caller gave, if it is 128 bits as hexadecimal digits or a UUID; else a new one.
///
/// No other form is taken over: the id stands in logs and records, and free text there might be a patient's name.
pub(super) fn request_id(headers: &HeaderMap, random: &dyn Random) -> RequestId {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    given.and_then(parse).unwrap_or_else(|| RequestId::random(random))
}

fn parse(given: &str) -> Option<RequestId> {
    let lower = given.to_ascii_lowercase();
    match lower.len() {
        32 => lower.parse().ok(),
        36 => uuid::Uuid::try_parse(&lower).ok().map(|uuid| RequestId::from(uuid.as_u128())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_128_bits_is_taken_over_and_no_other_text() {
        let id = "00000000000000000000000000abcdef";
        assert_eq!(parse(id).unwrap().to_string(), id);
        assert_eq!(parse("00000000-0000-0000-0000-000000ABCDEF").unwrap().to_string(), id);
        for other in [
            "",
            "jane-roe",
            "0000000000000000000000000000000g",
            &"a".repeat(33),
            "{0000000-0000-0000-0000-000000abcdef}",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
