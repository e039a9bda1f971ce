//! The port through which the pipeline reaches a generation model.
//!
//! Two implementations live in this repository: `wiring` adapts the model pool, and [`scripted`](super::scripted)
//! plays prepared text for tests. A third, an engine on the LAN, comes through the relay.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use cloister_terms::TenantId;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::stop::{Failure, Stop};

/// A model that writes text.
pub trait Generate: Send + Sync {
    /// Which model this is, for answers, audit entries and `/v1/models`.
    fn identity(&self) -> ModelName;
    /// Tokens of prompt and completion together that the model takes.
    fn context_tokens(&self) -> usize;
    /// Tokens in `text`, without a chat template.
    fn count_tokens(&self, text: &str) -> usize;
    /// Admits a request. Never blocks: a full queue is an error at once.
    ///
    /// The stream ends after [`Event::Finished`] or [`Event::Failed`]. **Dropping it cancels the generation** within
    /// one step of the model.
    ///
    /// # Errors
    /// [`GenerateError`] when the request is not admitted.
    fn generate(&self, request: GenerateRequest) -> Result<Events, GenerateError>;
}

/// What a generation yields, in order.
pub type Events = BoxStream<'static, Event>;

/// A model's name and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    /// Name in the registry.
    pub name: String,
    /// SHA-256 over the manifest's file hashes, in hexadecimal.
    pub sha256: String,
}

/// One generation.
#[derive(Clone)]
pub struct GenerateRequest {
    /// What to continue.
    pub prompt: PromptText,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// When to give up.
    pub deadline: Instant,
    /// Keeps the prefix caches of tenants apart, and is what their shares of the model go by.
    pub salt: u64,
    /// How urgent it is.
    pub priority: Priority,
}

/// The salt of a tenant: one, whatever it asks for.
pub fn salt(tenant: &TenantId) -> u64 {
    let mut hasher = DefaultHasher::new();
    tenant.as_str().hash(&mut hasher);
    hasher.finish()
}

/// How urgent a question is. One that somebody waits for goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody waits for the answer.
    #[default]
    Interactive,
    /// One of many that a program works through.
    Batch,
}

/// Text for a model. It has no `Debug`: prompts hold patient text.
#[derive(Clone)]
pub enum PromptText {
    /// Messages, rendered with the model's own chat template.
    Chat(Vec<ChatMessage>),
    /// Text continued as it stands.
    Plain(String),
}

/// One message of a chat.
#[derive(Clone, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: ChatRole,
    /// What is said.
    pub content: String,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatRole {
    /// The one who sets the rules.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

impl ChatRole {
    /// The word that chat templates use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// What a text must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// JSON that this schema describes.
    JsonSchema(serde_json::Value),
    /// Some of these texts, at least one, word for word, each at most once and in this order, with a space between two. An engine elsewhere
    /// in the network cannot be held to it.
    Copied(Vec<String>),
}

/// How to choose tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// Share of probability kept, 0 to 1; 1 keeps all.
    pub top_p: f32,
    /// Least probability kept, relative to the best token; 0 keeps all.
    pub min_p: f32,
    /// Above 1 discourages what was said already; 1 is neutral.
    pub repetition_penalty: f32,
    /// Same seed, same prompt, same tokens.
    pub seed: Option<u64>,
    /// Strings that end the text; they are not part of it.
    pub stop: Vec<String>,
    /// Most tokens written.
    pub max_tokens: usize,
    /// Goes on past the model's own end, for measuring.
    pub ignore_eos: bool,
    /// What the text must be, unless it is cut short.
    pub constraint: Option<Constraint>,
}

impl Sampling {
    /// Always the likeliest token, at most `max_tokens` of them.
    pub const fn greedy(max_tokens: usize) -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: None,
            stop: Vec::new(),
            max_tokens,
            ignore_eos: false,
            constraint: None,
        }
    }
}

/// What happens in a generation.
#[derive(Debug)]
pub enum Event {
    /// The prompt is being read.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// How many of them were in the prefix cache.
        cached_tokens: usize,
    },
    /// More text; whole characters only.
    Text(String),
    /// The last event of a generation that ran.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// What it cost.
        usage: Usage,
    },
    /// The last event of a generation that broke.
    Failed(GenerateError),
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// The model's own end, or a stop string.
    Stop,
    /// `max_tokens`, or the end of the context.
    Length,
    /// The deadline passed.
    Deadline,
    /// The caller left.
    Cancelled,
}

/// Tokens used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: usize,
    /// Tokens written.
    pub completion_tokens: usize,
}

/// Why a model did not generate, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The queue is full.
    #[error("the generation queue is full")]
    Busy {
        /// When trying again has a chance.
        retry_after: Duration,
    },
    /// The prompt does not fit.
    #[error("the prompt has {tokens} tokens, more than the {limit} that the model takes")]
    TooLong {
        /// Tokens given.
        tokens: usize,
        /// Tokens taken.
        limit: usize,
    },
    /// The request asks for what the model cannot do: a setting out of range, a chat without a template.
    #[error("the request cannot be honoured: {0}")]
    Refused(String),
    /// The time was used up before the first token.
    #[error("the deadline passed before the model answered")]
    Deadline,
    /// The caller left.
    #[error("the generation was cancelled")]
    Cancelled,
    /// The pool is shutting down.
    #[error("the generation pool is stopped")]
    Stopped,
    /// Nobody answers where the model is to be; what the site can do about it.
    #[error("the generation model cannot be reached: {0}")]
    Unreachable(&'static str),
    /// A fault of the model. The text is free of the prompt.
    #[error("the generation model failed: {0}")]
    Failed(String),
}

impl GenerateError {
    /// As an early end of a request to `model`.
    pub fn into_stop(self, model: &str) -> Stop {
        match self {
            Self::Busy { retry_after } => Stop::busy("generation", retry_after),
            Self::TooLong { tokens, limit } => Failure::TooLong { model: model.to_owned(), tokens, limit }.into(),
            Self::Refused(why) => Stop::invalid(None, format!("the request cannot be honoured: {why}")),
            Self::Deadline => Failure::Deadline.into(),
            Self::Stopped => Failure::Unavailable {
                what: format!("model `{model}`"),
                mend: "the server is stopping or the model was retired; see `cloister model list`".to_owned(),
            }
            .into(),
            Self::Unreachable(mend) => {
                Failure::Unavailable { what: format!("model `{model}`"), mend: mend.to_owned() }.into()
            }
            fault @ (Self::Cancelled | Self::Failed(_)) => Stop::internal("generating", fault),
        }
    }
}
