//! Holds what `cloister plan` computes against what is measured, for models of the catalogue.
//!
//! ```sh
//! plan [--models smollm2-135m-instruct,gemma3-270m-q4-k-m] [--threads 0] [--rounds 5] [--users 8]
//! ```
//!
//! The machine is measured first, with nothing loaded, as `cloister plan` does. Then each model is loaded, and asked as often as there are
//! rounds: a prompt of 1,200 tokens that nothing is known of, 96 tokens after it alone, and 96 tokens of as many readers at once, whose
//! prompts are computed beforehand. Memory is the most that is held while as many readers have long prompts of their own. Medians are held against the plan; nothing passes or fails.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::process::ExitCode;

use cloister_benches::Failure;
use cloister_benches::ask::{ask, model, pool, together};
use cloister_benches::machine::Machine;
use cloister_benches::statistics::{Dice, mean, median};
use cloister_benches::text;
use cloister_models::plan::{Demand, Forecast, Outlook, Rates, Subject};
use cloister_models::{PoolOptions, Prompt, fit};

struct Settings {
    models: Vec<String>,
    threads: usize,
    rounds: usize,
    users: usize,
    /// Loads this model alone, and says what it took.
    memory: Option<String>,
}

impl Settings {
    fn read() -> Result<Self, Failure> {
        let models = ["smollm2-135m-instruct", "gemma3-270m-q4-k-m"].map(str::to_owned).to_vec();
        let mut settings = Self { models, threads: 0, rounds: 5, users: 8, memory: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} is unknown or lacks its value"))?;
            match name.as_str() {
                "--models" => settings.models = value.split(',').map(str::to_owned).collect(),
                "--threads" => settings.threads = value.parse()?,
                "--rounds" => settings.rounds = value.parse::<usize>()?.max(1),
                "--memory" => settings.memory = Some(value),
                "--users" => settings.users = value.parse::<usize>()?.max(1),
                _ => return Err(format!("there is no {name}; --models, --threads, --rounds and --users are").into()),
            }
        }
        Ok(settings)
    }
}

/// What was measured of a model, as a plan states it.
struct Measured {
    first: f64,
    one: f64,
    many: f64,
    memory: u64,
    prompt: usize,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let settings = Settings::read()?;
    if let Some(name) = &settings.memory {
        println!("{}", taken(name, &settings)?);
        return Ok(());
    }
    let machine = Machine::here(settings.threads);
    println!("{}, load {:.2}", machine.line(), machine.load);
    let rates = Rates::measure(settings.threads)?;
    println!("rates: {}", serde_json::to_string(&rates)?);
    println!("| model | figure | planned | measured | planned / measured |");
    println!("|---|---|---:|---:|---:|");
    for name in &settings.models {
        let subject = Subject::of(&model(name)?)?;
        let measured = measure(name, &settings)?;
        let demand = Demand {
            prompt_tokens: measured.prompt,
            answer_tokens: ANSWER,
            context_tokens: CONTEXT,
            users: settings.users,
        };
        let planned = Forecast::of(&subject, &rates, &fit::Machine::here(), &demand);
        let Outlook::Generates { first_token_seconds, tokens_per_second, all_tokens_per_second, .. } = planned.outlook
        else {
            return Err(format!("{name} does not generate").into());
        };
        let rows = [
            (format!("s to the first token of {}", measured.prompt), first_token_seconds, measured.first),
            ("tokens/s, one reader".to_owned(), tokens_per_second, measured.one),
            (format!("tokens/s, {} readers together", settings.users), all_tokens_per_second, measured.many),
            ("MiB of memory at most".to_owned(), (planned.memory_bytes >> 20) as f64, (measured.memory >> 20) as f64),
        ];
        for (figure, planned, measured) in rows {
            println!("| {name} | {figure} | {planned:.2} | {measured:.2} | {:.2} |", planned / measured);
        }
    }
    Ok(())
}

/// Tokens of the prompt, of the answer, and of the longest sequence.
const PROMPT: usize = 1200;
const ANSWER: usize = 96;
const CONTEXT: usize = 1536;

fn measure(name: &str, settings: &Settings) -> Result<Measured, Failure> {
    // A plan does not count on guesses, which pay where an answer repeats its prompt.
    let (threads, sequences) = (settings.threads, settings.users + 2);
    let options = PoolOptions { threads, sequences, context_tokens: CONTEXT, guesses: false, ..PoolOptions::default() };
    let pool = pool(name, &options)?;
    let prompt = |seed: u64| text::until(&mut Dice::new(seed), |text| pool.count_tokens(text) >= PROMPT);
    ask(&pool, Prompt::Text(prompt(999)), 4, 999)?;
    let (mut first, mut one, mut many, mut tokens) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..settings.rounds as u64 {
        let asked = prompt(round);
        let seen = ask(&pool, Prompt::Text(asked.clone()), ANSWER + 1, round)?;
        tokens = seen.prompt;
        first.push(seen.first.as_secs_f64());
        one.push(seen.speed());
        // The prompt is there already, so that all begin to generate at once.
        let all = together(settings.users, |_| ask(&pool, Prompt::Text(asked.clone()), ANSWER + 1, round))?;
        many.push(mean(&all.iter().map(|seen| seen.speed()).collect::<Vec<_>>()) * settings.users as f64);
    }
    drop(pool);
    let memory = memory(name, settings)?;
    Ok(Measured { first: median(&first), one: median(&one), many: median(&many), memory, prompt: tokens })
}

/// Bytes that a model takes at most, in a process of its own: what this one held before would lie ready for it.
fn memory(name: &str, settings: &Settings) -> Result<u64, Failure> {
    let (threads, users) = (settings.threads.to_string(), settings.users.to_string());
    let mut own = std::process::Command::new(std::env::current_exe()?);
    let output = own.args(["--memory", name, "--threads", &threads, "--users", &users]).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    told.trim().parse().map_err(|_| format!("what {name} takes in memory cannot be told: {told}").into())
}

/// The same in this process: from the model's loading to as many readers as asked with nothing in common.
fn taken(name: &str, settings: &Settings) -> Result<u64, Failure> {
    let before = held("VmRSS:");
    let (threads, sequences) = (settings.threads, settings.users);
    let options = PoolOptions { threads, sequences, context_tokens: CONTEXT, guesses: false, ..PoolOptions::default() };
    let pool = pool(name, &options)?;
    let long = CONTEXT - ANSWER - 64;
    together(settings.users, |reader| {
        let seed = 1000 + reader as u64;
        let prompt = text::until(&mut Dice::new(seed), |text| pool.count_tokens(text) >= long);
        ask(&pool, Prompt::Text(prompt), ANSWER, seed)
    })?;
    Ok(held("VmHWM:").saturating_sub(before))
}

/// Bytes of memory that this process holds (`VmRSS:`), or held at most (`VmHWM:`).
fn held(what: &str) -> u64 {
    let table = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = table.lines().find_map(|line| line.strip_prefix(what));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
