//! Whether a machine can carry a model: what it takes in memory, told from the headers of its files before weights are read.
//!
//! Weights count in the form that the kernels read, which is not always the file's: layouts without kernels (Q2_K, Q3_K) become
//! 16-bit floats, four to six times their size. A model that does not fit is refused with both figures, rather than ended by the
//! system halfway through loading.

use std::fmt;

use crate::arch::shape::{Keys, Shape};
use crate::error::LoadError;
use crate::kernel::attention::LONGEST_HEAD;
use crate::manifest::{FileKind, Task};
use crate::pool::{PoolOptions, Precision};
use crate::registry::Verified;
use crate::weights::gguf::Header;
use crate::weights::safetensors::SafetensorsFile;

const MIB: u64 = 1 << 20;
/// Rows of a step, sequences under way: the most that a pool computes at once.
const ROWS: u64 = 512;
const SEQUENCES: u64 = 16;
/// Bytes of a token of the vocabulary: its text in the tokenizer, its merges and the maps over both.
const TOKEN: u64 = 400;
/// What a batch of an encoder needs.
const ENCODER: u64 = 128 * MIB;
/// Stacks, queues, and what the allocator keeps.
const PROCESS: u64 = 32 * MIB;

/// What matters of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Memory that can be had without pushing others out.
    pub available_bytes: u64,
    /// Memory in all.
    pub total_bytes: u64,
}

impl Machine {
    /// This machine, limits of the process's control group included. Where the system does not say, nothing is free.
    #[must_use]
    pub fn here() -> Self {
        let Ok(mut system) = sysinfo::System::new() else {
            return Self { available_bytes: 0, total_bytes: 0 };
        };
        system.refresh_memory();
        let (mut available, mut total) = (system.available_memory(), system.total_memory());
        if let Some(limits) = system.cgroup_limits() {
            available = available.min(limits.free_memory);
            total = total.min(limits.total_memory);
        }
        Self { available_bytes: available, total_bytes: total }
    }
}

/// A number of bytes in words: `512 MiB`, `41.2 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.0.div_ceil(MIB);
        if mib < 1024 { write!(f, "{mib} MiB") } else { write!(f, "{:.1} GiB", self.0 as f64 / (1u64 << 30) as f64) }
    }
}

/// What a model is expected to take in memory, in bytes. An estimate for choosing, not a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// Name of the model.
    pub name: String,
    /// Weights in the form that the kernels read.
    pub weights: u64,
    /// How many of these are there only because the file's layout has no kernel and becomes 16-bit floats.
    pub widened: u64,
    /// Keys and values of the sequences that the pool has room for.
    pub state: u64,
    /// Working room: the tokenizer, and the larger of what loading and what a step needs for a while.
    pub scratch: u64,
}

/// A machine is too small for a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "model `{}` needs {} of memory ({estimate}), {} of this machine's {} are free; {}",
    estimate.name,
    Bytes(estimate.bytes()),
    Bytes(machine.available_bytes),
    Bytes(machine.total_bytes),
    estimate.advice()
)]
pub struct FitError {
    /// What the model needs.
    pub estimate: Estimate,
    /// What there is.
    pub machine: Machine,
}

impl fmt::Display for Estimate {
    /// Its parts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weights {}", Bytes(self.weights))?;
        if self.widened > 0 {
            write!(f, ", {} of it since their layout becomes 16-bit floats", Bytes(self.widened))?;
        }
        if self.state > 0 {
            write!(f, ", state of sequences {}", Bytes(self.state))?;
        }
        write!(f, ", working room {}", Bytes(self.scratch))
    }
}

impl Estimate {
    /// Estimates a model from the headers of its files. No weights are read.
    ///
    /// # Errors
    /// [`LoadError`] where a header is not what it must be.
    pub fn of(model: &Verified, options: &PoolOptions) -> Result<Self, LoadError> {
        let name = &model.manifest().name;
        match model.manifest().task {
            Task::Embed | Task::Rerank => Self::of_encoder(model, options),
            Task::Generate => {
                let mut file = model
                    .first(FileKind::Weights)
                    .ok_or_else(|| LoadError::malformed("model.toml", "no file is of kind `weights`"))?;
                let path = file.entry().path.clone();
                let header = Header::read(&mut file).map_err(|error| LoadError::malformed(&path, error.to_string()))?;
                Self::of_header(name, &header, options).map_err(|what| LoadError::malformed(&path, what))
            }
        }
    }

    /// Estimates a language model from the header of its GGUF file; an error says what the header lacks.
    pub(crate) fn of_header(name: &str, header: &Header, options: &PoolOptions) -> Result<Self, String> {
        let architecture = header.text("general.architecture").unwrap_or_default();
        let shape = Keys { header, name: architecture }.shape()?;
        let weights = Weights { packed: header.packed(), widened: header.widened(), passing: header.passing() };
        Ok(Self::of_shape(name, weights, &shape, options))
    }

