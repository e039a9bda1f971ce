use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config as TheirConfig};
use candle_transformers::models::xlm_roberta::{Config as TheirRoberta, XLMRobertaModel};

use super::*;
use crate::pool::Instructions;
use crate::registry::{Import, Registry};

const CONFIG: &str = r#"{"model_type":"bert","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":4,"intermediate_size":48,"hidden_act":"gelu","hidden_dropout_prob":0.1,"max_position_embeddings":32,"type_vocab_size":2,"initializer_range":0.02,"layer_norm_eps":1e-12,"pad_token_id":0,"position_embedding_type":"absolute"}"#;

fn tensors(prefix: &str) -> HashMap<String, Tensor> {
    let mut seed = 0u64;
    let mut out = HashMap::new();
    let mut add = |name: &str, shape: &[usize], around: f32| {
        let count: usize = shape.iter().product();
        let numbers: Vec<f32> = (0..count)
            .map(|_| {
                seed += 1;
                around + (crate::sampling::unit(3, seed) as f32 - 0.5) * 0.4
            })
            .collect();
        out.insert(format!("{prefix}{name}"), Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap());
    };
    for (name, rows) in [("word", 40), ("position", 32), ("token_type", 2)] {
        add(&format!("embeddings.{name}_embeddings.weight"), &[rows, 32], 0.0);
    }
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..2 {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        for (part, rows, columns) in [
            ("attention.self.query", 32, 32),
            ("attention.self.key", 32, 32),
            ("attention.self.value", 32, 32),
            ("attention.output.dense", 32, 32),
            ("intermediate.dense", 48, 32),
            ("output.dense", 32, 48),
        ] {
            add(&format!("{}.weight", name(part)), &[rows, columns], 0.0);
            add(&format!("{}.bias", name(part)), &[rows], 0.0);
        }
        norms.extend([name("attention.output.LayerNorm"), name("output.LayerNorm")]);
    }
    for norm in norms {
        add(&format!("{norm}.weight"), &[32], 1.0);
        add(&format!("{norm}.bias"), &[32], 0.0);
    }
    out
}

fn tokenizer() -> String {
    let vocab: Vec<String> = (0..40)
        .map(|n| {
            format!(
                "\"{}\":{n}",
                ["[PAD]", "[CLS]", "[SEP]", "[UNK]"].get(n).map_or(format!("w{n}"), |s| (*s).to_owned())
            )
        })
        .collect();
    format!(
        r###"{{"version":"1.0","truncation":{{"max_length":8,"strategy":"LongestFirst","stride":0,"direction":"Right"}},"padding":null,"added_tokens":[{{"id":1,"content":"[CLS]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}},{{"id":2,"content":"[SEP]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}},{{"id":3,"content":"[UNK]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}],"normalizer":null,"pre_tokenizer":{{"type":"BertPreTokenizer"}},"post_processor":{{"type":"TemplateProcessing","single":[{{"SpecialToken":{{"id":"[CLS]","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}},{{"SpecialToken":{{"id":"[SEP]","type_id":0}}}}],"pair":[],"special_tokens":{{"[CLS]":{{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]}},"[SEP]":{{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}}}}},"decoder":null,"model":{{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{{{}}}}}}}"###,
        vocab.join(",")
    )
}

/// A directory as people download it, imported.
fn imported(config: &str, prefix: &str, pooling: Option<&str>) -> (tempfile::TempDir, Verified) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tiny");
    std::fs::create_dir_all(source.join("1_Pooling")).unwrap();
    candle_core::safetensors::save(&tensors(prefix), source.join("model.safetensors")).unwrap();
    std::fs::write(source.join("config.json"), config).unwrap();
    std::fs::write(source.join("tokenizer.json"), tokenizer()).unwrap();
    if let Some(pooling) = pooling {
        std::fs::write(source.join("1_Pooling/config.json"), pooling).unwrap();
        std::fs::write(source.join("sentence_bert_config.json"), r#"{"max_seq_length": 16}"#).unwrap();
    }
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let manifest = registry.import(&source, &Import::default()).unwrap();
    let verified = registry.verify(&manifest.name).unwrap();
    (folder, verified)
}

