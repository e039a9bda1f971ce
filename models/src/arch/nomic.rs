//! Nomic BERT (Nussbaum and others, 2024), from safetensors and GGUF: BERT with turned heads, and a gate in the feed-forward part.

use serde::Deserialize;

use super::config::{self, refused};
use super::encoder::{self, Biases, Loading, Numbers, Outline, Whole};
use super::tensors::{Names, Tensors};
use crate::error::LoadError;
use crate::kernel::embed::Curve;
use crate::layers::encoder::{Encoder, Feed, Order};

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

/// transformers' names. `fc12` is the gate.
const NAMES: Names = Names {
    words: "embeddings.word_embeddings.weight",
    positions: None,
    kinds: Some("embeddings.token_type_embeddings.weight"),
    first_norm: "emb_ln",
    last_norm: None,
    layers: "encoder.layers.",
    qkv: &["attn.Wqkv"],
    attended: "attn.out_proj",
    attention_norm: "norm1",
    first_bare: false,
    inner: &["mlp.fc12", "mlp.fc11"],
    outer: "mlp.fc2",
    feed_norm: "norm2",
};

/// GGUF's.
const GGUF: Names = Names {
    words: "token_embd.weight",
    positions: None,
    kinds: Some("token_types.weight"),
    first_norm: "token_embd_norm",
    last_norm: None,
    layers: "blk.",
    qkv: &["attn_qkv"],
    attended: "attn_output",
    attention_norm: "attn_output_norm",
    first_bare: false,
    inner: &["ffn_gate", "ffn_up"],
    outer: "ffn_down",
    feed_norm: "layer_output_norm",
};

pub(super) fn load(loading: Loading<'_>) -> Result<Encoder, LoadError> {
    let tensors = Tensors::open(loading.model, NAMES.words, &["nomic_bert."])?;
    let (names, outline) = if tensors.header().is_some() {
        (&GGUF, from_header(&tensors)?)
    } else {
        let config: Config = config::read(loading.model)?;
        config.check()?;
        let feed = [config.mlp_fc1_bias, config.mlp_fc2_bias];
        let biases = Biases { attention: config.qkv_proj_bias, feed, norm: true };
        (&NAMES, outline(config.numbers(), config.rotary_emb_base, biases))
    };
    let none = "cross-encoders of this architecture are not supported yet";
    encoder::build(loading, tensors, names, outline, |_| Err(LoadError::malformed("model.toml", none)))
}

fn outline(numbers: Numbers, base: f64, biases: Biases) -> Outline {
    Outline {
        numbers,
        order: Order::After,
        feed: Feed::Gated(Curve::Silu),
        bases: vec![base],
        whole: Whole::All,
        reach: 0,
        first_position: 0,
        biases,
    }
}

/// A file in GGUF says by the tensors that it holds what carries a bias.
fn from_header(tensors: &Tensors) -> Result<Outline, LoadError> {
    let numbers = Numbers::of_header(tensors, "nomic-bert")?;
    let base = tensors.keys("nomic-bert").map(|keys| keys.float("rope.freq_base")).transpose();
    let base = base.map_err(|what| tensors.malformed(what))?.flatten().unwrap_or(10_000.0);
    let has = |name: &str| tensors.has(&format!("blk.0.{name}.bias"));
    let biases = Biases { attention: has("attn_qkv"), feed: [has("ffn_up"), has("ffn_down")], norm: true };
    Ok(outline(numbers, base, biases))
}

#[cfg(test)]
mod tests;
