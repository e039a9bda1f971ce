//! Gemma 3 from GGUF, the text part.
//!
//! Gemma Team, 2025: normalisation before and after attention and feed-forward and of every head, GELU, five layers that see a window for
//! every one that sees all, with a slower rope in the latter.

use super::reader::{Positions, Reader, Shape, Traits, context};
use crate::error::LoadError;
use crate::kernel::rows::Curve;
use crate::layers::rope::{Rope, Turning};
use crate::pool::PoolOptions;
use crate::task::generate::StepTokens;
use crate::weights::GgufFile;

/// Base of the rope of the layers that see a window; files do not say so either.
const LOCAL_BASE: f64 = 10_000.0;
/// Layers of the 27B model, the one whose queries are scaled by width over heads instead of the length of a head.
const LARGEST: usize = 62;

pub(super) fn load(file: &mut GgufFile, options: &PoolOptions) -> Result<Box<dyn StepTokens>, LoadError> {
    let mut reader = Reader::new(file, "gemma3", options)?;
    let shape = reader.shape()?;
    let context = context(&shape, options);
    let traits = Traits { curve: Curve::GeluTanh, head_norms: true, after: true, ..Traits::PLAIN };
    let positions = positions(&mut reader, &shape, context, &traits)?;
    let squared = if shape.layers == LARGEST { shape.width / shape.heads.queries } else { shape.heads.size };
    let scales = ((shape.width as f32).sqrt(), 1.0 / (squared as f32).sqrt());
    reader.decoder(&shape, &traits, context, positions, scales, options.sequences)
}

fn positions(reader: &mut Reader<'_>, shape: &Shape, context: usize, traits: &Traits) -> Result<Positions, LoadError> {
    let turning = |base: f64, stretch: f64| Turning { base, stretch, factors: None, size: 1.0 };
    let base = reader.float("rope.freq_base")?.unwrap_or(1_000_000.0);
    let whole = Rope::new(shape.turned, context, traits.pairs, turning(base, reader.stretch()?));
    let local = Rope::new(shape.turned, context, traits.pairs, turning(LOCAL_BASE, 1.0));
    let layers = shape.windows.iter().map(|window| (usize::from(window.is_some()), *window));
    Ok(Positions { ropes: vec![whole, local], layers: layers.collect() })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use crate::arch::candle;
    use crate::arch::tiny::{Tiny, same_logits};
    use crate::weights::gguf::tests::Scalar;

    #[test]
    fn logits_are_those_of_candles_own_implementation_token_by_token() {
        let tiny = Tiny { name: "gemma3", head_norms: true, after: true, size: 32, layers: 7, ..Tiny::default() };
        let bytes = tiny.file(&[
            ("gemma3.attention.sliding_window", Scalar::Unsigned(8)),
            ("gemma3.rope.freq_base", Scalar::Float(1_000_000.0)),
        ]);
        let mut theirs = candle::gemma3(&bytes, &Device::Cpu);
        same_logits(&bytes, 3e-3, |token: &Tensor, position| theirs.forward(token, position).unwrap());
    }
}
