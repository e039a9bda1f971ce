//! The generation pool as the port that the pipeline owns, counted for `/metrics`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cloister_models::{
    ChatMessage, ChatRole, Constraint, Event as PoolEvent, FinishReason as PoolReason, GeneratePool,
    GenerateRequest as PoolRequest, Generation, PoolError, Priority as PoolPriority, Prompt, Sampling as PoolSampling,
};
use futures_util::stream::{self, StreamExt};

use crate::{
    edge::metrics::Metrics,
    pipeline::model::{
        self, Event, Events, FinishReason, Generate, GenerateError, GenerateRequest, ModelName, Priority, PromptText,
        Usage,
    },
};

/// Generations whose caller left before the end.
pub(super) const CANCELLED: &str = "cloister_generations_cancelled_total";
pub(super) const PROMPT_TOKENS: &str = "cloister_prompt_tokens_total";
pub(super) const COMPLETION_TOKENS: &str = "cloister_completion_tokens_total";
/// Tokens of completions that took no step of the model of their own.
const GUESSED_TOKENS: &str = "cloister_guessed_tokens_total";

/// The generation pool behind the pipeline's port.
#[derive(Clone)]
pub struct PoolGenerate {
    pool: GeneratePool,
    running: Arc<AtomicU64>,
    metrics: Metrics,
}

impl PoolGenerate {
    /// Lends `pool` and counts in `metrics`.
    pub fn new(pool: GeneratePool, metrics: Metrics) -> Self {
        for total in [CANCELLED, PROMPT_TOKENS, COMPLETION_TOKENS, GUESSED_TOKENS] {
            metrics.count(total, 0, &[]);
        }
        Self { pool, running: Arc::default(), metrics }
    }

    /// Sets the levels that `/metrics` shows: generations that a worker has taken up, and those that wait.
    pub fn observe(&self) {
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let (running, waiting) = (self.running.load(Ordering::Relaxed) as f64, self.pool.waiting() as f64);
        self.metrics.level("cloister_generations_running", running, &[]);
        self.metrics.level("cloister_generations_waiting", waiting, &[]);
    }

    /// Whether the worker still takes requests.
    pub fn serving(&self) -> bool {
        self.pool.serving()
    }
}

impl Generate for PoolGenerate {
    fn identity(&self) -> ModelName {
        let identity = self.pool.identity();
        ModelName { name: identity.name.clone(), sha256: identity.sha256.clone() }
    }

    fn context_tokens(&self) -> usize {
        self.pool.context_tokens()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.pool.count_tokens(text)
    }

    fn generate(&self, request: GenerateRequest) -> Result<Events, GenerateError> {
        let generation = self.pool.generate(asked(request)).map_err(refused)?;
        let watched = Watched { generation, owner: self.clone(), started: false, over: false };
        Ok(stream::unfold(watched, |mut watched| async {
            let event = watched.next().await?;
            Some((event, watched))
        })
        .boxed())
    }
}

/// A generation whose beginning and end are counted, the early end by dropping too.
struct Watched {
    generation: Generation,
    owner: PoolGenerate,
    started: bool,
    over: bool,
}

impl Watched {
    async fn next(&mut self) -> Option<Event> {
        let event = self.generation.next().await?;
        Some(match event {
            PoolEvent::Started { prompt_tokens, cached_tokens } => {
                self.started = true;
                self.owner.running.fetch_add(1, Ordering::Relaxed);
                Event::Started { prompt_tokens, cached_tokens }
            }
            PoolEvent::Text(text) => Event::Text(text),
            PoolEvent::Finished { reason, usage } => {
                self.over = true;
                self.owner.metrics.count(PROMPT_TOKENS, usage.prompt_tokens as u64, &[]);
                self.owner.metrics.count(COMPLETION_TOKENS, usage.completion_tokens as u64, &[]);
                self.owner.metrics.count(GUESSED_TOKENS, usage.guessed_tokens as u64, &[]);
                let usage = Usage { prompt_tokens: usage.prompt_tokens, completion_tokens: usage.completion_tokens };
                Event::Finished { reason: reason_of(reason), usage }
            }
            PoolEvent::Failed(fault) => {
                self.over = true;
                Event::Failed(refused(fault))
            }
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.started {
            self.owner.running.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.over {
            self.owner.metrics.count(CANCELLED, 1, &[]);
        }
    }
}

const fn reason_of(reason: PoolReason) -> FinishReason {
    match reason {
        PoolReason::Stop => FinishReason::Stop,
        PoolReason::Length => FinishReason::Length,
        PoolReason::Deadline => FinishReason::Deadline,
        PoolReason::Cancelled => FinishReason::Cancelled,
    }
}

fn asked(request: GenerateRequest) -> PoolRequest {
    let model::Sampling {
        temperature,
        top_p,
        min_p,
        repetition_penalty,
        seed,
        stop,
        max_tokens,
        ignore_eos,
        constraint,
    } = request.sampling;
    let prompt = match request.prompt {
        PromptText::Plain(text) => Prompt::Text(text),
        PromptText::Chat(messages) => Prompt::Chat(messages.into_iter().map(message).collect()),
    };
    let constraint = constraint.map(|constraint| match constraint {
        model::Constraint::JsonSchema(schema) => Constraint::JsonSchema(schema),
        model::Constraint::Copied(texts) => Constraint::Copied(texts),
    });
    let sampling =
        PoolSampling { temperature, top_p, min_p, repetition_penalty, seed, stop, max_tokens, ignore_eos, constraint };
    let priority = match request.priority {
        Priority::Interactive => PoolPriority::Interactive,
        Priority::Batch => PoolPriority::Batch,
    };
    PoolRequest { prompt, sampling, deadline: request.deadline, salt: request.salt, priority }
}

fn message(message: model::ChatMessage) -> ChatMessage {
    let role = match message.role {
        model::ChatRole::System => ChatRole::System,
        model::ChatRole::User => ChatRole::User,
        model::ChatRole::Assistant => ChatRole::Assistant,
    };
    ChatMessage { role, content: message.content }
}

fn refused(error: PoolError) -> GenerateError {
    match error {
        PoolError::QueueFull { retry_after } => GenerateError::Busy { retry_after },
        PoolError::TooLong { tokens, limit } => GenerateError::TooLong { tokens, limit },
        PoolError::DeadlineExceeded => GenerateError::Deadline,
        PoolError::Cancelled => GenerateError::Cancelled,
        PoolError::Stopped => GenerateError::Stopped,
        // The pool words these from settings and templates alone, never from the prompt.
        PoolError::Refused(why) => GenerateError::Refused(why),
        fault => GenerateError::Failed(fault.to_string()),
    }
}
