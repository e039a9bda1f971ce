//! Errors as they leave: RFC 9457 problem documents, OpenAI's envelope under `/v1`, and AWS's under the paths of AWS.
//!
//! A handler returns a [`Problem`]; [`shape`] gives it the form of the face that was called. An error response that is no
//! `Problem` (a framework's own) is replaced by one for its status, because such texts may quote the request.

use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use cloister_governance::audit::AuditError;
use cloister_terms::RequestId;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::governed::Refusal;

/// The code of a signature that is not accepted.
const SIGNATURE: &str = "invalid_signature";

/// What went wrong, for the caller. Holds no patient text and nothing about the inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    /// The kind of problem, the same each time.
    pub title: &'static str,
    /// What happened here and what to do.
    pub detail: String,
    /// The field of the request that is at fault.
    pub field: Option<&'static str>,
    /// When trying again has a chance.
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// A problem with no field and no time to try again.
    pub fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, title, detail: detail.into(), field: None, retry_after: None }
    }

    /// Names the field at fault.
    #[must_use]
    pub const fn at(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Says when trying again has a chance.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// 500, with nothing said about why. The cause is logged where it is known.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal fault",
            "the server failed; its log has the cause under this request id",
        )
    }

    /// 503: as many requests are being worked on as may be.
    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "Overloaded",
            "the server is at its limit: try again later",
        )
        .after(Duration::from_secs(1))
    }

    /// 413: the body is larger than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("the body is larger than {limit} bytes (`server.body_limit_bytes`)");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large", detail)
    }

    /// 429: the account asks too often.
    pub fn too_many_requests(wait: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many requests",
            "the account asks too often: slow down",
        )
        .after(wait)
    }

    /// 401. The same words whatever was wrong with the key.
    pub fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "Not signed in",
            "no valid API key was given, and nobody is signed in: send `Authorization: Bearer clk_...`, or sign in",
        )
    }

    /// 401 for a request that was signed. The same words whatever was wrong, but for the time, which only who has the
    /// right secret is told about.
    pub fn unsigned(late: bool) -> Self {
        let detail = if late {
            "the signature has expired, or is not yet current: set the clock of this machine"
        } else {
            "the signature does not match: check the access key and its secret, and that the request arrives as it was signed"
        };
        Self::new(StatusCode::UNAUTHORIZED, SIGNATURE, "Not signed in", detail)
    }

    /// 404: the session that was named is not the caller's, or is over.
    pub fn no_session() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "session_unknown",
            "No such session",
            "there is no such session of yours, or it is over: leave `Cloister-Session` out to begin one",
        )
    }

    /// The problem for a status that came without one.
    fn of_status(status: StatusCode) -> Self {
        let (code, title, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "Not found", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method_not_allowed",
                "Method not allowed",
                "this path does not take this method; `Allow` lists those it takes",
            ),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_media_type", "Unsupported media type", "send `Content-Type: application/json`")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("body_too_large", "Body too large", "the body is larger than the server takes")
            }
            StatusCode::REQUEST_TIMEOUT => ("timeout", "Too slow", "the request did not arrive in time"),
            status if status.is_server_error() => return Self { status, ..Self::internal() },
            _ => ("invalid_request", "Invalid request", "the request cannot be understood"),
        };
        Self::new(status, code, title, detail)
    }
}

/// What the wrapper refused, for the caller. The pipeline's `Stop` is mapped beside this.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(denial) => {
                Self::new(StatusCode::FORBIDDEN, denial.code(), "Not allowed", denial.to_string())
            }
            Refusal::Unrecorded(AuditError::Full { retry_after }) => {
                Self { retry_after: Some(retry_after), ..Self::overloaded() }
            }
            Refusal::Unrecorded(AuditError::DiskFull { retry_after }) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_full",
                "No room",
                "the disk is full, so no work is taken: tell the operator",
            )
            .after(retry_after),
            Refusal::Unrecorded(AuditError::Closed) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "audit_unavailable",
                "No record possible",
                "the audit log cannot be written, so no work is done: tell the operator",
            )
            .after(Duration::from_secs(60)),
            Refusal::Undeclared(_) => Self::internal(),
        }
    }
}

