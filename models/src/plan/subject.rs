//! What is planned: a model of the registry, a file, an entry of the catalogue, or a size and a quantisation.

use std::path::Path;

use super::cost::{Language, Multiplied};
use super::named::{self, NamedError};
use crate::arch::shape::{Keys, PATTERN, Shape};
use crate::catalogue::{Entry, Outline};
use crate::error::LoadError;
use crate::fit::{Estimate, Weights};
use crate::kernel::attention::Heads;
use crate::manifest::{FileKind, Manifest, Task};
use crate::pool::PoolOptions;
use crate::registry::Verified;
use crate::weights::gguf::Header;

/// Longest config.json.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// A model as far as its cost depends on it.
#[derive(Clone, Debug)]
pub struct Subject {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Language { model: Box<Language>, memory: Weights },
    Encoder { model: Encoder, memory: u64 },
}

/// An encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoder {
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Whether the feed-forward part has a gate: a third matrix.
    pub(super) gated: bool,
}

impl Subject {
    /// A model of the registry, from the headers of its verified files.
    ///
    /// # Errors
    /// [`LoadError`] where a header lacks what the engine needs.
    pub fn of(model: &Verified) -> Result<Self, LoadError> {
        let name = model.manifest().name.clone();
        let kind = match model.manifest().task {
            Task::Embed | Task::Rerank => {
                Kind::Encoder { model: encoder(model)?, memory: Estimate::of(model, &PoolOptions::default())?.bytes() }
            }
            Task::Generate => {
                let missing = || LoadError::malformed("model.toml", "no file is of kind `weights`");
                let mut file = model.first(FileKind::Weights).ok_or_else(missing)?;
                let path = file.entry().path.clone();
                let refused = |what: String| LoadError::malformed(&path, what);
                language(&Header::read(&mut file).map_err(|error| refused(error.to_string()))?).map_err(refused)?
            }
        };
        Ok(Self { name, kind })
    }

    /// A GGUF file that is not in the registry yet. Its header alone is read.
    ///
    /// # Errors
    /// [`LoadError`] where it cannot be read or lacks what the engine needs.
    pub fn of_file(path: &Path) -> Result<Self, LoadError> {
        let shown = path.display().to_string();
        let refused = |what: String| LoadError::malformed(&shown, what);
        let mut file = std::fs::File::open(path).map_err(|error| refused(format!("it cannot be opened ({error})")))?;
        let header = Header::read(&mut file).map_err(|error| refused(error.to_string()))?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let architecture = header.text("general.architecture").unwrap_or_default();
        let kind = if architecture.contains("bert") {
            let memory = Estimate::of_encoder_header(&name, &header, &PoolOptions::default()).bytes();
            Kind::Encoder { model: encoder_of(&header, architecture).map_err(refused)?, memory }
        } else {
            language(&header).map_err(refused)?
        };
        Ok(Self { name, kind })
    }

    /// A model by its number of parameters and its quantisation: `8B`, `Q4_K_M`.
    ///
    /// # Errors
    /// [`NamedError`] where one of them is not known.
    pub fn named(parameters: &str, quantisation: &str) -> Result<Self, NamedError> {
        let (model, memory) = named::language(parameters, quantisation)?;
        let name = format!("{parameters} {}", quantisation.to_ascii_uppercase());
        Ok(Self { name, kind: Kind::Language { model: Box::new(model), memory } })
    }

    /// A model of the catalogue that is not here yet. `None` where the catalogue does not outline it.
    #[must_use]
    pub fn listed(entry: &Entry) -> Option<Self> {
        let kind = match &entry.outline {
            Outline::Encoder { width, inner, layers, heads } => {
                let model = Encoder { width: *width, inner: *inner, layers: *layers, heads: *heads, gated: false };
                Kind::Encoder { model, memory: encoder_bytes(&entry.manifest(), model) }
            }
            Outline::Language {
                width,
                inner,
                layers,
                vocabulary,
                queries,
                keys,
                head,
                window,
                context,
                tied,
                quantisation,
            } => {
                let gemma = entry.architecture == "gemma3";
                let windows = (1..=*layers).map(|at| window.filter(|_| at % PATTERN != 0));
                let shape = Shape {
                    width: *width,
                    inner: *inner,
                    layers: *layers,
                    vocabulary: *vocabulary,
                    heads: Heads { queries: *queries, keys: *keys, size: *head },
                    turned: *head,
                    trained: *context,
                    windows: windows.collect(),
                    epsilon: 1e-5,
                    base: 10_000.0,
                };
                let (model, memory) = named::with_shape(shape, *tied, quantisation, (gemma, gemma))?;
                Kind::Language { model: Box::new(model), memory }
            }
        };
        Some(Self { name: entry.name.clone(), kind })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// An encoder of the registry.
fn encoder(model: &Verified) -> Result<Encoder, LoadError> {
    let name = model.manifest().architecture.as_str();
    let gated = gated(name);
    if let Some(mut file) = model.first(FileKind::Weights).filter(|file| file.entry().path.ends_with(".gguf")) {
        let path = file.entry().path.clone();
        let refused = |what: String| LoadError::malformed(&path, what);
        let header = Header::read(&mut file).map_err(|error| refused(error.to_string()))?;
        return encoder_of(&header, name).map_err(refused);
    }
    let refused = |what: String| LoadError::malformed("config.json", what);
    let config = model.first(FileKind::Config).ok_or_else(|| refused("it is missing".to_owned()));
    let bytes = config?.read_all(MAX_CONFIG_BYTES).map_err(|error| refused(error.to_string()))?;
    let config: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))?;
    // Nomic has names of its own.
    let number = |names: [&str; 2]| {
        let found = names.iter().find_map(|name| config.get(name)?.as_u64());
        let found =
            found.and_then(|number| usize::try_from(number).ok()).filter(|number| (1..=1 << 18).contains(number));
        found.ok_or_else(|| refused(format!("`{}` is missing or out of range", names[0])))
    };
    Ok(Encoder {
        width: number(["hidden_size", "n_embd"])?,
        inner: number(["intermediate_size", "n_inner"])?,
        layers: number(["num_hidden_layers", "n_layer"])?,
        heads: number(["num_attention_heads", "n_head"])?,
        gated,
    })
}

