//! Headers that every response carries.

use cloister_terms::{RequestId, SessionId};
use http::{HeaderMap, HeaderValue, header};

use super::context::REQUEST_ID;
use crate::session;

/// Set unless the handler set its own: pages need a wider content policy, assets may be cached.
const DEFAULTS: [(header::HeaderName, &str); 2] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Always set. No `Strict-Transport-Security`: nothing of ours answers plain HTTP, and it would bind every other service
/// under the same host name (`localhost` in the demo), on every port, for years.
const FIXED: [(header::HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(super) fn harden(headers: &mut HeaderMap, request: RequestId, session: Option<SessionId>) {
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(&request.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some(value) = session.and_then(|session| HeaderValue::from_str(&session.to_string()).ok()) {
        headers.insert(session::HEADER, value);
    }
}
