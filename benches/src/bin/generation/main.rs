//! Speed of generation: tokens of the prompt and of the answer per second, as the product serves them, and of llama.cpp on the same file.
//!
//! ```sh
//! cargo run --release -p cloister-benches --bin generation -- --model smollm2-135m-instruct --rounds 5 \
//!     --peer /path/to/llama-bench
//! ```
//!
//! Product and peer take turns, so that both meet the machine in the same minute; medians over the rounds are what counts. The time
//! to the first text is the prompt's, the rest is the answer's. Nothing is guessed here: the prompt says one sentence over and over, which would
//! flatter.
//!
//! With `--evidence FILE` the work of a grounded answer is measured instead, with guesses and without in turn: see `grounded`.

#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]

mod grounded;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cloister_models::manifest::FileKind;
use cloister_models::{
    Accelerator, Event, GeneratePool, GenerateRequest, Instructions, PoolOptions, Priority, Prompt, Registry, Sampling,
    Usage, cache_dir, catalogue, fetch,
};

type Failure = Box<dyn std::error::Error>;

/// What is measured, and how often. With evidence, a prompt of 0 leaves it out.
struct Settings {
    model: String,
    threads: usize,
    prompt: usize,
    answer: usize,
    rounds: usize,
    clients: usize,
    instructions: Instructions,
    device: Accelerator,
    peer: Option<PathBuf>,
    evidence: Option<PathBuf>,
    temperature: f32,
}

impl Settings {
    fn read() -> Result<Self, Failure> {
        let mut settings = Self {
            model: "smollm2-135m-instruct".to_owned(),
            threads: std::thread::available_parallelism()?.get(),
            prompt: 512,
            answer: 64,
            rounds: 5,
            clients: 1,
            instructions: Instructions::Best,
            device: Accelerator::None,
            peer: None,
            evidence: None,
            temperature: 0.0,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--model" => settings.model = value,
                "--threads" => settings.threads = value.parse()?,
                "--prompt" => settings.prompt = value.parse()?,
                "--answer" => settings.answer = value.parse()?,
                "--rounds" => settings.rounds = value.parse()?,
                "--clients" => settings.clients = value.parse()?,
                "--peer" => settings.peer = Some(value.into()),
                "--evidence" => settings.evidence = Some(value.into()),
                "--temperature" => settings.temperature = value.parse()?,
                "--device" => {
                    settings.device = match value.as_str() {
                        "processor" => Accelerator::None,
                        "cuda" => Accelerator::Cuda(0),
                        "metal" => Accelerator::Metal(0),
                        other => return Err(format!("--device is processor, cuda or metal, not {other}").into()),
                    }
                }
                "--instructions" => {
                    settings.instructions = match value.as_str() {
                        "best" => Instructions::Best,
                        "avx512" => Instructions::Avx512,
                        "avx2" => Instructions::Avx2,
                        "portable" => Instructions::Portable,
                        other => {
                            return Err(format!("--instructions is best, avx512, avx2 or portable, not {other}").into());
                        }
                    }
                }
                _ => {
                    let known = "--model, --threads, --prompt, --answer, --rounds, --clients, --instructions, --device, \
                        --peer, --evidence and --temperature are";
                    return Err(format!("{name} is not known; {known}").into());
                }
            }
        }
        Ok(settings)
    }
}

/// Tokens per second of one answer, or of several at once.
#[derive(Clone, Copy, Debug)]
struct Speed {
    prompt: f64,
    answer: f64,
    /// Prompt and answer tokens of all clients over the whole time.
    total: f64,
}

/// A text of about so many tokens.
fn text(pool: &GeneratePool, tokens: usize) -> String {
    let sentence = "The refill may be requested seven days before the supply runs out, by the portal or by phone. ";
    let mut text = String::new();
    for word in sentence.split_inclusive(' ').cycle().take(tokens * 4) {
        if pool.count_tokens(&text) >= tokens {
            break;
        }
        text.push_str(word);
    }
    text
}

/// One round: every client asks at the same moment. Speeds are the mean of the clients'.
fn product(pool: &GeneratePool, settings: &Settings, prompt: &str, round: usize) -> Result<Speed, Failure> {
    let begun = Instant::now();
    let asked: Vec<_> = (0..settings.clients)
        .map(|client| {
            pool.generate(GenerateRequest {
                prompt: Prompt::Text(prompt.to_owned()),
                // One token more than is timed: the first belongs to the prompt.
                sampling: Sampling { max_tokens: settings.answer + 1, ignore_eos: true, ..Sampling::default() },
                deadline: begun + Duration::from_secs(600),
                // Nothing is there already.
                salt: (round * settings.clients + client) as u64,
                priority: Priority::Interactive,
            })
        })
        .collect::<Result<_, _>>()?;
    let readers: Vec<_> =
        asked.into_iter().map(|generation| std::thread::spawn(move || read(generation, begun))).collect();
    let (mut prompts, mut answers, mut tokens) = (Vec::new(), Vec::new(), 0);
    for reader in readers {
        let Read { first, last, usage } = reader.join().map_err(|_| "a reader panicked")??;
        let (prompt, answer) = (usage.prompt_tokens, usage.completion_tokens);
        prompts.push(prompt as f64 / first);
        answers.push((answer.saturating_sub(1)) as f64 / (last - first).max(1e-9));
        tokens += prompt + answer;
    }
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len().max(1) as f64;
    Ok(Speed { prompt: mean(&prompts), answer: mean(&answers), total: tokens as f64 / begun.elapsed().as_secs_f64() })
}

/// An answer that was read to its end.
struct Read {
    /// Seconds to the first text.
    first: f64,
    /// Seconds to the end.
    last: f64,
    usage: Usage,
}

