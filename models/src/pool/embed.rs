//! The embedding pool, and what it shares with that of cross-encoders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::batch::{Batcher, Piece};
use super::queue::{Queue, Waiting};
use super::share::{Priority, Standing};
use super::worker::{Serve, Worker, panicked};
use super::{PoolError, PoolOptions};
use crate::arch;
use crate::error::LoadError;
use crate::manifest::{ModelIdentity, Task};
use crate::registry::Verified;
use crate::task::embed::{EncodeText, Sequence};
use crate::tokenizer::{TokenizeError, Tokens};

/// Requests of each tenant and class of which the worker computes pieces in turn.
const ACTIVE: usize = 32;

/// What to do with a text longer than the model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncate {
    /// Refuse it with [`PoolError::TooLong`].
    Refuse,
    /// Leave the end out of the vector.
    End,
}

/// The answer of an embedding pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// One L2-normalised vector per text, in the order of the texts; of [`EmbedPool::embed_tokens_blocking`], two per token; of texts
    /// that are read together, what the head makes of them.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens computed, special ones included.
    pub tokens: usize,
}

/// Runs one embedding model. Cheap to clone; the worker ends with the last clone.
#[derive(Clone)]
pub struct EmbedPool {
    inner: Arc<Inner>,
    standing: Standing,
}

pub(super) struct Inner {
    worker: Worker<Job>,
    tokens: Tokens,
    identity: ModelIdentity,
    dimensions: usize,
    max_tokens: usize,
}

impl EmbedPool {
    /// Loads the model and starts its worker.
    ///
    /// # Errors
    /// [`LoadError`] where the files are not what they must be, the architecture is unknown or the machine too small.
    pub fn start(model: Verified, options: &PoolOptions) -> Result<Self, LoadError> {
        Self::of_task(&model, Task::Embed, options)
    }

    /// The same for a model of either task.
    pub(super) fn of_task(model: &Verified, task: Task, options: &PoolOptions) -> Result<Self, LoadError> {
        let loaded = arch::load_encoder(model, task, options)?;
        Self::with_model(model.identity(), loaded.model, loaded.tokens, options)
    }

    /// The same for an embedding model that an adapter makes a cross-encoder.
    pub(super) fn adapted(model: &Verified, adapter: &[u8], options: &PoolOptions) -> Result<Self, LoadError> {
        let loaded = arch::load_adapted(model, adapter, options)?;
        Self::with_model(model.identity(), loaded.model, loaded.tokens, options)
    }

    pub(crate) fn with_model(
        identity: ModelIdentity,
        model: Box<dyn EncodeText>,
        tokens: Tokens,
        options: &PoolOptions,
    ) -> Result<Self, LoadError> {
        let (dimensions, max_tokens) = (model.dimensions(), model.max_tokens());
        let worker = Worker::start("embed", options.queue, Server { model, next: 0 }).map_err(LoadError::Thread)?;
        let inner = Arc::new(Inner { worker, tokens, identity, dimensions, max_tokens });
        Ok(Self { inner, standing: Standing::default() })
    }

    /// The same pool, asked on behalf of a tenant. Whoever is not named has one share together.
    #[must_use]
    pub fn of_tenant(&self, tenant: u64) -> Self {
        Self { standing: Standing { tenant, ..self.standing }, ..self.clone() }
    }

    /// The same pool, asked with another urgency; at first it is [`Priority::Interactive`].
    #[must_use]
    pub fn with_priority(&self, priority: Priority) -> Self {
        Self { standing: Standing { priority, ..self.standing }, ..self.clone() }
    }

    /// Which weights compute the vectors; an index must carry it.
    #[must_use]
    pub fn identity(&self) -> &ModelIdentity {
        &self.inner.identity
    }

