//! Bodies: bounded and never standing still on the way in, watched on the way out, and JSON that does not quote itself.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep};

use super::{limits::Room, problem::Problem, request_log::Line};

/// The body stood still for longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("the body of the request stood still for too long")]
pub struct Idle;

/// A request's body, with a limit on its length and on how long it may stand still.
pub struct Guarded {
    inner: Limited<Body>,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl Guarded {
    pub(super) fn new(inner: Body, limit: usize, idle: Duration) -> Self {
        Self { inner: Limited::new(inner, limit), idle, alarm: Box::pin(tokio::time::sleep(idle)) }
    }
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.alarm.as_mut().reset(Instant::now() + this.idle);
            return Poll::Ready(frame);
        }
        ready!(this.alarm.as_mut().poll(cx));
        Poll::Ready(Some(Err(Idle.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A response's body that keeps what must last until its last byte.
pub(super) struct Watched {
    inner: Body,
    _line: Line,
    _room: Option<Room>,
}

impl Watched {
    pub(super) const fn new(inner: Body, line: Line, room: Option<Room>) -> Self {
        Self { inner, _line: line, _room: room }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.get_mut().inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// What `Content-Length` promises.
pub(super) fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads a body whole. The guard around every request bounds it.
pub async fn whole(request: Request) -> Result<Bytes, Problem> {
    request.into_body().collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| unreadable(&error))
}

/// What is wrong with a body that could not be read.
pub fn unreadable(error: &axum::Error) -> Problem {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "Body too large",
                "the body is larger than `server.body_limit_bytes`",
            );
        }
        if error.is::<Idle>() {
            return Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "Too slow", Idle.to_string());
        }
        cause = error.source();
    }
    Problem::new(StatusCode::BAD_REQUEST, "body_incomplete", "Incomplete body", "the body ended before its end")
}

/// A JSON body. What is wrong with one is said by line and column and never by quoting it, because it may hold patient
/// text; only the name of a missing field is ours to say.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if essence != "application/json" {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
                "send `Content-Type: application/json`",
            ));
        }
        let bytes = whole(request).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| malformed(&error))
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let at = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    // "missing field `messages` at line 1 column 2": the name is a literal of ours.
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let detail = match (error.classify(), missing) {
        (serde_json::error::Category::Data, Some(name)) => format!("the field `{name}` is missing"),
        (serde_json::error::Category::Data, None) => format!("a value does not have the expected form at {at}"),
        _ => format!("the body is not JSON at {at}"),
    };
    Problem::new(StatusCode::BAD_REQUEST, "invalid_body", "Invalid body", detail)
}