/// The options of `threads` and `precision`, with everything else as it comes.
fn options(threads: usize, precision: Precision) -> PoolOptions {
    PoolOptions { threads, precision, ..PoolOptions::default() }
}

fn load(config: &str, prefix: &str, pooling: Option<&str>, options: &PoolOptions) -> Result<Bert, LoadError> {
    let (_folder, model) = imported(config, prefix, pooling);
    Bert::load(&model, 39, options)
}

/// What candle's own BERT says, pooled and normalised here.
fn expected(sequence: &[u32], cls: bool) -> Vec<f32> {
    let config: TheirConfig = serde_json::from_str(CONFIG).unwrap();
    let builder = VarBuilder::from_tensors(tensors(""), DType::F32, &Device::Cpu);
    let theirs = BertModel::load(builder, &config).unwrap();
    let input = Tensor::new(sequence, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let rows = theirs.forward(&input, &input.zeros_like().unwrap(), None).unwrap().squeeze(0).unwrap();
    pooled(&rows, cls)
}

/// Vectors of tokens made one, of length one.
fn pooled(rows: &Tensor, cls: bool) -> Vec<f32> {
    let pooled = if cls { rows.get(0).unwrap() } else { rows.mean(0).unwrap() };
    let pooled: Vec<f32> = pooled.to_vec1().unwrap();
    let length = pooled.iter().map(|x| x * x).sum::<f32>().sqrt();
    pooled.iter().map(|x| x / length).collect()
}

/// `within` is the largest difference of one number.
fn near(found: &[f32], expected: &[f32], within: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < within, "{found} {expected}");
    }
}

/// What a difference of one number may be: rounding of floats, and rounding to 8 bits in vectors of 32 numbers.
const WITHIN: [(Precision, f32); 2] = [(Precision::Float32, 1e-5), (Precision::Int8, 6e-3)];

#[test]
fn vectors_are_those_of_candles_own_implementation_whatever_the_batch_and_the_threads() {
    let sequence = |n: u32| (0..2 + n * 7 % 29).map(|i| (n * 13 + i * 5) % 40).collect::<Vec<u32>>();
    let mut batch: Vec<Vec<u32>> = (0..60).map(sequence).collect();
    batch.extend([vec![1, 5, 6, 7, 2], vec![1], (0..32).collect()]);
    let expected: Vec<Vec<f32>> = batch.iter().map(|sequence| expected(sequence, false)).collect();
    for (precision, within) in WITHIN {
        let mut one = load(CONFIG, "", None, &options(1, precision)).unwrap();
        let together = one.encode(&batch).unwrap();
        for ((sequence, vector), expected) in batch.iter().zip(&together).zip(&expected) {
            near(vector, expected, within);
            assert_eq!(&one.encode(std::slice::from_ref(sequence)).unwrap()[0], vector);
        }
        let mut three = load(CONFIG, "", None, &options(3, precision)).unwrap();
        assert_eq!(three.encode(&batch).unwrap(), together);
        for (sequence, vector) in batch.iter().zip(&together) {
            assert_eq!(&three.encode(std::slice::from_ref(sequence)).unwrap()[0], vector);
        }
    }
}