    /// Length of every vector, or how many outputs there are for a pair.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.inner.dimensions
    }

    /// Longest text in tokens, special ones included.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.inner.max_tokens
    }

    /// Tokens of a text, special ones included, never cut. `usize::MAX` where the tokenizer fails on it.
    #[must_use]
    pub fn count_tokens(&self, text: &str) -> usize {
        self.inner.tokens.encode_framed(text).map_or(usize::MAX, |tokens| tokens.len())
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

    /// The vectors of the texts. Dropping the future cancels what has not been computed.
    ///
    /// # Errors
    /// [`PoolError`]; [`PoolError::TooLong`] for a text over [`EmbedPool::max_tokens`] unless it may be cut.
    pub async fn embed(
        &self,
        texts: Vec<String>,
        truncate: Truncate,
        deadline: Instant,
    ) -> Result<Embeddings, PoolError> {
        let bytes = texts.iter().map(String::len).sum();
        self.run(bytes, deadline, move |inner| texts.iter().map(|text| inner.sequence(text, truncate)).collect()).await
    }

    /// Cuts texts into `sequences` and computes them; `bytes` is how long the texts are.
    pub(super) async fn run(
        &self,
        bytes: usize,
        deadline: Instant,
        sequences: impl FnOnce(&Inner) -> Result<Vec<Sequence>, PoolError> + Send + 'static,
    ) -> Result<Embeddings, PoolError> {
        let (inner, standing) = (Arc::clone(&self.inner), self.standing);
        inner.worker.queue().admits(standing)?;
        let answer = match tokio::runtime::Handle::try_current() {
            // Many long texts take milliseconds to cut into tokens; other tasks shall not wait for that.
            Ok(runtime) if bytes > 16 * 1024 => {
                let admitted =
                    runtime.spawn_blocking(move || inner.admit(sequences(&inner)?, deadline, standing)).await;
                admitted.map_err(|_| PoolError::Stopped)??
            }
            _ => inner.admit(sequences(&inner)?, deadline, standing)?,
        };
        answer.await.unwrap_or(Err(PoolError::Stopped))
    }

    /// The same for a thread that may block. Panics where called from inside an async task.
    ///
    /// # Errors
    /// As [`EmbedPool::embed`].
    pub fn embed_blocking(
        &self,
        texts: &[String],
        truncate: Truncate,
        deadline: Instant,
    ) -> Result<Embeddings, PoolError> {
        self.run_blocking(deadline, |inner| texts.iter().map(|text| inner.sequence(text, truncate)).collect())
    }

    /// What the model makes of each token, special ones included: for a text of n tokens 2 n L2-normalised vectors, for each token what
    /// the last layer leaves and what the layer half way up does. It costs what [`EmbedPool::embed_blocking`] does. Panics where
    /// called from inside an async task.
    ///
    /// # Errors
    /// As [`EmbedPool::embed`].
    pub fn embed_tokens_blocking(
        &self,
        texts: &[String],
        truncate: Truncate,
        deadline: Instant,
    ) -> Result<Embeddings, PoolError> {
        let by_token = |inner: &Inner, text: &String| inner.sequence(text, truncate).map(Sequence::by_token);
        self.run_blocking(deadline, |inner| texts.iter().map(|text| by_token(inner, text)).collect())
    }

    /// [`EmbedPool::run`] for a thread that may block.
    pub(super) fn run_blocking(
        &self,
        deadline: Instant,
        sequences: impl FnOnce(&Inner) -> Result<Vec<Sequence>, PoolError>,
    ) -> Result<Embeddings, PoolError> {
        self.inner.worker.queue().admits(self.standing)?;
        let answer = self.inner.admit(sequences(&self.inner)?, deadline, self.standing)?;
        answer.blocking_recv().unwrap_or(Err(PoolError::Stopped))
    }
}

impl Inner {
    fn admit(&self, sequences: Vec<Sequence>, deadline: Instant, standing: Standing) -> Result<Answer, PoolError> {
        let (sender, answer) = oneshot::channel();
        self.worker.queue().push(Job { sequences, standing, deadline, reply: Reply(Some(sender)) })?;
        Ok(answer)
    }

    fn sequence(&self, text: &str, truncate: Truncate) -> Result<Sequence, PoolError> {
        let limit = self.max_tokens;
        let at_least = self.tokens.at_least(text);
        let text = match truncate {
            Truncate::Refuse if at_least > limit => return Err(PoolError::TooLong { tokens: at_least, limit }),
            // What lies past the longest possible input is not even looked at.
            Truncate::End => self.tokens.head(text, limit),
            Truncate::Refuse => text,
        };
        let framed = self.tokens.encode_framed(text).map_err(|error| PoolError::Failed(error.to_string()))?;
        match truncate {
            _ if framed.len() <= limit => Ok(Sequence::one(framed)),
            Truncate::Refuse => Err(PoolError::TooLong { tokens: framed.len(), limit }),
            Truncate::End => Ok(Sequence::one(self.tokens.cut_framed(framed, limit))),
        }
    }

    /// A query and a text that may answer it; the text's end is cut off where the two are too long together.
    pub(super) fn pair(&self, query: &[u32], text: &str) -> Result<Sequence, PoolError> {
        let limit = self.max_tokens;
        let failed = |error: TokenizeError| PoolError::Failed(error.to_string());
        let text = self.tokens.encode(self.tokens.head(text, limit)).map_err(failed)?;
        self.tokens.pair(query, &text, limit).ok_or_else(|| {
            PoolError::Failed("the model's tokenizer does not say how two texts stand together".to_owned())
        })
    }

    /// The tokens of a text up to half of what the model reads, so that something of another is read beside it.
    pub(super) fn beginning(&self, text: &str) -> Result<Vec<u32>, PoolError> {
        let limit = self.max_tokens / 2;
        let tokens = self.tokens.encode(self.tokens.head(text, limit));
        let mut tokens = tokens.map_err(|error| PoolError::Failed(error.to_string()))?;
        tokens.truncate(limit);
        Ok(tokens)
    }

