//! What the language models read from GGUF have in common: how their numbers and layers are named. Names of keys and tensors are
//! llama.cpp's.

use candle_core::Device;

use super::shape::Keys;
use crate::error::LoadError;
use crate::kernel::rows::Curve;
use crate::kernel::{Matrix, Path, Team};
use crate::layers::decoder::{Decoder, Layer, Plan, Weights};
use crate::layers::device::{DeviceDecoder, Product};
use crate::layers::rope::{Pairs, Rope, Turning};
use crate::pool::PoolOptions;
use crate::task::generate::StepTokens;
use crate::weights::GgufFile;

pub(super) use super::shape::Shape;

/// A file being read as one architecture.
pub(super) struct Reader<'a> {
    pub(super) file: &'a mut GgufFile,
    /// What its keys start with.
    name: &'static str,
    place: Place,
}

/// Where a model computes.
enum Place {
    /// Here, by our own kernels.
    Kernels(Kernels),
    /// On a device of candle's.
    Device(Device),
}

/// Our own kernels, and the threads that run them.
struct Kernels {
    path: Path,
    team: Team,
}

/// Brings matrices into the form that computes with them.
trait Bring {
    type Matrix;

    /// A matrix of so many inputs and outputs.
    fn bring(&self, file: &mut GgufFile, name: &str, shape: (usize, usize)) -> Result<Self::Matrix, LoadError>;
}

impl Bring for Kernels {
    type Matrix = Matrix;

    fn bring(&self, file: &mut GgufFile, name: &str, shape: (usize, usize)) -> Result<Matrix, LoadError> {
        file.matrix(&format!("{name}.weight"), shape, self.path, &self.team)
    }
}

impl Bring for Device {
    type Matrix = Product;

    fn bring(&self, file: &mut GgufFile, name: &str, shape: (usize, usize)) -> Result<Product, LoadError> {
        Ok(Product::new(file.product(&format!("{name}.weight"), shape, self)?, shape.1))
    }
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
        let place = match super::device(options)? {
            Some(device) => Place::Device(device),
            None => {
                let team = Team::new(options.threads).map_err(LoadError::Thread)?;
                Place::Kernels(Kernels { path: Path::of(options.instructions), team })
            }
        };
        Ok(Self { file, name, place })
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

    /// Reads the weights and puts the model together. `scales` multiply embeddings and queries.
    pub(super) fn decoder(
        self,
        shape: &Shape,
        traits: &Traits,
        context: usize,
        positions: Positions,
        (embedding_scale, query_scale): (f32, f32),
        sequences: usize,
    ) -> Result<Box<dyn StepTokens>, LoadError> {
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
        let Self { file, place, .. } = self;
        match place {
            Place::Kernels(kernels) => {
                let weights = weights(file, &kernels, shape, traits, &positions.layers)?;
                Ok(Box::new(Decoder::new(plan, weights, kernels.path, kernels.team)))
            }
            Place::Device(device) => {
                let weights = weights(file, &device, shape, traits, &positions.layers)?;
                let embedding = file.dense("token_embd.weight", (shape.vocabulary, shape.width), &device)?;
                Ok(Box::new(DeviceDecoder::new(plan, weights, embedding, device)?))
            }
        }
    }
}

/// The weights of a layer.
fn layer<B: Bring>(
    file: &mut GgufFile,
    to: &B,
    at: usize,
    shape: &Shape,
    traits: &Traits,
) -> Result<Layer<B::Matrix>, LoadError> {
    let (width, inner) = (shape.width, shape.inner);
    let vector = |file: &mut GgufFile, name: &str, length| file.vector(&format!("blk.{at}.{name}"), length);
    let (asking, asked, size) = (shape.heads.query_row(), shape.heads.key_row(), shape.heads.size);
    let parts = [("attn_q", asking), ("attn_k", asked), ("attn_v", asked)];
    if !traits.bias && file.has(&format!("blk.{at}.attn_q.bias")) {
        return Err(file.malformed("attention with a bias is not supported in this architecture"));
    }
    let (qkv, gate_up) = if traits.fused {
        let qkv = to.bring(file, &format!("blk.{at}.attn_qkv"), (width, asking + 2 * asked))?;
        (vec![qkv], vec![to.bring(file, &format!("blk.{at}.ffn_up"), (width, 2 * inner))?])
    } else {
        let mut all = |parts: &[(&str, usize)]| {
            let part = |(name, rows): &(&str, usize)| to.bring(file, &format!("blk.{at}.{name}"), (width, *rows));
            parts.iter().map(part).collect::<Result<Vec<_>, _>>()
        };
        (all(&parts)?, all(&[("ffn_gate", inner), ("ffn_up", inner)])?)
    };
    let qkv_bias = match traits.bias {
        true => {
            let mut bias = Vec::new();
            for (name, rows) in parts {
                bias.extend(vector(file, &format!("{name}.bias"), rows)?);
            }
            Some(bias)
        }
        false => None,
    };
    let head_norms = match traits.head_norms {
        true => Some((vector(file, "attn_q_norm.weight", size)?, vector(file, "attn_k_norm.weight", size)?)),
        false => None,
    };
    let after = |file: &mut GgufFile, name: &str| match traits.after {
        true => vector(file, name, width).map(Some),
        false => Ok(None),
    };
    let (attention_after, feed_after) =
        (after(file, "post_attention_norm.weight")?, after(file, "post_ffw_norm.weight")?);
    Ok(Layer {
        attention_norm: vector(file, "attn_norm.weight", width)?,
        qkv,
        qkv_bias,
        head_norms,
        output: to.bring(file, &format!("blk.{at}.attn_output"), (asking, width))?,
        attention_after,
        feed_norm: vector(file, "ffn_norm.weight", width)?,
        gate_up,
        down: to.bring(file, &format!("blk.{at}.ffn_down"), (inner, width))?,
        feed_after,
        window: None,
        rope: 0,
    })
}

/// All weights, brought to where they compute. `positions` are those of the layers.
fn weights<B: Bring>(
    file: &mut GgufFile,
    to: &B,
    shape: &Shape,
    traits: &Traits,
    positions: &[(usize, Option<usize>)],
) -> Result<Weights<B::Matrix>, LoadError> {
    let embedding = to.bring(file, "token_embd", (shape.width, shape.vocabulary))?;
    let head = match file.has("output.weight") {
        true => Some(to.bring(file, "output", (shape.width, shape.vocabulary))?),
        false => None,
    };
    let mut layers = Vec::new();
    for at in 0..shape.layers {
        let mut layer = self::layer(file, to, at, shape, traits)?;
        (layer.rope, layer.window) = positions.get(at).copied().unwrap_or_default();
        layers.push(layer);
    }
    Ok(Weights { embedding, layers, norm: file.vector("output_norm.weight", shape.width)?, head })
}

/// The longest sequence that is asked for and that the model was trained for.
pub(super) fn context(shape: &Shape, options: &PoolOptions) -> usize {
    options.context_tokens.clamp(2, shape.trained.max(2))
}

/// The usual scale of queries.
pub(super) fn query_scale(shape: &Shape) -> f32 {
    1.0 / (shape.heads.size as f32).sqrt()
}
