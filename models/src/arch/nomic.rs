//! Nomic BERT (Nussbaum and others, 2024), from safetensors and GGUF: BERT with turned heads, and a gate in the feed-forward part.

use serde::Deserialize;

use super::config::{self, Numbers, refused};
use super::tensors::{Names, Sides, Tensors};
use crate::error::LoadError;
use crate::kernel::embed::Curve;
use crate::layers::encoder::{Builder, Embeddings, Encoder, Feed, Order, Plan};
use crate::layers::rope::{Pairs, Rope, Turning};
use crate::pool::PoolOptions;
use crate::registry::Verified;

/// What is read of config.json. What would change the result and is not supported is refused.
#[derive(Debug, Deserialize)]
struct Config {
    vocab_size: usize,
    n_embd: usize,
    n_head: usize,
    n_layer: usize,
    n_inner: usize,
    n_positions: usize,
    type_vocab_size: usize,
    layer_norm_epsilon: f64,
    rotary_emb_base: f64,
    activation_function: String,
    #[serde(default = "one")]
    rotary_emb_fraction: f64,
    #[serde(default)]
    rotary_emb_interleaved: bool,
    #[serde(default)]
    rotary_emb_scale_base: Option<f64>,
    #[serde(default)]
    rotary_scaling_factor: Option<f64>,
    #[serde(default)]
    max_trained_positions: Option<usize>,
    #[serde(default)]
    qkv_proj_bias: bool,
    #[serde(default)]
    mlp_fc1_bias: bool,
    #[serde(default)]
    mlp_fc2_bias: bool,
    #[serde(default)]
    prenorm: bool,
    #[serde(default)]
    parallel_block: bool,
    #[serde(default)]
    use_rms_norm: Option<bool>,
    #[serde(default)]
    num_experts: Option<usize>,
}

const fn one() -> f64 {
    1.0
}

/// What sets models of this kind apart.
struct Traits {
    base: f64,
    attention_bias: bool,
    feed_bias: [bool; 2],
}

impl Config {
    fn check(&self) -> Result<(), LoadError> {
        if self.activation_function != "swiglu" {
            let name = &self.activation_function;
            return Err(refused(format!("activation_function `{name}` is not supported yet, swiglu is")));
        }
        let wrong = [
            (self.rotary_emb_fraction != 1.0, "rotary_emb_fraction other than 1"),
            (self.rotary_emb_interleaved, "rotary_emb_interleaved"),
            (self.rotary_emb_scale_base.is_some(), "rotary_emb_scale_base"),
            (self.rotary_scaling_factor.is_some(), "rotary_scaling_factor"),
            (self.prenorm, "prenorm"),
            (self.parallel_block, "parallel_block"),
            (self.use_rms_norm == Some(true), "use_rms_norm"),
            (self.num_experts.unwrap_or(0) > 0, "num_experts"),
        ];
        match wrong.iter().find(|(found, _)| *found) {
            Some((_, what)) => Err(refused(format!("{what} is not supported yet"))),
            None => Ok(()),
        }
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            vocabulary: self.vocab_size,
            width: self.n_embd,
            inner: self.n_inner,
            layers: self.n_layer,
            heads: self.n_head,
            epsilon: self.layer_norm_epsilon as f32,
            // Beyond what it was trained for, positions would have to be stretched.
            positions: self.n_positions.min(self.max_trained_positions.unwrap_or(usize::MAX)),
            kinds: self.type_vocab_size,
        }
    }
}

