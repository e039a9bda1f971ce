//! Qwen 2, 2.5 and 3 from GGUF, the dense models.
//!
//! As Llama, with one thing more: Qwen 2 (Yang and others, 2024) has a bias on queries, keys and values, Qwen 3 (Yang and others,
//! 2025) normalises every head of queries and keys before it is turned.

use super::reader::{Reader, Traits, context, query_scale};
use crate::error::LoadError;
use crate::pool::PoolOptions;
use crate::task::generate::StepTokens;
use crate::weights::GgufFile;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// 2 and 2.5.
    Two,
    Three,
}

pub(super) fn load(file: &mut GgufFile, line: Line, options: &PoolOptions) -> Result<Box<dyn StepTokens>, LoadError> {
    let (name, traits) = match line {
        Line::Two => ("qwen2", Traits { bias: true, ..Traits::PLAIN }),
        Line::Three => ("qwen3", Traits { head_norms: true, ..Traits::PLAIN }),
    };
    let mut reader = Reader::new(file, name, options)?;
    let shape = reader.shape()?;
    let context = context(&shape, options);
    let positions = reader.plain_positions(&shape, context, traits.pairs)?;
    let scales = (1.0, query_scale(&shape));
    reader.decoder(&shape, &traits, context, positions, scales, options.sequences)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use candle_core::quantized::gguf_file::Content;
    use candle_transformers::models::{quantized_qwen2, quantized_qwen3};

    use crate::arch::tiny::{Tiny, same_logits};

    #[test]
    fn logits_of_the_second_line_are_those_of_candles_own_implementation_token_by_token() {
        let bytes = Tiny { name: "qwen2", bias: true, ..Tiny::default() }.file(&[]);
        let mut reader = std::io::Cursor::new(&bytes);
        let content = Content::read(&mut reader).unwrap();
        let mut theirs = quantized_qwen2::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
        same_logits(&bytes, 3e-3, |token, position| theirs.forward(token, position).unwrap());
    }

    #[test]
    fn logits_of_the_third_line_are_those_of_candles_own_implementation_token_by_token() {
        let bytes = Tiny { name: "qwen3", head_norms: true, size: 32, ..Tiny::default() }.file(&[]);
        let mut reader = std::io::Cursor::new(&bytes);
        let content = Content::read(&mut reader).unwrap();
        let mut theirs = quantized_qwen3::ModelWeights::from_gguf(content, &mut reader, &Device::Cpu).unwrap();
        same_logits(&bytes, 3e-3, |token, position| theirs.forward(token, position).unwrap());
    }
}
