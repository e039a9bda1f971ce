//! The Llama family (Llama 1 to 3, SmolLM2, Mistral and their like) from GGUF.
//!
//! Touvron and others, 2023: RMS norm before attention and feed-forward, rotary positions, grouped heads, SwiGLU.

use super::reader::{Reader, Traits, context, query_scale};
use crate::error::LoadError;
use crate::layers::rope::Pairs;
use crate::pool::PoolOptions;
use crate::task::generate::StepTokens;
use crate::weights::GgufFile;

pub(super) fn load(file: &mut GgufFile, options: &PoolOptions) -> Result<Box<dyn StepTokens>, LoadError> {
    let mut reader = Reader::new(file, "llama", options)?;
    let shape = reader.shape()?;
    let context = context(&shape, options);
    let traits = Traits { pairs: Pairs::Neighbours, ..Traits::PLAIN };
    let positions = reader.plain_positions(&shape, context, traits.pairs)?;
    let scales = (1.0, query_scale(&shape));
    reader.decoder(&shape, &traits, context, positions, scales, options.sequences)
}

#[cfg(test)]
mod tests;
