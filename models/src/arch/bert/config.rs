//! `config.json`, as transformers writes it.

use serde::Deserialize;

use crate::error::LoadError;
use crate::manifest::FileKind;
use crate::registry::Verified;

/// Longest config.json.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// What is read of it. What would change the result and is not supported is refused.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    hidden_act: String,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f64,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    model_type: String,
    #[serde(default)]
    pad_token_id: Option<usize>,
}

impl Config {
    /// Where the first token's position vector stands. RoBERTa counts from the number of the padding token on.
    pub(super) fn first_position(&self) -> usize {
        if self.model_type.ends_with("roberta") { self.pad_token_id.unwrap_or(1) + 1 } else { 0 }
    }

    /// Tokens for which there are position vectors.
    pub(super) fn positions(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
    }

    /// `highest` is the highest token that the tokenizer makes.
    pub(super) fn read(model: &Verified, highest: u32) -> Result<Self, LoadError> {
        let refused = |what: &str| LoadError::malformed("config.json", what);
        let mut file = model.first(FileKind::Config).ok_or_else(|| refused("it is missing"))?;
        let bytes = file.read_all(MAX_CONFIG_BYTES).map_err(|error| refused(&error.to_string()))?;
        let config: Self = serde_json::from_slice(&bytes).map_err(|error| refused(&error.to_string()))?;
        if config.hidden_act != "gelu" {
            return Err(refused(&format!("hidden_act `{}` is not supported yet, gelu is", config.hidden_act)));
        }
        if config.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err(refused("only absolute position embeddings are supported"));
        }
        let sizes = [config.hidden_size, config.intermediate_size, config.num_attention_heads, config.type_vocab_size];
        let fits = config.hidden_size.is_multiple_of(config.num_attention_heads.max(1));
        let fits = fits && config.pad_token_id.is_none_or(|token| token < config.vocab_size) && config.positions() > 0;
        if sizes.contains(&0) || sizes.iter().any(|size| *size > 1 << 16) || config.num_hidden_layers > 1 << 10 || !fits
        {
            return Err(refused("its sizes do not fit together"));
        }
        if highest as usize >= config.vocab_size {
            return Err(refused("the tokenizer knows more tokens than the model"));
        }
        Ok(config)
    }
}
