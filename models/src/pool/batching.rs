//! The worker of a generation pool: requests to sequences, steps to tokens, tokens to text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PoolError;
use super::generate::{Job, Reply};
use super::queue::{Queue, Waiting};
use super::schedule::Schedule;
use super::stream::{Event, FinishReason, Usage};
use super::worker::Serve;
use crate::sampling::{Sampler, StopStrings};
use crate::task::StepError;
use crate::task::generate::{Piece, StepTokens};
use crate::tokenizer::{TextStream, Tokens};

/// Sequences under way at once.
const MOST: usize = 16;
/// How long a step should take while prompts are computed: as long as whoever reads another text waits for its next word, and as whoever
/// leaves keeps the model busy.
const STEP: Duration = Duration::from_millis(150);
/// Bounds of the tokens of prompts in one step.
const PROMPT: (usize, usize) = (32, 512);

/// A request under way.
struct Active {
    job: Job,
    sampler: Sampler,
    text: Text,
    usage: Usage,
}

/// Serves the requests of a pool.
pub(super) struct Server {
    model: Box<dyn StepTokens>,
    tokens: Arc<Tokens>,
    schedule: Schedule,
    active: BTreeMap<u64, Active>,
    next: u64,
    logits: Vec<f32>,
    /// Tokens of prompts that a step of the wanted length takes, as measured.
    budget: usize,
}

impl Server {
    pub(super) fn new(model: Box<dyn StepTokens>, tokens: Arc<Tokens>) -> Self {
        let schedule = Schedule::new(model.blocks(), model.block_tokens(), MOST);
        let (active, logits) = (BTreeMap::new(), Vec::new());
        Self { model, tokens, schedule, active, next: 0, logits, budget: 128 }
    }
}

impl Serve<Job> for Server {
    fn serve(&mut self, first: Job, queue: &Queue<Job>) {
        let mut since = Instant::now();
        self.take_up(first);
        while !self.active.is_empty() {
            let mut room = self.schedule.room();
            let more = queue.take_more(|_| {
                let fits = room > 0;
                room = room.saturating_sub(1);
                fits
            });
            for job in more {
                self.take_up(job);
            }
            self.drop_unwanted(queue.closed());
            let before = self.active.len();
            if let Err(error) = self.step() {
                self.fail(&PoolError::Failed(error.0));
            }
            for _ in self.active.len()..before {
                queue.served(since.elapsed(), 1);
                since = Instant::now();
            }
        }
    }

    fn reset(&mut self) {
        // What the blocks hold after a failed step is not known.
        self.schedule = Schedule::new(self.model.blocks(), self.model.block_tokens(), MOST);
        self.active.clear();
    }
}

impl Server {
    fn take_up(&mut self, mut job: Job) {
        let id = self.next;
        self.next += 1;
        let usage = Usage { prompt_tokens: job.prompt.len(), completion_tokens: 0 };
        let sampler = Sampler::new(&job.sampling, job.seed, &job.prompt);
        let text = Text { stream: self.tokens.stream(), stops: StopStrings::new(&job.sampling.stop), stopped: false };
        self.schedule.add(id, job.salt, std::mem::take(&mut job.prompt));
        self.active.insert(id, Active { job, sampler, text, usage });
    }

    /// Ends what nobody waits for any more, or waits too long.
    fn drop_unwanted(&mut self, closed: bool) {
        let now = Instant::now();
        let unwanted: Vec<(u64, FinishReason)> = self
            .active
            .iter()
            .filter_map(|(id, active)| {
                if active.job.abandoned() || closed {
                    Some((*id, FinishReason::Cancelled))
                } else {
                    (active.job.deadline <= now).then_some((*id, FinishReason::Deadline))
                }
            })
            .collect();
        for (id, reason) in unwanted {
            self.finish(id, reason);
        }
    }

