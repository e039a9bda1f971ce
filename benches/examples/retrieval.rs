//! Ranks a question set with the default embedding model, by words, by meaning and by both in one run, and times ingest
//! and search. What `cloister eval retrieval` does, without the appliance.
//!
//! Corpus: `DOCS` holds one `{id, title, text}` or `{id, question, answer}` a line (of a pair only the answer is
//! searched), `GOLD` one `{id, question}` a line. Rankings go to `OUT.words.jsonl`, `OUT.meaning.jsonl` and
//! `OUT.hybrid.jsonl`, in the form that a scorer reads.
//!
//! ```sh
//! cargo run --release -p cloister-benches --example retrieval -- DOCS.jsonl GOLD.jsonl OUT
//! ```
//! The model is fetched into the cache once. `CLOISTER_BENCH_VECTORS=FILE` keeps vectors between runs, for trying
//! another formula on the same corpus; the rate of ingest is then not measured.

#![expect(clippy::print_stdout, reason = "a program that prints its measurements")]

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cloister_knowledge::evaluate::{self, Document, Question};
use cloister_knowledge::{Embed, EmbedError, EmbedIdentity, Library, Mode, Progress};
use cloister_models::{EmbedPool, PoolError, PoolOptions, Registry, Truncate, cache_dir, catalogue, fetch};
use cloister_terms::{FixedClock, Random};

const MODEL: &str = "all-minilm-l6-v2";
const DEADLINE: Duration = Duration::from_secs(600);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("usage: retrieval DOCS GOLD OUT ({what} is missing)"));
    let (docs, gold, out) = (next("DOCS")?, next("GOLD")?, next("OUT")?);
    let registry = Registry::open(cache_dir().join("models"))?;
    let entry = catalogue::find(MODEL).ok_or("the catalogue has no such model")?;
    fetch::ensure(entry, &registry, &mut |_| {})?;
    let pool = EmbedPool::start(registry.verify(&entry.name)?, &PoolOptions::default())?;
    let embed = Arc::new(Pool::new(pool, std::env::var_os("CLOISTER_BENCH_VECTORS").map(PathBuf::from))?);

    let folder = tempfile::tempdir()?;
    let now = "2026-01-01T00:00:00Z".parse()?;
    let connect = evaluate::throw_away(folder.path(), &SystemRandom);
    let library = Library::open(connect, embed.clone(), Arc::new(FixedClock::at(now)), Arc::new(SystemRandom))?;
    let documents: Vec<Document> = evaluate::read_lines(&fs::read_to_string(docs)?)?;
    let questions: Vec<Question> = evaluate::read_lines(&fs::read_to_string(gold)?)?;

    let begun = Instant::now();
    let mut texts = 0;
    let report = evaluate::ingest(&library, documents, &mut |progress| match progress {
        Progress::Embedded { texts: more } => texts += more,
        Progress::File { .. } => {}
    })?;
    let took = begun.elapsed();
    println!("ingested {} documents, {texts} texts embedded in {took:.1?}: {:.1} texts/s", report.files.len(), texts as f64 / took.as_secs_f64());
    for (name, why) in report.failed() {
        println!("not ingested: {name}: {why}");
    }
    println!("peak memory {} MiB", peak_memory_kib()? / 1024);

    for (mode, name) in [(Mode::Words, "words"), (Mode::Meaning, "meaning"), (Mode::Hybrid, "hybrid")] {
        let run = evaluate::rank(&library, &questions, mode, now)?;
        let mut times = run.times.clone();
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default();
        let abstained = run.lines.iter().filter(|line| line.abstained).count();
        println!("{name}: {} questions, p50 {:.1?}, p99 {:.1?}, abstained {abstained}", times.len(), at(50), at(99));
        let lines = run.lines.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        fs::write(format!("{out}.{name}.jsonl"), lines.join("\n") + "\n")?;
    }
    embed.save()
}

/// The pool behind the library's port, with the vectors of earlier runs if a file is given.
struct Pool {
    pool: EmbedPool,
    file: Option<PathBuf>,
    known: Mutex<HashMap<String, Vec<f32>>>,
}

impl Pool {
    fn new(pool: EmbedPool, file: Option<PathBuf>) -> Result<Self, Box<dyn Error>> {
        let known = match &file {
            Some(path) if path.exists() => serde_json::from_slice(&fs::read(path)?)?,
            _ => HashMap::new(),
        };
        Ok(Self { pool, file, known: Mutex::new(known) })
    }

    fn save(&self) -> Result<(), Box<dyn Error>> {
        if let Some(path) = &self.file {
            fs::write(path, serde_json::to_vec(&*self.known.lock().unwrap_or_else(PoisonError::into_inner))?)?;
        }
        Ok(())
    }
}

impl Embed for Pool {
    fn identity(&self) -> EmbedIdentity {
        let identity = self.pool.identity();
        EmbedIdentity {
            name: identity.name.clone(),
            sha256: identity.sha256.clone(),
            dimensions: self.pool.dimensions(),
            max_tokens: self.pool.max_tokens(),
        }
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.pool.count_tokens(text)
    }

    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if self.file.is_none() {
            return compute(&self.pool, texts);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let missing: Vec<String> = texts.iter().filter(|text| !known.contains_key(*text)).cloned().collect();
        if !missing.is_empty() {
            let vectors = compute(&self.pool, &missing)?;
            known.extend(missing.into_iter().zip(vectors));
        }
        Ok(texts.iter().filter_map(|text| known.get(text).cloned()).collect())
    }
}

fn compute(pool: &EmbedPool, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
    match pool.embed_blocking(texts, Truncate::Refuse, Instant::now() + DEADLINE) {
        Ok(embeddings) => Ok(embeddings.vectors),
        Err(PoolError::QueueFull { retry_after }) => Err(EmbedError::Busy { retry_after }),
        Err(error) => Err(EmbedError::Failed(error.to_string())),
    }
}

struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(bytes));
        assert!(read.is_ok(), "the system has no random numbers");
    }
}

/// The most memory that this process had at once, in KiB.
fn peak_memory_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
