//! BERT (Devlin and others, 2018) from safetensors, as sentence-transformers runs it: MiniLM, E5, BGE and their like.
//!
//! The sequences of a batch lie one after the other without padding: every token is one row of the matrix products, and
//! attention goes sequence by sequence. So no mask is needed, and a vector cannot depend on what else is in the batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;
use rayon::prelude::*;
use serde::Deserialize;

use crate::error::LoadError;
use crate::layers::curve::gelu;
use crate::layers::linear::Linear;
use crate::layers::norm::layer_norm;
use crate::layers::{add_scaled, dot, softmax};
use crate::manifest::{FileKind, Pooling};
use crate::pool::PoolOptions;
use crate::registry::Verified;
use crate::task::StepError;
use crate::task::embed::EncodeText;
use crate::weights::safetensors::SafetensorsFile;

/// Longest config.json.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// `config.json` as transformers writes it. What would change the result and is not supported is refused.
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
}

/// A matrix and a bias.
struct Affine {
    weights: Linear,
    bias: Vec<f32>,
}

/// Weight and bias of a normalisation.
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

struct Layer {
    /// Queries, keys and values on top of each other.
    qkv: Affine,
    attended: Affine,
    attended_norm: Norm,
    inner: Affine,
    outer: Affine,
    outer_norm: Norm,
}

/// A loaded model.
pub(super) struct Bert {
    /// Word, position and kind vectors, row after row. The kind of every token is the first one.
    words: Vec<f32>,
    positions: Vec<f32>,
    kind: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    width: usize,
    heads: usize,
    pooling: Pooling,
    max_tokens: usize,
    threads: Arc<rayon::ThreadPool>,
}

/// The weights of a model, its prefix found.
struct Source {
    files: Vec<SafetensorsFile>,
    prefix: &'static str,
}

impl Source {
    fn open(model: &Verified) -> Result<Self, LoadError> {
        let files = model
            .files()
            .filter(|file| file.entry().kind == FileKind::Weights)
            .map(SafetensorsFile::open)
            .collect::<Result<Vec<_>, _>>()?;
        let word = "embeddings.word_embeddings.weight";
        // Models saved with a head carry their name before every tensor.
        let prefix = if files.iter().any(|file| file.has(&format!("bert.{word}"))) { "bert." } else { "" };
        Ok(Self { files, prefix })
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let name = format!("{}{name}", self.prefix);
        match self.files.iter_mut().find(|file| file.has(&name)) {
            Some(file) => file.tensor(&name, shape),
            None => Err(LoadError::malformed("the weights", format!("tensor `{name}` is missing"))),
        }
    }

    fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(name, shape)?;
        let values = tensor.flatten_all().and_then(|tensor| tensor.to_vec1());
        values.map_err(|error| LoadError::malformed("the weights", error.to_string()))
    }

    fn affine(&mut self, names: &[&str], outputs: usize, inputs: usize) -> Result<Affine, LoadError> {
        let (mut weights, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weights.push(self.tensor(&format!("{name}.weight"), &[outputs, inputs])?);
            bias.extend(self.numbers(&format!("{name}.bias"), &[outputs])?);
        }
        let weights = Tensor::cat(&weights, 0).map_err(crate::layers::step)?;
        Ok(Affine { weights: Linear::dense(&weights)?, bias })
    }

    fn norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<Norm, LoadError> {
        let weight = self.numbers(&format!("{name}.weight"), &[width])?;
        Ok(Norm { weight, bias: self.numbers(&format!("{name}.bias"), &[width])?, epsilon: epsilon as f32 })
    }
}

impl Config {
    fn read(model: &Verified, highest: u32) -> Result<Self, LoadError> {
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

impl Bert {
    /// `highest` is the highest token that the tokenizer makes.
    pub(super) fn load(model: &Verified, highest: u32, options: &PoolOptions) -> Result<Self, LoadError> {
        let config = Config::read(model, highest)?;
        let embedding = model.manifest().embedding;
        let embedding = embedding.ok_or_else(|| LoadError::malformed("model.toml", "`embedding` is missing"))?;
        if embedding.max_tokens > config.max_position_embeddings {
            return Err(LoadError::malformed(
                "model.toml",
                "embedding.max_tokens is more than the model has positions",
            ));
        }
        let mut source = Source::open(model)?;
        let (width, epsilon) = (config.hidden_size, config.layer_norm_eps);
        let words = source.numbers("embeddings.word_embeddings.weight", &[config.vocab_size, width])?;
        let shape = [config.max_position_embeddings, width];
        let positions = source.numbers("embeddings.position_embeddings.weight", &shape)?;
        let mut kind = source.numbers("embeddings.token_type_embeddings.weight", &[config.type_vocab_size, width])?;
        kind.truncate(width);
        let norm = source.norm("embeddings.LayerNorm", width, epsilon)?;
        let layers = (0..config.num_hidden_layers)
            .map(|layer| Layer::load(&mut source, layer, &config))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            words,
            positions,
            kind,
            norm,
            layers,
            width,
            heads: config.num_attention_heads,
            pooling: embedding.pooling,
            max_tokens: embedding.max_tokens,
            threads: Arc::new(super::threads(options)?),
        })
    }

