//! An engine on the hospital's network as the port that the pipeline owns: OpenAI's completions over a Unix socket.
//!
//! **What it is not:** a way out. The socket is the relay's, a process of its own that knows one address; this one opens no
//! connection but to that socket. What the engine writes is a draft like any model's, and passes every check.
//!
//! # Why
//! - **The engine is not believed.** Status, form and sizes of what it sends are checked; a stream that ends without saying
//!   so is a failure and not the end of an answer. What it says of a failure is not passed on: it may repeat the prompt.
//! - **A task owns the connection and goes with the stream**, so that an engine sees at once when the caller has left.
//! - **Tokens are counted by the engine alone**, and it is not asked before: a prompt is taken to have a token for every
//!   [`BYTES_A_TOKEN`] bytes, which is more than tokenizers of today make of English, so that what fits here fits there.
//! - **Nothing is tried twice.** Whether a first try was begun cannot be known, and the caller's time runs.

mod wire;

#[cfg(test)]
mod tests;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use futures_util::stream::{self, StreamExt};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::UnixStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, timeout_at},
};

use self::wire::{Lines, Said};
use super::generation::{CANCELLED, COMPLETION_TOKENS, PROMPT_TOKENS};
use crate::{
    config,
    edge::metrics::Metrics,
    pipeline::model::{
        Event, Events, FinishReason, Generate, GenerateError, GenerateRequest, ModelName, PromptText, Usage,
    },
};

/// In place of a hash: none of what runs elsewhere can be known, so that records say whose it is instead.
pub const ENGINE: &str = "engine";

/// Fewer than any tokenizer in wide use makes of English prose, which is four (OpenAI's rule of thumb for its own).
const BYTES_A_TOKEN: usize = 3;

/// When a full engine is worth another try.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why nobody answers, and where to look.
const NOBODY: &str = "nobody listens at the socket of the relay: see `systemctl status cloister-relay`";

/// Pieces of text that may wait for a slow reader before the engine's connection is read on.
const AHEAD: usize = 64;

/// An engine behind the pipeline's port. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    socket: PathBuf,
    name: ModelName,
    context_tokens: usize,
    at_once: usize,
    places: Arc<Semaphore>,
    running: AtomicU64,
    metrics: Metrics,
}

impl Engine {
    /// The engine that `config` names, counted in `metrics`. Connects to nothing yet.
    pub fn new(config: &config::Engine, metrics: Metrics) -> Self {
        for total in [CANCELLED, PROMPT_TOKENS, COMPLETION_TOKENS] {
            metrics.count(total, 0, &[]);
        }
        let name = ModelName { name: config.model.clone(), sha256: ENGINE.to_owned() };
        Self(Arc::new(Inner {
            socket: config.socket.clone(),
            name,
            context_tokens: config.context_tokens,
            at_once: config.at_once,
            places: Arc::new(Semaphore::new(config.at_once)),
            running: AtomicU64::new(0),
            metrics,
        }))
    }

    /// Sets the level that `/metrics` shows.
    pub fn observe(&self) {
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let running = self.0.running.load(Ordering::Relaxed) as f64;
        self.0.metrics.level("cloister_generations_running", running, &[]);
    }

    /// Whether somebody listens at the socket. Blocks for as long as a connection to a socket of this machine takes.
    ///
    /// # Errors
    /// In words that name no path.
    pub fn reachable(&self) -> Result<(), &'static str> {
        let connected = std::os::unix::net::UnixStream::connect(&self.0.socket);
        connected.map(drop).map_err(|_| NOBODY)
    }
}

impl Generate for Engine {
    fn identity(&self) -> ModelName {
        self.0.name.clone()
    }

    fn context_tokens(&self) -> usize {
        self.0.context_tokens
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.len().div_ceil(BYTES_A_TOKEN)
    }

    fn generate(&self, request: GenerateRequest) -> Result<Events, GenerateError> {
        let tokens = match &request.prompt {
            PromptText::Plain(text) => self.count_tokens(text),
            PromptText::Chat(messages) => messages.iter().map(|message| self.count_tokens(&message.content)).sum(),
        };
        let limit = self.0.context_tokens;
        if tokens + request.sampling.max_tokens > limit {
            return Err(GenerateError::TooLong { tokens, limit: limit.saturating_sub(request.sampling.max_tokens) });
        }
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        let place = place.map_err(|_| GenerateError::Busy { retry_after: RETRY_AFTER })?;
        let (events, heard) = mpsc::channel(AHEAD);
        let mut task = JoinSet::new();
        task.spawn(run(Arc::clone(&self.0), request, tokens, events, place));
        Ok(stream::unfold((heard, task), |(mut heard, task)| async {
            let event = heard.recv().await?;
            Some((event, (heard, task)))
        })
        .boxed())
    }
}

