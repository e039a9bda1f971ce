use candle_core::Tensor;
use candle_transformers::models::modernbert::{Config as TheirConfig, ModernBert};

use crate::arch::small::{
    self, Small, WITHIN, directory, gguf_file, input, load, near, options, pooled, same_vectors, sequences,
};
use crate::manifest::Task;
use crate::pool::{PoolOptions, Precision};
use crate::task::embed::Sequence;
use crate::weights::gguf::tests::Scalar;

/// Four layers, of which the first and the last see everything, the others eight tokens on either side.
const CONFIG: &str = r#"{"model_type":"modernbert","vocab_size":40,"hidden_size":32,"num_hidden_layers":4,"num_attention_heads":2,"intermediate_size":40,"max_position_embeddings":64,"norm_eps":1e-5,"layer_norm_eps":1e-5,"pad_token_id":0,"global_attn_every_n_layers":3,"global_rope_theta":160000.0,"local_attention":16,"local_rope_theta":10000.0,"hidden_activation":"gelu"}"#;
const HEADS: [&str; 2] = ["head.", "classifier"];

fn small() -> Small {
    let mut small = Small::default();
    small.add("embeddings.tok_embeddings.weight", &[40, 32], 0.0);
    small.norm("embeddings.norm", 32, false);
    for layer in 0..4 {
        let name = |part: &str| format!("layers.{layer}.{part}");
        if layer > 0 {
            small.norm(&name("attn_norm"), 32, false);
        }
        small.affine(&name("attn.Wqkv"), 96, 32, false);
        small.affine(&name("attn.Wo"), 32, 32, false);
        small.norm(&name("mlp_norm"), 32, false);
        small.affine(&name("mlp.Wi"), 80, 32, false);
        small.affine(&name("mlp.Wo"), 32, 40, false);
    }
    small.norm("final_norm", 32, false);
    small
}

/// Published files hold both names of the epsilon; candle takes one.
fn config() -> String {
    CONFIG.to_owned()
}

fn theirs() -> ModernBert {
    let config: TheirConfig = serde_json::from_str(&CONFIG.replace("\"norm_eps\":1e-5,", "")).unwrap();
    ModernBert::load(small().builder("model."), &config).unwrap()
}

fn rows(model: &ModernBert, sequence: &Sequence) -> Tensor {
    let input = input(sequence);
    model.forward(&input, &input.ones_like().unwrap()).unwrap().squeeze(0).unwrap()
}