fn read(mut generation: cloister_models::Generation, begun: Instant) -> Result<Read, String> {
    let mut first = None;
    loop {
        match generation.next_blocking() {
            Some(Event::Text(_)) => drop(first.get_or_insert_with(|| begun.elapsed())),
            Some(Event::Finished { usage, .. }) => {
                let last = begun.elapsed();
                let first = first.unwrap_or(last);
                return Ok(Read { first: first.as_secs_f64(), last: last.as_secs_f64(), usage });
            }
            Some(Event::Failed(error)) => return Err(error.to_string()),
            Some(Event::Started { .. }) => {}
            None => return Err("the answer has no end".to_owned()),
        }
    }
}

/// What llama-bench measured. Its answers begin from nothing unless it is told otherwise, ours come after the prompt.
#[derive(Clone, Copy, Debug)]
struct Peer {
    prompt: f64,
    from_nothing: f64,
    after_prompt: f64,
}

/// llama-bench on the same file, with the answer after nothing and after as many tokens as our prompt has.
fn peer(bench: &Path, file: &Path, settings: &Settings) -> Result<Peer, Failure> {
    let (prompt, answer) = (settings.prompt.to_string(), settings.answer.to_string());
    let first = llama_bench(bench, file, settings.threads, ["-p", &prompt, "-n", &answer])?;
    let after = llama_bench(bench, file, settings.threads, ["-p", "0", "-n", &answer, "-d", &prompt])?;
    let speed = |entries: &serde_json::Value, key: &str| {
        let counts = |entry: &&serde_json::Value| entry.get(key).and_then(serde_json::Value::as_u64) > Some(0);
        let entry = entries.as_array()?.iter().find(counts)?;
        entry.get("avg_ts")?.as_f64()
    };
    let found =
        |entries, key: &str| speed(entries, key).ok_or_else(|| format!("{} says nothing of {key}", bench.display()));
    Ok(Peer {
        prompt: found(&first, "n_prompt")?,
        from_nothing: found(&first, "n_gen")?,
        after_prompt: found(&after, "n_gen")?,
    })
}

/// The JSON has one entry for the prompt and one for the answer.
fn llama_bench<const N: usize>(
    bench: &Path,
    file: &Path,
    threads: usize,
    what: [&str; N],
) -> Result<serde_json::Value, Failure> {
    let output = Command::new(bench)
        .arg("-m")
        .arg(file)
        .args(["-t", &threads.to_string(), "-r", "1", "-o", "json"])
        .args(what)
        .output()?;
    if !output.status.success() {
        return Err(format!("{} failed: {}", bench.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn median<T>(all: &[T], of: fn(&T) -> f64) -> f64 {
    let mut numbers: Vec<f64> = all.iter().map(of).collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() -> Result<(), Failure> {
    let settings = Settings::read()?;
    let registry = Registry::open(cache_dir().join("models"))?;
    let entry = catalogue::find(&settings.model).ok_or("the catalogue does not know that model")?;
    fetch::ensure(entry, &registry, &mut |_| {})?;
    let verified = registry.verify(&settings.model)?;
    let weights = verified.manifest().files.iter().find(|file| file.kind == FileKind::Weights);
    let file = registry.root().join(&settings.model).join(&weights.ok_or("the model has no weights")?.path);
    let begun = Instant::now();
    let options = PoolOptions {
        threads: settings.threads,
        instructions: settings.instructions,
        device: settings.device,
        sequences: settings.clients.max(1),
        guesses: false,
        ..PoolOptions::default()
    };
    if let Some(evidence) = &settings.evidence {
        let guessing = PoolOptions { guesses: true, ..options };
        let with = GeneratePool::start(registry.verify(&settings.model)?, &guessing)?;
        let without = GeneratePool::start(verified, &PoolOptions { guesses: false, ..guessing })?;
        return grounded::measure(&with, &without, &std::fs::read_to_string(evidence)?, &settings);
    }
    let pool = GeneratePool::start(verified, &options)?;
    println!(
        "{} on {:?}, {} threads, ready in {:.2} s",
        settings.model,
        settings.device,
        settings.threads,
        begun.elapsed().as_secs_f64()
    );
    let prompt = text(&pool, settings.prompt);
    product(&pool, &settings, &prompt, settings.rounds)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..settings.rounds {
        let speed = product(&pool, &settings, &prompt, round)?;
        println!(
            "round {round}: prompt {:.0}, answer {:.1}, all {:.0} tokens/s",
            speed.prompt, speed.answer, speed.total
        );
        ours.push(speed);
        if let Some(bench) = &settings.peer {
            let speed = peer(bench, &file, &settings)?;
            println!(
                "   peer: prompt {:.0}, answer {:.1} from nothing, {:.1} after the prompt, tokens/s",
                speed.prompt, speed.from_nothing, speed.after_prompt
            );
            theirs.push(speed);
        }
    }
    let (prompt, answer) = (median(&ours, |s| s.prompt), median(&ours, |s| s.answer));
    println!(
        "median of {}: prompt {prompt:.0}, answer {answer:.1}, all {:.0} tokens/s",
        ours.len(),
        median(&ours, |s| s.total)
    );
    if !theirs.is_empty() {
        let [theirs, from_nothing, after_prompt]: [f64; 3] =
            [|s: &Peer| s.prompt, |s: &Peer| s.from_nothing, |s: &Peer| s.after_prompt].map(|of| median(&theirs, of));
        println!("peer: prompt {theirs:.0}, answer {from_nothing:.1} from nothing, {after_prompt:.1} after the prompt");
        println!(
            "ratio: prompt {:.2}, answer {:.2} to the peer's from nothing, {:.2} to its own after the prompt",
            prompt / theirs,
            answer / from_nothing,
            answer / after_prompt
        );
    }
    Ok(())
}
