//! BERT (Devlin and others, 2018) and RoBERTa, XLM's included, from safetensors and GGUF, as sentence-transformers runs them:
//! MiniLM, E5, BGE, BGE-M3 and their like, and cross-encoders made of them.

use serde::Deserialize;

use super::adapter::Adapter;
use super::config::{self, refused};
use super::encoder::{self, Biases, Loading, Numbers, Outline, Whole};
use super::tensors::{Names, Tensors};
use crate::error::LoadError;
use crate::kernel::embed::Curve;
use crate::layers::encoder::{Dense, DenseCurve, Encoder, Feed, Head, Order};
use crate::manifest::Pooling;

/// What is read of config.json. What would change the result and is not supported is refused.
#[derive(Debug, Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: String,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f64,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    model_type: String,
    #[serde(default)]
    pad_token_id: Option<usize>,
}

impl Config {
    fn numbers(&self) -> Result<Numbers, LoadError> {
        if self.hidden_act != "gelu" {
            return Err(refused(format!("hidden_act `{}` is not supported yet, gelu is", self.hidden_act)));
        }
        if self.position_embedding_type.as_deref().is_some_and(|kind| kind != "absolute") {
            return Err(refused("only absolute position embeddings are supported"));
        }
        if self.pad_token_id.is_some_and(|token| token >= self.vocab_size) {
            return Err(refused("its sizes do not fit together"));
        }
        Ok(Numbers {
            vocabulary: self.vocab_size,
            width: self.hidden_size,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            epsilon: self.layer_norm_eps as f32,
            positions: self.max_position_embeddings.saturating_sub(self.first_position()),
            kinds: self.type_vocab_size,
        })
    }

    /// Where the first token's position vector stands. RoBERTa counts from the number of the padding token on.
    fn first_position(&self) -> usize {
        if self.model_type.ends_with("roberta") { self.pad_token_id.unwrap_or(1).saturating_add(1) } else { 0 }
    }
}

/// transformers' names.
const NAMES: Names = Names {
    words: "embeddings.word_embeddings.weight",
    positions: Some("embeddings.position_embeddings.weight"),
    kinds: Some("embeddings.token_type_embeddings.weight"),
    first_norm: "embeddings.LayerNorm",
    last_norm: None,
    layers: "encoder.layer.",
    qkv: &["attention.self.query", "attention.self.key", "attention.self.value"],
    attended: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    first_bare: false,
    inner: &["intermediate.dense"],
    outer: "output.dense",
    feed_norm: "output.LayerNorm",
};

/// GGUF's.
const GGUF: Names = Names {
    words: "token_embd.weight",
    positions: Some("position_embd.weight"),
    kinds: Some("token_types.weight"),
    first_norm: "token_embd_norm",
    last_norm: None,
    layers: "blk.",
    qkv: &["attn_q", "attn_k", "attn_v"],
    attended: "attn_output",
    attention_norm: "attn_output_norm",
    first_bare: false,
    inner: &["ffn_up"],
    outer: "ffn_down",
    feed_norm: "layer_output_norm",
};

/// Those of converters that write queries, keys and values into one tensor.
const GGUF_FUSED: Names = Names { qkv: &["attn_qkv"], ..GGUF };

pub(super) fn load(loading: Loading<'_>) -> Result<Encoder, LoadError> {
    let mut tensors = Tensors::open(loading.model, NAMES.words, &["bert.", "roberta."])?;
    if let Some(adapter) = loading.adapter {
        // An adapter names tensors as transformers does.
        if tensors.header().is_some() {
            return Err(refused("adapters are for models in safetensors alone"));
        }
        tensors.adapt(Adapter::read(adapter)?);
    }
    let (names, head, numbers, first_position) = if tensors.header().is_some() {
        let names = if tensors.has("blk.0.attn_qkv.weight") { &GGUF_FUSED } else { &GGUF };
        (names, ["cls", "cls.output"], Numbers::of_header(&tensors, "bert")?, 0)
    } else {
        let config: Config = config::read(loading.model)?;
        let roberta = config.model_type.ends_with("roberta");
        let head = if roberta { ROBERTA_HEAD } else { BERT_HEAD };
        (&NAMES, head, config.numbers()?, config.first_position())
    };
    let outline = Outline {
        numbers,
        order: Order::After,
        feed: Feed::Plain(Curve::Gelu),
        bases: Vec::new(),
        whole: Whole::All,
        reach: 0,
        first_position,
        biases: Biases::ALL,
    };
    encoder::build(loading, tensors, names, outline, |tensors| head_of(tensors, head, numbers.width))
}

/// The two layers of a head.
const BERT_HEAD: [&str; 2] = ["bert.pooler.dense", "classifier"];
const ADAPTED_HEAD: [&str; 2] = ["pooler.dense", "classifier"];
const ROBERTA_HEAD: [&str; 2] = ["classifier.dense", "classifier.out_proj"];

/// What transformers calls `BertForSequenceClassification`: BERT's pooler, or RoBERTa's head of two layers, on the first token.
/// Files in GGUF keep the latter only.
fn head_of(tensors: &mut Tensors, [dense, last]: [&str; 2], width: usize) -> Result<(Pooling, Head), LoadError> {
    if let Some(adapter) = tensors.adapter() {
        let [dense, last] = ADAPTED_HEAD.map(|name| adapter.head(name, width));
        let dense = Dense { weights: dense?, curve: DenseCurve::Tanh, norm: None };
        return Ok((Pooling::Cls, Head { dense: Some(dense), last: last? }));
    }
    let weights = tensors.head(dense, width, width, true)?;
    let dense = Dense { weights, curve: DenseCurve::Tanh, norm: None };
    Ok((Pooling::Cls, Head { dense: Some(dense), last: tensors.head(last, 1, width, true)? }))
}

#[cfg(test)]
mod tests;