fn gguf_name(name: &str) -> String {
    [
        ("embeddings.tok_embeddings", "token_embd"),
        ("embeddings.norm", "token_embd_norm"),
        ("final_norm", "output_norm"),
        ("layers.", "blk."),
        ("attn.Wqkv", "attn_qkv"),
        ("attn.Wo", "attn_output"),
        ("mlp.Wi", "ffn_up"),
        ("mlp.Wo", "ffn_down"),
        ("mlp_norm", "ffn_norm"),
        ("head.dense", "cls"),
        ("head.norm", "cls.norm"),
        ("classifier", "cls.output"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

#[test]
fn vectors_are_those_of_candles_own_implementation_under_either_prefix() {
    let batch = sequences(64);
    let theirs = theirs();
    let expected: Vec<Vec<f32>> = batch.iter().map(|sequence| pooled(&rows(&theirs, sequence), false)).collect();
    for prefix in ["model.", ""] {
        let (_folder, model, _) = directory(&config(), &small().tensors(prefix, &[]), &[]).unwrap();
        same_vectors(&model, &batch, &expected);
    }
}

#[test]
fn the_layers_and_ropes_of_a_newer_config_are_read() {
    let newer = config()
        .replace("\"global_attn_every_n_layers\":3,\"global_rope_theta\":160000.0,", "")
        .replace("\"local_rope_theta\":10000.0", r#""layer_types":["full_attention","sliding_attention","sliding_attention","full_attention"],"rope_parameters":{"full_attention":{"rope_theta":160000.0,"rope_type":"default"},"sliding_attention":{"rope_theta":10000.0,"rope_type":"default"}}"#);
    let batch = sequences(64);
    let vectors = |config: &str| {
        let (_folder, model, _) = directory(config, &small().tensors("model.", &[]), &[]).unwrap();
        load(&model, &options(2, Precision::Int8)).map(|mut model| model.encode(&batch).unwrap())
    };
    assert_eq!(vectors(&newer).unwrap(), vectors(&config()).unwrap());
    // A null local base is the other one.
    let null = config().replace("\"local_rope_theta\":10000.0", "\"local_rope_theta\":null");
    let same = config().replace("\"local_rope_theta\":10000.0", "\"local_rope_theta\":160000.0");
    assert_eq!(vectors(&null).unwrap(), vectors(&same).unwrap());
    for (from, to, word) in [
        ("\"rope_type\":\"default\"", "\"rope_type\":\"yarn\"", "yarn"),
        ("\"full_attention\",\"sliding_attention\",", "\"full_attention\",", "layer_types"),
        ("\"hidden_activation\":\"gelu\"", "\"hidden_activation\":\"relu\"", "relu"),
        ("\"sliding_attention\",", "\"chunked_attention\",", "chunked_attention"),
    ] {
        let refusal = vectors(&newer.replace(from, to)).err().unwrap().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
}

fn header(pooling: u32) -> Vec<(String, Scalar)> {
    let mut values = small::header("modern-bert", [40, 4, 2, 64], 1e-5, pooling);
    values.push(("modern-bert.attention.sliding_window".to_owned(), Scalar::Unsigned(16)));
    values.push(("modern-bert.rope.freq_base".to_owned(), Scalar::Float(160_000.0)));
    values
}

#[test]
fn a_file_in_gguf_gives_the_same_vectors_to_the_last_bit_with_either_curve() {
    let batch = sequences(64);
    for curve in ["gelu", "silu"] {
        let config = config().replace("\"gelu\"", &format!("\"{curve}\""));
        let (_folder, model, _) = directory(&config, &small().tensors("", &[]), &[]).unwrap();
        let expected = load(&model, &options(2, Precision::Int8)).unwrap().encode(&batch).unwrap();
        let mut values = header(1);
        values.push(("modern-bert.hidden_activation".to_owned(), Scalar::Text(curve.to_owned())));
        let (_folder, model, _) = gguf_file(&small().gguf(&values, |name| (gguf_name(name), 0))).unwrap();
        assert_eq!(load(&model, &options(2, Precision::Int8)).unwrap().encode(&batch).unwrap(), expected);
    }
}

#[test]
fn a_cross_encoder_scores_by_its_head_whatever_its_pooling() {
    let mut small = small();
    small.affine("head.dense", 32, 32, false);
    small.norm("head.norm", 32, false);
    small.affine("classifier", 1, 32, true);
    let sequence = Sequence::one(vec![1, 5, 2, 7, 8, 9, 2]);
    let rows = rows(&theirs(), &sequence);
    for (pooling, row) in [("cls", rows.get(0).unwrap()), ("mean", rows.mean(0).unwrap())] {
        let dense = row.unsqueeze(0).unwrap().matmul(&small.tensor("head.dense.weight").t().unwrap()).unwrap();
        let dense: Vec<f32> = dense.gelu_erf().unwrap().squeeze(0).unwrap().to_vec1().unwrap();
        let mean = dense.iter().sum::<f32>() / 32.0;
        let variance = dense.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 32.0;
        let norm: Vec<f32> = small.tensor("head.norm.weight").to_vec1().unwrap();
        let last: Vec<f32> = small.tensor("classifier.weight").flatten_all().unwrap().to_vec1().unwrap();
        let bias: Vec<f32> = small.tensor("classifier.bias").to_vec1().unwrap();
        let normalised = dense.iter().zip(norm).map(|(x, weight)| (x - mean) / (variance + 1e-5).sqrt() * weight);
        let expected = normalised.zip(last).map(|(x, weight)| x * weight).sum::<f32>() + bias[0];
        let head = r#"{"architectures":["ModernBertForSequenceClassification"],"num_labels":1,"classifier_pooling":"POOLING","#;
        let config = config().replacen('{', &head.replace("POOLING", pooling), 1);
        let mut values = header(4);
        let kind = if pooling == "cls" { 2 } else { 1 };
        values.push(("modern-bert.classifier.pooling_type".to_owned(), Scalar::Unsigned(kind)));
        let gguf = gguf_file(&small.gguf(&values, |name| (gguf_name(name), 0))).unwrap();
        for model in [directory(&config, &small.tensors("model.", &HEADS), &[]).unwrap(), gguf] {
            let (_folder, model, manifest) = model;
            assert_eq!(manifest.task, Task::Rerank);
            for (precision, within) in WITHIN {
                let mut model = load(&model, &options(1, precision)).unwrap();
                near(&model.encode(std::slice::from_ref(&sequence)).unwrap()[0], &[expected], within * 10.0);
            }
        }
    }
}

#[test]
fn a_size_that_does_not_fit_is_refused_by_name() {
    for (from, to, word) in [
        ("\"num_attention_heads\":2", "\"num_attention_heads\":5", "sizes"),
        ("\"num_hidden_layers\":4", "\"num_hidden_layers\":5", "layers.4"),
        ("\"global_rope_theta\":160000.0", "\"global_rope_theta\":0.0", "rotary"),
        ("\"num_hidden_layers\":4", "\"num_hidden_layers\":1000000000000", "sizes"),
        ("\"vocab_size\":40", "\"vocab_size\":39", "tokenizer"),
    ] {
        let (_folder, model, _) = directory(&config().replace(from, to), &small().tensors("", &[]), &[]).unwrap();
        let refusal = load(&model, &PoolOptions::default()).err().unwrap().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
}
