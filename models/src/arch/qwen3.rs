//! Qwen 3 from GGUF, the dense models.
//!
//! Yang and others, 2025: as Llama, with every head of queries and keys normalised before it is turned.

use super::reader::{Reader, Traits, context, query_scale};
use crate::error::LoadError;
use crate::layers::decoder::Decoder;
use crate::pool::PoolOptions;
use crate::weights::GgufFile;

pub(super) fn load(file: &mut GgufFile, options: &PoolOptions) -> Result<Decoder, LoadError> {
    let mut reader = Reader::new(file, "qwen3", options)?;
    let shape = reader.shape()?;
    let context = context(&shape, options);
    let traits = Traits { head_norms: true, ..Traits::PLAIN };
    let positions = reader.plain_positions(&shape, context, traits.pairs)?;
    let scales = (1.0, query_scale(&shape));
    reader.decoder(&shape, &traits, context, positions, scales, options.sequences)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_core::quantized::gguf_file::Content;
    use candle_transformers::models::quantized_qwen3::ModelWeights;

    use crate::arch::tiny::{Tiny, same_logits};

    #[test]
    fn logits_are_those_of_candles_own_implementation_token_by_token() {
        let bytes = Tiny { name: "qwen3", head_norms: true, size: 32, ..Tiny::default() }.file(&[]);
        let mut reader = std::io::Cursor::new(&bytes);
        let content = Content::read(&mut reader).unwrap();
        let mut theirs = ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
        same_logits(&bytes, 3e-3, |token, position| theirs.forward(token, position).unwrap());
    }
}
