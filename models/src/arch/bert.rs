//! BERT (Devlin and others, 2018) and RoBERTa, XLM's included, from safetensors, as sentence-transformers runs them: MiniLM,
//! E5, BGE and their like.
//!
//! The sequences of a batch lie one after the other without padding: every token is one row of the matrix products, and
//! attention goes sequence by sequence. So no mask is needed, and a vector cannot depend on what else is in the batch.

mod config;
mod float;
mod packed;
mod source;

use std::sync::Arc;

use rayon::prelude::*;

use crate::error::LoadError;
use crate::kernel::embed::{Line, Processor, lines};
use crate::layers::{add_scaled, dot};
use crate::manifest::Pooling;
use crate::pool::{PoolOptions, Precision};
use crate::registry::Verified;
use crate::task::StepError;
use crate::task::embed::EncodeText;

use config::Config;
use float::Floats;
use packed::Layers;
use source::{Affine, Scale, Source};

/// Tokens of sequences that go through the layers together on one thread: enough that reading the weights costs nothing,
/// few enough that threads finish together.
const GROUP: usize = 128;
/// The fewest tokens that are worth a group of their own.
const LEAST_GROUP: usize = 16;
/// Tokens per thread in a batch of the pool: eight groups, so that the last one alone does not count.
const BATCH: usize = 1024;

/// What all layers have in common.
#[derive(Clone, Copy, Debug)]
struct Shape {
    width: usize,
    heads: usize,
    epsilon: f32,
}

/// The weights of one layer. Queries, keys and values lie on top of each other.
struct Parts {
    qkv: Affine,
    attended: Affine,
    attended_norm: Scale,
    inner: Affine,
    outer: Affine,
    outer_norm: Scale,
}

enum Trunk {
    Packed(Layers),
    Floats(Floats),
}

/// A loaded model.
pub(super) struct Bert {
    embeddings: Embeddings,
    trunk: Trunk,
    pooling: Pooling,
    max_tokens: usize,
    threads: Arc<rayon::ThreadPool>,
}

/// Word, position and kind vectors, row after row. The kind of every token is the first one.
struct Embeddings {
    words: Vec<f32>,
    positions: Vec<f32>,
    kind: Vec<f32>,
    width: usize,
}

impl Bert {
    /// `highest` is the highest token that the tokenizer makes.
    pub(super) fn load(model: &Verified, highest: u32, options: &PoolOptions) -> Result<Self, LoadError> {
        let config = Config::read(model, highest)?;
        let embedding = model.manifest().embedding;
        let embedding = embedding.ok_or_else(|| LoadError::malformed("model.toml", "`embedding` is missing"))?;
        if embedding.max_tokens > config.positions() {
            return Err(LoadError::malformed(
                "model.toml",
                "embedding.max_tokens is more than the model has positions",
            ));
        }
        let mut source = Source::open(model)?;
        let embeddings = Embeddings::load(&mut source, &config)?;
        let norm = source.scale("embeddings.LayerNorm", config.hidden_size)?;
        let threads = super::threads(options)?;
        let trunk = threads.install(|| Trunk::load(&mut source, &config, norm, options))?;
        let (pooling, max_tokens) = (embedding.pooling, embedding.max_tokens);
        Ok(Self { embeddings, trunk, pooling, max_tokens, threads: Arc::new(threads) })
    }

    fn pool(&self, rows: &[f32], stride: usize) -> Vec<f32> {
        let width = self.embeddings.width;
        let rows = rows.chunks_exact(stride).filter_map(|row| row.get(..width));
        let mut vector = vec![0.0; width];
        match self.pooling {
            Pooling::Cls => rows.take(1).for_each(|row| add_scaled(&mut vector, 1.0, row)),
            Pooling::Mean => {
                let share = 1.0 / rows.clone().count().max(1) as f32;
                rows.for_each(|row| add_scaled(&mut vector, share, row));
            }
        }
        let length = dot(&vector, &vector).sqrt().max(1e-12);
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }

    fn run_floats(&self, floats: &Floats, batch: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, StepError> {
        let width = self.embeddings.width;
        let rows = batch.iter().flat_map(|sequence| self.embeddings.rows(sequence)).flatten().collect();
        let rows = floats.run(rows, batch)?;
        let mut rest = rows.as_slice();
        let mut vectors = Vec::with_capacity(batch.len());
        for sequence in batch {
            let (own, others) = rest.split_at_checked(sequence.len() * width).unwrap_or_default();
            vectors.push(self.pool(own, width));
            rest = others;
        }
        Ok(vectors)
    }

    fn run_packed(&self, layers: &Layers, batch: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let threads = rayon::current_num_threads();
        let groups = groups(batch, threads);
        let shares = if groups.len() < threads { threads } else { 1 };
        let done: Vec<Vec<Vec<f32>>> =
            groups.par_iter().map(|group| self.run_group(layers, batch, group, shares)).collect();
        let mut vectors = vec![Vec::new(); batch.len()];
        for (at, vector) in groups.into_iter().flatten().zip(done.into_iter().flatten()) {
            if let Some(place) = vectors.get_mut(at) {
                *place = vector;
            }
        }
        vectors
    }

    fn run_group(&self, layers: &Layers, batch: &[Vec<u32>], group: &[usize], shares: usize) -> Vec<Vec<f32>> {
        let sequences: Vec<&[u32]> = group.iter().filter_map(|at| batch.get(*at)).map(Vec::as_slice).collect();
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.len()).collect();
        let width = lines(self.embeddings.width);
        let embed = |rows: &mut [Line]| {
            let embedded = sequences.iter().flat_map(|sequence| self.embeddings.rows(sequence));
            for (row, embedded) in rows.chunks_exact_mut(width).zip(embedded) {
                for (to, number) in row.as_flattened_mut().iter_mut().zip(embedded.chain(std::iter::repeat(0.0))) {
                    *to = number;
                }
            }
        };
        layers.run(&lengths, shares, embed, |rows| {
            let mut rest = rows;
            let mut vectors = Vec::with_capacity(lengths.len());
            for length in &lengths {
                let (own, others) = rest.split_at_checked(length * width).unwrap_or_default();
                vectors.push(self.pool(own.as_flattened(), width * 16));
                rest = others;
            }
            vectors
        })
    }
}

