//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use cloister_terms::Action;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Target,
    chunk::{Frame, Shape},
    request::{Common, Extension},
    target,
};
use crate::{
    api::{
        assistant::{self, Asked},
        body::Body,
        call,
        raw::{self, Wish},
    },
    governed,
    identity::Caller,
    pipeline::{
        Stop,
        model::{ChatMessage, ChatRole, PromptText},
    },
    wiring::App,
};

/// A chat.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ChatRequest {
    /// The tenant's assistant, or a raw model where the role allows it.
    pub model: String,
    /// The conversation. An assistant answers the last user message; earlier turns and system messages are ignored
    /// and named in `cloister.ignored`, since no instruction from outside changes how it answers.
    pub messages: Vec<Message>,
    /// Most tokens written; the newer name of `max_tokens`.
    pub max_completion_tokens: Option<usize>,
    /// Our own additions.
    #[serde(default)]
    pub cloister: Extension,
    /// The rest.
    #[serde(flatten)]
    pub common: Common,
}

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Message {
    /// `system`, `developer`, `user` or `assistant`.
    pub role: String,
    /// Text, or parts of type `text`.
    #[schema(value_type = Value)]
    pub content: Option<Value>,
}

/// Chat completion
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = ChatRequest,
    responses((status = 200, description = "A chat completion; `cloister` holds lane, citations, claims and scores. With `stream`, server-sent chunks."),
        (status = 400, description = "What cannot be honoured, by name"), (status = 429, description = "Queue full; see Retry-After")))]
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<ChatRequest>,
) -> Result<Response, Stop> {
    request.common.check()?;
    let frame = Frame {
        shape: Shape::Chat,
        request: caller.request_id().to_string(),
        created: app.clock.now().as_second(),
        model: request.model.clone(),
        tells_usage: request.common.tells_usage(),
    };
    let target = match target(&app, &caller, &request.model) {
        Ok(target) => target,
        // A model that is not there is recorded as asked for, and whoever may ask nothing learns only that.
        Err(stop) => {
            return governed::governed(&app.gate, &caller, call(&caller, Action::Ask), async |_| Err(stop)).await;
        }
    };
    match target {
        Target::Assistant => Ok(assistant::answer(&app, &caller, asked(request)?, frame).await?.1),
        Target::Raw(model) => {
            let messages = messages(&request.messages)?;
            let most = request.max_completion_tokens.or(request.common.max_tokens);
            let sampling = request.common.sampling(most, model.context_tokens())?;
            let streams = request.common.streams();
            let (prompt, priority) = (PromptText::Chat(messages), request.common.priority());
            raw::reply(&app, &caller, Wish { model, prompt, sampling, priority, reply: frame, streams }).await
        }
    }
}

fn messages(given: &[Message]) -> Result<Vec<ChatMessage>, Stop> {
    if given.is_empty() {
        return Err(Stop::invalid("messages", "`messages` is empty"));
    }
    given
        .iter()
        .map(|message| {
            let role = match message.role.as_str() {
                "system" | "developer" => ChatRole::System,
                "user" => ChatRole::User,
                "assistant" => ChatRole::Assistant,
                _ => return Err(Stop::invalid("messages", "`role` takes system, developer, user or assistant")),
            };
            Ok(ChatMessage { role, content: text(message.content.as_ref())? })
        })
        .collect()
}

/// The text of a message: a string, or parts of type `text`.
fn text(content: Option<&Value>) -> Result<String, Stop> {
    let refused = || {
        Stop::invalid(
            "messages",
            "`content` takes text, or parts of type `text`; images, audio and files are not supported",
        )
    };
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().map(|part| {
                let is_text = part.get("type").is_some_and(|kind| kind == "text");
                part.get("text").and_then(Value::as_str).filter(|_| is_text).ok_or_else(refused)
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        Some(_) => Err(refused()),
    }
}

/// The question of a chat: its last user message.
fn asked(request: ChatRequest) -> Result<Asked, Stop> {
    if request.common.json_schema()?.is_some() {
        let why = "an assistant answers in sentences with citations; ask a raw model for JSON";
        return Err(Stop::invalid("response_format", why));
    }
    let messages = messages(&request.messages)?;
    let last = messages.iter().rev().find(|message| message.role == ChatRole::User);
    let text = last.ok_or_else(|| Stop::invalid("messages", "`messages` holds no user message"))?.content.clone();
    let ignored = ignored(&request, &messages);
    let (priority, streams) = (request.common.priority(), request.common.streams());
    let Extension { session, collections } = request.cloister;
    Ok(Asked { text, collections, session, priority, ignored, streams })
}

/// What of the request an assistant does not heed, by name.
fn ignored(request: &ChatRequest, messages: &[ChatMessage]) -> Vec<&'static str> {
    let mut ignored = request.common.unheeded();
    if request.max_completion_tokens.is_some() {
        ignored.push("max_completion_tokens");
    }
    if messages.iter().any(|message| message.role == ChatRole::System) {
        ignored.push("system messages");
    }
    if messages.iter().filter(|message| message.role != ChatRole::System).count() > 1 {
        ignored.push("earlier messages");
    }
    ignored
}
