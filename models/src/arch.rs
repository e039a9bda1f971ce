//! Architectures, one file each. An unknown one is refused by name.

mod bert;
mod gemma3;
mod llama;
mod phi3;
mod qwen;
mod reader;
pub(crate) mod shape;

use crate::chat::ChatTemplate;
use crate::error::LoadError;
use crate::fit::{Estimate, Machine};
use crate::layers::decoder::Decoder;
use crate::manifest::{FileKind, Task};
use crate::pool::PoolOptions;
use crate::pool::generate::LoadedGenerator;
use crate::registry::Verified;
use crate::task::embed::EncodeText;
use crate::tokenizer::{Tokens, from_gguf, token_text};
use crate::weights::GgufFile;

/// Longest tokenizer.json and config.json; the largest vocabularies take about 35 MB.
const MAX_TOKENIZER_BYTES: u64 = 64 << 20;
/// Longest chat template as a file of its own.
const MAX_TEMPLATE_BYTES: u64 = 256 << 10;

/// The architectures that generate, as GGUF names them. Mistral's files call themselves llama.
const GENERATORS: &str = "llama, gemma3, phi3, qwen2, qwen3";

/// An embedding model with its tokenizer.
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

pub(crate) fn load_embed(model: &Verified, options: &PoolOptions) -> Result<LoadedEncoder, LoadError> {
    admit(model, Task::Embed, &["bert", "roberta", "xlm-roberta"], "bert, roberta and xlm-roberta")?;
    Estimate::of(model, options)?.carried_by(&Machine::here())?;
    let file = model.first(FileKind::Tokenizer);
    let mut file = file.ok_or_else(|| LoadError::Tokenizer("tokenizer.json is missing".to_owned()))?;
    let bytes = file.read_all(MAX_TOKENIZER_BYTES).map_err(|error| LoadError::Tokenizer(error.to_string()))?;
    let tokens = crate::tokenizer::from_json(&bytes)?;
    let model = bert::Bert::load(model, tokens.highest(), options)?;
    Ok(LoadedEncoder { model: Box::new(model), tokens })
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
    Estimate::of_header(&model.manifest().name, &file.header, options)
        .map_err(|what| file.malformed(what))?
        .carried_by(&Machine::here())?;
    let tokens = from_gguf(&file.header)?;
    let template = template(model, &file)?;
    let model = decoder(&model.manifest().architecture, &mut file, options)?;
    Ok(LoadedGenerator { model: Box::new(model), tokens, template })
}

fn decoder(architecture: &str, file: &mut GgufFile, options: &PoolOptions) -> Result<Decoder, LoadError> {
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

/// The threads that compute for one model.
pub(crate) fn threads(options: &PoolOptions) -> Result<rayon::ThreadPool, LoadError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .thread_name(|at| format!("compute-{at}"))
        .build()
        .map_err(|error| LoadError::Thread(std::io::Error::other(error.to_string())))
}

#[cfg(test)]
pub(crate) mod tiny;