/// Counts a generation while it runs, and one that was dropped before its end.
struct Running<'a> {
    inner: &'a Inner,
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.inner.running.fetch_sub(1, Ordering::Relaxed);
        if !self.over {
            self.inner.metrics.count(CANCELLED, 1, &[]);
        }
    }
}

/// Asks the engine and passes on what it says, down to the one event that ends it.
async fn run(
    inner: Arc<Inner>,
    request: GenerateRequest,
    prompt_tokens: usize,
    events: mpsc::Sender<Event>,
    place: OwnedSemaphorePermit,
) {
    inner.running.fetch_add(1, Ordering::Relaxed);
    let mut running = Running { inner: &inner, over: false, _place: place };
    let deadline = Instant::from_std(request.deadline);
    let mut heard = Heard::default();
    let whole = timeout_at(deadline, heard.listen(&inner, &request, prompt_tokens, &events)).await;
    let usage = heard.usage(prompt_tokens);
    let last = match whole {
        Ok(Ok(reason)) => Event::Finished { reason, usage },
        Ok(Err(error)) => Event::Failed(error),
        Err(_) if heard.pieces > 0 => Event::Finished { reason: FinishReason::Deadline, usage },
        Err(_) => Event::Failed(GenerateError::Deadline),
    };
    inner.metrics.count(PROMPT_TOKENS, usage.prompt_tokens as u64, &[]);
    inner.metrics.count(COMPLETION_TOKENS, usage.completion_tokens as u64, &[]);
    running.over = true;
    drop(running);
    let _the_caller_left = events.send(last).await;
}

/// What was heard of a generation so far.
#[derive(Default)]
struct Heard {
    pieces: usize,
    told: Option<Usage>,
}

impl Heard {
    /// As the engine says; where it does not, as many tokens as pieces came, and the prompt's as they were estimated.
    fn usage(&self, prompt_tokens: usize) -> Usage {
        self.told.unwrap_or(Usage { prompt_tokens, completion_tokens: self.pieces })
    }

    async fn listen(
        &mut self,
        inner: &Inner,
        request: &GenerateRequest,
        prompt_tokens: usize,
        events: &mpsc::Sender<Event>,
    ) -> Result<FinishReason, GenerateError> {
        // It drives the connection, and ends it when this future goes.
        let mut connection = JoinSet::new();
        let mut body = ask(inner, request, &mut connection).await?;
        let _the_caller_left = events.send(Event::Started { prompt_tokens, cached_tokens: 0 }).await;
        let mut lines = Lines::default();
        let mut reason = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| failed("the connection broke"))?;
            let Ok(bytes) = frame.into_data() else { continue };
            lines.push(&bytes).map_err(failed)?;
            while let Some(said) = lines.next().map_err(failed)? {
                match said {
                    Said::Text(text) => {
                        self.pieces += 1;
                        if events.send(Event::Text(text)).await.is_err() {
                            return Err(GenerateError::Cancelled);
                        }
                    }
                    Said::Ended(how) => reason = Some(how),
                    Said::Used(usage) => self.told = Some(usage),
                    Said::Done => return reason.ok_or_else(|| failed("it was done without having said why")),
                }
            }
        }
        reason.ok_or_else(|| failed("the stream ended before the text did"))
    }
}

/// The body of the engine's reply, once it has begun as it must.
async fn ask(
    inner: &Inner,
    request: &GenerateRequest,
    connection: &mut JoinSet<()>,
) -> Result<Incoming, GenerateError> {
    let stream = UnixStream::connect(&inner.socket).await.map_err(|_| GenerateError::Unreachable(NOBODY))?;
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| failed("the relay does not speak HTTP"))?;
    connection.spawn(async move {
        let _what_broke_shows_in_the_body = driver.await;
    });
    let (path, body) = wire::asked(&inner.name.name, request);
    let asked = Request::post(path)
        .header(header::HOST, "engine")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "text/event-stream")
        .body(Body::from(body))
        .map_err(|_| failed("the request could not be written"))?;
    let reply = sender.send_request(asked).await.map_err(|_| failed("the connection broke before the reply"))?;
    match reply.status() {
        StatusCode::OK => Ok(reply.into_body()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Err(GenerateError::Busy { retry_after: RETRY_AFTER })
        }
        status if status.is_client_error() => {
            Err(GenerateError::Refused(format!("the engine refused it with status {}", status.as_u16())))
        }
        status => Err(GenerateError::Failed(format!("the engine answered with status {}", status.as_u16()))),
    }
}

fn failed(what: &'static str) -> GenerateError {
    GenerateError::Failed(format!("the engine: {what}"))
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("name", &self.0.name).field("at_once", &self.0.at_once).finish_non_exhaustive()
    }
}
