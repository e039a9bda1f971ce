//! Tensors of an encoder by name, from safetensors or GGUF.

use super::adapter::Adapter;
use super::encoder::{Biases, Numbers};
use super::shape::Keys;
use crate::error::LoadError;
use crate::kernel::embed::lines;
use crate::layers::encoder::{Affine, Embeddings, Parts, Scale};
use crate::manifest::FileKind;
use crate::registry::Verified;
use crate::weights::GgufFile;
use crate::weights::gguf::Header;
use crate::weights::safetensors::SafetensorsFile;

/// The weights of a model.
pub(super) struct Tensors {
    files: Files,
    /// What stands before every name.
    prefix: &'static str,
    /// What is added to them.
    adapter: Option<Adapter>,
}

enum Files {
    Safetensors(Vec<SafetensorsFile>),
    Gguf(Box<GgufFile>),
}

/// How one kind of file calls the tensors of an architecture. Those of a layer, and normalisations, stand without what tells weight
/// from bias.
pub(super) struct Names {
    pub(super) words: &'static str,
    /// Where a model has them.
    pub(super) positions: Option<&'static str>,
    pub(super) kinds: Option<&'static str>,
    pub(super) first_norm: &'static str,
    pub(super) last_norm: Option<&'static str>,
    /// What stands before a layer's number.
    pub(super) layers: &'static str,
    pub(super) qkv: &'static [&'static str],
    pub(super) attended: &'static str,
    pub(super) attention_norm: &'static str,
    /// Whether the first layer has no such normalisation: its rows come normalised.
    pub(super) first_bare: bool,
    /// The first matrix of the feed-forward part; the gate before what it gates, in one tensor or two.
    pub(super) inner: &'static [&'static str],
    pub(super) outer: &'static str,
    pub(super) feed_norm: &'static str,
}

/// What the tensors of a layer are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    pub(super) width: usize,
    pub(super) inner: usize,
    pub(super) gated: bool,
    pub(super) biases: Biases,
}