    /// The tokens of a query alone. It may take half of what the model reads, so that something of each text is read.
    pub(super) fn query(&self, query: &str) -> Result<Vec<u32>, PoolError> {
        let limit = self.max_tokens / 2;
        let too_long = |tokens| PoolError::TooLong { tokens, limit };
        let at_least = self.tokens.at_least(query);
        if at_least > limit {
            return Err(too_long(at_least));
        }
        let tokens = self.tokens.encode(query).map_err(|error| PoolError::Failed(error.to_string()))?;
        if tokens.len() > limit { Err(too_long(tokens.len())) } else { Ok(tokens) }
    }
}

type Answer = oneshot::Receiver<Result<Embeddings, PoolError>>;

/// Answers exactly once: a request dropped without an answer, as a panic does, is told so.
struct Reply(Option<oneshot::Sender<Result<Embeddings, PoolError>>>);

impl Reply {
    fn send(mut self, answer: Result<Embeddings, PoolError>) {
        if let Some(sender) = self.0.take() {
            // Nobody listens any more: nothing to tell.
            drop(sender.send(answer));
        }
    }

    fn abandoned(&self) -> bool {
        self.0.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            drop(sender.send(Err(panicked())));
        }
    }
}

struct Job {
    sequences: Vec<Sequence>,
    standing: Standing,
    deadline: Instant,
    reply: Reply,
}

impl Waiting for Job {
    fn deadline(&self) -> Instant {
        self.deadline
    }
    fn standing(&self) -> Standing {
        self.standing
    }
    fn abandoned(&self) -> bool {
        self.reply.abandoned()
    }
    fn refuse(self, why: PoolError) {
        self.reply.send(Err(why));
    }
}

/// A request of which some sequences are computed.
struct Active {
    deadline: Instant,
    reply: Reply,
    answer: Embeddings,
    left: usize,
}

struct Server {
    model: Box<dyn EncodeText>,
    next: u64,
}

impl Serve<Job> for Server {
    fn serve(&mut self, first: Job, queue: &Queue<Job>) {
        let mut batcher = Batcher::new(self.model.batch_tokens());
        let mut active = BTreeMap::new();
        self.take_up(first, &mut batcher, &mut active);
        loop {
            let started = Instant::now();
            while let Some(job) = queue.take_one(|job| batcher.room(job.standing, ACTIVE) > 0) {
                self.take_up(job, &mut batcher, &mut active);
            }
            drop_unwanted(&mut batcher, &mut active, queue.closed());
            let batch = batcher.next();
            if batch.is_empty() {
                return;
            }
            let finished = self.compute(batch, &mut batcher, &mut active);
            queue.served(started.elapsed(), finished);
        }
    }

    fn reset(&mut self) {}
}

impl Server {
    fn take_up(&mut self, job: Job, batcher: &mut Batcher, active: &mut BTreeMap<u64, Active>) {
        let left = job.sequences.len();
        let answer =
            Embeddings { vectors: vec![Vec::new(); left], tokens: job.sequences.iter().map(Sequence::len).sum() };
        if left == 0 {
            return job.reply.send(Ok(answer));
        }
        self.next += 1;
        batcher.add(self.next, job.standing, job.sequences);
        active.insert(self.next, Active { deadline: job.deadline, reply: job.reply, answer, left });
    }

    /// Computes one batch and answers the requests that it completes; returns how many.
    fn compute(&mut self, batch: Vec<Piece>, batcher: &mut Batcher, active: &mut BTreeMap<u64, Active>) -> usize {
        let (places, sequences): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|piece| ((piece.request, piece.index), piece.sequence)).unzip();
        let vectors = match self.model.encode(&sequences) {
            Ok(vectors) if vectors.len() == places.len() => vectors,
            outcome => {
                let why = outcome.err().map_or_else(|| "a vector is missing".to_owned(), |error| error.0);
                for (request, _) in places {
                    batcher.forget(request);
                    if let Some(failed) = active.remove(&request) {
                        failed.reply.send(Err(PoolError::Failed(why.clone())));
                    }
                }
                return 1;
            }
        };
        let mut finished = 0;
        for ((request, index), vector) in places.into_iter().zip(vectors) {
            let Some(entry) = active.get_mut(&request) else { continue };
            if let Some(place) = entry.answer.vectors.get_mut(index) {
                *place = vector;
            }
            entry.left -= 1;
            if entry.left == 0
                && let Some(done) = active.remove(&request)
            {
                finished += 1;
                done.reply.send(Ok(done.answer));
            }
        }
        finished
    }
}

/// Answers requests that are late or whose caller has left, so that nothing more of them is computed.
fn drop_unwanted(batcher: &mut Batcher, active: &mut BTreeMap<u64, Active>, closed: bool) {
    let now = Instant::now();
    let unwanted: Vec<u64> = active
        .iter()
        .filter(|(_, entry)| closed || entry.deadline <= now || entry.reply.abandoned())
        .map(|(request, _)| *request)
        .collect();
    for request in unwanted {
        batcher.forget(request);
        if let Some(entry) = active.remove(&request) {
            let why = if closed { PoolError::Stopped } else { PoolError::DeadlineExceeded };
            entry.reply.send(Err(why));
        }
    }
}

#[cfg(test)]
mod tests;
