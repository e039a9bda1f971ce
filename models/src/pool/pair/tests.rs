use std::collections::HashMap;
use std::time::Duration;

use candle_core::Tensor;

use super::*;
use crate::arch::small::{Small, WITHIN, directory, options};
use crate::pool::RerankPool;

const CONFIG: &str = r#"{"model_type":"bert","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":48,"hidden_act":"gelu","max_position_embeddings":16,"type_vocab_size":2,"layer_norm_eps":1e-12,"pad_token_id":0}"#;
const MATRICES: [&str; 6] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
];
const KINDS: &str = "embeddings.token_type_embeddings.weight";

/// An adapter of rank 2 with `outputs` outputs.
fn adapter(outputs: usize) -> Small {
    let mut small = Small::default();
    for layer in 0..2 {
        for matrix in MATRICES {
            let (rows, columns) = match matrix {
                "intermediate.dense" => (48, 32),
                "output.dense" => (32, 48),
                _ => (32, 32),
            };
            small.add(format!("encoder.layer.{layer}.{matrix}.lora_A.weight"), &[2, columns], 0.0);
            small.add(format!("encoder.layer.{layer}.{matrix}.lora_B.weight"), &[rows, 2], 0.0);
        }
    }
    small.add(KINDS, &[2, 32], 0.0);
    small.affine("pooler.dense", 32, 32, true);
    small.affine("classifier", outputs, 32, true);
    small
}

fn file(small: &Small) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.safetensors");
    candle_core::safetensors::save(&small.tensors("", &[]), &path).unwrap();
    std::fs::read(path).unwrap()
}

/// The same as a cross-encoder with a file of its own: the additions made by candle.
fn merged(adapter: &Small) -> HashMap<String, Tensor> {
    let mut tensors = Small::bert(2, 16).tensors("bert.", &[]);
    let adapter = adapter.tensors("", &[]);
    for (name, up) in &adapter {
        let Some(matrix) = name.strip_suffix(".lora_B.weight") else { continue };
        let added = up.matmul(&adapter[&format!("{matrix}.lora_A.weight")]).unwrap();
        let whole = tensors.get_mut(&format!("bert.{matrix}.weight")).unwrap();
        *whole = (&*whole + added).unwrap();
    }
    let kinds = tensors.get_mut(&format!("bert.{KINDS}")).unwrap();
    *kinds = (&*kinds + &adapter[KINDS]).unwrap();
    for (name, tensor) in adapter {
        match name.strip_prefix("pooler.") {
            Some(name) => drop(tensors.insert(format!("bert.pooler.{name}"), tensor)),
            None if name.starts_with("classifier") => drop(tensors.insert(name, tensor)),
            None => {}
        }
    }
    tensors
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn an_adapted_embedder_reads_pairs_as_the_cross_encoder_does_that_its_adapter_was_merged_into() {
    let adapter = adapter(1);
    let (_folder, model, _) = directory(CONFIG, &Small::bert(2, 16).tensors("", &[]), &[]).unwrap();
    let cross = CONFIG.replacen('{', r#"{"architectures":["BertForSequenceClassification"],"num_labels":1,"#, 1);
    let (_other, whole, _) = directory(&cross, &merged(&adapter), &[]).unwrap();
    let texts: Vec<String> = (4..30).map(|n| format!("w{n} w{}", n + 3)).collect();
    let pairs: Vec<(String, String)> = texts.iter().map(|text| ("w5 w6".to_owned(), text.clone())).collect();
    let expected = RerankPool::start(whole, &options(1, WITHIN[0].0)).unwrap();
    let expected = expected.rerank_blocking("w5 w6", &texts, soon()).unwrap();
    for (precision, within) in WITHIN {
        let pool = PairPool::start(&model, &file(&adapter), &options(2, precision)).unwrap();
        let found = pool.read_blocking(&pairs, soon()).unwrap();
        assert_eq!((pool.outputs(), found.tokens), (1, expected.tokens));
        for (outputs, score) in found.vectors.iter().zip(&expected.scores) {
            let own = 1.0 / (1.0 + (-outputs[0]).exp());
            assert!((own - score).abs() < within, "{own} {score}");
        }
    }
    assert!(expected.scores.iter().any(|score| (score - expected.scores[0]).abs() > 0.01), "all alike");
}

#[test]
fn outputs_come_in_the_order_of_the_pairs_whatever_they_are_read_beside() {
    let (_folder, model, _) = directory(CONFIG, &Small::bert(2, 16).tensors("", &[]), &[]).unwrap();
    let pool = PairPool::start(&model, &file(&adapter(3)), &PoolOptions::default()).unwrap();
    let pairs: Vec<(String, String)> =
        (4..20).map(|n| (format!("w{}", n / 3 + 4), format!("w{n} w{}", n + 3))).collect();
    let all = pool.read_blocking(&pairs, soon()).unwrap();
    for (pair, outputs) in pairs.iter().zip(&all.vectors) {
        assert_eq!(outputs.len(), 3);
        assert_eq!(&pool.read_blocking(std::slice::from_ref(pair), soon()).unwrap().vectors[0], outputs);
    }
    assert!(pool.read_blocking(&[], soon()).unwrap().vectors.is_empty());
    let long = [8, 9, 400].map(|words| ("w5 ".repeat(words), "w6".to_owned()));
    let found = pool.read_blocking(&long, soon()).unwrap();
    assert_eq!((&found.vectors[1], &found.vectors[2]), (&found.vectors[0], &found.vectors[0]));
    let long = [40, 400].map(|words| ("w5".to_owned(), "w6 ".repeat(words)));
    let found = pool.read_blocking(&long, soon()).unwrap();
    assert_eq!((&found.vectors[0], found.tokens), (&found.vectors[1], 32));
}

#[test]
fn an_adapter_of_another_model_and_a_model_that_takes_none_are_refused() {
    let (_folder, model, _) = directory(CONFIG, &Small::bert(2, 16).tensors("", &[]), &[]).unwrap();
    let mut other = Small::default();
    other.affine("pooler.dense", 64, 64, true);
    other.affine("classifier", 1, 64, true);
    let mut deeper = adapter(1);
    deeper.add("encoder.layer.2.output.dense.lora_A.weight", &[2, 48], 0.0);
    for bytes in [file(&other), file(&deeper), b"no file of tensors".to_vec(), Vec::new()] {
        let refusal = PairPool::start(&model, &bytes, &PoolOptions::default()).err().unwrap().to_string();
        assert!(refusal.contains("the adapter"), "{refusal}");
    }
    let cross = CONFIG.replacen('{', r#"{"architectures":["BertForSequenceClassification"],"num_labels":1,"#, 1);
    let (_other, whole, _) = directory(&cross, &merged(&adapter(1)), &[]).unwrap();
    let refusal = PairPool::start(&whole, &file(&adapter(1)), &PoolOptions::default()).err().unwrap().to_string();
    assert!(refusal.contains("`rerank`"), "{refusal}");
}
