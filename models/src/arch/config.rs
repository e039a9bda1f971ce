//! `config.json`, as transformers writes it.

use serde::de::DeserializeOwned;

use crate::error::LoadError;
use crate::kernel::attention::LONGEST_HEAD;
use crate::manifest::FileKind;
use crate::registry::Verified;

/// Longest config.json.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

pub(super) fn refused(what: impl Into<String>) -> LoadError {
    LoadError::malformed("config.json", what)
}

/// Reads what an architecture needs of it.
pub(super) fn read<T: DeserializeOwned>(model: &Verified) -> Result<T, LoadError> {
    let mut file = model.first(FileKind::Config).ok_or_else(|| refused("it is missing"))?;
    let bytes = file.read_all(MAX_CONFIG_BYTES).map_err(|error| refused(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))
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

impl Numbers {
    /// Refuses numbers that no model can have. `highest` is the highest token that the tokenizer makes.
    pub(super) fn check(self, highest: u32) -> Result<Self, String> {
        let sizes = [self.width, self.inner, self.heads, self.positions, self.vocabulary];
        let most = [1 << 16, 1 << 18, 1 << 10, 1 << 20, 1 << 22];
        let fits = sizes.iter().zip(most).all(|(size, most)| (1..=most).contains(size));
        let fits =
            fits && self.layers <= 1 << 10 && self.kinds <= 1 << 10 && self.width.is_multiple_of(self.heads.max(1));
        let fits = fits && self.width / self.heads.max(1) <= LONGEST_HEAD;
        if !fits || !(0.0..1.0).contains(&self.epsilon) {
            return Err("its sizes do not fit together".to_owned());
        }
        if highest as usize >= self.vocabulary {
            return Err("the tokenizer knows more tokens than the model".to_owned());
        }
        Ok(self)
    }
}
