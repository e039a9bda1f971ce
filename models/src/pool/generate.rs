//! The generation pool: many sequences at once, a step at a time, each step able to end any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::{self, UnboundedSender};

use super::batching::Server;
use super::queue::Waiting;
use super::share::{Priority, Standing};
use super::stream::{Event, Generation};
use super::worker::{Worker, panicked};
use super::{PoolError, PoolOptions};
use crate::arch;
use crate::chat::{ChatError, ChatMessage, ChatTemplate};
use crate::error::LoadError;
use crate::manifest::ModelIdentity;
use crate::registry::Verified;
use crate::sampling::{Constraints, Mask, Sampling, mix};
use crate::task::generate::StepTokens;
use crate::tokenizer::Tokens;

/// What is to be continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation, laid out by the model's own template. Contents are never read as control tokens.
    Chat(Vec<ChatMessage>),
    /// Plain text, never read as control tokens.
    Text(String),
}

/// What a generation pool is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// What is to be continued.
    pub prompt: Prompt,
    /// How tokens are chosen and when to stop.
    pub sampling: Sampling,
    /// When the work is no longer worth doing.
    pub deadline: Instant,
    /// Prompts share computed prefixes only with prompts of the same salt, and whoever has the same salt has one share of the model
    /// together: one per tenant.
    pub salt: u64,
    /// How urgent it is.
    pub priority: Priority,
}

/// Runs one generation model. Cheap to clone; the worker ends with the last clone.
#[derive(Clone)]
pub struct GeneratePool {
    inner: Arc<Inner>,
}

struct Inner {
    worker: Worker<Job>,
    tokens: Arc<Tokens>,
    template: Option<ChatTemplate>,
    identity: ModelIdentity,
    context: usize,
    entropy: u64,
    asked: AtomicU64,
    constraints: Constraints,
}

/// A model with what its files say about text.
pub(crate) struct LoadedGenerator {
    pub(crate) model: Box<dyn StepTokens>,
    pub(crate) tokens: Tokens,
    pub(crate) template: Option<ChatTemplate>,
}

impl GeneratePool {
    /// Loads the model and starts its worker.
    ///
    /// # Errors
    /// [`LoadError`] where the files are not what they must be, the architecture is unknown or the machine too small.
    pub fn start(model: Verified, options: &PoolOptions) -> Result<Self, LoadError> {
        let loaded = arch::load_generate(&model, options)?;
        Self::with_model(model.identity(), loaded, options)
    }

    pub(crate) fn with_model(
        identity: ModelIdentity,
        loaded: LoadedGenerator,
        options: &PoolOptions,
    ) -> Result<Self, LoadError> {
        let LoadedGenerator { model, tokens, template } = loaded;
        let tokens = Arc::new(tokens);
        let context = model.context_tokens();
        let server = Server::new(model, Arc::clone(&tokens), options.guesses);
        let worker = Worker::start("generate", options.queue, server).map_err(LoadError::Thread)?;
        let (entropy, asked) = (options.entropy, AtomicU64::new(0));
        Ok(Self {
            inner: Arc::new(Inner {
                worker,
                tokens,
                template,
                identity,
                context,
                entropy,
                asked,
                constraints: Constraints::default(),
            }),
        })
    }

    /// Which weights generate the text.
    #[must_use]
    pub fn identity(&self) -> &ModelIdentity {
        &self.inner.identity
    }

    /// Longest sequence in tokens, prompt and answer together.
    #[must_use]
    pub fn context_tokens(&self) -> usize {
        self.inner.context
    }

    /// Tokens of a plain text. `usize::MAX` where the tokenizer fails on it.
    #[must_use]
    pub fn count_tokens(&self, text: &str) -> usize {
        self.inner.tokens.encode(text).map_or(usize::MAX, |tokens| tokens.len())
    }

    /// Tokens of a conversation as the template lays it out.
    ///
    /// # Errors
    /// [`ChatError`] as for [`GeneratePool::render_chat`], and [`PoolError::Failed`] where the tokenizer fails.
    pub fn count_chat_tokens(&self, messages: &[ChatMessage]) -> Result<usize, PoolError> {
        Ok(self.inner.prompt_tokens(&Prompt::Chat(messages.to_vec()))?.len())
    }

