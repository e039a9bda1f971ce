use candle_transformers::models::nomic_bert::{Config as TheirConfig, NomicBertModel};

use crate::arch::small::{self, Small, directory, gguf_file, input, load, options, pooled, same_vectors, sequences};
use crate::pool::{PoolOptions, Precision};
use crate::weights::gguf::tests::Scalar;

const CONFIG: &str = r#"{"model_type":"nomic_bert","vocab_size":40,"n_embd":32,"n_head":2,"n_layer":2,"n_inner":40,"n_positions":64,"type_vocab_size":2,"layer_norm_epsilon":1e-12,"rotary_emb_fraction":1.0,"rotary_emb_base":1000,"rotary_emb_interleaved":false,"qkv_proj_bias":false,"mlp_fc1_bias":false,"mlp_fc2_bias":false,"activation_function":"swiglu","prenorm":false,"use_rms_norm":false}"#;

fn small(bias: bool) -> Small {
    let mut small = Small::default();
    small.add("embeddings.word_embeddings.weight", &[40, 32], 0.0);
    small.add("embeddings.token_type_embeddings.weight", &[2, 32], 0.0);
    small.norm("emb_ln", 32, true);
    for layer in 0..2 {
        let name = |part: &str| format!("encoder.layers.{layer}.{part}");
        small.affine(&name("attn.Wqkv"), 96, 32, bias);
        small.affine(&name("attn.out_proj"), 32, 32, bias);
        small.affine(&name("mlp.fc11"), 40, 32, bias);
        small.affine(&name("mlp.fc12"), 40, 32, bias);
        small.affine(&name("mlp.fc2"), 32, 40, bias);
        small.norm(&name("norm1"), 32, true);
        small.norm(&name("norm2"), 32, true);
    }
    small
}

fn gguf_name(name: &str) -> String {
    [
        ("embeddings.word_embeddings", "token_embd"),
        ("embeddings.token_type_embeddings", "token_types"),
        ("emb_ln", "token_embd_norm"),
        ("encoder.layers.", "blk."),
        ("attn.Wqkv", "attn_qkv"),
        ("attn.out_proj", "attn_output"),
        ("mlp.fc11", "ffn_up"),
        ("mlp.fc12", "ffn_gate"),
        ("mlp.fc2", "ffn_down"),
        ("norm1", "attn_output_norm"),
        ("norm2", "layer_output_norm"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

#[test]
fn vectors_are_those_of_candles_own_implementation_with_biases_and_without() {
    let batch = sequences(64);
    for bias in [false, true] {
        let config = CONFIG.replace("bias\":false", &format!("bias\":{bias}"));
        let theirs: TheirConfig = serde_json::from_str(&config).unwrap();
        let theirs = NomicBertModel::load(small(bias).builder(""), &theirs).unwrap();
        let rows = |sequence| theirs.forward(&input(sequence), None, None).unwrap().squeeze(0).unwrap();
        let expected: Vec<Vec<f32>> = batch.iter().map(|sequence| pooled(&rows(sequence), false)).collect();
        let (_folder, model, manifest) = directory(&config, &small(bias).tensors("", &[]), &[]).unwrap();
        assert_eq!(manifest.embedding.unwrap().max_tokens, 64);
        same_vectors(&model, &batch, &expected);
    }
}

#[test]
fn a_file_in_gguf_gives_the_same_vectors_to_the_last_bit() {
    let batch = sequences(64);
    let (_folder, model, _) = directory(CONFIG, &small(false).tensors("", &[]), &[]).unwrap();
    let expected = load(&model, &options(2, Precision::Int8)).unwrap().encode(&batch).unwrap();
    let mut values = small::header("nomic-bert", [40, 2, 2, 64], 1e-12, 1);
    values.push(("nomic-bert.rope.freq_base".to_owned(), Scalar::Float(1000.0)));
    let small = small(false);
    let (_folder, model, _) = gguf_file(&small.gguf(&values, |name| (gguf_name(name), 0))).unwrap();
    assert_eq!(load(&model, &options(2, Precision::Int8)).unwrap().encode(&batch).unwrap(), expected);
}

#[test]
fn what_would_change_the_result_and_is_not_supported_is_refused_by_name() {
    for (from, to, word) in [
        ("swiglu", "gelu", "activation_function"),
        ("\"rotary_emb_fraction\":1.0", "\"rotary_emb_fraction\":0.5", "rotary_emb_fraction"),
        ("\"rotary_emb_interleaved\":false", "\"rotary_emb_interleaved\":true", "rotary_emb_interleaved"),
        ("\"prenorm\":false", "\"prenorm\":true", "prenorm"),
        ("\"prenorm\":false", "\"prenorm\":false,\"rotary_scaling_factor\":2.0", "rotary_scaling_factor"),
        ("\"use_rms_norm\":false", "\"use_rms_norm\":true", "use_rms_norm"),
        ("\"prenorm\":false", "\"prenorm\":false,\"num_experts\":8", "num_experts"),
        ("\"rotary_emb_base\":1000", "\"rotary_emb_base\":0", "rotary"),
        ("\"n_head\":2", "\"n_head\":3", "sizes"),
        ("\"n_layer\":2", "\"n_layer\":3", "encoder.layers.2"),
    ] {
        let (_folder, model, _) = directory(&CONFIG.replace(from, to), &small(false).tensors("", &[]), &[]).unwrap();
        let refusal = load(&model, &PoolOptions::default()).err().unwrap().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
}
