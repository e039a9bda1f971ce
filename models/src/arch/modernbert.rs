//! ModernBERT (Warner and others, 2024), from safetensors and GGUF, and cross-encoders made of it: normalised before each part, heads
//! turned, a gate in the feed-forward part, and two layers of three that see their neighbourhood alone.

use serde::Deserialize;

use super::config::{self, Numbers, refused};
use super::tensors::{Names, Sides, Tensors};
use crate::error::LoadError;
use crate::kernel::embed::Curve;
use crate::layers::encoder::{Builder, Dense, DenseCurve, Embeddings, Encoder, Feed, Head, Order, Plan};
use crate::layers::rope::{Pairs, Rope, Turning};
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

/// What sets models of this kind apart.
struct Traits {
    /// Bases of the ropes: of layers that see everything, and of the others.
    bases: [f64; 2],
    curve: Curve,
    /// Whether a layer sees everything.
    whole: Vec<bool>,
    /// How many positions the others see on either side.
    reach: usize,
    attention_bias: bool,
    feed_bias: [bool; 2],
    norm_bias: bool,
    head_bias: bool,
}

/// The curve of the gate, by its name.
fn curve(name: Option<&str>) -> Result<Curve, String> {
    match name {
        None | Some("gelu") => Ok(Curve::Gelu),
        Some("silu") => Ok(Curve::Silu),
        Some(name) => Err(format!("hidden_activation `{name}` is not supported yet; gelu and silu are")),
    }
}

/// Which layers see everything: every so many one, the first one included.
fn every(layers: usize, every: usize) -> Vec<bool> {
    (0..layers).map(|layer| layer.is_multiple_of(every.max(1))).collect()
}