    /// The prompt of a conversation as text, for people to look at. [`GeneratePool::generate`] does not read it: it
    /// keeps the template's text and the messages' apart.
    ///
    /// # Errors
    /// [`ChatError`] where there is no template, or it refuses the conversation.
    pub fn render_chat(&self, messages: &[ChatMessage]) -> Result<String, ChatError> {
        let template = self.inner.template.as_ref().ok_or(ChatError::NoTemplate)?;
        Ok(template.render(messages)?.into_iter().map(|piece| piece.into_text()).collect())
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.worker.queue().len()
    }

    /// Whether the worker still takes requests.
    #[must_use]
    pub fn serving(&self) -> bool {
        !self.inner.worker.queue().closed()
    }

    /// Takes the request into the queue and returns at once. The text comes from the [`Generation`].
    ///
    /// # Errors
    /// [`PoolError`] where the queue is full, the prompt too long or a setting out of range.
    pub fn generate(&self, request: GenerateRequest) -> Result<Generation, PoolError> {
        let inner = &self.inner;
        request.sampling.check().map_err(|what| PoolError::Refused(what.to_owned()))?;
        let standing = Standing { priority: request.priority, tenant: request.salt };
        inner.worker.queue().admits(standing)?;
        let prompt = inner.prompt_tokens(&request.prompt)?;
        if prompt.is_empty() {
            return Err(PoolError::Refused("the prompt is empty; give at least one character".to_owned()));
        }
        // One token must be left for the answer.
        let limit = inner.context.saturating_sub(1);
        if prompt.len() > limit {
            return Err(PoolError::TooLong { tokens: prompt.len(), limit });
        }
        let constraint = request.sampling.constraint.as_ref();
        let mask = constraint.map(|constraint| inner.constraints.begin(&inner.tokens, constraint)).transpose();
        let mask = mask.map_err(PoolError::Refused)?;
        let asked = inner.asked.fetch_add(1, Ordering::Relaxed);
        let seed = request.sampling.seed.unwrap_or_else(|| mix(inner.entropy ^ mix(asked)));
        let (sender, events) = mpsc::unbounded_channel();
        inner.worker.queue().push(Job {
            prompt,
            sampling: request.sampling,
            mask,
            seed,
            deadline: request.deadline,
            standing,
            reply: Reply { events: sender, ended: false },
        })?;
        Ok(Generation { events, ended: false })
    }
}

impl Inner {
    fn prompt_tokens(&self, prompt: &Prompt) -> Result<Vec<u32>, PoolError> {
        let length = match prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Chat(messages) => messages.iter().map(|message| message.content.len()).sum(),
        };
        // Text far too long is refused before the tokenizer spends time on it.
        let (tokens, limit) = (self.tokens.at_least_for(length), self.context.saturating_sub(1));
        if tokens > limit {
            return Err(PoolError::TooLong { tokens, limit });
        }
        let encoded = match prompt {
            Prompt::Text(text) => self.tokens.encode_framed(text),
            Prompt::Chat(messages) => {
                let template = self.template.as_ref().ok_or(ChatError::NoTemplate);
                let pieces = template.and_then(|template| template.render(messages));
                self.tokens.encode_pieces(&pieces.map_err(|error| PoolError::Refused(error.to_string()))?)
            }
        };
        encoded.map_err(|error| PoolError::Failed(error.to_string()))
    }
}

/// Says the last word exactly once: a request dropped without one, as a panic does, is told so.
pub(super) struct Reply {
    events: UnboundedSender<Event>,
    ended: bool,
}

impl Reply {
    pub(super) fn send(&self, event: Event) {
        // Nobody listens any more: the next step will see it.
        drop(self.events.send(event));
    }

    pub(super) fn end(mut self, event: Event) {
        self.ended = true;
        self.send(event);
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.ended {
            self.send(Event::Failed(panicked()));
        }
    }
}

/// A request, its prompt in tokens.
pub(super) struct Job {
    pub(super) prompt: Vec<u32>,
    pub(super) sampling: Sampling,
    /// What the text must be, where it must be something.
    pub(super) mask: Option<Mask>,
    pub(super) seed: u64,
    pub(super) deadline: Instant,
    pub(super) standing: Standing,
    pub(super) reply: Reply,
}

impl Waiting for Job {
    fn deadline(&self) -> Instant {
        self.deadline
    }
    fn standing(&self) -> Standing {
        self.standing
    }
    fn abandoned(&self) -> bool {
        self.reply.events.is_closed()
    }
    fn refuse(self, why: PoolError) {
        self.reply.end(Event::Failed(why));
    }
}

#[cfg(test)]
mod tests;
