//! The worker of a generation pool: requests to sequences, steps to tokens, tokens to text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PoolError;
use super::budget::{Budget, MOST};
use super::draft::{Draft, Load, Pace};
use super::generate::{Job, Reply};
use super::queue::{Queue, Waiting};
use super::schedule::{Schedule, Work};
use super::stream::{Event, FinishReason, Usage};
use super::worker::Serve;
use crate::sampling::{MaskError, Sampler, StopStrings};
use crate::task::StepError;
use crate::task::generate::{Piece, StepTokens};
use crate::tokenizer::{TextStream, Tokens};

/// Rows of a step that guesses may fill it up to.
const ROWS: usize = 64;

/// Why a request ends whose logits are no numbers.
const NO_NUMBERS: &str = "the logits are not numbers; the weights are damaged";

/// A request under way.
struct Active {
    job: Job,
    sampler: Sampler,
    text: Text,
    usage: Usage,
    /// Guesses at what comes next; none where the pool makes none.
    draft: Option<Draft>,
}

/// What a row of logits says.
enum Next {
    Token(u32),
    /// The text is whole.
    Over(FinishReason),
    /// There is none, and why.
    Nothing(String),
}

/// Serves the requests of a pool.
pub(super) struct Server {
    model: Box<dyn StepTokens>,
    tokens: Arc<Tokens>,
    schedule: Schedule,
    active: BTreeMap<u64, Active>,
    next: u64,
    logits: Vec<f32>,
    budget: Budget,
    /// Tokens of prompts in the last step.
    prompts: usize,
    /// How long steps without prompts take.
    pace: Pace,
    /// Whether the next tokens are guessed.
    guesses: bool,
}

impl Server {
    pub(super) fn new(model: Box<dyn StepTokens>, tokens: Arc<Tokens>, guesses: bool) -> Self {
        let schedule = Schedule::new(model.blocks(), model.block_tokens(), MOST);
        let (active, logits, pace) = (BTreeMap::new(), Vec::new(), Pace::default());
        Self { model, tokens, schedule, active, next: 0, logits, budget: Budget::default(), prompts: 0, pace, guesses }
    }
}

impl Serve<Job> for Server {
    fn serve(&mut self, first: Job, queue: &Queue<Job>) {
        let mut since = Instant::now();
        self.take_up(first);
        while !self.active.is_empty() {
            while let Some(job) = queue.take_one(|job| self.schedule.room(job.standing) > 0) {
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
        let usage = Usage { prompt_tokens: job.prompt.len(), ..Usage::default() };
        let sampler = Sampler::new(&job.sampling, job.seed, &job.prompt);
        let text = Text { stream: self.tokens.stream(), stops: StopStrings::new(&job.sampling.stop), stopped: false };
        let draft = self.guesses.then(Draft::new);
        self.schedule.add(id, job.standing, std::mem::take(&mut job.prompt));
        self.active.insert(id, Active { job, sampler, text, usage, draft });
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
        self.propose();
        let read = !self.schedule.ready().is_empty();
        let plan = self.schedule.plan(self.budget.tokens(read));
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
        let started = Instant::now();
        self.model.step(&pieces, &mut self.logits)?;
        self.measure(&work, started.elapsed());
        // What came too late, or for nobody, is not said.
        self.drop_unwanted(false);
        let vocabulary = self.model.vocabulary().max(1);
        let mut logits = std::mem::take(&mut self.logits);
        let mut left = logits.as_mut_slice();
        for work in work {
            let Some((rows, others)) = left.split_at_mut_checked(work.logits * vocabulary) else { break };
            left = others;
            self.settle(&work, rows.chunks_exact_mut(vocabulary));
        }
        self.logits = logits;
        Ok(())
    }

    /// Guesses what the sequences say next that need only their next token.
    fn propose(&mut self) {
        let ready = self.schedule.ready();
        let mut load = Load { sequences: ready.len(), rows: ready.len(), prompts: self.prompts };
        for id in ready {
            let Some(active) = self.active.get_mut(&id) else { continue };
            let most = active.left(self.model.context_tokens()).saturating_sub(1);
            let most = most.min(ROWS.saturating_sub(load.rows));
            let Some(draft) = &mut active.draft else { continue };
            let proposal = draft.propose(self.schedule.tokens(id).0, most, load, &self.pace);
            load.rows += proposal.len();
            self.schedule.propose(id, &proposal);
        }
    }

    /// How many tokens of prompts the next step may take, and what rows cost.
    fn measure(&mut self, work: &[Work], took: Duration) {
        self.prompts = work.iter().filter(|work| work.is_prompt()).map(|work| work.count).sum();
        self.budget.measure(self.prompts, took);
        if self.prompts == 0 {
            self.pace.record(work.iter().map(|work| work.count).sum(), took.as_secs_f64());
        }
    }

    /// What follows from a piece of work: its tokens, one after the other as long as each is the one that was guessed.
    fn settle<'a>(&mut self, work: &Work, rows: impl Iterator<Item = &'a mut [f32]>) {
        let proposed = self.schedule.tokens(work.id).1.to_vec();
        let (mut right, mut last) = (0, None);
        for row in rows {
            let next = self.next(work.id, row);
            if !matches!(next, Next::Token(token) if proposed.get(right) == Some(&token)) {
                last = Some(next);
                break;
            }
            right += 1;
        }
        self.schedule.done(work, right);
        if let Some(active) = self.active.get_mut(&work.id) {
            active.usage.guessed_tokens += right;
            if let Some(draft) = &mut active.draft {
                draft.judge(work.proposed(), right);
            }
        }
        match last {
            Some(Next::Token(token)) => self.schedule.append(work.id, token),
            Some(Next::Over(reason)) => self.finish(work.id, reason),
            Some(Next::Nothing(why)) => self.give_up(work.id, why),
            None => {}
        }
    }

    /// The next token of a sequence, from its logits.
    fn next(&mut self, id: u64, logits: &mut [f32]) -> Next {
        let context = self.model.context_tokens();
        let Some(active) = self.active.get_mut(&id) else { return Next::Nothing(NO_NUMBERS.to_owned()) };
        let mut whole = false;
        let failed = |error: MaskError| Next::Nothing(error.to_string());
        if let Some(mask) = &mut active.job.mask
            && let Err(error) = mask.apply(logits)
        {
            return failed(error);
        }
        let Some(token) = active.sampler.choose(logits) else { return Next::Nothing(NO_NUMBERS.to_owned()) };
        active.usage.completion_tokens += 1;
        if let Some(mask) = &mut active.job.mask {
            whole = match mask.push(token) {
                Ok(whole) => whole,
                Err(error) => return failed(error),
            };
        }
        let over = self.tokens.ends(token) && (whole || !active.job.sampling.ignore_eos);
        if over || active.text.push(&self.tokens, token, &active.job.reply) || whole {
            Next::Over(FinishReason::Stop)
        } else if active.left(context) == 0 {
            Next::Over(FinishReason::Length)
        } else {
            Next::Token(token)
        }
    }

    /// Ends a request that cannot go on.
    fn give_up(&mut self, id: u64, why: String) {
        self.schedule.remove(id);
        if let Some(active) = self.active.remove(&id) {
            active.job.refuse(PoolError::Failed(why));
        }
    }
}

impl Active {
    /// Tokens that may still be generated.
    fn left(&self, context: usize) -> usize {
        let room = context.saturating_sub(self.usage.prompt_tokens);
        self.job.sampling.max_tokens.min(room).saturating_sub(self.usage.completion_tokens)
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
