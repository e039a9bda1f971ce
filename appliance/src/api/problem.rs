//! The pipeline's early ends as the edge sends them: one status, one word and one sentence for each.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::{
    edge::problem::Problem,
    pipeline::{Denial, Failure, Stop},
};

impl From<Stop> for Problem {
    /// An internal fault is logged here, once, with its causes; its caller is told nothing about them.
    fn from(stop: Stop) -> Self {
        let kind = stop.kind();
        let told = |status, title| Self::new(status, kind, title, stop.to_string());
        match &stop {
            Stop::Denied { denial: Denial::Unauthenticated } => Self::unauthenticated(),
            Stop::Denied { denial: Denial::Forbidden { code, reason } } => {
                Self::new(StatusCode::FORBIDDEN, code, "Not allowed", reason)
            }
            Stop::Blocked { .. } => {
                Self { code: "content_filter", ..told(StatusCode::UNPROCESSABLE_ENTITY, "Blocked") }
            }
            Stop::Held { .. } => told(StatusCode::ACCEPTED, "Held for review"),
            Stop::Failed { failure } => match failure {
                Failure::Invalid { field, .. } => {
                    Self { code: "invalid_request", field: *field, ..told(StatusCode::BAD_REQUEST, "Invalid request") }
                }
                Failure::NotFound { .. } => told(StatusCode::NOT_FOUND, "Not found"),
                Failure::NoModel => {
                    Self { code: "model_not_found", field: Some("model"), ..told(StatusCode::NOT_FOUND, "Not found") }
                }
                Failure::TooLong { .. } => {
                    Self { code: "context_length_exceeded", ..told(StatusCode::BAD_REQUEST, "Too long") }
                }
                Failure::Busy { retry_after, .. } => told(StatusCode::TOO_MANY_REQUESTS, "Busy").after(*retry_after),
                Failure::Deadline => told(StatusCode::GATEWAY_TIMEOUT, "Out of time"),
                Failure::Unavailable { .. } => {
                    told(StatusCode::SERVICE_UNAVAILABLE, "Not available").after(Duration::from_secs(60))
                }
                Failure::Internal { doing, source } => {
                    let error: &(dyn std::error::Error + 'static) = &**source;
                    tracing::error!(doing, error, "a request failed");
                    Self::internal()
                }
            },
        }
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
