//! The edge: what stands between the network and a handler.
//!
//! [`listen`] takes connections, [`server::Server`] speaks TLS 1.3 and HTTP/1.1 on them, [`Edge::guard`] walks each
//! request through the guards, and [`router::Routes`] brings it to its handler. A handler returns a [`problem::Problem`]
//! or anything else; what leaves is shaped here, once.
//!
//! **What it is not:** it knows no caller and decides no access. `identity` says who calls, `governed` whether they may.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use cloister_terms::Random;
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use crate::config;

pub mod authority;
pub mod body;
pub mod context;
pub mod headers;
pub mod health;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod names;
pub mod notify;
pub mod paced;
pub mod problem;
pub mod renewal;
pub mod request_log;
pub mod router;
pub mod server;
pub mod tls;

use context::{Context, Peer};
use metrics::Metrics;
use problem::Problem;
use request_log::Line;

/// What every request shares.
#[derive(Clone)]
pub struct Edge {
    random: Arc<dyn Random>,
    metrics: Metrics,
    room: Arc<Semaphore>,
    body_limit: usize,
    body_idle: std::time::Duration,
}

impl Edge {
    /// An edge with the limits of `settings`.
    pub fn new(settings: &config::Server, metrics: Metrics, random: Arc<dyn Random>) -> Self {
        Self {
            random,
            metrics,
            room: Arc::new(Semaphore::new(settings.max_in_flight)),
            body_limit: settings.body_limit_bytes,
            body_idle: settings.idle_timeout(),
        }
    }

    /// Puts the guards around a router. The last thing done to it.
    pub fn guard(self, router: axum::Router) -> axum::Router {
        router
            .layer(axum::extract::DefaultBodyLimit::disable())
            .layer(axum::middleware::from_fn_with_state(self, around))
    }
}

/// One request, from the connection to its handler and back.
async fn around(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let context = Context::new(
        context::request_id(request.headers(), edge.random.as_ref()),
        request.extensions().get::<Peer>().map(|peer| peer.0),
    );
    let face = problem::Face::of(request.uri().path());
    let mut line = Line::open(request.method(), context.clone(), edge.metrics.clone(), Instant::now());

    let response = within(&edge, &context, request, next).await;

    let mut response = problem::shape(response, face, context.request_id());
    headers::harden(response.headers_mut(), context.request_id());
    line.answered(response.status());
    // The line and the request's room stay with the body: both end when its last byte is out, or the caller is gone.
    let room = response.extensions_mut().remove::<limits::Room>();
    response.map(|inner| Body::new(body::Watched::new(inner, line, room)))
}

/// Limits, then the handler. A panic of the handler ends here.
async fn within(edge: &Edge, context: &Context, mut request: Request, next: Next) -> Response {
    let room = if health::is_probe(request.uri().path()) {
        None
    } else {
        match edge.room.clone().try_acquire_owned() {
            Ok(permit) => Some(limits::Room::new(permit)),
            Err(_) => return Problem::overloaded().into_response(),
        }
    };
    if body::declared_length(request.headers()).is_some_and(|length| length > edge.body_limit as u64) {
        return Problem::too_large(edge.body_limit).into_response();
    }
    request.extensions_mut().insert(context.clone());
    let (limit, idle) = (edge.body_limit, edge.body_idle);
    let request = request.map(|inner| Body::new(body::Guarded::new(inner, limit, idle)));
    // Whatever is logged on the way, a fault's causes for example, stands under the request's id.
    let span = tracing::error_span!("request", request_id = %context.request_id());
    let mut response = match AssertUnwindSafe(next.run(request).instrument(span)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            // The panic's message may hold anything; it is not repeated. The hook set at start says where it happened.
            tracing::error!(request_id = %context.request_id(), "a handler panicked");
            Problem::internal().into_response()
        }
    };
    if let Some(room) = room {
        response.extensions_mut().insert(room);
    }
    response
}

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;
