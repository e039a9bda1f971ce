//! BERT (Devlin and others, 2018) and RoBERTa, XLM's included, from safetensors and GGUF, as sentence-transformers runs them:
//! MiniLM, E5, BGE, BGE-M3 and their like, and cross-encoders made of them.

use serde::Deserialize;

use super::config::{self, Numbers, refused};
use super::tensors::{Names, Sides, Tensors};
use crate::error::LoadError;
use crate::kernel::embed::Curve;
use crate::layers::encoder::{Builder, Dense, DenseCurve, Embeddings, Encoder, Feed, Head, Order, Plan};
use crate::manifest::Pooling;
use crate::pool::PoolOptions;
use crate::registry::Verified;

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

/// `highest` is the highest token that the tokenizer makes.
pub(super) fn load(model: &Verified, highest: u32, options: &PoolOptions) -> Result<Encoder, LoadError> {
    let mut tensors = Tensors::open(model, "embeddings.word_embeddings.weight", &["bert.", "roberta."])?;
    let gguf = tensors.header().is_some();
    let (numbers, first_position, roberta) = match tensors.header() {
        Some(_) => (super::encoder_numbers(&tensors, "bert")?, 0, true),
        None => {
            let config: Config = config::read(model)?;
            (config.numbers()?, config.first_position(), config.model_type.ends_with("roberta"))
        }
    };
    let place = if gguf { "the GGUF header" } else { "config.json" };
    let numbers = numbers.check(highest).map_err(|what| LoadError::malformed(place, what))?;
    let (width, words, positions, kinds, norm) = if gguf {
        (numbers.width, "token_embd.weight", "position_embd.weight", "token_types.weight", "token_embd_norm")
    } else {
        let name = ["embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"];
        (numbers.width, name[0], name[1], "embeddings.token_type_embeddings.weight", "embeddings.LayerNorm")
    };
    let words = tensors.numbers(words, &[numbers.vocabulary, width])?;
    let mut positions = tensors.numbers(positions, &[numbers.positions + first_position, width])?;
    positions.drain(..first_position * width);
    let kinds = if numbers.kinds == 0 { Vec::new() } else { tensors.numbers(kinds, &[numbers.kinds, width])? };
    let first = tensors.scale(norm, width, true)?;
    let plan = Plan {
        width,
        heads: numbers.heads,
        epsilon: numbers.epsilon,
        order: Order::After,
        feed: Feed::Plain(Curve::Gelu),
        ropes: Vec::new(),
    };
    let embeddings = Embeddings::new(width, words, positions, kinds);
    let sides = Sides {
        width,
        inner: numbers.inner,
        gated: false,
        attention_bias: true,
        feed_bias: [true; 2],
        norm_bias: true,
    };
    let mut builder = Builder::new(plan, embeddings, first, None, super::threads(options)?, options);
    let fused = tensors.has("blk.0.attn_qkv.weight");
    for layer in 0..numbers.layers {
        builder.push(tensors.parts(&if gguf { gguf_names(layer, fused) } else { names(layer) }, sides)?)?;
    }
    super::finish(builder, model, numbers.positions, || head(&mut tensors, width, gguf, roberta))
}

fn names(layer: usize) -> Names {
    let name = |part: &str| format!("encoder.layer.{layer}.{part}");
    Names {
        qkv: ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}"))).to_vec(),
        attended: name("attention.output.dense"),
        attention_norm: Some(name("attention.output.LayerNorm")),
        inner: vec![name("intermediate.dense")],
        outer: name("output.dense"),
        feed_norm: name("output.LayerNorm"),
    }
}

/// Some converters write queries, keys and values into one tensor.
fn gguf_names(layer: usize, fused: bool) -> Names {
    let name = |part: &str| format!("blk.{layer}.{part}");
    Names {
        qkv: if fused { vec![name("attn_qkv")] } else { ["attn_q", "attn_k", "attn_v"].map(name).to_vec() },
        attended: name("attn_output"),
        attention_norm: Some(name("attn_output_norm")),
        inner: vec![name("ffn_up")],
        outer: name("ffn_down"),
        feed_norm: name("layer_output_norm"),
    }
}

/// What transformers calls `BertForSequenceClassification`: BERT's pooler, or RoBERTa's head of two layers, on the first token.
/// Files in GGUF keep the latter only.
fn head(tensors: &mut Tensors, width: usize, gguf: bool, roberta: bool) -> Result<(Pooling, Head), LoadError> {
    let (dense, last) = match (gguf, roberta) {
        (true, _) => ("cls", "cls.output"),
        (false, true) => ("classifier.dense", "classifier.out_proj"),
        (false, false) => ("bert.pooler.dense", "classifier"),
    };
    let weights = tensors.head(dense, width, width, true)?;
    let dense = Dense { weights, curve: DenseCurve::Tanh, norm: None };
    Ok((Pooling::Cls, Head { dense: Some(dense), last: tensors.head(last, 1, width, true)? }))
}

#[cfg(test)]
mod tests;
