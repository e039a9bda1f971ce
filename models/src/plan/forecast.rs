//! From rates and a model to what a person wants to know.

use std::time::Duration;

use serde::Serialize;

use super::cost::{Language, Rows};
use super::rates::Rates;
use super::subject::{Encoder, Kind, Subject};
use crate::fit::{Bytes, Estimate, Machine, Weights};
use crate::pool::PoolOptions;
use crate::pool::budget::{Budget, MOST};

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Demand {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the answer.
    pub answer_tokens: usize,
    /// Longest sequence that there is room for, per reader.
    pub context_tokens: usize,
    /// Readers at once.
    pub users: usize,
}

impl Default for Demand {
    /// A grounded answer: a system prompt with 1,200 tokens of evidence, 96 new tokens; the pool's usual room.
    fn default() -> Self {
        let pool = PoolOptions::default();
        Self { prompt_tokens: 1200, answer_tokens: 96, context_tokens: pool.context_tokens, users: pool.sequences }
    }
}

/// Tokens per second below which a reader waits for the text: 238 words a minute (Brysbaert, 2019) at 1.3 tokens a word.
pub const READING: f64 = 5.0;
/// Seconds to the first token that a person at a counter will wait.
const PATIENCE: f64 = 10.0;

/// What a model will do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// Its name.
    pub model: String,
    /// Bytes that it takes in memory, with room for the asked number of readers.
    pub memory_bytes: u64,
    /// How many of them are there only because a layout without kernels becomes 16-bit floats.
    pub widened_bytes: u64,
    /// What it will do.
    pub outlook: Outlook,
    /// Whether the machine carries it.
    pub verdict: Verdict,
}

/// What a model will do, by its task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// It generates text.
    Generates {
        /// Seconds to the first token of the asked prompt, nothing of it known beforehand, alone.
        first_token_seconds: f64,
        /// Tokens per second of one reader alone.
        tokens_per_second: f64,
        /// Tokens per second of all readers together, as many as asked.
        all_tokens_per_second: f64,
        /// Readers at once that memory carries and that each get [`READING`]; 0 where it does not reach one.
        users_at_once: usize,
    },
    /// It turns text into vectors.
    Embeds {
        /// Seconds for a question of 16 tokens.
        question_seconds: f64,
        /// Passages of 128 tokens a second.
        passages_per_second: f64,
    },
}

/// Whether a machine carries a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does, for as many readers as asked.
    Carries,
    /// It does, but people will wait.
    CarriesSlowly {
        /// For what.
        why: String,
    },
    /// Its memory is too small.
    DoesNotCarry {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Carries => f.write_str("carries"),
            Self::CarriesSlowly { why } => write!(f, "carries slowly: {why}"),
            Self::DoesNotCarry { needed, available } => {
                write!(f, "does not carry: needs {}, has {}", Bytes(*needed), Bytes(*available))
            }
        }
    }
}

impl Forecast {
    /// What a model will do on a machine with these rates and so much memory.
    #[must_use]
    pub fn of(subject: &Subject, rates: &Rates, machine: &Machine, demand: &Demand) -> Self {
        match &subject.kind {
            Kind::Language { model, memory } => generates(&subject.name, (&**model, *memory), rates, machine, demand),
            Kind::Encoder { model, memory } => {
                let outlook = Outlook::Embeds {
                    question_seconds: encode(model, rates, 16),
                    passages_per_second: 1.0 / encode(model, rates, 128).max(f64::MIN_POSITIVE),
                };
                let fits = *memory <= machine.available_bytes;
                let available = machine.available_bytes;
                let verdict =
                    if fits { Verdict::Carries } else { Verdict::DoesNotCarry { needed: *memory, available } };
                Self { model: subject.name.clone(), memory_bytes: *memory, widened_bytes: 0, outlook, verdict }
            }
        }
    }
}

fn generates(
    name: &str,
    (model, weights): (&Language, Weights),
    rates: &Rates,
    machine: &Machine,
    demand: &Demand,
) -> Forecast {
    let users = demand.users.max(1);
    let room = |users: usize| {
        let options = PoolOptions { context_tokens: demand.context_tokens, sequences: users, ..PoolOptions::default() };
        Estimate::of_shape(name, weights, &model.shape, &options)
    };
    // Half of the answer stands there, on average.
    let position = demand.prompt_tokens + demand.answer_tokens / 2;
    let all = |users: usize| {
        // More than are computed together wait their turn.
        let together = users.min(MOST);
        together as f64 / model.step(rates, &vec![Rows { position, rows: 1 }; together], together)
    };
    let first_token_seconds = first_token(model, rates, demand.prompt_tokens);
    let (one, many) = (all(1), all(users));
    let fits = |users: usize| room(users).bytes() <= machine.available_bytes;
    let users_at_once = (1..=MOST).take_while(|users| fits(*users) && all(*users) / *users as f64 >= READING).count();
    let estimate = room(users);
    let verdict = if !fits(users) {
        Verdict::DoesNotCarry { needed: estimate.bytes(), available: machine.available_bytes }
    } else if first_token_seconds > PATIENCE {
        Verdict::CarriesSlowly { why: format!("{first_token_seconds:.0} s to the first token") }
    } else if many / (users as f64) < READING {
        let each = many / users as f64;
        Verdict::CarriesSlowly { why: format!("{each:.1} tokens a second for each of {users} readers") }
    } else {
        Verdict::Carries
    };
    let outlook =
        Outlook::Generates { first_token_seconds, tokens_per_second: one, all_tokens_per_second: many, users_at_once };
    let (memory_bytes, widened_bytes) = (estimate.bytes(), estimate.widened);
    Forecast { model: name.to_owned(), memory_bytes, widened_bytes, outlook, verdict }
}

/// Seconds to the first token, the prompt cut into parts as the scheduler does.
fn first_token(model: &Language, rates: &Rates, prompt: usize) -> f64 {
    let (mut position, mut budget, mut took) = (0, Budget::default(), 0.0);
    while position < prompt {
        let rows = budget.tokens(false).min(prompt - position);
        let last = position + rows == prompt;
        let step = model.step(rates, &[Rows { position, rows }], usize::from(last));
        (position, took) = (position + rows, took + step);
        budget.measure(rows, Duration::try_from_secs_f64(step).unwrap_or_default());
    }
    took
}

/// Seconds per text of so many tokens, where enough texts wait to keep every thread busy; one alone is shared out just as well.
fn encode(model: &Encoder, rates: &Rates, tokens: usize) -> f64 {
    let feed = if model.gated { 3 } else { 2 };
    let operations =
        (tokens * model.layers * (4 * model.width * model.width + feed * model.width * model.inner)) as f64;
    let size = model.width / model.heads.max(1);
    let seen = (model.heads * tokens * tokens * model.layers) as f64;
    operations / rates.encoder.int8.max(1.0) + seen * rates.encoder.attention.at(size as f64, true)
}

#[cfg(test)]
mod tests;
