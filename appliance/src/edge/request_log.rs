//! One line per request, as a product: which fields it has, and which it never has.
//!
//! `method`, `path` (the route's template, never the path itself), `status`, `ms` (until the last byte), `request_id`,
//! `account`. Never a path, a query, a header, a body or an address: each may hold patient text or follow a person.
//! A request whose caller left before the answer has status 499.

use std::time::Instant;

use http::{Method, StatusCode};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::{context::Context, metrics::Metrics};

/// What the log calls a request that its caller abandoned (nginx's number for it).
const CALLER_GONE: u16 = 499;

/// The line of one request. Written when it is dropped, which is after the last byte, or when the caller left.
pub(super) struct Line {
    method: &'static str,
    context: Context,
    metrics: Metrics,
    started: Instant,
    status: Option<StatusCode>,
}

impl Line {
    pub(super) fn open(method: &Method, context: Context, metrics: Metrics, started: Instant) -> Self {
        Self { method: known(method), context, metrics, started, status: None }
    }

    /// The head of the answer is ready.
    pub(super) const fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let status = self.status.map_or(CALLER_GONE, |status| status.as_u16());
        let path = self.context.route().map_or("unmatched", |route| route.path);
        let tags = [("method", self.method), ("path", path), ("status", class(status))];
        self.metrics.count("cloister_http_requests_total", 1, &tags);
        self.metrics.time("cloister_http_request_duration_seconds", took, &tags);
        tracing::info!(
            target: "request",
            method = self.method,
            path,
            status,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            request_id = %self.context.request_id(),
            account = self.context.account().map(tracing::field::display),
        );
    }
}

/// The method, if it is one we serve: others are text of the caller's choice.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

const fn class(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        300..400 => "3xx",
        401 => "401",
        403 => "403",
        429 => "429",
        400..500 => "4xx",
        503 => "503",
        _ => "5xx",
    }
}

/// A subscriber that writes one JSON object a line, with the event's fields at the top. `level` is a filter in
/// `tracing-subscriber`'s words, `info` for example; one that cannot be read means `info`.
pub fn json_lines<W>(level: &str, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(writer)
        .finish()
}
