//! The generation pool: one sequence at a time, first come, first served, each step able to end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc::{self, UnboundedSender};

use super::queue::{Queue, Waiting};
use super::slots::{STEP, Slots};
use super::stream::{Event, FinishReason, Generation, Usage};
use super::worker::{Serve, Worker, panicked};
use super::{PoolError, PoolOptions};
use crate::arch;
use crate::chat::{ChatError, ChatMessage, ChatTemplate};
use crate::error::LoadError;
use crate::manifest::ModelIdentity;
use crate::registry::Verified;
use crate::sampling::{Sampler, Sampling, StopStrings, mix};
use crate::task::generate::StepTokens;
use crate::tokenizer::{TextStream, Tokens};

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
    /// Prompts share computed prefixes only with prompts of the same salt: one per tenant or session.
    pub salt: u64,
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
        let slots = Slots::new(model.slots());
        let server = Server { model, tokens: Arc::clone(&tokens), slots, logits: Vec::new() };
        let worker = Worker::start("generate", options.queue, server).map_err(LoadError::Thread)?;
        let (entropy, asked) = (options.entropy, AtomicU64::new(0));
        Ok(Self { inner: Arc::new(Inner { worker, tokens, template, identity, context, entropy, asked }) })
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
        inner.worker.queue().admits()?;
        let prompt = inner.prompt_tokens(&request.prompt)?;
        if prompt.is_empty() {
            return Err(PoolError::Refused("the prompt is empty; give at least one character".to_owned()));
        }
        // One token must be left for the answer.
        let limit = inner.context.saturating_sub(1);
        if prompt.len() > limit {
            return Err(PoolError::TooLong { tokens: prompt.len(), limit });
        }
        let asked = inner.asked.fetch_add(1, Ordering::Relaxed);
        let seed = request.sampling.seed.unwrap_or_else(|| mix(inner.entropy ^ mix(asked)));
        let (sender, events) = mpsc::unbounded_channel();
        inner.worker.queue().push(Job {
            prompt,
            sampling: request.sampling,
            seed,
            deadline: request.deadline,
            salt: request.salt,
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
struct Reply {
    events: UnboundedSender<Event>,
    ended: bool,
}

impl Reply {
    fn send(&self, event: Event) {
        // Nobody listens any more: the next step will see it.
        drop(self.events.send(event));
    }

    fn end(mut self, event: Event) {
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

struct Job {
    prompt: Vec<u32>,
    sampling: Sampling,
    seed: u64,
    deadline: Instant,
    salt: u64,
    reply: Reply,
}

impl Waiting for Job {
    fn deadline(&self) -> Instant {
        self.deadline
    }
    fn abandoned(&self) -> bool {
        self.reply.events.is_closed()
    }
    fn refuse(self, why: PoolError) {
        self.reply.end(Event::Failed(why));
    }
}

struct Server {
    model: Box<dyn StepTokens>,
    tokens: Arc<Tokens>,
    slots: Slots,
    logits: Vec<f32>,
}

impl Serve<Job> for Server {
    fn serve(&mut self, job: Job, queue: &Queue<Job>) {
        let started = Instant::now();
        let mut usage = Usage { prompt_tokens: job.prompt.len(), completion_tokens: 0 };
        let last = match self.run(&job, queue, &mut usage) {
            Ok(reason) => Event::Finished { reason, usage },
            Err(why) => {
                // What the slots hold after a failed step is not known.
                self.reset();
                Event::Failed(why)
            }
        };
        job.reply.end(last);
        queue.served(started.elapsed(), 1);
    }

    fn reset(&mut self) {
        self.slots.reset();
        self.model.reset();
    }
}

impl Server {
    fn run(&mut self, job: &Job, queue: &Queue<Job>, usage: &mut Usage) -> Result<FinishReason, PoolError> {
        let place = self.slots.place(job.salt, &job.prompt);
        let failed = |error: crate::task::StepError| PoolError::Failed(error.0);
        if let Some(from) = place.copy_from {
            self.model.copy_prefix(from, place.slot, place.cached).map_err(failed)?;
        }
        job.reply.send(Event::Started { prompt_tokens: usage.prompt_tokens, cached_tokens: place.cached });
        let mut position = place.cached;
        let rest = job.prompt.get(position..).unwrap_or_default();
        for step in rest.chunks(STEP) {
            if let Some(reason) = wanted(job, queue) {
                return Ok(reason);
            }
            let last = position + step.len() == job.prompt.len();
            self.model.feed(place.slot, position, step, last.then_some(&mut self.logits)).map_err(failed)?;
            self.slots.grew(place.slot, step);
            position += step.len();
        }
        let mut sampler = Sampler::new(&job.sampling, job.seed, &job.prompt);
        let mut text = Text { stream: self.tokens.stream(), stops: StopStrings::new(&job.sampling.stop) };
        let room = self.model.context_tokens().saturating_sub(job.prompt.len());
        loop {
            if let Some(reason) = wanted(job, queue) {
                text.finish(&job.reply);
                return Ok(reason);
            }
            let token = sampler
                .choose(&mut self.logits)
                .ok_or_else(|| PoolError::Failed("the logits are not numbers; the weights are damaged".to_owned()))?;
            usage.completion_tokens += 1;
            if self.tokens.ends(token) && !job.sampling.ignore_eos {
                text.finish(&job.reply);
                return Ok(FinishReason::Stop);
            }
            if text.push(&self.tokens, token, &job.reply) {
                return Ok(FinishReason::Stop);
            }
            if usage.completion_tokens >= job.sampling.max_tokens.min(room) {
                text.finish(&job.reply);
                return Ok(FinishReason::Length);
            }
            self.model.feed(place.slot, position, &[token], Some(&mut self.logits)).map_err(failed)?;
            position += 1;
        }
    }
}

/// Whether the next step is still wanted, and if not, why it is not.
fn wanted(job: &Job, queue: &Queue<Job>) -> Option<FinishReason> {
    queue.sweep();
    if job.reply.events.is_closed() || queue.closed() {
        Some(FinishReason::Cancelled)
    } else if job.deadline <= Instant::now() {
        Some(FinishReason::Deadline)
    } else {
        None
    }
}

/// From tokens to text that may be shown.
struct Text {
    stream: TextStream,
    stops: StopStrings,
}

impl Text {
    /// Sends what the token makes certain; true where a stop string came.
    fn push(&mut self, tokens: &Tokens, token: u32, reply: &Reply) -> bool {
        let held = self.stops.push(&self.stream.push(tokens, token));
        show(held.text, reply);
        held.stopped
    }

    fn finish(&mut self, reply: &Reply) {
        let held = self.stops.push(&self.stream.finish());
        show(held.text, reply);
        if !held.stopped {
            show(self.stops.finish(), reply);
        }
    }
}

fn show(text: String, reply: &Reply) {
    if !text.is_empty() {
        reply.send(Event::Text(text));
    }
}

#[cfg(test)]
mod tests;
