//! `[models]`: which models run, and how.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Engine;

/// `[models]`: which models run, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// The folder of the registry. Default: `models` in the data folder.
    pub folder: Option<PathBuf>,
    /// The embedding model, by its name in the registry. Default: `all-minilm-l6-v2`.
    pub embed: String,
    /// The generation model, by its name in the registry. Leave it empty to answer from curated pairs and quotations alone.
    /// Default: `smollm2-135m-instruct`.
    pub generate: String,
    /// A cross-encoder, by its name in the registry, for `/v1/rerank`. Leave it empty to order by the likeness of embeddings.
    /// Default: none.
    pub rerank: String,
    /// What the generation model computes on: `processor`, or `cuda` or `metal` where the program was built with that feature.
    /// Embeddings are computed by the processor. Default: `processor`.
    pub device: Device,
    /// Threads that each model computes with. 0 takes as many as the machine has cores. Default: 0.
    pub threads: usize,
    /// Requests that may wait for the embedding model, and as many for the cross-encoder; more are answered 429 with `Retry-After`. Default: 256.
    pub embed_queue: usize,
    /// Requests that may wait for the generation model; more are answered 429 with `Retry-After`. Default: 64.
    pub generate_queue: usize,
    /// Tokens that prompt and answer of the generation model may have together, 64 to 1048576; no more than it was trained for. Default: 4096.
    pub context_tokens: usize,
    /// Readers for whom there is room at once, 1 to 1024: memory for so many times `context_tokens`. Texts that were read lately stay there,
    /// so that the next question of each session need not read its evidence again: as many as there are sessions at a time.
    /// `cloister plan --users` says what it takes. Default: 4.
    pub sequences: usize,
    /// An engine elsewhere in the network that generates instead. Default: none.
    pub engine: Option<Engine>,
}

/// What a generation model computes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// The machine's processor.
    #[default]
    Processor,
    /// NVIDIA's first graphics processor.
    Cuda,
    /// Apple's.
    Metal,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            folder: None,
            embed: "all-minilm-l6-v2".to_owned(),
            generate: "smollm2-135m-instruct".to_owned(),
            rerank: String::new(),
            device: Device::Processor,
            threads: 0,
            embed_queue: 256,
            generate_queue: 64,
            context_tokens: 4096,
            sequences: 4,
            engine: None,
        }
    }
}

impl Models {
    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.embed.is_empty() {
            Some(("models.embed", "must name a model: without embeddings nothing can be found"))
        } else if self.embed_queue == 0 {
            Some(("models.embed_queue", "must be at least 1"))
        } else if self.generate_queue == 0 {
            Some(("models.generate_queue", "must be at least 1"))
        } else if !(64..=1_048_576).contains(&self.context_tokens) {
            Some(("models.context_tokens", "takes 64 to 1048576"))
        } else if !(1..=1024).contains(&self.sequences) {
            Some(("models.sequences", "takes 1 to 1024"))
        } else {
            self.engine.as_ref().and_then(Engine::contradiction)
        }
    }
}
