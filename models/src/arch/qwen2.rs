//! Qwen 2 and 2.5 from GGUF.
//!
//! Yang and others, 2024: as Llama, with a bias on queries, keys and values.

use super::reader::{Reader, Traits, context, query_scale};
use crate::error::LoadError;
use crate::layers::decoder::Decoder;
use crate::pool::PoolOptions;
use crate::weights::GgufFile;

pub(super) fn load(file: &mut GgufFile, options: &PoolOptions) -> Result<Decoder, LoadError> {
    let mut reader = Reader::new(file, "qwen2", options)?;
    let shape = reader.shape()?;
    let context = context(&shape, options);
    let traits = Traits { bias: true, ..Traits::PLAIN };
    let positions = reader.plain_positions(&shape, context, traits.pairs)?;
    let scales = (1.0, query_scale(&shape));
    reader.decoder(&shape, &traits, context, positions, scales, options.sequences)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_core::quantized::gguf_file::Content;
    use candle_transformers::models::quantized_qwen2::ModelWeights;

    use crate::arch::tiny::{Tiny, same_logits};

    #[test]
    fn logits_are_those_of_candles_own_implementation_token_by_token() {
        let bytes = Tiny { name: "qwen2", bias: true, ..Tiny::default() }.file(&[]);
        let mut reader = std::io::Cursor::new(&bytes);
        let content = Content::read(&mut reader).unwrap();
        let mut theirs = ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
        same_logits(&bytes, 3e-3, |token, position| theirs.forward(token, position).unwrap());
    }
}
