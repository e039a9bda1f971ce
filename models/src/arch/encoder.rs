//! What the encoders have in common when they are read: which file names what how, which numbers there are, and how an architecture's
//! outline becomes a model.

use super::config::refused;
use super::tensors::{Names, Sides, Tensors};
use crate::error::LoadError;
use crate::fit::{Estimate, Machine};
use crate::kernel::attention::LONGEST_HEAD;
use crate::layers::encoder::{Builder, Encoder, Feed, Head, Order, Plan, Readout};
use crate::layers::rope::{Pairs, Rope, Turning};
use crate::manifest::{FileKind, Pooling, Task};
use crate::pool::PoolOptions;
use crate::registry::Verified;
use crate::task::embed::EncodeText;
use crate::tokenizer::Tokens;
use crate::weights::GgufFile;

/// Longest tokenizer.json; the largest vocabularies take about 35 MB.
const MAX_TOKENIZER_BYTES: u64 = 64 << 20;

/// The architectures that read, as transformers and GGUF name them, and in words.
const ENCODERS: [&str; 7] = ["bert", "roberta", "xlm-roberta", "nomic_bert", "nomic-bert", "modernbert", "modern-bert"];
const ENCODERS_IN_WORDS: &str = "bert, roberta, xlm-roberta, nomic_bert and modernbert";

/// An embedding model or a cross-encoder with its tokenizer.
pub(crate) struct LoadedEncoder {
    pub(crate) model: Box<dyn EncodeText>,
    pub(crate) tokens: Tokens,
}

/// What is loaded, and how.
#[derive(Clone, Copy)]
pub(super) struct Loading<'a> {
    pub(super) model: &'a Verified,
    /// The highest token that the tokenizer makes.
    pub(super) highest: u32,
    pub(super) options: &'a PoolOptions,
    /// What makes an embedder a cross-encoder.
    pub(super) adapter: Option<&'a [u8]>,
}

/// The numbers that every encoder has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    pub(super) vocabulary: usize,
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) epsilon: f32,
    /// Longest sequence.
    pub(super) positions: usize,
    /// Kinds of token that it tells apart; 0 where it tells none.
    pub(super) kinds: usize,
}

/// Which layers see everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    All,
    /// One of so many, the first one included.
    Every(usize),
    /// One by one.
    Listed(Vec<bool>),
}

/// What an architecture makes of a model's configuration.
pub(super) struct Outline {
    pub(super) numbers: Numbers,
    pub(super) order: Order,
    pub(super) feed: Feed,
    /// Bases of the ropes: of layers that see everything, and of the others. None where positions have vectors.
    pub(super) bases: Vec<f64>,
    pub(super) whole: Whole,
    /// How many positions the other layers see on either side.
    pub(super) reach: usize,
    /// Where the first token's position vector stands.
    pub(super) first_position: usize,
    pub(super) biases: Biases,
}

/// What carries a bias.
#[derive(Clone, Copy, Debug)]
pub(super) struct Biases {
    /// Queries, keys, values and what attention gives.
    pub(super) attention: bool,
    /// The first and the second matrix of the feed-forward part.
    pub(super) feed: [bool; 2],
    pub(super) norm: bool,
}

impl Biases {
    pub(super) const ALL: Self = Self { attention: true, feed: [true; 2], norm: true };
    pub(super) const NONE: Self = Self { attention: false, feed: [false; 2], norm: false };
}

/// Loads an embedder, or a cross-encoder where `task` is that.
pub(crate) fn load_encoder(model: &Verified, task: Task, options: &PoolOptions) -> Result<LoadedEncoder, LoadError> {
    load(model, task, options, None)
}

/// Loads an embedder with an adapter, which makes it a cross-encoder.
pub(crate) fn load_adapted(
    model: &Verified,
    adapter: &[u8],
    options: &PoolOptions,
) -> Result<LoadedEncoder, LoadError> {
    load(model, Task::Embed, options, Some(adapter))
}