    /// Estimates a language model from its shape.
    pub(crate) fn of_shape(name: &str, weights: Weights, shape: &Shape, options: &PoolOptions) -> Self {
        let context = options.context_tokens.clamp(2, shape.trained.max(2)) as u64;
        let [width, inner, vocabulary] = [shape.width, shape.inner, shape.vocabulary].map(|side| side as u64);
        let stride = (shape.heads.query_row() + 2 * shape.heads.key_row()) as u64;
        let state = options.sequences.max(1) as u64 * context * token_state(shape);
        // Floats of a step's rows and what is added to them, of queries, keys and values, of gate and up; activations as floats and as
        // 16-bit integers of the widest; and the logits.
        let step = ROWS * (8 * width + 4 * stride + 8 * inner + 6 * inner.max(width)) + 4 * SEQUENCES * vocabulary;
        let ropes = context * shape.turned as u64 * 4;
        Self {
            name: name.to_owned(),
            weights: weights.packed,
            widened: weights.widened,
            state,
            scratch: PROCESS + TOKEN * vocabulary + ropes + step.max(weights.passing.saturating_sub(state)),
        }
    }

    fn of_encoder(model: &Verified, options: &PoolOptions) -> Result<Self, LoadError> {
        let mut numbers = EncoderNumbers::default();
        for mut file in model.files().filter(|file| file.entry().kind == FileKind::Weights) {
            if file.entry().path.ends_with(".gguf") {
                let path = file.entry().path.clone();
                let header = Header::read(&mut file).map_err(|error| LoadError::malformed(&path, error.to_string()))?;
                numbers = EncoderNumbers::of_header(&header);
            } else {
                SafetensorsFile::open(file)?.sizes().for_each(|(name, size)| {
                    numbers.add(name.contains("embeddings"), size);
                });
            }
        }
        let longest = model.manifest().embedding.map_or(0, |embedding| embedding.max_tokens);
        Ok(numbers.estimate(&model.manifest().name, longest, options))
    }

    /// Estimates an encoder from the header of its GGUF file.
    pub(crate) fn of_encoder_header(name: &str, header: &Header, options: &PoolOptions) -> Self {
        EncoderNumbers::of_header(header).estimate(name, 0, options)
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        [self.weights, self.state, self.scratch].into_iter().fold(0, u64::saturating_add)
    }

    /// Whether the machine has so much free.
    ///
    /// # Errors
    /// [`FitError`] with what is needed and what there is.
    pub fn carried_by(&self, machine: &Machine) -> Result<(), FitError> {
        if self.bytes() > machine.available_bytes {
            return Err(FitError { estimate: self.clone(), machine: *machine });
        }
        Ok(())
    }

    /// What whoever is refused can do.
    fn advice(&self) -> &'static str {
        if self.widened > self.weights / 4 {
            "take the same model in a layout that has kernels (Q4_K_M, Q4_0), which is smaller in memory, or a smaller model"
        } else {
            "stop other programs, or choose a smaller model or a shorter context"
        }
    }
}

/// How many numbers an encoder has: those that say what tokens are before the first layer, the others, and in its largest tensor.
#[derive(Clone, Copy, Debug, Default)]
struct EncoderNumbers {
    first: u64,
    others: u64,
    largest: u64,
}

impl EncoderNumbers {
    fn of_header(header: &Header) -> Self {
        let mut numbers = Self::default();
        for (name, place) in header.tensors() {
            let first = ["token_embd.", "position_embd.", "token_types."].iter().any(|first| name.starts_with(first));
            numbers.add(first, place.shape.iter().product::<usize>() as u64);
        }
        numbers
    }

    fn add(&mut self, first: bool, size: u64) {
        *(if first { &mut self.first } else { &mut self.others }) += size;
        self.largest = self.largest.max(size);
    }

    fn estimate(self, name: &str, longest: usize, options: &PoolOptions) -> Estimate {
        // What tokens are before the first layer stays floats; of the rest every number becomes a byte, with two floats per 128.
        let others = match options.precision {
            Precision::Int8 => self.others + self.others / 16,
            Precision::Float32 => self.others * 4,
        };
        // A tensor is there twice while it is read. Angles of turned heads take two floats per position and half a head.
        let scratch = ENCODER + PROCESS + 8 * self.largest + (longest * LONGEST_HEAD * 4) as u64;
        Estimate { name: name.to_owned(), weights: self.first * 4 + others, widened: 0, state: 0, scratch }
    }
}

/// Bytes of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weights {
    pub(crate) packed: u64,
    pub(crate) widened: u64,
    /// Needed for a while beside what stays.
    pub(crate) passing: u64,
}

/// Bytes of a token's keys and values in all layers.
pub(crate) fn token_state(shape: &Shape) -> u64 {
    (shape.layers * shape.heads.key_row() * 2 * size_of::<u16>()) as u64
}

#[cfg(test)]
mod tests;
