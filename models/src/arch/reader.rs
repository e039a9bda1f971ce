//! What the language models read from GGUF have in common: how their numbers and layers are named. Names of keys and tensors are
//! llama.cpp's.

use super::shape::Keys;
use crate::error::LoadError;
use crate::kernel::rows::Curve;
use crate::kernel::{Matrix, Path, Team};
use crate::layers::decoder::{Decoder, Layer, Plan, Weights};
use crate::layers::rope::{Pairs, Rope, Turning};
use crate::pool::PoolOptions;
use crate::weights::GgufFile;

pub(super) use super::shape::Shape;

/// A file being read as one architecture.
pub(super) struct Reader<'a> {
    pub(super) file: &'a mut GgufFile,
    /// What its keys start with.
    name: &'static str,
    pub(super) path: Path,
    pub(super) team: Team,
}

/// What sets an architecture apart.
pub(super) struct Traits {
    pub(super) pairs: Pairs,
    pub(super) curve: Curve,
    /// Whether queries, keys and values carry a bias.
    pub(super) bias: bool,
    /// Whether heads of queries and keys are normalised.
    pub(super) head_norms: bool,
    /// Whether what attention and the feed-forward part add is normalised.
    pub(super) after: bool,
    /// Whether queries, keys and values lie in one matrix, and gate and up in another.
    pub(super) fused: bool,
}

impl Traits {
    /// The Llama line.
    pub(super) const PLAIN: Self =
        Self { pairs: Pairs::Halves, curve: Curve::Silu, bias: false, head_norms: false, after: false, fused: false };
}