impl IntoResponse for Problem {
    /// An empty response that carries the problem; [`shape`] writes the body.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

/// Which form errors take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// `{"error": {...}}`, as OpenAI's clients expect.
    OpenAi,
    /// `{"message": ...}` with the kind of error in a header, as AWS's clients expect.
    Aws,
    /// `application/problem+json`.
    Native,
}

/// The paths that AWS's clients call.
const AWS: [&str; 4] = ["/guardrail/", "/knowledgebases/", "/model/", "/retrieveAndGenerate"];
/// Where AWS's clients look for the kind of an error.
const ERROR_TYPE: &str = "x-amzn-errortype";

impl Face {
    /// The face that serves `path`.
    pub fn of(path: &str) -> Self {
        if path == "/v1" || path.starts_with("/v1/") {
            Self::OpenAi
        } else if AWS.iter().any(|prefix| path.starts_with(prefix)) {
            Self::Aws
        } else {
            Self::Native
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    request_id: RequestId,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: EnvelopeError<'a>,
}

#[derive(Serialize)]
struct EnvelopeError<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
}

/// Gives an error response the form of its face. Leaves every other response alone.
pub fn shape(mut response: Response, face: Face, request: RequestId) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if (status.is_client_error() || status.is_server_error()) && !is_json(&response) => {
            Problem::of_status(status)
        }
        None => return response,
    };
    let (body, kind) = match face {
        Face::OpenAi => (openai(&problem), "application/json"),
        Face::Aws => (json(&Message { message: &problem.detail }), "application/json"),
        Face::Native => (native(&problem, request), "application/problem+json"),
    };
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::UNAUTHORIZED && face != Face::Aws {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if face == Face::Aws {
        headers.insert(ERROR_TYPE, HeaderValue::from_static(aws(&problem)));
    }
    if let Some(wait) = problem.retry_after {
        // Whole seconds, rounded up: a client that comes back too early is refused again.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    *response.body_mut() = Body::from(body);
    if face == Face::Aws && status == StatusCode::UNAUTHORIZED {
        // AWS has no 401.
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

/// What AWS calls the problem: the errors of its `bedrock-agent-runtime`, and those of every signed request.
fn aws(problem: &Problem) -> &'static str {
    match problem.status {
        StatusCode::UNAUTHORIZED if problem.code == SIGNATURE => "InvalidSignatureException",
        StatusCode::UNAUTHORIZED => "UnrecognizedClientException",
        StatusCode::FORBIDDEN => "AccessDeniedException",
        StatusCode::NOT_FOUND => "ResourceNotFoundException",
        StatusCode::TOO_MANY_REQUESTS => "ThrottlingException",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailableException",
        status if status.is_client_error() => "ValidationException",
        _ => "InternalServerException",
    }
}

/// The same as the name of an event of a stream that fails after it has begun: of those that both of AWS's services know.
pub fn aws_event(problem: &Problem) -> &'static str {
    match aws(problem) {
        "ThrottlingException" => "throttlingException",
        "ValidationException" => "validationException",
        _ => "internalServerException",
    }
}

/// The problem in OpenAI's envelope; also what a stream sends that fails after it has begun.
pub fn openai(problem: &Problem) -> String {
    let kind = match problem.status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    };
    let error = EnvelopeError { message: &problem.detail, r#type: kind, param: problem.field, code: problem.code };
    json(&Envelope { error })
}

/// The problem as an RFC 9457 document.
pub fn native(problem: &Problem, request_id: RequestId) -> String {
    json(&Document {
        r#type: format!("urn:cloister:problem:{}", problem.code),
        title: problem.title,
        status: problem.status.as_u16(),
        detail: &problem.detail,
        code: problem.code,
        field: problem.field,
        request_id,
    })
}

fn json(value: &impl Serialize) -> String {
    // Strings and numbers always serialise; an empty body with the right status is the answer if they ever do not.
    serde_json::to_string(value).unwrap_or_default()
}

fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json") || kind.starts_with("application/problem+json"))
}
