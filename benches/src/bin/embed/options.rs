//! What was asked for.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use cloister_models::{
    EmbedPool, Instructions, PoolOptions, Precision, Registry, Truncate, cache_dir, catalogue, fetch,
};

/// The arguments.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) task: Task,
    pub(crate) threads: usize,
    pub(crate) rounds: usize,
    pub(crate) instructions: Instructions,
    pub(crate) precision: Precision,
    pub(crate) peer: Option<PathBuf>,
    /// Most texts of a file that are looked at.
    pub(crate) most: usize,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Task {
    Speed,
    Quality { texts: PathBuf, field: String },
    Retrieval { folder: PathBuf },
}

impl Options {
    /// Reads the arguments.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            task: Task::Speed,
            threads: 0,
            rounds: 5,
            instructions: Instructions::Best,
            precision: Precision::Int8,
            peer: None,
            most: 2000,
        };
        let (mut texts, mut field) = (None, "text".to_owned());
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            if name == "--float32" {
                options.precision = Precision::Float32;
                continue;
            }
            let value = arguments.next().ok_or_else(|| format!("{name} is unknown or lacks its value"))?;
            let number = || value.parse::<usize>().map_err(|error| format!("{name}: {error}"));
            match name.as_str() {
                "--threads" => options.threads = number()?,
                "--rounds" => options.rounds = number()?.max(1),
                "--most" => options.most = number()?,
                "--peer" => options.peer = Some(value.into()),
                "--quality" => texts = Some(value.into()),
                "--field" => field = value,
                "--retrieval" => options.task = Task::Retrieval { folder: value.into() },
                "--instructions" => {
                    options.instructions = match value.as_str() {
                        "best" => Instructions::Best,
                        "avx512" => Instructions::Avx512,
                        "avx2" => Instructions::Avx2,
                        "portable" => Instructions::Portable,
                        other => return Err(format!("--instructions is best, avx512, avx2 or portable, not {other}")),
                    }
                }
                _ => return Err(format!("there is no {name}")),
            }
        }
        if let Some(texts) = texts {
            options.task = Task::Quality { texts, field };
        }
        Ok(options)
    }

    /// The default model, fetched where it is missing.
    pub(crate) fn pool(&self, precision: Precision) -> Result<EmbedPool, Box<dyn std::error::Error>> {
        let registry = Registry::open(cache_dir().join("models"))?;
        let entry = catalogue::find("all-minilm-l6-v2").ok_or("the model is not in the catalogue")?;
        fetch::ensure(entry, &registry, &mut |_| {})?;
        let options =
            PoolOptions { threads: self.threads, instructions: self.instructions, precision, ..PoolOptions::default() };
        Ok(EmbedPool::start(registry.verify(&entry.name)?, &options)?)
    }
}

/// The vectors of texts, however long that takes.
pub(crate) fn embed(pool: &EmbedPool, texts: &[String]) -> Result<Vec<Vec<f32>>, Box<dyn std::error::Error>> {
    let deadline = Instant::now() + Duration::from_secs(24 * 3600);
    Ok(pool.embed_blocking(texts, Truncate::End, deadline)?.vectors)
}