impl Tensors {
    /// Opens the weights. `prefixes` are those that a model saved with a head puts before every name; the one under which
    /// `first` is found is taken.
    pub(super) fn open(model: &Verified, first: &str, prefixes: &[&'static str]) -> Result<Self, LoadError> {
        let weights = || model.files().filter(|file| file.entry().kind == FileKind::Weights);
        if let Some(file) = weights().find(|file| file.entry().path.ends_with(".gguf")) {
            return Ok(Self { files: Files::Gguf(Box::new(GgufFile::open(file)?)), prefix: "", adapter: None });
        }
        let files = weights().map(SafetensorsFile::open).collect::<Result<Vec<_>, _>>()?;
        let holds = |prefix: &&str| files.iter().any(|file| file.has(&format!("{prefix}{first}")));
        let prefix = prefixes.iter().copied().find(holds).unwrap_or_default();
        Ok(Self { files: Files::Safetensors(files), prefix, adapter: None })
    }

    /// The header of a GGUF file.
    pub(super) const fn header(&self) -> Option<&Header> {
        match &self.files {
            Files::Gguf(file) => Some(&file.header),
            Files::Safetensors(_) => None,
        }
    }

    /// The keys of a GGUF file that start with an architecture's name.
    pub(super) fn keys<'a>(&'a self, name: &'a str) -> Option<Keys<'a>> {
        self.header().map(|header| Keys { header, name })
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> LoadError {
        match &self.files {
            Files::Gguf(file) => file.malformed(what),
            Files::Safetensors(_) => LoadError::malformed("the weights", what),
        }
    }

    /// Whether there is a tensor of that name, written out in full.
    pub(super) fn has(&self, name: &str) -> bool {
        match &self.files {
            Files::Gguf(file) => file.has(name),
            Files::Safetensors(files) => files.iter().any(|file| file.has(name)),
        }
    }

    /// Adds what an adapter holds to what is read from here on.
    pub(super) fn adapt(&mut self, adapter: Adapter) {
        self.adapter = Some(adapter);
    }

    /// The adapter, where there is one.
    pub(super) const fn adapter(&mut self) -> Option<&mut Adapter> {
        self.adapter.as_mut()
    }

    /// The numbers of a tensor.
    fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let mut numbers = self.numbers_of(&format!("{}{name}", self.prefix), shape)?;
        if let Some(adapter) = &mut self.adapter {
            adapter.add(name, shape, &mut numbers)?;
        }
        Ok(numbers)
    }

    /// The numbers of a tensor whose name no prefix stands before.
    fn numbers_of(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let values = match &mut self.files {
            Files::Gguf(file) => file.numbers(name, shape)?,
            Files::Safetensors(files) => {
                let file = files.iter_mut().find(|file| file.has(name));
                let missing = || LoadError::malformed("the weights", format!("tensor `{name}` is missing"));
                let tensor = file.ok_or_else(missing)?.tensor(name, shape)?;
                let values = tensor.flatten_all().and_then(|tensor| tensor.to_vec1::<f32>());
                values.map_err(|error| LoadError::malformed("the weights", error.to_string()))?
            }
        };
        finite(name, values).map_err(|what| self.malformed(what))
    }

    /// Matrices that take the same input, on top of each other.
    fn affine(&mut self, names: &[String], outputs: usize, inputs: usize, bias: bool) -> Result<Affine, LoadError> {
        let mut affine = Affine { weights: Vec::new(), bias: Vec::new(), inputs };
        for name in names {
            affine.weights.extend(self.numbers(&format!("{name}.weight"), &[outputs, inputs])?);
            if bias {
                affine.bias.extend(self.numbers(&format!("{name}.bias"), &[outputs])?);
            } else {
                affine.bias.resize(affine.bias.len() + outputs, 0.0);
            }
        }
        Ok(affine)
    }

    pub(super) fn scale(&mut self, name: &str, width: usize, bias: bool) -> Result<Scale, LoadError> {
        let weight = self.numbers(&format!("{name}.weight"), &[width])?;
        let bias = if bias { self.numbers(&format!("{name}.bias"), &[width])? } else { vec![0.0; width] };
        Ok(Scale { weight, bias })
    }

    /// A matrix of the head, which stands outside what the prefix names.
    pub(super) fn head(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool) -> Result<Affine, LoadError> {
        let weights = self.numbers_of(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = if bias { self.numbers_of(&format!("{name}.bias"), &[outputs])? } else { vec![0.0; outputs] };
        Ok(Affine { weights, bias, inputs })
    }

    /// A normalisation of the head.
    pub(super) fn head_scale(&mut self, name: &str, width: usize, bias: bool) -> Result<Scale, LoadError> {
        let weight = self.numbers_of(&format!("{name}.weight"), &[width])?;
        let bias = if bias { self.numbers_of(&format!("{name}.bias"), &[width])? } else { vec![0.0; width] };
        Ok(Scale { weight, bias })
    }

    /// What tokens are before the first layer.
    pub(super) fn embeddings(
        &mut self,
        names: &Names,
        numbers: Numbers,
        first_position: usize,
    ) -> Result<Embeddings, LoadError> {
        let width = numbers.width;
        let words = self.numbers(names.words, &[numbers.vocabulary, width])?;
        let mut positions = match names.positions {
            Some(name) => self.numbers(name, &[numbers.positions + first_position, width])?,
            None => Vec::new(),
        };
        positions.drain(..positions.len().min(first_position * width));
        let kinds = match names.kinds.filter(|_| numbers.kinds > 0) {
            Some(name) => self.numbers(name, &[numbers.kinds, width])?,
            None => Vec::new(),
        };
        Ok(Embeddings::new(width, words, positions, kinds))
    }

    /// The weights of a layer.
    pub(super) fn parts(&mut self, names: &Names, layer: usize, sides: Sides) -> Result<Parts, LoadError> {
        let Sides { width, inner, gated, biases } = sides;
        let name = |part: &str| format!("{}{layer}.{part}", names.layers);
        let all = |parts: &[&str]| parts.iter().map(|part| name(part)).collect::<Vec<_>>();
        let outputs = |outputs: usize, names: &[String]| outputs / names.len().max(1);
        let (qkv, first) = (all(names.qkv), all(names.inner));
        let qkv = self.affine(&qkv, outputs(3 * width, &qkv), width, biases.attention)?;
        let together = if gated { 2 * inner } else { inner };
        let mut first = self.affine(&first, outputs(together, &first), width, biases.feed[0])?;
        if gated {
            whole_lines(&mut first, inner);
        }
        let attention_norm = Some(name(names.attention_norm)).filter(|_| layer > 0 || !names.first_bare);
        Ok(Parts {
            qkv,
            attended: self.affine(&[name(names.attended)], width, width, biases.attention)?,
            attention_norm: attention_norm.map(|name| self.scale(&name, width, biases.norm)).transpose()?,
            inner: first,
            outer: self.affine(&[name(names.outer)], width, inner, biases.feed[1])?,
            feed_norm: self.scale(&name(names.feed_norm), width, biases.norm)?,
            rope: None,
            reach: None,
        })
    }
}

/// What is no number would be rounded to one: every vector would be wrong and none would show it.
pub(super) fn finite(name: &str, values: Vec<f32>) -> Result<Vec<f32>, String> {
    if values.iter().any(|value| !value.is_finite()) {
        return Err(format!("tensor `{name}` holds what is no finite number"));
    }
    Ok(values)
}

/// Fills up each half of a gated matrix with outputs that are 0, so that it takes whole lines.
fn whole_lines(affine: &mut Affine, inner: usize) {
    let outputs = lines(inner) * 16;
    if outputs == inner {
        return;
    }
    let fill = |numbers: &[f32], each: usize| {
        let halves = numbers.chunks(inner * each);
        halves.flat_map(|half| half.iter().copied().chain(std::iter::repeat_n(0.0, (outputs - inner) * each))).collect()
    };
    (affine.weights, affine.bias) = (fill(&affine.weights, affine.inputs), fill(&affine.bias, 1));
}
