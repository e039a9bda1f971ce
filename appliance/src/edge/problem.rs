//! Early ends as responses: RFC 9457 problems, and the OpenAI envelope under `/v1`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::pipeline::{Denial, Failure, Stop};

/// An early end on its way out.
#[derive(Debug)]
pub struct Problem {
    stop: Stop,
    openai: bool,
}

impl Problem {
    /// In the form of the face that `path` belongs to.
    pub fn at(path: &str, stop: Stop) -> Self {
        Self { stop, openai: path.starts_with("/v1/") || matches!(path, "/rerank" | "/api/rerank") }
    }

    /// As an RFC 9457 problem.
    pub const fn native(stop: Stop) -> Self {
        Self { stop, openai: false }
    }

    /// In the OpenAI envelope.
    pub const fn openai(stop: Stop) -> Self {
        Self { stop, openai: true }
    }
}

/// The status of an early end.
pub fn status(stop: &Stop) -> StatusCode {
    match stop {
        Stop::Denied { denial: Denial::Unauthenticated } => StatusCode::UNAUTHORIZED,
        Stop::Denied { denial: Denial::Forbidden { .. } } => StatusCode::FORBIDDEN,
        Stop::Blocked { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Stop::Held { .. } => StatusCode::ACCEPTED,
        Stop::Failed { failure } => match failure {
            Failure::Invalid { .. } | Failure::TooLong { .. } => StatusCode::BAD_REQUEST,
            Failure::NotFound { .. } => StatusCode::NOT_FOUND,
            Failure::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Failure::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Failure::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// The OpenAI envelope of an early end; also what a stream that breaks sends.
pub fn envelope(stop: &Stop) -> Value {
    let status = status(stop);
    let kind = match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    };
    let field = match stop {
        Stop::Failed { failure: Failure::Invalid { field, .. } } => *field,
        _ => None,
    };
    json!({"error": {"message": stop.to_string(), "type": kind, "param": field, "code": stop.kind()}})
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(&self.stop);
        let mut response = if self.openai {
            (status, Json(envelope(&self.stop))).into_response()
        } else {
            let title = status.canonical_reason().unwrap_or("Error");
            let body = json!({"type": format!("about:blank#{}", self.stop.kind()), "title": title,
                "status": status.as_u16(), "detail": self.stop.to_string(), "code": self.stop.kind()});
            let mut response = (status, Json(body)).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            response
        };
        let wait = match &self.stop {
            Stop::Failed { failure: Failure::Busy { retry_after, .. } } => Some(retry_after.as_secs().max(1)),
            Stop::Failed { failure: Failure::Unavailable { .. } } => Some(30),
            _ => None,
        };
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
