//! Architectures, one file each. An unknown one is refused by name.

mod bert;
mod config;
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
use crate::layers::encoder::{Builder, Encoder, Head, Readout};
use crate::manifest::{FileKind, Pooling, Task};
use crate::pool::generate::LoadedGenerator;
use crate::pool::{Accelerator, PoolOptions};
use crate::registry::Verified;
use crate::task::embed::EncodeText;
use crate::task::generate::StepTokens;
use crate::tokenizer::{Tokens, from_gguf, token_text};
use crate::weights::GgufFile;

use config::Numbers;
use tensors::Tensors;

/// Longest tokenizer.json and config.json; the largest vocabularies take about 35 MB.
const MAX_TOKENIZER_BYTES: u64 = 64 << 20;
/// Longest chat template as a file of its own.
const MAX_TEMPLATE_BYTES: u64 = 256 << 10;

/// The architectures that generate, as GGUF names them. Mistral's files call themselves llama.
const GENERATORS: &str = "llama, gemma3, phi3, qwen2, qwen3";

/// The architectures that read, as transformers and GGUF name them, and in words.
const ENCODERS: [&str; 7] = ["bert", "roberta", "xlm-roberta", "nomic_bert", "nomic-bert", "modernbert", "modern-bert"];
const ENCODERS_IN_WORDS: &str = "bert, roberta, xlm-roberta, nomic_bert and modernbert";

/// An embedding model or a cross-encoder with its tokenizer.
pub(crate) struct LoadedEncoder {
    pub(crate) model: Box<dyn EncodeText>,
    pub(crate) tokens: Tokens,
}

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

/// Loads an embedder, or a cross-encoder where `task` is that.
pub(crate) fn load_encoder(model: &Verified, task: Task, options: &PoolOptions) -> Result<LoadedEncoder, LoadError> {
    admit(model, task, &ENCODERS, ENCODERS_IN_WORDS)?;
    Estimate::of(model, options)?.carried_by(&Machine::here())?;
    let tokens = encoder_tokens(model)?;
    let highest = tokens.highest();
    let model = match model.manifest().architecture.as_str() {
        "nomic_bert" | "nomic-bert" => nomic::load(model, highest, options)?,
        "modernbert" | "modern-bert" => modernbert::load(model, highest, options)?,
        _ => bert::load(model, highest, options)?,
    };
    Ok(LoadedEncoder { model: Box::new(model), tokens })
}

/// The tokenizer beside the weights, else the one inside.
fn encoder_tokens(model: &Verified) -> Result<Tokens, LoadError> {
    if let Some(mut file) = model.first(FileKind::Tokenizer) {
        let bytes = file.read_all(MAX_TOKENIZER_BYTES).map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        return crate::tokenizer::from_json(&bytes);
    }
    match model.first(FileKind::Weights).filter(|file| file.entry().path.ends_with(".gguf")) {
        Some(file) => crate::tokenizer::encoder_from_gguf(&GgufFile::open(file)?.header),
        None => Err(LoadError::Tokenizer("tokenizer.json is missing".to_owned())),
    }
}

/// The numbers of an encoder as the header of a GGUF file states them.
fn encoder_numbers(tensors: &Tensors, name: &str) -> Result<Numbers, LoadError> {
    let read = || -> Result<Numbers, String> {
        let keys = tensors.keys(name).ok_or("it has no header")?;
        // A table of one row may have lost that side.
        let rows = |tensor: &str| match keys.header.tensor(tensor)?.shape.as_slice() {
            [_] => Some(1),
            shape => shape.first().copied(),
        };
        if keys.header.text(&keys.key("rope.scaling.type")).is_some_and(|kind| kind != "none") {
            return Err("stretched positions are not supported yet".to_owned());
        }
        let epsilon = keys.float("attention.layer_norm_epsilon")?;
        Ok(Numbers {
            vocabulary: rows("token_embd.weight").ok_or("tensor `token_embd.weight` is missing")?,
            width: keys.number("embedding_length", 1 << 16)?,
            inner: keys.number("feed_forward_length", 1 << 18)?,
            layers: keys.number("block_count", 1 << 10)?,
            heads: keys.number("attention.head_count", 1 << 10)?,
            epsilon: epsilon.ok_or_else(|| keys.missing("attention.layer_norm_epsilon"))? as f32,
            // A table of positions is the better witness: some files keep the length that it had before its first rows were cut off.
            positions: match rows("position_embd.weight") {
                Some(rows) => rows,
                None => keys.number("context_length", 1 << 20)?,
            },
            kinds: rows("token_types.weight").unwrap_or(0),
        })
    };
    read().map_err(|what| tensors.malformed(what))
}

/// The longest sequence that the manifest lets an encoder take.
fn longest(model: &Verified, positions: usize) -> Result<usize, LoadError> {
    let embedding = model.manifest().embedding;
    let embedding = embedding.ok_or_else(|| LoadError::malformed("model.toml", "`embedding` is missing"))?;
    if embedding.max_tokens > positions {
        return Err(LoadError::malformed("model.toml", "embedding.max_tokens is more than the model has positions"));
    }
    Ok(embedding.max_tokens)
}

/// Ends an encoder with what the manifest says that it is for; `head` reads the head of a cross-encoder.
fn finish(
    builder: Builder,
    model: &Verified,
    positions: usize,
    head: impl FnOnce() -> Result<(Pooling, Head), LoadError>,
) -> Result<Encoder, LoadError> {
    let longest = longest(model, positions)?;
    let readout = match (model.manifest().task, model.manifest().embedding) {
        (Task::Rerank, _) => {
            let (pooling, head) = head()?;
            Readout::Score(pooling, head)
        }
        (_, Some(embedding)) => Readout::Pool(embedding.pooling),
        (_, None) => return Err(LoadError::malformed("model.toml", "`embedding` is missing")),
    };
    Ok(builder.finish(readout, longest))
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
        Accelerator::Candle => Ok(Some(Device::Cpu)),
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
