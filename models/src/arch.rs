//! Architectures, one file each. An unknown one is refused by name.

mod adapter;
mod bert;
mod config;
mod encoder;
mod gemma3;
mod llama;
mod modernbert;
mod nomic;
mod phi3;
mod qwen;
mod reader;
pub(crate) mod shape;
mod tensors;

use candle_core::Device;

use crate::chat::ChatTemplate;
use crate::error::LoadError;
use crate::fit::{Estimate, Machine};
use crate::manifest::{FileKind, Task};
use crate::pool::generate::LoadedGenerator;
use crate::pool::{Accelerator, PoolOptions};
use crate::registry::Verified;
use crate::task::generate::StepTokens;
use crate::tokenizer::{from_gguf, token_text};
use crate::weights::GgufFile;

pub(crate) use encoder::{load_adapted, load_encoder};

/// Longest chat template as a file of its own.
const MAX_TEMPLATE_BYTES: u64 = 256 << 10;

/// The architectures that generate, as GGUF names them. Mistral's files call themselves llama.
const GENERATORS: &str = "llama, gemma3, phi3, qwen2, qwen3";

/// Checks what can be checked from the manifest: task and architecture.
fn admit(model: &Verified, wanted: Task, known: &'static [&'static str], words: &'static str) -> Result<(), LoadError> {
    let manifest = model.manifest();
    if manifest.task != wanted {
        return Err(LoadError::Task { found: manifest.task, wanted });
    }
    if !known.contains(&manifest.architecture.as_str()) {
        return Err(LoadError::Architecture { name: manifest.architecture.clone(), known: words });
    }
    Ok(())
}

pub(crate) fn load_generate(model: &Verified, options: &PoolOptions) -> Result<LoadedGenerator, LoadError> {
    admit(model, Task::Generate, &["llama", "gemma3", "phi3", "qwen2", "qwen3"], GENERATORS)?;
    let weights = model.first(FileKind::Weights).filter(|file| file.entry().path.ends_with(".gguf"));
    let weights = weights.ok_or_else(|| {
        LoadError::malformed(
            "model.toml",
            "generation models are read from GGUF; convert the model, then import that form of it",
        )
    })?;
    let mut file = GgufFile::open(weights)?;
    let estimate = Estimate::of_header(&model.manifest().name, &file.header, options);
    let estimate = estimate.map_err(|what| file.malformed(what))?;
    // A device has memory of its own, and says itself when it is full.
    if options.device == Accelerator::None {
        estimate.carried_by(&Machine::here())?;
    }
    let tokens = from_gguf(&file.header)?;
    let template = template(model, &file)?;
    let model = decoder(&model.manifest().architecture, &mut file, options)?;
    Ok(LoadedGenerator { model, tokens, template })
}

fn decoder(architecture: &str, file: &mut GgufFile, options: &PoolOptions) -> Result<Box<dyn StepTokens>, LoadError> {
    match architecture {
        "llama" => llama::load(file, options),
        "gemma3" => gemma3::load(file, options),
        "phi3" => phi3::load(file, options),
        "qwen2" => qwen::load(file, qwen::Line::Two, options),
        "qwen3" => qwen::load(file, qwen::Line::Three, options),
        name => Err(LoadError::Architecture { name: name.to_owned(), known: GENERATORS }),
    }
}

/// The template beside the weights, else the one inside.
fn template(model: &Verified, file: &GgufFile) -> Result<Option<ChatTemplate>, LoadError> {
    let beside = model.first(FileKind::Template).map(|mut file| file.read_all(MAX_TEMPLATE_BYTES));
    let source = match beside {
        Some(bytes) => {
            let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Some(text.ok_or_else(|| LoadError::malformed("the chat template", "it is no text or too long"))?)
        }
        None => file.header.text("tokenizer.chat_template").map(str::to_owned),
    };
    let token = |key: &str| token_text(&file.header, key);
    let (begin, end) = (token("tokenizer.ggml.bos_token_id"), token("tokenizer.ggml.eos_token_id"));
    Ok(source.map(|source| ChatTemplate::parse(source, begin, end)).transpose()?)
}

/// The device that the options name; `None` where our own kernels compute.
fn device(options: &PoolOptions) -> Result<Option<Device>, LoadError> {
    let refused = |name, error: candle_core::Error| LoadError::Device { name, what: error.to_string() };
    match options.device {
        Accelerator::None => Ok(None),
        Accelerator::Cuda(at) => Device::new_cuda(at).map(Some).map_err(|error| refused("cuda", error)),
        Accelerator::Metal(at) => Device::new_metal(at).map(Some).map_err(|error| refused("metal", error)),
        #[cfg(test)]
        Accelerator::Candle => Ok(Some(tested())),
    }
}

/// What the tests of the device's path run on: the processor of graphics that this build is for, else candle's own processor.
#[cfg(test)]
fn tested() -> Device {
    if cfg!(feature = "cuda") {
        Device::new_cuda(0).unwrap()
    } else if cfg!(feature = "metal") {
        Device::new_metal(0).unwrap()
    } else {
        Device::Cpu
    }
}

/// The threads that compute for one model.
pub(crate) fn threads(options: &PoolOptions) -> Result<rayon::ThreadPool, LoadError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .thread_name(|at| format!("compute-{at}"))
        .build()
        .map_err(|error| LoadError::Thread(std::io::Error::other(error.to_string())))
}

#[cfg(test)]
mod candle;
#[cfg(test)]
mod measured;
#[cfg(test)]
pub(crate) mod small;
#[cfg(test)]
pub(crate) mod tiny;