fn load(
    model: &Verified,
    task: Task,
    options: &PoolOptions,
    adapter: Option<&[u8]>,
) -> Result<LoadedEncoder, LoadError> {
    super::admit(model, task, &ENCODERS, ENCODERS_IN_WORDS)?;
    Estimate::of(model, options)?.carried_by(&Machine::here())?;
    let tokens = tokenizer(model)?;
    let loading = Loading { model, highest: tokens.highest(), options, adapter };
    let model = match model.manifest().architecture.as_str() {
        "nomic_bert" | "nomic-bert" | "modernbert" | "modern-bert" if adapter.is_some() => {
            return Err(refused("adapters are for BERT's line alone"));
        }
        "nomic_bert" | "nomic-bert" => super::nomic::load(loading)?,
        "modernbert" | "modern-bert" => super::modernbert::load(loading)?,
        _ => super::bert::load(loading)?,
    };
    Ok(LoadedEncoder { model: Box::new(model), tokens })
}

/// The tokenizer beside the weights, else the one inside.
fn tokenizer(model: &Verified) -> Result<Tokens, LoadError> {
    if let Some(mut file) = model.first(FileKind::Tokenizer) {
        let bytes = file.read_all(MAX_TOKENIZER_BYTES).map_err(|error| LoadError::Tokenizer(error.to_string()))?;
        return crate::tokenizer::from_json(&bytes);
    }
    match model.first(FileKind::Weights).filter(|file| file.entry().path.ends_with(".gguf")) {
        Some(file) => crate::tokenizer::encoder_from_gguf(&GgufFile::open(file)?.header),
        None => Err(LoadError::Tokenizer("tokenizer.json is missing".to_owned())),
    }
}

impl Numbers {
    /// As the header of a GGUF file states them, under the keys of an architecture.
    pub(super) fn of_header(tensors: &Tensors, name: &str) -> Result<Self, LoadError> {
        let read = || -> Result<Self, String> {
            let keys = tensors.keys(name).ok_or("it has no header")?;
            // A table of one row may have lost that side.
            let rows = |tensor: &str| match keys.header.tensor(tensor)?.shape.as_slice() {
                [_] => Some(1),
                shape => shape.first().copied(),
            };
            if keys.header.text(&keys.key("rope.scaling.type")).is_some_and(|kind| kind != "none") {
                return Err("stretched positions are not supported yet".to_owned());
            }
            let epsilon = keys.float("attention.layer_norm_epsilon")?;
            Ok(Self {
                vocabulary: rows("token_embd.weight").ok_or("tensor `token_embd.weight` is missing")?,
                width: keys.number("embedding_length", 1 << 16)?,
                inner: keys.number("feed_forward_length", 1 << 18)?,
                layers: keys.number("block_count", 1 << 10)?,
                heads: keys.number("attention.head_count", 1 << 10)?,
                epsilon: epsilon.ok_or_else(|| keys.missing("attention.layer_norm_epsilon"))? as f32,
                // A table of positions is the better witness: some files keep the length that it had before its first rows were
                // cut off.
                positions: match rows("position_embd.weight") {
                    Some(rows) => rows,
                    None => keys.number("context_length", 1 << 20)?,
                },
                kinds: rows("token_types.weight").unwrap_or(0),
            })
        };
        read().map_err(|what| tensors.malformed(what))
    }

    /// Refuses numbers that no model can have. `highest` is the highest token that the tokenizer makes.
    fn check(self, highest: u32) -> Result<(), &'static str> {
        let sizes = [self.width, self.inner, self.heads, self.positions, self.vocabulary];
        let most = [1 << 16, 1 << 18, 1 << 10, 1 << 20, 1 << 22];
        let fits = sizes.iter().zip(most).all(|(size, most)| (1..=most).contains(size));
        let fits = fits
            && self.layers <= 1 << 10
            && self.kinds <= 1 << 10
            && self.width.is_multiple_of(self.heads)
            && self.width / self.heads <= LONGEST_HEAD;
        if !fits || !(0.0..1.0).contains(&self.epsilon) {
            return Err("its sizes do not fit together");
        }
        if highest as usize >= self.vocabulary {
            return Err("the tokenizer knows more tokens than the model");
        }
        Ok(())
    }
}

