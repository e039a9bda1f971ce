//! The numbers of a language model, as the header of its file states them. Names of keys are llama.cpp's.

use crate::kernel::attention::{Heads, LONGEST_HEAD};
use crate::weights::gguf::Header;

/// Every sixth layer of Gemma 3 sees the whole sequence; files do not say so.
pub(crate) const PATTERN: usize = 6;

/// The keys of one architecture.
#[derive(Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) header: &'a Header,
    /// What its keys start with.
    pub(crate) name: &'a str,
}

/// The numbers of a model, within bounds that no real one comes near.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) width: usize,
    pub(crate) inner: usize,
    pub(crate) layers: usize,
    pub(crate) vocabulary: usize,
    pub(crate) heads: Heads,
    /// Numbers of a head that are turned.
    pub(crate) turned: usize,
    /// Longest sequence that it was trained for.
    pub(crate) trained: usize,
    /// How far each layer sees; `None` is all that stands before.
    pub(crate) windows: Vec<Option<usize>>,
    pub(crate) epsilon: f32,
    pub(crate) base: f64,
}

impl Keys<'_> {
    pub(crate) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    pub(crate) fn missing(&self, key: &str) -> String {
        format!("the key `{}` is missing or out of range", self.key(key))
    }

    /// A number from 1 to `most`.
    pub(crate) fn number(&self, key: &str, most: usize) -> Result<usize, String> {
        let found = self.header.unsigned(&self.key(key)).filter(|found| (1..=most).contains(found));
        found.ok_or_else(|| self.missing(key))
    }

    /// A number above 0. `None` where there is no such key.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f64>, String> {
        match self.header.float(&self.key(key)) {
            Some(found) if found.is_finite() && found > 0.0 => Ok(Some(found)),
            Some(_) => Err(self.missing(key)),
            None => Ok(None),
        }
    }

    pub(crate) fn shape(&self) -> Result<Shape, String> {
        let width = self.number("embedding_length", 1 << 16)?;
        let heads = self.heads(width)?;
        if self.header.unsigned(&self.key("expert_count")).is_some_and(|experts| experts > 0) {
            return Err("mixtures of experts are not supported yet".to_owned());
        }
        let epsilon = self.header.float(&self.key("attention.layer_norm_rms_epsilon"));
        let epsilon = epsilon.filter(|epsilon| (0.0..1.0).contains(epsilon));
        let base = self.float("rope.freq_base")?.unwrap_or(10_000.0);
        if base <= 1.0 {
            return Err(self.missing("rope.freq_base"));
        }
        let layers = self.number("block_count", 1 << 10)?;
        Ok(Shape {
            width,
            inner: self.number("feed_forward_length", 1 << 18)?,
            layers,
            vocabulary: self.header.texts("tokenizer.ggml.tokens").map_or(0, <[String]>::len),
            heads,
            turned: self.number("rope.dimension_count", heads.size).unwrap_or(heads.size),
            trained: self.number("context_length", 1 << 24)?,
            windows: self.windows(layers)?,
            epsilon: epsilon.ok_or_else(|| self.missing("attention.layer_norm_rms_epsilon"))? as f32,
            base,
        })
    }

    fn heads(&self, width: usize) -> Result<Heads, String> {
        let queries = self.number("attention.head_count", 1 << 10)?;
        let keys = self.number("attention.head_count_kv", 1 << 10).unwrap_or(queries);
        let size = self.number("attention.key_length", LONGEST_HEAD).unwrap_or(width / queries);
        if size == 0 || !queries.is_multiple_of(keys) {
            return Err("the numbers of heads do not fit together".to_owned());
        }
        if !size.is_multiple_of(16) || size > LONGEST_HEAD {
            return Err(format!("heads of {size} numbers are not supported; multiples of 16 up to 512 are"));
        }
        if self.number("attention.value_length", LONGEST_HEAD).is_ok_and(|values| values != size) {
            return Err("keys and values of different length are not supported yet".to_owned());
        }
        Ok(Heads { queries, keys, size })
    }

    fn windows(&self, layers: usize) -> Result<Vec<Option<usize>>, String> {
        let window = self.number("attention.sliding_window", 1 << 24);
        Ok(match self.name {
            "gemma3" => {
                let window = window?;
                (1..=layers).map(|layer| (layer % PATTERN != 0).then_some(window)).collect()
            }
            "phi3" => vec![window.ok(); layers],
            _ => vec![None; layers],
        })
    }
}
