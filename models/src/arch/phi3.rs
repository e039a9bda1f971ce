//! Phi-3 and Phi-3.5 from GGUF.
//!
//! Abdin and others, 2024: as Llama, with queries, keys and values in one matrix, gate and up in another, and, for long contexts,
//! frequencies divided by factors of their own (LongRoPE; Ding and others, 2024).

use super::reader::{Positions, Reader, Shape, Traits, context, query_scale};
use crate::error::LoadError;
use crate::layers::rope::{Rope, Turning};
use crate::pool::PoolOptions;
use crate::task::generate::StepTokens;
use crate::weights::GgufFile;

pub(super) fn load(file: &mut GgufFile, options: &PoolOptions) -> Result<Box<dyn StepTokens>, LoadError> {
    let mut reader = Reader::new(file, "phi3", options)?;
    let shape = reader.shape()?;
    let context = context(&shape, options);
    let traits = Traits { fused: true, ..Traits::PLAIN };
    let positions = positions(&mut reader, &shape, context, &traits)?;
    let scales = (1.0, query_scale(&shape));
    reader.decoder(&shape, &traits, context, positions, scales, options.sequences)
}

fn positions(reader: &mut Reader<'_>, shape: &Shape, context: usize, traits: &Traits) -> Result<Positions, LoadError> {
    // The file's words for the long factors are the tensors themselves; any other scaling is refused by name.
    let long = reader.file.has("rope_factors_long.weight");
    let stretch = if long { 1.0 } else { reader.stretch()? };
    let before = reader.number("rope.scaling.original_context_length", 1 << 24).unwrap_or(shape.trained);
    let name = if context > before { "rope_factors_long.weight" } else { "rope_factors_short.weight" };
    let factors = if long { Some(reader.file.vector(name, shape.turned / 2)?) } else { None };
    let size = reader.float("rope.scaling.attn_factor")?.unwrap_or(1.0);
    let turning = Turning { base: shape.base, stretch, factors: factors.as_deref(), size };
    let ropes = vec![Rope::new(shape.turned, context, traits.pairs, turning)];
    Ok(Positions { ropes, layers: shape.windows.iter().map(|window| (0, *window)).collect() })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_core::quantized::gguf_file::Content;
    use candle_transformers::models::quantized_phi3::ModelWeights;

    use crate::arch::tiny::{Tiny, same_logits};

    #[test]
    fn logits_are_those_of_candles_own_implementation_token_by_token() {
        let bytes = Tiny { name: "phi3", fused: true, ..Tiny::default() }.file(&[]);
        let mut reader = std::io::Cursor::new(&bytes);
        let content = Content::read(&mut reader).unwrap();
        let mut theirs = ModelWeights::from_gguf(false, content, &mut reader, &Device::Cpu).unwrap();
        same_logits(&bytes, 3e-3, |token, position| theirs.forward(token, position).unwrap());
    }
}