    /// The vectors of all tokens, the sequences one after the other.
    fn run(&self, batch: &[Vec<u32>]) -> Result<Vec<f32>, StepError> {
        let mut rows = Vec::with_capacity(batch.iter().map(Vec::len).sum::<usize>() * self.width);
        for (token, position) in
            batch.iter().flat_map(|sequence| sequence.iter().zip(self.positions.chunks_exact(self.width)))
        {
            let start = *token as usize * self.width;
            let word = self.words.get(start..start + self.width);
            let word = word.ok_or_else(|| StepError(format!("there is no token {token}")))?;
            rows.extend(
                word.iter().zip(position).zip(&self.kind).map(|((word, position), kind)| word + position + kind),
            );
        }
        self.norm.apply(&mut rows);
        for layer in &self.layers {
            layer.forward(&mut rows, batch, self.heads)?;
        }
        Ok(rows)
    }

    fn pool(&self, rows: &[f32]) -> Vec<f32> {
        let mut vector = vec![0.0; self.width];
        match self.pooling {
            Pooling::Cls => add_scaled(&mut vector, 1.0, rows.get(..self.width).unwrap_or_default()),
            Pooling::Mean => {
                let rows = rows.chunks_exact(self.width);
                let share = 1.0 / rows.len().max(1) as f32;
                rows.for_each(|row| add_scaled(&mut vector, share, row));
            }
        }
        let length = dot(&vector, &vector).sqrt().max(1e-12);
        vector.iter_mut().for_each(|x| *x /= length);
        vector
    }
}

impl Layer {
    fn load(source: &mut Source, layer: usize, config: &Config) -> Result<Self, LoadError> {
        let (width, inner, epsilon) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let parts = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
        let qkv: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(Self {
            qkv: source.affine(&qkv, width, width)?,
            attended: source.affine(&[&name("attention.output.dense")], width, width)?,
            attended_norm: source.norm(&name("attention.output.LayerNorm"), width, epsilon)?,
            inner: source.affine(&[&name("intermediate.dense")], inner, width)?,
            outer: source.affine(&[&name("output.dense")], width, inner)?,
            outer_norm: source.norm(&name("output.LayerNorm"), width, epsilon)?,
        })
    }

    fn forward(&self, rows: &mut [f32], batch: &[Vec<u32>], heads: usize) -> Result<(), StepError> {
        let qkv = self.qkv.apply(rows)?;
        let attended = attend(&qkv, batch, heads, rows.len());
        self.attended_norm.add_and_apply(rows, &self.attended.apply(&attended)?);
        let mut inner = self.inner.apply(rows)?;
        inner.par_chunks_mut(4096).for_each(|part| part.iter_mut().for_each(|x| *x = gelu(*x)));
        self.outer_norm.add_and_apply(rows, &self.outer.apply(&inner)?);
        Ok(())
    }
}

impl Affine {
    fn apply(&self, rows: &[f32]) -> Result<Vec<f32>, StepError> {
        let mut out = self.weights.forward(rows)?;
        out.par_chunks_exact_mut(self.bias.len()).for_each(|row| add_scaled(row, 1.0, &self.bias));
        Ok(out)
    }
}

impl Norm {
    fn apply(&self, rows: &mut [f32]) {
        let part = self.weight.len() * 16;
        rows.par_chunks_mut(part).for_each(|rows| layer_norm(rows, &self.weight, &self.bias, self.epsilon));
    }

    fn add_and_apply(&self, rows: &mut [f32], more: &[f32]) {
        add_scaled(rows, 1.0, more);
        self.apply(rows);
    }
}

/// Attention of every sequence to itself. A row of `qkv` is a query, a key and a value; the result has `size` numbers.
fn attend(qkv: &[f32], batch: &[Vec<u32>], heads: usize, size: usize) -> Vec<f32> {
    let tokens: usize = batch.iter().map(Vec::len).sum();
    let width = size / tokens.max(1);
    let head = width / heads.max(1);
    let mut starts = BTreeMap::new();
    let mut start = 0;
    for sequence in batch {
        // Which sequence a row belongs to, by its last row: a look-up finds the range around it.
        starts.insert(start + sequence.len() - 1, start);
        start += sequence.len();
    }
    let scale = 1.0 / (head as f32).sqrt();
    let mut out = vec![0.0; size];
    out.par_chunks_exact_mut(width).enumerate().for_each(|(row, out)| {
        let Some((last, first)) = starts.range(row..).next() else { return };
        let part = |row: usize, which: usize, at: usize| {
            let start = row * 3 * width + which * width + at * head;
            qkv.get(start..start + head).unwrap_or_default()
        };
        let mut scores = vec![0.0; last - first + 1];
        for (at, out) in out.chunks_exact_mut(head).enumerate() {
            let query = part(row, 0, at);
            for (score, other) in scores.iter_mut().zip(*first..) {
                *score = dot(query, part(other, 1, at)) * scale;
            }
            softmax(&mut scores);
            for (score, other) in scores.iter().zip(*first..) {
                add_scaled(out, *score, part(other, 2, at));
            }
        }
    });
    out
}

impl EncodeText for Bert {
    fn dimensions(&self) -> usize {
        self.width
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn encode(&mut self, batch: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, StepError> {
        if batch.iter().any(|sequence| sequence.is_empty() || sequence.len() > self.max_tokens) {
            return Err(StepError("a sequence is empty or too long".to_owned()));
        }
        let threads = Arc::clone(&self.threads);
        let rows = threads.install(|| self.run(batch))?;
        let mut rest = rows.as_slice();
        let mut vectors = Vec::with_capacity(batch.len());
        for sequence in batch {
            let (own, others) = rest.split_at_checked(sequence.len() * self.width).unwrap_or_default();
            vectors.push(self.pool(own));
            rest = others;
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests;