/// An encoder from the header of its file.
fn encoder_of(header: &Header, name: &str) -> Result<Encoder, String> {
    let keys = Keys { header, name };
    let number = |key: &str| keys.number(key, 1 << 18);
    Ok(Encoder {
        width: number("embedding_length")?,
        inner: number("feed_forward_length")?,
        layers: number("block_count")?,
        heads: number("attention.head_count")?,
        gated: gated(name),
    })
}

/// Whether the feed-forward part of an architecture has a gate.
fn gated(architecture: &str) -> bool {
    architecture.starts_with("nomic") || architecture.starts_with("modern")
}

/// An encoder's bytes where its files are not here: a byte per weight of the layers and two scales per 128, floats of the rest.
fn encoder_bytes(manifest: &Manifest, model: Encoder) -> u64 {
    let layers = (model.layers * (4 * model.width * model.width + 2 * model.width * model.inner)) as u64;
    let embeddings = manifest.weight_bytes().saturating_sub(4 * layers);
    embeddings + layers + layers / 16 + manifest.weight_bytes() / 4 + (160 << 20)
}

/// A language model from the header of its file.
fn language(header: &Header) -> Result<Kind, String> {
    let architecture = header.text("general.architecture").unwrap_or_default();
    let shape = Keys { header, name: architecture }.shape()?;
    let mut layers: Vec<Multiplied> = Vec::new();
    for (name, place) in header.tensors() {
        let Some(format) = place.format().filter(|_| name.starts_with("blk.")) else { continue };
        let (inputs, outputs) = place.sides();
        let (weights, bytes) = ((inputs * outputs) as f64, place.packed() as f64);
        match layers.iter_mut().find(|part| part.format == format) {
            Some(part) => {
                part.weights += weights;
                part.bytes += bytes;
            }
            None => layers.push(Multiplied { format, weights, bytes }),
        }
    }
    let head = header.tensor("output.weight").or_else(|| header.tensor("token_embd.weight"));
    let head = head.and_then(|place| {
        let (inputs, outputs) = place.sides();
        Some(Multiplied { format: place.format()?, weights: (inputs * outputs) as f64, bytes: place.packed() as f64 })
    });
    let head = head.ok_or("tensor `token_embd.weight` is missing")?;
    let has = |name: &str| header.tensor(name).is_some();
    let (after, head_norms) = (has("blk.0.post_ffw_norm.weight"), has("blk.0.attn_q_norm.weight"));
    let memory = Weights { packed: header.packed(), widened: header.widened(), passing: header.passing() };
    Ok(Kind::Language { model: Box::new(Language { shape, layers, head, after, head_norms }), memory })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::tiny::{Tiny, verified};
    use crate::kernel::Format;

    #[test]
    fn a_header_gives_the_weights_that_every_token_is_multiplied_with() {
        let tiny = Tiny { name: "gemma3", head_norms: true, after: true, size: 32, layers: 7, ..Tiny::default() };
        let window = crate::weights::gguf::tests::Scalar::Unsigned(8);
        let (_folder, model, _) = verified(&tiny.file(&[("gemma3.attention.sliding_window", window)]));
        let Subject { name, kind: Kind::Language { model, memory } } = Subject::of(&model).unwrap() else {
            panic!("it generates")
        };
        // Queries, keys and values, output, gate, up and down.
        let layer = 64 * (128 + 2 * 64) + 128 * 64 + 3 * 64 * 96;
        let [part] = model.layers.as_slice() else { panic!("{:?}", model.layers) };
        assert_eq!((name.as_str(), part.format, part.weights), ("tiny", Format::F32, f64::from(7 * layer)));
        assert_eq!((model.head.weights, model.after, model.head_norms), (64.0 * 300.0, true, true));
        assert_eq!(model.shape.windows.iter().filter(|window| window.is_none()).count(), 1);
        // Rows of 300 are filled up to whole panels of sixteen.
        assert!(memory.packed >= 4 * (7 * layer + 64 * 300) as u64 && memory.widened == 0, "{memory:?}");
    }

    #[test]
    fn every_entry_of_the_catalogue_can_be_planned_before_it_is_fetched() {
        for entry in crate::catalogue::builtin() {
            let subject = Subject::listed(entry).unwrap();
            let file = entry.manifest().weight_bytes() as f64;
            match subject.kind {
                Kind::Language { memory, .. } => {
                    let ratio = memory.packed as f64 / file;
                    assert!((0.9..1.1).contains(&ratio), "{}: {ratio}", entry.name);
                }
                Kind::Encoder { memory, .. } => assert!(memory > 64 << 20, "{}", entry.name),
            }
        }
    }
}
