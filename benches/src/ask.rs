//! Asking a generation pool and taking the time: what a client of the raw model sees, the network left out.

use std::time::{Duration, Instant};

use cloister_models::{
    Event, GeneratePool, GenerateRequest, Generation, PoolOptions, Priority, Prompt, Registry, Sampling, Verified,
    cache_dir, catalogue, fetch,
};

use crate::Failure;

/// What a client saw of one answer.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// From the question to the first text.
    pub first: Duration,
    /// From the question to the last text.
    pub last: Duration,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens of the prompt that were there already.
    pub cached: usize,
    /// Tokens of the answer.
    pub answer: usize,
}

impl Seen {
    /// Tokens per second after the first.
    #[must_use]
    pub fn speed(&self) -> f64 {
        let took = self.last.saturating_sub(self.first).as_secs_f64();
        self.answer.saturating_sub(1) as f64 / took.max(1e-9)
    }
}

/// A model of the catalogue, fetched where it is missing.
///
/// # Errors
/// Where the catalogue lacks it, or it cannot be fetched or does not match its hash.
pub fn model(name: &str) -> Result<Verified, Failure> {
    let registry = Registry::open(cache_dir().join("models"))?;
    let entry = catalogue::find(name).ok_or_else(|| format!("the catalogue has no model `{name}`"))?;
    fetch::ensure(entry, &registry, &mut |_| {})?;
    Ok(registry.verify(name)?)
}

/// A pool of a model of the catalogue.
///
/// # Errors
/// As for [`model`], or where the machine cannot carry it.
pub fn pool(name: &str, options: &PoolOptions) -> Result<GeneratePool, Failure> {
    Ok(GeneratePool::start(model(name)?, options)?)
}

/// Asks and waits for the end. Exactly `tokens` tokens are generated, greedily.
///
/// # Errors
/// What the pool says.
pub fn ask(pool: &GeneratePool, prompt: Prompt, tokens: usize, salt: u64) -> Result<Seen, Failure> {
    let begun = Instant::now();
    let sampling = Sampling { max_tokens: tokens, ignore_eos: true, ..Sampling::default() };
    let deadline = begun + Duration::from_secs(3600);
    let generation =
        pool.generate(GenerateRequest { prompt, sampling, deadline, salt, priority: Priority::Interactive })?;
    Ok(read(generation, begun)?)
}

/// Everybody asks at the same moment, each by a thread of its own.
///
/// # Errors
/// The first thing that a client was told.
pub fn together<T: Send>(
    clients: usize,
    client: impl Fn(usize) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..clients)
            .map(|number| {
                let client = &client;
                scope.spawn(move || client(number).map_err(|error| error.to_string()))
            })
            .collect();
        let mut all = Vec::new();
        for client in asked {
            all.push(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(all)
    })
}

fn read(mut generation: Generation, begun: Instant) -> Result<Seen, String> {
    let (mut first, mut cached) = (None, 0);
    loop {
        match generation.next_blocking() {
            Some(Event::Text(_)) => drop(first.get_or_insert_with(|| begun.elapsed())),
            Some(Event::Started { cached_tokens, .. }) => cached = cached_tokens,
            Some(Event::Finished { usage, .. }) => {
                let last = begun.elapsed();
                let (prompt, answer) = (usage.prompt_tokens, usage.completion_tokens);
                return Ok(Seen { first: first.unwrap_or(last), last, prompt, cached, answer });
            }
            Some(Event::Failed(error)) => return Err(error.to_string()),
            None => return Err("the answer has no end".to_owned()),
        }
    }
}