/// `highest` is the highest token that the tokenizer makes.
pub(super) fn load(model: &Verified, highest: u32, options: &PoolOptions) -> Result<Encoder, LoadError> {
    let mut tensors = Tensors::open(model, "embeddings.word_embeddings.weight", &["nomic_bert."])?;
    let gguf = tensors.header().is_some();
    let (numbers, traits) = if gguf { from_header(&tensors)? } else { from_config(&config::read(model)?)? };
    let place = if gguf { "the GGUF header" } else { "config.json" };
    let numbers = numbers.check(highest).map_err(|what| LoadError::malformed(place, what))?;
    let width = numbers.width;
    let [words, kinds, norm] = if gguf {
        ["token_embd.weight", "token_types.weight", "token_embd_norm"]
    } else {
        ["embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight", "emb_ln"]
    };
    let words = tensors.numbers(words, &[numbers.vocabulary, width])?;
    let kinds = if numbers.kinds == 0 { Vec::new() } else { tensors.numbers(kinds, &[numbers.kinds, width])? };
    let first = tensors.scale(norm, width, true)?;
    let head = width / numbers.heads;
    if !(traits.base > 1.0 && traits.base.is_finite() && head.is_multiple_of(2)) {
        return Err(tensors.malformed("its rotary embedding is impossible"));
    }
    let longest = super::longest(model, numbers.positions)?;
    let turning = Turning { base: traits.base, stretch: 1.0, factors: None, size: 1.0 };
    let plan = Plan {
        width,
        heads: numbers.heads,
        epsilon: numbers.epsilon,
        order: Order::After,
        feed: Feed::Gated(Curve::Silu),
        ropes: vec![Rope::new(head, longest, Pairs::Halves, turning)],
    };
    let embeddings = Embeddings::new(width, words, Vec::new(), kinds);
    let sides = Sides {
        width,
        inner: numbers.inner,
        gated: true,
        attention_bias: traits.attention_bias,
        feed_bias: traits.feed_bias,
        norm_bias: true,
    };
    let mut builder = Builder::new(plan, embeddings, first, None, super::threads(options)?, options);
    for layer in 0..numbers.layers {
        let mut parts = tensors.parts(&if gguf { gguf_names(layer) } else { names(layer) }, sides)?;
        parts.rope = Some(0);
        builder.push(parts)?;
    }
    let none = || Err(LoadError::malformed("model.toml", "cross-encoders of this architecture are not supported yet"));
    super::finish(builder, model, numbers.positions, none)
}

fn from_config(config: &Config) -> Result<(Numbers, Traits), LoadError> {
    config.check()?;
    let traits = Traits {
        base: config.rotary_emb_base,
        attention_bias: config.qkv_proj_bias,
        feed_bias: [config.mlp_fc1_bias, config.mlp_fc2_bias],
    };
    Ok((config.numbers(), traits))
}

/// A file in GGUF says by the tensors that it holds what carries a bias.
fn from_header(tensors: &Tensors) -> Result<(Numbers, Traits), LoadError> {
    let numbers = super::encoder_numbers(tensors, "nomic-bert")?;
    let base = tensors.keys("nomic-bert").map(|keys| keys.float("rope.freq_base")).transpose();
    let base = base.map_err(|what| tensors.malformed(what))?.flatten().unwrap_or(10_000.0);
    let has = |name: &str| tensors.has(&format!("blk.0.{name}.bias"));
    let traits = Traits { base, attention_bias: has("attn_qkv"), feed_bias: [has("ffn_up"), has("ffn_down")] };
    Ok((numbers, traits))
}

/// `fc12` is the gate.
fn names(layer: usize) -> Names {
    let name = |part: &str| format!("encoder.layers.{layer}.{part}");
    Names {
        qkv: vec![name("attn.Wqkv")],
        attended: name("attn.out_proj"),
        attention_norm: Some(name("norm1")),
        inner: vec![name("mlp.fc12"), name("mlp.fc11")],
        outer: name("mlp.fc2"),
        feed_norm: name("norm2"),
    }
}

fn gguf_names(layer: usize) -> Names {
    let name = |part: &str| format!("blk.{layer}.{part}");
    Names {
        qkv: vec![name("attn_qkv")],
        attended: name("attn_output"),
        attention_norm: Some(name("attn_output_norm")),
        inner: vec![name("ffn_gate"), name("ffn_up")],
        outer: name("ffn_down"),
        feed_norm: name("layer_output_norm"),
    }
}

#[cfg(test)]
mod tests;