/// Which sequences go through the layers together. The longest come first, so that the last groups are small ones.
fn groups(batch: &[Vec<u32>], threads: usize) -> Vec<Vec<usize>> {
    let length = |at: &usize| batch.get(*at).map_or(0, Vec::len);
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(length(at)));
    let total: usize = order.iter().map(length).sum();
    let most = total.div_ceil(threads.max(1)).clamp(LEAST_GROUP, GROUP);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for at in order {
        let own = length(&at);
        match groups.last_mut() {
            Some(group) if tokens.saturating_add(own) <= most => {
                group.push(at);
                tokens += own;
            }
            _ => {
                groups.push(vec![at]);
                tokens = own;
            }
        }
    }
    groups
}

impl Embeddings {
    fn load(source: &mut Source, config: &Config) -> Result<Self, LoadError> {
        let width = config.hidden_size;
        let words = source.numbers("embeddings.word_embeddings.weight", &[config.vocab_size, width])?;
        let shape = [config.max_position_embeddings, width];
        let mut positions = source.numbers("embeddings.position_embeddings.weight", &shape)?;
        positions.drain(..config.first_position() * width);
        let mut kind = source.numbers("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, width])?;
        kind.truncate(width);
        Ok(Self { words, positions, kind, width })
    }

    fn has(&self, token: u32) -> bool {
        (token as usize) < self.words.len() / self.width.max(1)
    }

    /// The numbers of every token of a sequence; of a token that there is not, none.
    fn rows<'a>(&'a self, sequence: &'a [u32]) -> impl Iterator<Item = impl Iterator<Item = f32> + 'a> + 'a {
        sequence.iter().zip(self.positions.chunks_exact(self.width)).map(|(token, position)| {
            let start = *token as usize * self.width;
            let word = self.words.get(start..start + self.width).unwrap_or_default();
            word.iter().zip(position).zip(&self.kind).map(|((word, position), kind)| word + position + kind)
        })
    }
}

impl Trunk {
    fn load(source: &mut Source, config: &Config, norm: Scale, options: &PoolOptions) -> Result<Self, LoadError> {
        let epsilon = config.layer_norm_eps as f32;
        let shape = Shape { width: config.hidden_size, heads: config.num_attention_heads, epsilon };
        let mut trunk = match options.precision {
            Precision::Int8 => Self::Packed(Layers::new(shape, &norm, Processor::of(options.instructions))),
            Precision::Float32 => Self::Floats(Floats::new(shape, norm)),
        };
        for layer in 0..config.num_hidden_layers {
            let parts = Parts::load(source, layer, config)?;
            match &mut trunk {
                Self::Packed(layers) => layers.push(&parts),
                Self::Floats(floats) => floats.push(parts)?,
            }
        }
        Ok(trunk)
    }
}

impl Parts {
    fn load(source: &mut Source, layer: usize, config: &Config) -> Result<Self, LoadError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let qkv = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        Ok(Self {
            qkv: source.affine(&qkv, width, width)?,
            attended: source.affine(&[name("attention.output.dense")], width, width)?,
            attended_norm: source.scale(&name("attention.output.LayerNorm"), width)?,
            inner: source.affine(&[name("intermediate.dense")], inner, width)?,
            outer: source.affine(&[name("output.dense")], width, inner)?,
            outer_norm: source.scale(&name("output.LayerNorm"), width)?,
        })
    }
}

impl EncodeText for Bert {
    fn dimensions(&self) -> usize {
        self.embeddings.width
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn batch_tokens(&self) -> usize {
        BATCH * self.threads.current_num_threads()
    }

    fn encode(&mut self, batch: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, StepError> {
        if batch.iter().any(|sequence| sequence.is_empty() || sequence.len() > self.max_tokens) {
            return Err(StepError("a sequence is empty or too long".to_owned()));
        }
        if let Some(token) = batch.iter().flatten().find(|token| !self.embeddings.has(**token)) {
            return Err(StepError(format!("there is no token {token}")));
        }
        let threads = Arc::clone(&self.threads);
        threads.install(|| match &self.trunk {
            Trunk::Packed(layers) => Ok(self.run_packed(layers, batch)),
            Trunk::Floats(floats) => self.run_floats(floats, batch),
        })
    }
}

#[cfg(test)]
mod tests;