impl Outline {
    /// Refuses what no model can be.
    fn check(&self, tensors: &Tensors, highest: u32) -> Result<(), LoadError> {
        let place = if tensors.header().is_some() { "the GGUF header" } else { "config.json" };
        let checked = self.numbers.check(highest).and_then(|()| {
            let even = (self.numbers.width / self.numbers.heads).is_multiple_of(2);
            if self.bases.iter().any(|base| !(*base > 1.0 && base.is_finite() && even)) {
                return Err("its rotary embedding is impossible");
            }
            match &self.whole {
                Whole::Listed(layers) if layers.len() != self.numbers.layers => {
                    Err("its layer_types are not one for each layer")
                }
                _ => Ok(()),
            }
        });
        checked.map_err(|what| LoadError::malformed(place, what))
    }

    /// The rope of a layer, and how far it sees.
    fn sight(&self, layer: usize) -> (Option<usize>, Option<usize>) {
        let whole = match &self.whole {
            Whole::All => true,
            Whole::Every(every) => layer.is_multiple_of((*every).max(1)),
            Whole::Listed(layers) => layers.get(layer).copied().unwrap_or(true),
        };
        let rope = Some(usize::from(!whole)).filter(|rope| *rope < self.bases.len());
        (rope, if whole { None } else { Some(self.reach) })
    }
}

/// Reads the weights and puts the model together; `head` reads the head of a cross-encoder.
pub(super) fn build(
    loading: Loading<'_>,
    mut tensors: Tensors,
    names: &Names,
    outline: Outline,
    head: impl FnOnce(&mut Tensors) -> Result<(Pooling, Head), LoadError>,
) -> Result<Encoder, LoadError> {
    outline.check(&tensors, loading.highest)?;
    let Numbers { width, inner, layers, heads, epsilon, positions, .. } = outline.numbers;
    let longest = longest(loading.model, positions)?;
    let embeddings = tensors.embeddings(names, outline.numbers, outline.first_position)?;
    let first = tensors.scale(names.first_norm, width, outline.biases.norm)?;
    let last = names.last_norm.map(|name| tensors.scale(name, width, outline.biases.norm)).transpose()?;
    let rope = |base: &f64| {
        let turning = Turning { base: *base, stretch: 1.0, factors: None, size: 1.0 };
        Rope::new(width / heads, longest, Pairs::Halves, turning)
    };
    let ropes = outline.bases.iter().map(rope).collect();
    let plan = Plan { width, heads, epsilon, order: outline.order, feed: outline.feed, ropes };
    let gated = matches!(outline.feed, Feed::Gated(_));
    let sides = Sides { width, inner, gated, biases: outline.biases };
    let threads = super::threads(loading.options)?;
    let mut builder = Builder::new(plan, embeddings, first, last, threads, loading.options);
    for layer in 0..layers {
        let mut parts = tensors.parts(names, layer, sides)?;
        (parts.rope, parts.reach) = outline.sight(layer);
        builder.push(parts)?;
    }
    let manifest = loading.model.manifest();
    let readout = match (manifest.task, manifest.embedding) {
        (Task::Embed, Some(embedding)) if loading.adapter.is_none() => Readout::Pool(embedding.pooling),
        _ => {
            let (pooling, head) = head(&mut tensors)?;
            tensors.adapter().map_or(Ok(()), |adapter| adapter.finish())?;
            Readout::Score(pooling, head)
        }
    };
    Ok(builder.finish(readout, longest))
}

/// The longest sequence that the manifest lets an encoder take.
fn longest(model: &Verified, positions: usize) -> Result<usize, LoadError> {
    let embedding = model.manifest().embedding;
    let embedding = embedding.ok_or_else(|| LoadError::malformed("model.toml", "`embedding` is missing"))?;
    if embedding.max_tokens > positions {
        return Err(LoadError::malformed("model.toml", "embedding.max_tokens is more than the model has positions"));
    }
    Ok(embedding.max_tokens)
}