    /// The last event of a request, its held-back text before it.
    fn finish(&mut self, id: u64, reason: FinishReason) {
        self.schedule.remove(id);
        if let Some(mut active) = self.active.remove(&id) {
            active.text.finish(&active.job.reply);
            active.job.reply.end(Event::Finished { reason, usage: active.usage });
        }
    }

    /// Fails everything under way.
    fn fail(&mut self, why: &PoolError) {
        let active = std::mem::take(&mut self.active);
        self.reset();
        for active in active.into_values() {
            active.job.refuse(why.clone());
        }
    }

    /// One step of the model, and what follows from it.
    fn step(&mut self) -> Result<(), StepError> {
        if self.active.is_empty() {
            return Ok(());
        }
        let plan = self.schedule.plan(self.budget);
        for (id, cached_tokens) in plan.started {
            if let Some(active) = self.active.get(&id) {
                active.job.reply.send(Event::Started { prompt_tokens: active.usage.prompt_tokens, cached_tokens });
            }
        }
        let (work, pieces): (Vec<_>, Vec<Piece<'_>>) =
            plan.work.iter().filter_map(|work| Some((*work, self.schedule.piece(work)?))).unzip();
        if pieces.is_empty() {
            return Err(StepError("no sequence finds room for its state".to_owned()));
        }
        let prompts: usize = pieces.iter().map(|piece| piece.tokens.len()).filter(|tokens| *tokens > 1).sum();
        let started = Instant::now();
        self.model.step(&pieces, &mut self.logits)?;
        self.measure(prompts, started.elapsed());
        // What came too late, or for nobody, is not said.
        self.drop_unwanted(false);
        let vocabulary = self.model.vocabulary().max(1);
        let mut logits = std::mem::take(&mut self.logits);
        let mut rows = logits.chunks_exact_mut(vocabulary);
        for work in work {
            self.schedule.done(&work);
            if work.last
                && let Some(row) = rows.next()
            {
                self.choose(work.id, row);
            }
        }
        self.logits = logits;
        Ok(())
    }

    /// How many tokens of prompts the next step may take.
    fn measure(&mut self, prompts: usize, took: Duration) {
        if prompts >= PROMPT.0 {
            let fitting = prompts as f64 * STEP.as_secs_f64() / took.as_secs_f64().max(1e-6);
            let (least, most) = PROMPT;
            self.budget = (fitting as usize / least * least).clamp(least, most);
        }
    }

    /// The next token of a sequence, from its logits.
    fn choose(&mut self, id: u64, logits: &mut [f32]) {
        let context = self.model.context_tokens();
        let Some(active) = self.active.get_mut(&id) else { return };
        let Some(token) = active.sampler.choose(logits) else {
            self.schedule.remove(id);
            if let Some(active) = self.active.remove(&id) {
                let what = "the logits are not numbers; the weights are damaged".to_owned();
                active.job.refuse(PoolError::Failed(what));
            }
            return;
        };
        active.usage.completion_tokens += 1;
        let room = context.saturating_sub(active.usage.prompt_tokens);
        let over = self.tokens.ends(token) && !active.job.sampling.ignore_eos;
        if over || active.text.push(&self.tokens, token, &active.job.reply) {
            self.finish(id, FinishReason::Stop);
        } else if active.usage.completion_tokens >= active.job.sampling.max_tokens.min(room) {
            self.finish(id, FinishReason::Length);
        } else {
            self.schedule.append(id, token);
        }
    }
}

/// From tokens to text that may be shown.
struct Text {
    stream: TextStream,
    stops: StopStrings,
    stopped: bool,
}

impl Text {
    /// Sends what the token makes certain; true where a stop string came.
    fn push(&mut self, tokens: &Tokens, token: u32, reply: &Reply) -> bool {
        let held = self.stops.push(&self.stream.push(tokens, token));
        show(held.text, reply);
        self.stopped = held.stopped;
        held.stopped
    }

    /// Sends what was held back, unless a stop string came.
    fn finish(&mut self, reply: &Reply) {
        if self.stopped {
            return;
        }
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
