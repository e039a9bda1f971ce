//! `POST /v1/completions`: text continued by a raw model.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use cloister_terms::Action;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    chunk::{Frame, Shape},
    raw_model,
    request::Common,
};
use crate::{
    api::{
        body::Body,
        call,
        raw::{self, Wish},
    },
    governed::governed,
    identity::Caller,
    pipeline::{Stop, model::PromptText},
    wiring::App,
};

/// A text to continue.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CompletionRequest {
    /// A raw model.
    pub model: String,
    /// The text, or a list with one text.
    #[schema(value_type = Value)]
    pub prompt: Value,
    /// The rest.
    #[serde(flatten)]
    pub common: Common,
}

/// Tokens written if the request does not say: OpenAI's default.
const DEFAULT_TOKENS: usize = 16;

/// Completion
#[utoipa::path(post, path = "/v1/completions", tag = "openai", request_body = CompletionRequest,
    responses((status = 200, description = "A text completion. With `stream`, server-sent chunks."),
        (status = 400, description = "What cannot be honoured, by name"), (status = 429, description = "Queue full; see Retry-After")))]
pub(crate) async fn complete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<CompletionRequest>,
) -> Result<Response, Stop> {
    request.common.check()?;
    let model = match raw_model(&app, &request.model) {
        Ok(model) => model,
        Err(stop) => return governed(&app.gate, &caller, call(&caller, Action::Generate), async |_| Err(stop)).await,
    };
    let prompt = PromptText::Plain(text(&request.prompt)?);
    let sampling = request.common.sampling(request.common.max_tokens, DEFAULT_TOKENS)?;
    let frame = Frame {
        shape: Shape::Text,
        request: caller.request_id().to_string(),
        created: app.clock.now().as_second(),
        model: request.model,
        tells_usage: request.common.tells_usage(),
    };
    let (streams, priority) = (request.common.streams(), request.common.priority());
    raw::reply(&app, &caller, Wish { model, prompt, sampling, priority, reply: frame, streams }).await
}

fn text(prompt: &Value) -> Result<String, Stop> {
    let one = match prompt {
        Value::Array(prompts) => match prompts.as_slice() {
            [one] => one,
            _ => return Err(Stop::invalid("prompt", "`prompt` takes one text; send several as several requests")),
        },
        one => one,
    };
    match one {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(_) | Value::Array(_) => Err(Stop::invalid("prompt", "`prompt` takes text, not token arrays")),
        _ => Err(Stop::invalid("prompt", "`prompt` takes a text that is not empty")),
    }
}
