//! ModernBERT (Warner and others, 2024), from safetensors and GGUF, and cross-encoders made of it: normalised before each part, heads
//! turned, a gate in the feed-forward part, and two layers of three that see their neighbourhood alone.

use serde::Deserialize;

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
    max_position_embeddings: usize,
    /// Files hold one of the two, or both.
    norm_eps: Option<f64>,
    layer_norm_eps: Option<f64>,
    local_attention: usize,
    #[serde(default)]
    global_attn_every_n_layers: Option<usize>,
    #[serde(default)]
    global_rope_theta: Option<f64>,
    /// Where it is null, that of the layers that see everything.
    #[serde(default, deserialize_with = "given")]
    local_rope_theta: Option<Option<f64>>,
    #[serde(default)]
    hidden_activation: Option<String>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    norm_bias: bool,
    #[serde(default)]
    classifier_bias: bool,
    #[serde(default)]
    layer_types: Option<Vec<String>>,
    #[serde(default)]
    rope_parameters: Option<Ropes>,
}

/// What is there, null or not.
fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<f64>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

/// How transformers writes ropes from its fifth version on.
#[derive(Debug, Deserialize)]
struct Ropes {
    full_attention: RopeOf,
    sliding_attention: RopeOf,
}

#[derive(Debug, Deserialize)]
struct RopeOf {
    rope_theta: f64,
    #[serde(default)]
    rope_type: Option<String>,
}

/// The curve of the gate, by its name.
fn curve(name: Option<&str>) -> Result<Curve, String> {
    match name {
        None | Some("gelu") => Ok(Curve::Gelu),
        Some("silu") => Ok(Curve::Silu),
        Some(name) => Err(format!("hidden_activation `{name}` is not supported yet; gelu and silu are")),
    }
}

impl Config {
    fn outline(&self) -> Result<Outline, LoadError> {
        let curve = curve(self.hidden_activation.as_deref()).map_err(refused)?;
        let base = self.global_rope_theta.unwrap_or(160_000.0);
        let mut bases = [base, self.local_rope_theta.unwrap_or(Some(10_000.0)).unwrap_or(base)];
        if let Some(ropes) = &self.rope_parameters {
            let kinds = [&ropes.full_attention, &ropes.sliding_attention];
            let scaled = kinds.iter().find_map(|rope| rope.rope_type.as_deref().filter(|kind| *kind != "default"));
            if let Some(kind) = scaled {
                return Err(refused(format!("rope_type `{kind}` is not supported yet, default is")));
            }
            bases = kinds.map(|rope| rope.rope_theta);
        }
        let whole = match &self.layer_types {
            None => Whole::Every(self.global_attn_every_n_layers.unwrap_or(3)),
            Some(kinds) => {
                let known = |kind: &String| match kind.as_str() {
                    "full_attention" => Ok(true),
                    "sliding_attention" => Ok(false),
                    name => Err(refused(format!("layer_types `{name}` is not supported yet"))),
                };
                Whole::Listed(kinds.iter().map(known).collect::<Result<_, _>>()?)
            }
        };
        let biases = Biases { attention: self.attention_bias, feed: [self.mlp_bias; 2], norm: self.norm_bias };
        Ok(outline(self.numbers(), bases, curve, (whole, self.local_attention / 2), biases))
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            vocabulary: self.vocab_size,
            width: self.hidden_size,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            epsilon: self.norm_eps.or(self.layer_norm_eps).unwrap_or(1e-5) as f32,
            positions: self.max_position_embeddings,
            kinds: 0,
        }
    }
}

/// What is read of config.json for a cross-encoder.
#[derive(Debug, Deserialize)]
struct ClassifierConfig {
    #[serde(default)]
    classifier_pooling: Option<String>,
    #[serde(default)]
    classifier_activation: Option<String>,
}

/// transformers' names.
const NAMES: Names = Names {
    words: "embeddings.tok_embeddings.weight",
    positions: None,
    kinds: None,
    first_norm: "embeddings.norm",
    last_norm: Some("final_norm"),
    layers: "layers.",
    qkv: &["attn.Wqkv"],
    attended: "attn.Wo",
    attention_norm: "attn_norm",
    first_bare: true,
    inner: &["mlp.Wi"],
    outer: "mlp.Wo",
    feed_norm: "mlp_norm",
};

/// GGUF's.
const GGUF: Names = Names {
    words: "token_embd.weight",
    positions: None,
    kinds: None,
    first_norm: "token_embd_norm",
    last_norm: Some("output_norm"),
    layers: "blk.",
    qkv: &["attn_qkv"],
    attended: "attn_output",
    attention_norm: "attn_norm",
    first_bare: true,
    inner: &["ffn_up"],
    outer: "ffn_down",
    feed_norm: "ffn_norm",
};

