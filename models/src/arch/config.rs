//! `config.json` of an encoder, as transformers writes it.

use serde::de::DeserializeOwned;

use crate::error::LoadError;
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
