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
    use std::collections::HashMap;

    use candle_core::quantized::gguf_file::Content;
    use candle_core::{DType, Device, Tensor};
    use candle_nn::{Activation, VarBuilder};
    use candle_transformers::models::gemma3::{Config, Model};

    use crate::arch::tiny::{Tiny, VOCABULARY, same_logits};
    use crate::weights::gguf::tests::Scalar;

    /// candle's quantised Gemma 3 takes the wrong curve (SiLU), so the one for floats is the reference. Its names are transformers', and
    /// its normalisations are stored less one.
    fn theirs(bytes: &[u8], tiny: &Tiny) -> Model {
        let mut reader = std::io::Cursor::new(bytes);
        let content = Content::read(&mut reader).unwrap();
        let mut tensors = HashMap::new();
        for name in content.tensor_infos.keys() {
            let tensor = content.tensor(&mut reader, name, &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
            let tensor = if name.contains("norm") { (tensor - 1.0).unwrap() } else { tensor };
            let mut theirs = format!("model.{name}");
            for (from, to) in [
                ("token_embd", "embed_tokens"),
                ("output_norm", "norm"),
                ("blk.", "layers."),
                ("attn_q_norm", "self_attn.q_norm"),
                ("attn_k_norm", "self_attn.k_norm"),
                ("attn_q.", "self_attn.q_proj."),
                ("attn_k.", "self_attn.k_proj."),
                ("attn_v.", "self_attn.v_proj."),
                ("attn_output", "self_attn.o_proj"),
                ("post_attention_norm", "post_attention_layernorm"),
                ("attn_norm", "input_layernorm"),
                ("post_ffw_norm", "post_feedforward_layernorm"),
                ("ffn_norm", "pre_feedforward_layernorm"),
                ("ffn_gate", "mlp.gate_proj"),
                ("ffn_up", "mlp.up_proj"),
                ("ffn_down", "mlp.down_proj"),
            ] {
                theirs = theirs.replace(from, to);
            }
            tensors.insert(theirs, tensor);
        }
        let config = Config {
            attention_bias: false,
            head_dim: tiny.size,
            hidden_activation: Activation::GeluPytorchTanh,
            hidden_size: 64,
            intermediate_size: 96,
            num_attention_heads: 4,
            num_hidden_layers: tiny.layers,
            num_key_value_heads: 2,
            rms_norm_eps: 1e-5,
            rope_theta: 1_000_000.0,
            rope_local_base_freq: 10_000.0,
            vocab_size: VOCABULARY,
            final_logit_softcapping: None,
            attn_logit_softcapping: None,
            query_pre_attn_scalar: tiny.size,
            sliding_window: 8,
            sliding_window_pattern: 6,
            max_position_embeddings: 512,
        };
        Model::new(false, &config, VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)).unwrap()
    }

    #[test]
    fn logits_are_those_of_candles_own_implementation_token_by_token() {
        let tiny = Tiny { name: "gemma3", head_norms: true, after: true, size: 32, layers: 7, ..Tiny::default() };
        let bytes = tiny.file(&[
            ("gemma3.attention.sliding_window", Scalar::Unsigned(8)),
            ("gemma3.rope.freq_base", Scalar::Float(1_000_000.0)),
        ]);
        let mut theirs = theirs(&bytes, &tiny);
        same_logits(&bytes, 3e-3, |token: &Tensor, position| theirs.forward(token, position).unwrap());
    }
}
