//! The generation pool as the port that the pipeline owns, counted for `/metrics`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cloister_models::{
    ChatMessage, ChatRole, Event as PoolEvent, FinishReason as PoolReason, GeneratePool, GenerateRequest as PoolRequest,
    Generation, PoolError, Prompt, Sampling as PoolSampling,
};
use futures_util::stream::{self, StreamExt};

use crate::pipeline::model::{
    self, Event, Events, FinishReason, Generate, GenerateError, GenerateRequest, ModelName, PromptText, Usage,
};

/// What the generation pool is doing, for `/metrics`.
#[derive(Debug, Default)]
pub struct Count {
    running: AtomicU64,
    cancelled: AtomicU64,
    tokens: AtomicU64,
}

impl Count {
    /// Generations that a worker has taken up and that are not over.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Generations whose caller left before the end.
    pub fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Tokens written.
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }
}

/// The generation pool behind the pipeline's port.
#[derive(Clone)]
pub struct PoolGenerate {
    pool: GeneratePool,
    count: Arc<Count>,
}

impl PoolGenerate {
    /// Lends `pool`.
    pub fn new(pool: GeneratePool) -> Self {
        Self { pool, count: Arc::default() }
    }

    /// What it is doing.
    pub fn count(&self) -> &Count {
        &self.count
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.pool.waiting()
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
        let watched = Watched { generation, count: Arc::clone(&self.count), started: false, over: false };
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
    count: Arc<Count>,
    started: bool,
    over: bool,
}

impl Watched {
    async fn next(&mut self) -> Option<Event> {
        let event = self.generation.next().await?;
        Some(match event {
            PoolEvent::Started { prompt_tokens, cached_tokens } => {
                self.started = true;
                self.count.running.fetch_add(1, Ordering::Relaxed);
                Event::Started { prompt_tokens, cached_tokens }
            }
            PoolEvent::Text(text) => Event::Text(text),
            PoolEvent::Finished { reason, usage } => {
                self.over = true;
                self.count.tokens.fetch_add(usage.completion_tokens as u64, Ordering::Relaxed);
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
            self.count.running.fetch_sub(1, Ordering::Relaxed);
        }
        if !self.over {
            self.count.cancelled.fetch_add(1, Ordering::Relaxed);
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
    let model::Sampling { temperature, top_p, min_p, repetition_penalty, seed, stop, max_tokens, ignore_eos } = request.sampling;
    let prompt = match request.prompt {
        PromptText::Plain(text) => Prompt::Text(text),
        PromptText::Chat(messages) => Prompt::Chat(messages.into_iter().map(message).collect()),
    };
    let sampling = PoolSampling { temperature, top_p, min_p, repetition_penalty, seed, stop, max_tokens, ignore_eos };
    PoolRequest { prompt, sampling, deadline: request.deadline, salt: request.salt }
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
        fault => GenerateError::Failed(fault.to_string()),
    }
}