#[test]
fn roberta_counts_its_positions_from_the_padding_token_on() {
    let config = CONFIG.replace("\"bert\"", "\"xlm-roberta\"").replace("\"pad_token_id\":0", "\"pad_token_id\":1");
    let theirs: TheirRoberta =
        serde_json::from_str(&config.replace('{', "{\"attention_probs_dropout_prob\":0.1,")).unwrap();
    let builder = VarBuilder::from_tensors(tensors(""), DType::F32, &Device::Cpu);
    let theirs = XLMRobertaModel::new(&theirs, builder).unwrap();
    for prefix in ["", "roberta."] {
        for (precision, within) in WITHIN {
            let mut model = load(&config, prefix, None, &options(1, precision)).unwrap();
            assert_eq!(model.max_tokens(), 30);
            for length in [1, 2, 7, 30] {
                let sequence: Vec<u32> = (0..length).map(|n| 2 + n * 11 % 38).collect();
                let input = Tensor::new(sequence.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap();
                let (ones, zeros) = (input.ones_like().unwrap(), input.zeros_like().unwrap());
                let rows = theirs.forward(&input, &ones, &zeros, None, None, None).unwrap().squeeze(0).unwrap();
                near(&model.encode(&[sequence]).unwrap()[0], &pooled(&rows, false), within);
            }
        }
    }
}

#[test]
fn vectors_are_the_same_to_the_last_bit_whatever_instructions_compute_them() {
    let batch: Vec<Vec<u32>> = (1..33).map(|length| (0..length).map(|i| (length + i * 3) % 40).collect()).collect();
    let vectors = |instructions| {
        let options = PoolOptions { instructions, ..options(1, Precision::Int8) };
        load(CONFIG, "", None, &options).unwrap().encode(&batch).unwrap()
    };
    let portable = vectors(Instructions::Portable);
    assert_eq!(vectors(Instructions::Avx2), portable);
    assert_eq!(vectors(Instructions::Best), portable);
}

#[test]
fn the_first_tokens_vector_is_taken_where_the_model_says_so() {
    for (precision, within) in WITHIN {
        let pooling = Some(r#"{"pooling_mode_cls_token": true}"#);
        let mut model = load(CONFIG, "bert.", pooling, &options(1, precision)).unwrap();
        assert_eq!(model.max_tokens(), 16);
        near(&model.encode(&[vec![1, 5, 6, 2]]).unwrap()[0], &expected(&[1, 5, 6, 2], true), within);
    }
}

#[test]
fn a_token_that_the_model_has_not_is_an_error() {
    let mut model = load(CONFIG, "", None, &options(1, Precision::Int8)).unwrap();
    assert!(model.encode(&[vec![1, 2], vec![1, 40, 2]]).is_err());
    assert!(model.encode(&[vec![]]).is_err());
}

#[test]
fn sequences_are_grouped_without_one_lost_or_a_thread_left_idle() {
    let batch: Vec<Vec<u32>> = (0..50u32).map(|n| vec![0; 1 + (n * 37 % 200) as usize]).collect();
    let groups = groups(&batch, 2);
    let mut seen: Vec<usize> = groups.iter().flatten().copied().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    let tokens = |group: &Vec<usize>| group.iter().map(|at| batch[*at].len()).sum::<usize>();
    assert!(groups.iter().all(|group| group.len() == 1 || tokens(group) <= GROUP));
    assert_eq!(super::groups(&[vec![0; 20], vec![0; 20]], 2).len(), 2);
}

#[test]
fn what_is_not_supported_or_does_not_fit_is_refused_by_name() {
    for (from, to, word) in [
        ("\"gelu\"", "\"relu\"", "relu"),
        ("\"absolute\"", "\"relative_key\"", "absolute"),
        ("\"num_attention_heads\":4", "\"num_attention_heads\":5", "sizes"),
        ("\"num_hidden_layers\":2", "\"num_hidden_layers\":3", "encoder.layer.2"),
        ("\"vocab_size\":40", "\"vocab_size\":39", "tokenizer"),
        ("\"hidden_size\":32", "\"hidden_size\":64", "shape"),
    ] {
        let refusal = load(&CONFIG.replace(from, to), "", None, &PoolOptions::default()).err().unwrap().to_string();
        assert!(refusal.contains(word), "{refusal}");
    }
}

#[test]
fn a_text_is_framed_once_and_its_markup_is_text() {
    let (_folder, model) = imported(CONFIG, "", None);
    let loaded = crate::arch::load_embed(&model, &PoolOptions::default()).unwrap();
    assert_eq!(loaded.tokens.encode_framed("w5 w6").unwrap(), [1, 5, 6, 2]);
    // The brackets and the word are unknown here; what matters is that no token 2 stands in the middle.
    assert_eq!(loaded.tokens.encode_framed("[SEP]").unwrap(), [1, 3, 3, 3, 2]);
    // The file's own truncation to 8 is not applied.
    assert_eq!(loaded.tokens.encode_framed(&"w5 ".repeat(20)).unwrap().len(), 22);
}