/// The ropes of a model and who uses which.
pub(super) struct Positions {
    pub(super) ropes: Vec<Rope>,
    /// Per layer: which rope, and how far it sees.
    pub(super) layers: Vec<(usize, Option<usize>)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a mut GgufFile, name: &'static str, options: &PoolOptions) -> Result<Self, LoadError> {
        let team = Team::new(options.threads).map_err(LoadError::Thread)?;
        Ok(Self { file, name, path: Path::of(options.instructions), team })
    }

    fn keys(&self) -> Keys<'_> {
        Keys { header: &self.file.header, name: self.name }
    }

    fn key(&self, key: &str) -> String {
        self.keys().key(key)
    }

    fn missing(&self, key: &str) -> LoadError {
        self.file.malformed(self.keys().missing(key))
    }

    /// A number from 1 to `most`.
    pub(super) fn number(&self, key: &str, most: usize) -> Result<usize, LoadError> {
        self.keys().number(key, most).map_err(|what| self.file.malformed(what))
    }

    /// A number above 0. `None` where there is no such key.
    pub(super) fn float(&self, key: &str) -> Result<Option<f64>, LoadError> {
        self.keys().float(key).map_err(|what| self.file.malformed(what))
    }

    pub(super) fn shape(&self) -> Result<Shape, LoadError> {
        self.keys().shape().map_err(|what| self.file.malformed(what))
    }

    /// What positions are divided by, where the file says so; other ways of stretching are refused by name.
    pub(super) fn stretch(&self) -> Result<f64, LoadError> {
        match self.file.header.text(&self.key("rope.scaling.type")) {
            None | Some("none") => Ok(1.0),
            Some("linear") => self.float("rope.scaling.factor")?.ok_or_else(|| self.missing("rope.scaling.factor")),
            Some(other) => Err(self.file.malformed(format!("positions scaled by `{other}` are not supported yet"))),
        }
    }

    /// One rope for all layers, which see everything.
    pub(super) fn plain_positions(
        &mut self,
        shape: &Shape,
        context: usize,
        pairs: Pairs,
    ) -> Result<Positions, LoadError> {
        let stretch = self.stretch()?;
        let factors = match self.file.has("rope_freqs.weight") {
            true => Some(self.file.vector("rope_freqs.weight", shape.turned / 2)?),
            false => None,
        };
        let turning = Turning { base: shape.base, stretch, factors: factors.as_deref(), size: 1.0 };
        let ropes = vec![Rope::new(shape.turned, context, pairs, turning)];
        Ok(Positions { ropes, layers: shape.windows.iter().map(|window| (0, *window)).collect() })
    }

    fn matrix(&mut self, name: &str, shape: (usize, usize)) -> Result<Matrix, LoadError> {
        self.file.matrix(&format!("{name}.weight"), shape, self.path, &self.team)
    }

    fn vector(&mut self, layer: usize, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        self.file.vector(&format!("blk.{layer}.{name}"), length)
    }

    fn layer(&mut self, at: usize, shape: &Shape, traits: &Traits) -> Result<Layer, LoadError> {
        let (width, inner) = (shape.width, shape.inner);
        let (asking, asked, size) = (shape.heads.query_row(), shape.heads.key_row(), shape.heads.size);
        let parts = [("attn_q", asking), ("attn_k", asked), ("attn_v", asked)];
        if !traits.bias && self.file.has(&format!("blk.{at}.attn_q.bias")) {
            return Err(self.file.malformed("attention with a bias is not supported in this architecture"));
        }
        let (qkv, gate_up) = if traits.fused {
            let qkv = self.matrix(&format!("blk.{at}.attn_qkv"), (width, asking + 2 * asked))?;
            (vec![qkv], vec![self.matrix(&format!("blk.{at}.ffn_up"), (width, 2 * inner))?])
        } else {
            let mut all = |parts: &[(&str, usize)]| {
                let part = |(name, rows): &(&str, usize)| self.matrix(&format!("blk.{at}.{name}"), (width, *rows));
                parts.iter().map(part).collect::<Result<Vec<_>, _>>()
            };
            (all(&parts)?, all(&[("ffn_gate", inner), ("ffn_up", inner)])?)
        };
        let qkv_bias = match traits.bias {
            true => {
                let mut bias = Vec::new();
                for (name, rows) in parts {
                    bias.extend(self.vector(at, &format!("{name}.bias"), rows)?);
                }
                Some(bias)
            }
            false => None,
        };
        let head_norms = match traits.head_norms {
            true => Some((self.vector(at, "attn_q_norm.weight", size)?, self.vector(at, "attn_k_norm.weight", size)?)),
            false => None,
        };
        let mut after = |name: &str| match traits.after {
            true => self.vector(at, name, width).map(Some),
            false => Ok(None),
        };
        let (attention_after, feed_after) = (after("post_attention_norm.weight")?, after("post_ffw_norm.weight")?);
        Ok(Layer {
            attention_norm: self.vector(at, "attn_norm.weight", width)?,
            qkv,
            qkv_bias,
            head_norms,
            output: self.matrix(&format!("blk.{at}.attn_output"), (asking, width))?,
            attention_after,
            feed_norm: self.vector(at, "ffn_norm.weight", width)?,
            gate_up,
            down: self.matrix(&format!("blk.{at}.ffn_down"), (inner, width))?,
            feed_after,
            window: None,
            rope: 0,
        })
    }

    /// Reads the weights and puts the model together. `scales` multiply embeddings and queries.
    pub(super) fn decoder(
        mut self,
        shape: &Shape,
        traits: &Traits,
        context: usize,
        positions: Positions,
        (embedding_scale, query_scale): (f32, f32),
        sequences: usize,
    ) -> Result<Decoder, LoadError> {
        let embedding = self.matrix("token_embd", (shape.width, shape.vocabulary))?;
        let head = match self.file.has("output.weight") {
            true => Some(self.matrix("output", (shape.width, shape.vocabulary))?),
            false => None,
        };
        let mut layers = Vec::new();
        for at in 0..shape.layers {
            let mut layer = self.layer(at, shape, traits)?;
            (layer.rope, layer.window) = positions.layers.get(at).copied().unwrap_or_default();
            layers.push(layer);
        }
        let norm = self.file.vector("output_norm.weight", shape.width)?;
        let plan = Plan {
            heads: shape.heads,
            epsilon: shape.epsilon,
            embedding_scale,
            query_scale,
            curve: traits.curve,
            ropes: positions.ropes,
            context,
            sequences,
        };
        Ok(Decoder::new(plan, Weights { embedding, layers, norm, head }, self.path, self.team))
    }
}

/// The longest sequence that is asked for and that the model was trained for.
pub(super) fn context(shape: &Shape, options: &PoolOptions) -> usize {
    options.context_tokens.clamp(2, shape.trained.max(2))
}

/// The usual scale of queries.
pub(super) fn query_scale(shape: &Shape) -> f32 {
    1.0 / (shape.heads.size as f32).sqrt()
}