impl Config {
    fn check(&self) -> Result<Traits, LoadError> {
        let curve = curve(self.hidden_activation.as_deref()).map_err(refused)?;
        let whole = self.global_rope_theta.unwrap_or(160_000.0);
        let mut bases = [whole, self.local_rope_theta.unwrap_or(Some(10_000.0)).unwrap_or(whole)];
        if let Some(ropes) = &self.rope_parameters {
            let kinds = [&ropes.full_attention, &ropes.sliding_attention];
            let scaled = kinds.iter().find_map(|rope| rope.rope_type.as_deref().filter(|kind| *kind != "default"));
            if let Some(kind) = scaled {
                return Err(refused(format!("rope_type `{kind}` is not supported yet, default is")));
            }
            bases = kinds.map(|rope| rope.rope_theta);
        }
        let whole = match &self.layer_types {
            None => every(self.num_hidden_layers, self.global_attn_every_n_layers.unwrap_or(3)),
            Some(kinds) if kinds.len() == self.num_hidden_layers => {
                let known = |kind: &String| match kind.as_str() {
                    "full_attention" => Ok(true),
                    "sliding_attention" => Ok(false),
                    name => Err(refused(format!("layer_types `{name}` is not supported yet"))),
                };
                kinds.iter().map(known).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(refused("its layer_types are not one for each layer")),
        };
        Ok(Traits {
            bases,
            curve,
            whole,
            reach: self.local_attention / 2,
            attention_bias: self.attention_bias,
            feed_bias: [self.mlp_bias; 2],
            norm_bias: self.norm_bias,
            head_bias: self.classifier_bias,
        })
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

/// `highest` is the highest token that the tokenizer makes.
pub(super) fn load(model: &Verified, highest: u32, options: &PoolOptions) -> Result<Encoder, LoadError> {
    let mut tensors = Tensors::open(model, "embeddings.tok_embeddings.weight", &["model."])?;
    let gguf = tensors.header().is_some();
    let (numbers, traits) = if gguf {
        from_header(&tensors)?
    } else {
        let config: Config = config::read(model)?;
        (config.numbers(), config.check()?)
    };
    let place = if gguf { "the GGUF header" } else { "config.json" };
    let numbers = numbers.check(highest).map_err(|what| LoadError::malformed(place, what))?;
    let (width, head) = (numbers.width, numbers.width / numbers.heads);
    if traits.bases.iter().any(|base| !(*base > 1.0 && base.is_finite())) || !head.is_multiple_of(2) {
        return Err(tensors.malformed("its rotary embedding is impossible"));
    }
    let [words, first, last] = if gguf {
        ["token_embd.weight", "token_embd_norm", "output_norm"]
    } else {
        ["embeddings.tok_embeddings.weight", "embeddings.norm", "final_norm"]
    };
    let words = tensors.numbers(words, &[numbers.vocabulary, width])?;
    let first = tensors.scale(first, width, traits.norm_bias)?;
    let last = tensors.scale(last, width, traits.norm_bias)?;
    let longest = super::longest(model, numbers.positions)?;
    let rope = |base| Rope::new(head, longest, Pairs::Halves, Turning { base, stretch: 1.0, factors: None, size: 1.0 });
    let plan = Plan {
        width,
        heads: numbers.heads,
        epsilon: numbers.epsilon,
        order: Order::Before,
        feed: Feed::Gated(traits.curve),
        ropes: traits.bases.map(rope).into(),
    };
    let embeddings = Embeddings::new(width, words, Vec::new(), Vec::new());
    let sides = Sides {
        width,
        inner: numbers.inner,
        gated: true,
        attention_bias: traits.attention_bias,
        feed_bias: traits.feed_bias,
        norm_bias: traits.norm_bias,
    };
    let mut builder = Builder::new(plan, embeddings, first, Some(last), super::threads(options)?, options);
    for (layer, whole) in traits.whole.iter().enumerate() {
        let mut parts = tensors.parts(&if gguf { gguf_names(layer) } else { names(layer) }, sides)?;
        (parts.rope, parts.reach) = if *whole { (Some(0), None) } else { (Some(1), Some(traits.reach)) };
        builder.push(parts)?;
    }
    let epsilon = numbers.epsilon;
    super::finish(builder, model, numbers.positions, || {
        let (pooling, names) = if gguf {
            (pooling_of(&tensors)?, ["cls", "cls.norm", "cls.output"])
        } else {
            (config::read::<ClassifierConfig>(model)?.pooling()?, ["head.dense", "head.norm", "classifier"])
        };
        let biases = (traits.head_bias, traits.norm_bias);
        Ok((pooling, head_of(&mut tensors, names, width, biases, epsilon)?))
    })
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
fn from_header(tensors: &Tensors) -> Result<(Numbers, Traits), LoadError> {
    let numbers = super::encoder_numbers(tensors, "modern-bert")?;
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
    let named = keys.header.text(&keys.key("hidden_activation"));
    let traits = Traits {
        bases,
        curve: curve(named).map_err(malformed)?,
        whole: every(numbers.layers, pattern),
        reach: window / 2,
        attention_bias: false,
        feed_bias: [false; 2],
        norm_bias: false,
        head_bias: false,
    };
    Ok((numbers, traits))
}

/// The first layer's rows come normalised.
fn names(layer: usize) -> Names {
    let name = |part: &str| format!("layers.{layer}.{part}");
    Names {
        qkv: vec![name("attn.Wqkv")],
        attended: name("attn.Wo"),
        attention_norm: (layer > 0).then(|| name("attn_norm")),
        inner: vec![name("mlp.Wi")],
        outer: name("mlp.Wo"),
        feed_norm: name("mlp_norm"),
    }
}

fn gguf_names(layer: usize) -> Names {
    let name = |part: &str| format!("blk.{layer}.{part}");
    Names {
        qkv: vec![name("attn_qkv")],
        attended: name("attn_output"),
        attention_norm: (layer > 0).then(|| name("attn_norm")),
        inner: vec![name("ffn_up")],
        outer: name("ffn_down"),
        feed_norm: name("ffn_norm"),
    }
}

#[cfg(test)]
mod tests;
