//! candle's own models, which tests hold ours against.

use std::collections::HashMap;
use std::io::Cursor;

use candle_core::quantized::gguf_file::{Content, Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::gemma3::{Config, Model};
use candle_transformers::models::quantized_llama::ModelWeights;

/// Positions that a reference has room for; its tables and caches grow with them.
const POSITIONS: usize = 1024;

pub(crate) fn content(bytes: &[u8]) -> (Cursor<&[u8]>, Content) {
    let mut reader = Cursor::new(bytes);
    let content = Content::read(&mut reader).unwrap();
    (reader, content)
}

pub(crate) fn llama(bytes: &[u8], device: &Device) -> ModelWeights {
    let (mut reader, content) = content(bytes);
    ModelWeights::from_gguf(content, &mut reader, device).unwrap()
}

/// The same file with other formats: `kind` names them by the number of a tensor's sides.
pub(crate) fn rewritten(bytes: &[u8], kind: impl Fn(usize) -> GgmlDType) -> Vec<u8> {
    let (mut reader, content) = content(bytes);
    let names: Vec<String> = content.tensor_infos.keys().cloned().collect();
    let tensors: Vec<(String, QTensor)> = names
        .into_iter()
        .map(|name| {
            let tensor = content.tensor(&mut reader, &name, &Device::Cpu).unwrap();
            let floats = tensor.dequantize(&Device::Cpu).unwrap();
            let tensor = QTensor::quantize(&floats, kind(floats.dims().len())).unwrap();
            (name, tensor)
        })
        .collect();
    let values: Vec<(&str, &Value)> = content
        .metadata
        .iter()
        .filter(|(key, _)| *key != "tokenizer.ggml.merges")
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = Cursor::new(Vec::new());
    write(&mut file, &values, &tensors).unwrap();
    file.into_inner()
}

/// candle's quantised Gemma 3 takes the wrong curve (SiLU), so the one for floats is the reference, with the file's weights as
/// floats. Its names are transformers', and its normalisations are stored less one.
pub(crate) fn gemma3(bytes: &[u8], device: &Device) -> Model {
    let (mut reader, content) = content(bytes);
    let mut tensors = HashMap::new();
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(&mut reader, name, device).unwrap().dequantize(device).unwrap();
        let tensor = if name.contains("norm") { (tensor - 1.0).unwrap() } else { tensor };
        tensors.insert(transformers(name), tensor);
    }
    let value = |key: &str| content.metadata.get(&format!("gemma3.{key}")).unwrap();
    let number = |key: &str| value(key).to_u32().unwrap() as usize;
    let vocabulary = content.tensor_infos.get("token_embd.weight").unwrap().shape.dims()[0];
    let config = Config {
        attention_bias: false,
        head_dim: number("attention.key_length"),
        hidden_activation: Activation::GeluPytorchTanh,
        hidden_size: number("embedding_length"),
        intermediate_size: number("feed_forward_length"),
        num_attention_heads: number("attention.head_count"),
        num_hidden_layers: number("block_count"),
        num_key_value_heads: number("attention.head_count_kv"),
        rms_norm_eps: f64::from(value("attention.layer_norm_rms_epsilon").to_f32().unwrap()),
        rope_theta: f64::from(value("rope.freq_base").to_f32().unwrap()),
        rope_local_base_freq: 10_000.0,
        vocab_size: vocabulary,
        final_logit_softcapping: None,
        attn_logit_softcapping: None,
        query_pre_attn_scalar: number("attention.key_length"),
        sliding_window: number("attention.sliding_window"),
        sliding_window_pattern: super::shape::PATTERN,
        max_position_embeddings: number("context_length").min(POSITIONS),
    };
    Model::new(false, &config, VarBuilder::from_tensors(tensors, DType::F32, device)).unwrap()
}

fn transformers(name: &str) -> String {
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
    theirs
}

/// What follows one token of each of some sequences: a row of logits for each.
pub(crate) type Step = Box<dyn FnMut(&Tensor, usize) -> candle_core::Result<Tensor>>;

/// Everything of candle's that runs this file, by name.
pub(crate) fn references(architecture: &str, bytes: &[u8], device: &Device) -> Vec<(&'static str, Step)> {
    match architecture {
        "llama" => {
            let (mut quantised, mut floats) =
                (llama(bytes, device), llama(&rewritten(bytes, |_| GgmlDType::F32), device));
            let quantised: Step = Box::new(move |input, position| quantised.forward(input, position));
            let floats: Step = Box::new(move |input, position| floats.forward(input, position));
            vec![("candle", quantised), ("candle in floats", floats)]
        }
        "gemma3" => {
            let mut floats = gemma3(bytes, device);
            let step: Step = Box::new(move |input, position| {
                if position == 0 {
                    floats.clear_kv_cache();
                }
                floats.forward(input, position)
            });
            vec![("candle in floats", step)]
        }
        other => panic!("candle is not asked about {other} here"),
    }
}
