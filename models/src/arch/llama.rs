//! The Llama family (Llama 1 to 3, SmolLM2, Mistral and their like) from GGUF.
//!
//! Touvron and others, 2023: RMS norm before attention and feed-forward, rotary positions, grouped heads, SwiGLU. Names of keys and tensors
//! are llama.cpp's.

use std::sync::Arc;

use candle_core::quantized::QTensor;
use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::error::LoadError;
use crate::layers::attention::{Cache, Heads};
use crate::layers::curve::silu;
use crate::layers::linear::Linear;
use crate::layers::norm::rms_norm;
use crate::layers::rope::Rope;
use crate::layers::step;
use crate::pool::PoolOptions;
use crate::task::StepError;
use crate::task::generate::StepTokens;
use crate::weights::GgufFile;

struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values on top of each other.
    qkv: Linear,
    output: Linear,
    feed_norm: Vec<f32>,
    /// Gate and up on top of each other.
    gate_up: Linear,
    down: Linear,
}

/// A loaded model with the state of its sequences.
pub(super) struct Llama {
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Linear,
    rope: Rope,
    heads: Heads,
    epsilon: f32,
    vocabulary: usize,
    context: usize,
    /// Per slot, per layer.
    slots: Vec<Vec<Cache>>,
    threads: Arc<rayon::ThreadPool>,
}

/// The numbers of a model, within bounds that no real one comes near.
struct Shape {
    width: usize,
    inner: usize,
    layers: usize,
    vocabulary: usize,
    heads: Heads,
    rope: usize,
    trained: usize,
    epsilon: f32,
    base: f64,
    stretch: f64,
}

impl Shape {
    fn read(file: &GgufFile) -> Result<Self, LoadError> {
        let header = &file.header;
        let missing = |key: &str| file.malformed(format!("the key `llama.{key}` is missing or out of range"));
        let number = |key: &str, most: usize| {
            let found = header.unsigned(&format!("llama.{key}")).filter(|found| (1..=most).contains(found));
            found.ok_or_else(|| missing(key))
        };
        let width = number("embedding_length", 1 << 16)?;
        let queries = number("attention.head_count", 1 << 10)?;
        let keys = number("attention.head_count_kv", 1 << 10).unwrap_or(queries);
        let size = number("attention.key_length", 1 << 10).unwrap_or(width / queries);
        if size == 0 || !queries.is_multiple_of(keys) {
            return Err(file.malformed("the numbers of heads do not fit together"));
        }
        if number("attention.value_length", 1 << 10).is_ok_and(|values| values != size) {
            return Err(file.malformed("keys and values of different length are not supported yet"));
        }
        let rope = number("rope.dimension_count", size).unwrap_or(size);
        let (scaling, factor) = (header.text("llama.rope.scaling.type"), header.float("llama.rope.scaling.factor"));
        let stretch = match scaling {
            None | Some("none") => 1.0,
            Some("linear") => {
                factor.filter(|f| f.is_finite() && *f > 0.0).ok_or_else(|| missing("rope.scaling.factor"))?
            }
            Some(other) => return Err(file.malformed(format!("positions scaled by `{other}` are not supported yet"))),
        };
        if header.unsigned("llama.expert_count").is_some_and(|experts| experts > 0) {
            return Err(file.malformed("mixtures of experts are not supported yet"));
        }
        let vocabulary = header.texts("tokenizer.ggml.tokens").map_or(0, <[String]>::len);
        let base = header.float("llama.rope.freq_base").unwrap_or(10_000.0);
        let epsilon = header
            .float("llama.attention.layer_norm_rms_epsilon")
            .ok_or_else(|| missing("attention.layer_norm_rms_epsilon"))?;
        if !(base.is_finite() && base > 1.0 && epsilon.is_finite() && epsilon >= 0.0) {
            return Err(file.malformed("a constant of the model is out of range"));
        }
        Ok(Self {
            width,
            inner: number("feed_forward_length", 1 << 18)?,
            layers: number("block_count", 1 << 10)?,
            vocabulary,
            heads: Heads { queries, keys, size },
            rope,
            trained: number("context_length", 1 << 24)?,
            epsilon: epsilon as f32,
            base,
            stretch,
        })
    }
}

impl Llama {
    pub(super) fn load(file: &mut GgufFile, options: &PoolOptions) -> Result<Self, LoadError> {
        let shape = Shape::read(file)?;
        let context = options.context_tokens.clamp(2, shape.trained.max(2));
        let threads = Arc::new(super::threads(options)?);
        let embedding = file.tensor("token_embd.weight", &[shape.vocabulary, shape.width])?;
        let head = if file.has("output.weight") {
            file.tensor("output.weight", &[shape.vocabulary, shape.width])?
        } else {
            Arc::clone(&embedding)
        };
        let factors =
            if file.has("rope_freqs.weight") { Some(file.vector("rope_freqs.weight", shape.rope / 2)?) } else { None };
        let mut layers = Vec::new();
        for layer in 0..shape.layers {
            layers.push(Layer::load(file, layer, &shape)?);
        }
        Ok(Self {
            embedding,
            layers,
            norm: file.vector("output_norm.weight", shape.width)?,
            head: Linear::stack(&[head])?,
            rope: Rope::new(shape.rope, context, shape.base, shape.stretch, factors.as_deref()),
            heads: shape.heads,
            epsilon: shape.epsilon,
            vocabulary: shape.vocabulary,
            context,
            slots: vec![vec![Cache::default(); shape.layers]; options.sequences.max(1)],
            threads,
        })
    }