pub(super) fn load(loading: Loading<'_>) -> Result<Encoder, LoadError> {
    let tensors = Tensors::open(loading.model, NAMES.words, &["model."])?;
    if tensors.header().is_some() {
        let outline = from_header(&tensors)?;
        let Numbers { width, epsilon, .. } = outline.numbers;
        return encoder::build(loading, tensors, &GGUF, outline, |tensors| {
            let pooling = pooling_of(tensors)?;
            let head = head_of(tensors, ["cls", "cls.norm", "cls.output"], width, (false, false), epsilon)?;
            Ok((pooling, head))
        });
    }
    let config: Config = config::read(loading.model)?;
    let outline = config.outline()?;
    let Numbers { width, epsilon, .. } = outline.numbers;
    encoder::build(loading, tensors, &NAMES, outline, |tensors| {
        let pooling = config::read::<ClassifierConfig>(loading.model)?.pooling()?;
        let biases = (config.classifier_bias, config.norm_bias);
        Ok((pooling, head_of(tensors, ["head.dense", "head.norm", "classifier"], width, biases, epsilon)?))
    })
}

fn outline(numbers: Numbers, bases: [f64; 2], curve: Curve, (whole, reach): (Whole, usize), biases: Biases) -> Outline {
    Outline {
        numbers,
        order: Order::Before,
        feed: Feed::Gated(curve),
        bases: bases.to_vec(),
        whole,
        reach,
        first_position: 0,
        biases,
    }
}

/// What transformers calls `ModernBertForSequenceClassification`: a layer, its normalisation, and the last one.
fn head_of(
    tensors: &mut Tensors,
    [dense, norm, last]: [&str; 3],
    width: usize,
    (bias, norm_bias): (bool, bool),
    epsilon: f32,
) -> Result<Head, LoadError> {
    let weights = tensors.head(dense, width, width, bias)?;
    let norm = Some((tensors.head_scale(norm, width, norm_bias)?, epsilon));
    let dense = Dense { weights, curve: DenseCurve::Gelu, norm };
    Ok(Head { dense: Some(dense), last: tensors.head(last, 1, width, true)? })
}

/// What the head of a file in GGUF reads: the mean where it does not say.
fn pooling_of(tensors: &Tensors) -> Result<Pooling, LoadError> {
    match tensors.header().and_then(|header| header.unsigned("modern-bert.classifier.pooling_type")) {
        None | Some(1) => Ok(Pooling::Mean),
        Some(2) => Ok(Pooling::Cls),
        Some(other) => Err(tensors.malformed(format!("classifier.pooling_type {other} is not supported yet"))),
    }
}

impl ClassifierConfig {
    fn pooling(&self) -> Result<Pooling, LoadError> {
        if let Some(name) = self.classifier_activation.as_deref().filter(|name| *name != "gelu") {
            return Err(refused(format!("classifier_activation `{name}` is not supported yet, gelu is")));
        }
        match self.classifier_pooling.as_deref() {
            None | Some("cls") => Ok(Pooling::Cls),
            Some("mean") => Ok(Pooling::Mean),
            Some(name) => Err(refused(format!("classifier_pooling `{name}` is not supported yet, cls and mean are"))),
        }
    }
}

/// Files in GGUF hold no biases; every third layer sees everything where they do not say otherwise.
fn from_header(tensors: &Tensors) -> Result<Outline, LoadError> {
    let numbers = Numbers::of_header(tensors, "modern-bert")?;
    let keys = tensors.keys("modern-bert");
    let keys = keys.ok_or_else(|| tensors.malformed("it has no header"))?;
    let malformed = |what: String| tensors.malformed(what);
    let base = |key: &str, default| keys.float(key).map(|base| base.unwrap_or(default)).map_err(malformed);
    let bases = [base("rope.freq_base", 160_000.0)?, base("rope.freq_base_swa", 10_000.0)?];
    let window = keys.number("attention.sliding_window", 1 << 20).map_err(malformed)?;
    let pattern = match keys.header.value(&keys.key("attention.sliding_window_pattern")) {
        None => 3,
        Some(_) => keys.number("attention.sliding_window_pattern", 1 << 10).map_err(malformed)?,
    };
    let curve = curve(keys.header.text(&keys.key("hidden_activation"))).map_err(malformed)?;
    Ok(outline(numbers, bases, curve, (Whole::Every(pattern), window / 2), Biases::NONE))
}

#[cfg(test)]
mod tests;
