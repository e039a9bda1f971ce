//! Architectures.
use crate::error::LoadError;
use crate::pool::PoolOptions;
use crate::pool::generate::LoadedGenerator;
use crate::registry::Verified;
use crate::task::embed::EncodeText;
use crate::tokenizer::Tokens;

pub(crate) struct LoadedEncoder {
    pub(crate) model: Box<dyn EncodeText>,
    pub(crate) tokens: Tokens,
}
pub(crate) fn load_embed(model: &Verified, _o: &PoolOptions) -> Result<LoadedEncoder, LoadError> {
    Err(LoadError::Architecture { name: model.manifest().architecture.clone(), known: "" })
}
pub(crate) fn load_generate(model: &Verified, _o: &PoolOptions) -> Result<LoadedGenerator, LoadError> {
    Err(LoadError::Architecture { name: model.manifest().architecture.clone(), known: "" })
}