    /// Runs the tokens through every layer; returns the last row.
    fn run(&mut self, slot: usize, position: usize, tokens: &[u32]) -> Result<Vec<f32>, StepError> {
        let caches = self.slots.get_mut(slot).ok_or_else(|| StepError(format!("there is no slot {slot}")))?;
        let ids = Tensor::from_slice(tokens, tokens.len(), &Device::Cpu).map_err(step)?;
        let rows = self.embedding.embedding(&ids).and_then(|rows| rows.flatten_all()?.to_vec1());
        let mut rows: Vec<f32> = rows.map_err(step)?;
        let place = Place { heads: self.heads, rope: &self.rope, epsilon: self.epsilon, position };
        for (layer, cache) in self.layers.iter().zip(caches) {
            layer.forward(&mut rows, cache, &place)?;
        }
        let width = self.norm.len();
        Ok(rows.split_off(rows.len().saturating_sub(width)))
    }
}

/// Where in a sequence rows stand.
struct Place<'a> {
    heads: Heads,
    rope: &'a Rope,
    epsilon: f32,
    position: usize,
}

impl Layer {
    fn load(file: &mut GgufFile, layer: usize, shape: &Shape) -> Result<Self, LoadError> {
        let Shape { width, inner, heads, .. } = *shape;
        let (asking, asked) = (heads.query_row(), heads.key_row());
        let mut part = |name: &str, shape: &[usize]| file.tensor(&format!("blk.{layer}.{name}.weight"), shape);
        let qkv =
            [part("attn_q", &[asking, width])?, part("attn_k", &[asked, width])?, part("attn_v", &[asked, width])?];
        let output = part("attn_output", &[width, asking])?;
        let gate_up = [part("ffn_gate", &[inner, width])?, part("ffn_up", &[inner, width])?];
        let down = part("ffn_down", &[width, inner])?;
        if file.has(&format!("blk.{layer}.attn_q.bias")) {
            return Err(file.malformed("attention with a bias is not supported yet"));
        }
        Ok(Self {
            attention_norm: file.vector(&format!("blk.{layer}.attn_norm.weight"), width)?,
            qkv: Linear::stack(&qkv)?,
            output: Linear::stack(&[output])?,
            feed_norm: file.vector(&format!("blk.{layer}.ffn_norm.weight"), width)?,
            gate_up: Linear::stack(&gate_up)?,
            down: Linear::stack(&[down])?,
        })
    }

    fn forward(&self, rows: &mut [f32], cache: &mut Cache, place: &Place<'_>) -> Result<(), StepError> {
        let heads = place.heads;
        let (asking, asked) = (heads.query_row(), heads.key_row());
        let mut qkv = self.qkv.forward(&rms_norm(rows, &self.attention_norm, place.epsilon))?;
        let mut queries = Vec::with_capacity(rows.len());
        cache.truncate(place.position, heads);
        for (at, row) in qkv.chunks_exact_mut(asking + 2 * asked).enumerate() {
            let (turned, values) = row.split_at_mut(asking + asked);
            place.rope.turn(turned, heads.size, place.position + at);
            let (query, key) = turned.split_at(asking);
            queries.extend_from_slice(query);
            cache.append(key, values);
        }
        add(rows, &self.output.forward(&cache.read(&queries, heads)?)?);
        let mixed = self.gate_up.forward(&rms_norm(rows, &self.feed_norm, place.epsilon))?;
        let inner = self.gate_up.outputs() / 2;
        let mut gated = vec![0.0; mixed.len() / 2];
        gated.par_chunks_exact_mut(inner).zip(mixed.par_chunks_exact(2 * inner)).for_each(|(out, row)| {
            let (gate, up) = row.split_at(inner);
            for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
                *out = silu(*gate) * up;
            }
        });
        add(rows, &self.down.forward(&gated)?);
        Ok(())
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

impl StepTokens for Llama {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn context_tokens(&self) -> usize {
        self.context
    }

    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn feed(
        &mut self,
        slot: usize,
        position: usize,
        tokens: &[u32],
        logits: Option<&mut Vec<f32>>,
    ) -> Result<(), StepError> {
        let held = self.slots.get(slot).and_then(|caches| caches.first()).map_or(0, |cache| cache.rows(self.heads));
        if tokens.is_empty() || position > held || position + tokens.len() > self.context {
            return Err(StepError(format!(
                "{} tokens at {position} do not fit a sequence of {held} and a context of {}",
                tokens.len(),
                self.context
            )));
        }
        if let Some(token) = tokens.iter().find(|token| **token as usize >= self.vocabulary) {
            return Err(StepError(format!("there is no token {token}")));
        }
        let threads = Arc::clone(&self.threads);
        threads.install(|| {
            let last = self.run(slot, position, tokens)?;
            let Some(logits) = logits else { return Ok(()) };
            *logits = self.head.forward(&rms_norm(&last, &self.norm, self.epsilon))?;
            Ok(())
        })
    }

    fn copy_prefix(&mut self, from: usize, to: usize, tokens: usize) -> Result<(), StepError> {
        let none = || StepError(format!("{tokens} tokens cannot be copied from slot {from} to slot {to}"));
        let source = self.slots.get(from).ok_or_else(none)?;
        if source.iter().any(|cache| cache.rows(self.heads) < tokens) {
            return Err(none());
        }
        let copy = source.iter().map(|cache| cache.prefix(tokens, self.heads)).collect();
        *self.slots.get_mut(to).ok_or_else(none)? = copy;
        Ok(())
    }

    fn reset(&mut self) {
        for cache in self.slots.iter_mut().flatten() {
            *cache = Cache::default();
        }
    }
}

#[cfg(test)]
mod tests;
