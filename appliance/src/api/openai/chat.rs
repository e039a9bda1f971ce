//! `POST /v1/chat/completions`.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use cloister_terms::{Action, Phi};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    Target,
    chunk::{Frame, Shape},
    raw::{self, Wish},
    request::{Common, Extension},
    target,
};
use crate::{
    api::{
        body::Body,
        call, native, session,
        stream::{self, Feed, Item},
        tenant,
    },
    edge::problem::Face,
    governed::{self, End as _, Refusal},
    identity::Caller,
    pipeline::{
        self, Answer, Lane, Passed, Ports, Question, Silent, Sink, Stop,
        model::{ChatMessage, ChatRole, PromptText, Usage},
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
        Target::Assistant => assistant(&app, &caller, request, frame).await,
        Target::Raw(model) => {
            let messages = messages(&request.messages)?;
            let most = request.max_completion_tokens.or(request.common.max_tokens);
            let sampling = request.common.sampling(most, model.context_tokens())?;
            let streams = request.common.streams();
            let (prompt, priority) = (PromptText::Chat(messages), request.common.priority());
            raw::reply(&app, &caller, Wish { model, prompt, sampling, priority, frame, streams }).await
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

/// An answer of the tenant's assistant, through the whole pipeline.
async fn assistant(app: &App, caller: &Caller, request: ChatRequest, frame: Frame) -> Result<Response, Stop> {
    let started = Instant::now();
    let messages = messages(&request.messages)?;
    let asked = messages.iter().rev().find(|message| message.role == ChatRole::User);
    let text = asked.ok_or_else(|| Stop::invalid("messages", "`messages` holds no user message"))?.content.clone();
    let ignored = ignored(&request, &messages);
    let session = session(app, caller, request.cloister.session)?;
    let (collections, priority) = (request.cloister.collections, request.common.priority());
    let question = Question { text: Phi::new(text), collections, priority };
    let call = call(caller, Action::Ask).within(session.id());
    let interaction = (session, caller.request_id());
    let ports = app.ports(tenant(caller)?).cloned();
    let told = {
        let request = caller.request_id();
        move |answer: &Answer, started: Instant| {
            let mut told = native::ask::shown(answer, request, started);
            if let Value::Object(fields) = &mut told {
                fields.shift_remove("answer"); // it is the message
                fields.insert("ignored".to_owned(), json!(ignored));
            }
            told
        }
    };
    if !request.common.streams() {
        let text = question.text.clone();
        let answered = governed::governed(&app.gate, caller, call, async |permit| {
            let ports = ports?;
            let answered = pipeline::answer(&ports, permit, interaction, question, &mut Silent).await;
            let (answered, outcome) = answered.into_parts();
            Ok::<_, Stop>((answered.map(|answer| (answer, ports)), outcome))
        })
        .await?;
        let (answer, ports) = answered?;
        // Counted only now: what was answered is known to be short.
        let asked = ports.embed.count_tokens(text.expose());
        let usage = usage(&ports, asked, answer.text());
        let mut whole = frame.whole(answer.text(), "stop", usage);
        if let Value::Object(fields) = &mut whole {
            fields.insert("cloister".to_owned(), told(&answer, started));
        }
        return Ok(Json(whole).into_response());
    }
    let (permit, entry) = governed::open(&app.gate, caller, call).await?;
    stream::begin(Face::OpenAi, caller.request_id(), move |feed| async move {
        let mut units = Units { feed: feed.clone(), frame: frame.clone(), begun: false };
        let (answered, outcome) = match ports {
            Ok(ports) => {
                let text = question.text.clone();
                let answered = pipeline::answer(&ports, permit, interaction, question, &mut units).await;
                let (answered, outcome) = answered.into_parts();
                let with_usage = |answer: Answer| {
                    let asked = ports.embed.count_tokens(text.expose());
                    let usage = usage(&ports, asked, answer.text());
                    (answer, usage)
                };
                (answered.map(with_usage), outcome)
            }
            Err(stop) => {
                let outcome = stop.outcome();
                (Err(stop), outcome)
            }
        };
        // INVARIANT (nothing unrecorded): the outcome is on the disk before the last byte leaves.
        match (entry.complete(outcome).await, answered) {
            (Ok(()), Ok((answer, usage))) => {
                if answer.lane() == Lane::Abstain {
                    units.put(answer.text());
                }
                let mut closing = frame.closing("stop");
                if let Value::Object(fields) = &mut closing {
                    fields.insert("cloister".to_owned(), told(&answer, started));
                }
                feed.put(Item::Chunk(closing));
                frame.usage(usage).into_iter().for_each(|chunk| feed.put(Item::Chunk(chunk)));
                feed.put(Item::Done);
            }
            (Ok(()), Err(stop)) => feed.put(Item::Failed(stop)),
            (Err(error), _) => feed.put(Item::Failed(Refusal::from(error).into())),
        }
    })
    .await
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

/// Tokens of question and answer as the embedding model counts them: every site has one, and a curated answer was
/// written by no model.
fn usage(ports: &Ports, prompt_tokens: usize, answer: &str) -> Usage {
    Usage { prompt_tokens, completion_tokens: ports.embed.count_tokens(answer) }
}

/// Sends units as chunks.
struct Units {
    feed: Feed,
    frame: Frame,
    begun: bool,
}

impl Units {
    fn put(&mut self, text: &str) {
        if !self.begun {
            self.begun = true;
            self.frame.opening().into_iter().for_each(|chunk| self.feed.put(Item::Chunk(chunk)));
        }
        self.feed.put(Item::Chunk(self.frame.text(text)));
    }
}

impl Sink for Units {
    fn pass(&mut self, _: Lane, unit: &Passed) {
        self.put(&format!("{}{}", unit.separator(), unit.text()));
    }
}
