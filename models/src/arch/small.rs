//! Small encoders with random weights, for tests: every architecture is compared with candle's own implementation on them, and
//! the same weights in GGUF with those in safetensors.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;

use crate::error::LoadError;
use crate::manifest::{Manifest, Task};
use crate::pool::{PoolOptions, Precision};
use crate::registry::{Import, Registry, RegistryError, Verified};
use crate::task::embed::{EncodeText, Sequence};
use crate::weights::gguf::tests::{Scalar, file};

/// Tokens of the vocabulary: `[PAD]`, `[CLS]`, `[SEP]`, `[UNK]`, then `w4` to `w39`.
pub(crate) const VOCABULARY: usize = 40;

/// What a difference of one number may be: rounding of floats, and rounding to 8 bits in vectors of 32 numbers.
pub(crate) const WITHIN: [(Precision, f32); 2] = [(Precision::Float32, 1e-5), (Precision::Int8, 6e-3)];

/// Tensors by name.
#[derive(Clone, Default)]
pub(crate) struct Small(Vec<(String, Vec<usize>, Vec<f32>)>);

impl Small {
    /// Adds a tensor of numbers around one.
    pub(crate) fn add(&mut self, name: impl Into<String>, shape: &[usize], around: f32) {
        let first = self.0.iter().map(|(_, _, numbers)| numbers.len()).sum::<usize>() as u64;
        let count: usize = shape.iter().product();
        let numbers = (1..=count as u64).map(|n| around + (crate::sampling::unit(3, first + n) as f32 - 0.5) * 0.4);
        self.0.push((name.into(), shape.to_vec(), numbers.collect()));
    }

    /// Adds a matrix and, where wanted, its bias.
    pub(crate) fn affine(&mut self, name: &str, rows: usize, columns: usize, bias: bool) {
        self.add(format!("{name}.weight"), &[rows, columns], 0.0);
        if bias {
            self.add(format!("{name}.bias"), &[rows], 0.0);
        }
    }

    /// Adds a normalisation and, where wanted, its bias.
    pub(crate) fn norm(&mut self, name: &str, width: usize, bias: bool) {
        self.add(format!("{name}.weight"), &[width], 1.0);
        if bias {
            self.add(format!("{name}.bias"), &[width], 0.0);
        }
    }

    /// BERT, 32 numbers wide, without a head.
    pub(crate) fn bert(layers: usize, positions: usize) -> Self {
        let mut small = Self::default();
        for (name, rows) in [("word", VOCABULARY), ("position", positions), ("token_type", 2)] {
            small.add(format!("embeddings.{name}_embeddings.weight"), &[rows, 32], 0.0);
        }
        small.norm("embeddings.LayerNorm", 32, true);
        for layer in 0..layers {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            for part in ["attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"]
            {
                small.affine(&name(part), 32, 32, true);
            }
            small.norm(&name("attention.output.LayerNorm"), 32, true);
            small.affine(&name("intermediate.dense"), 48, 32, true);
            small.affine(&name("output.dense"), 32, 48, true);
            small.norm(&name("output.LayerNorm"), 32, true);
        }
        small
    }

    /// One tensor as candle has it.
    pub(crate) fn tensor(&self, name: &str) -> Tensor {
        let (_, shape, numbers) = self.0.iter().find(|(found, _, _)| found == name).unwrap();
        Tensor::from_slice(numbers, shape.as_slice(), &Device::Cpu).unwrap()
    }

    /// All of them, a prefix before their names unless they belong to a head, whose names begin with one of `heads`.
    pub(crate) fn tensors(&self, prefix: &str, heads: &[&str]) -> HashMap<String, Tensor> {
        let name = |name: &str| {
            if heads.iter().any(|head| name.starts_with(head)) { name.to_owned() } else { format!("{prefix}{name}") }
        };
        self.0.iter().map(|(found, _, _)| (name(found), self.tensor(found))).collect()
    }

    /// The same for candle's models.
    pub(crate) fn builder(&self, prefix: &str) -> VarBuilder<'static> {
        VarBuilder::from_tensors(self.tensors(prefix, &[]), DType::F32, &Device::Cpu)
    }

    /// The file in GGUF: `name` says what a tensor is called there, `rows` from which row on it is kept.
    pub(crate) fn gguf(&self, values: &[(String, Scalar)], name: impl Fn(&str) -> (String, usize)) -> Vec<u8> {
        let tensors: Vec<(String, Vec<usize>, Vec<f32>)> = self
            .0
            .iter()
            .map(|(found, shape, numbers)| {
                let (name, first) = name(found);
                let each: usize = shape.iter().skip(1).product();
                let mut shape = shape.clone();
                shape[0] -= first;
                (name, shape, numbers[first * each..].to_vec())
            })
            .collect();
        let tensors: Vec<(&str, Vec<usize>, Vec<f32>)> =
            tensors.iter().map(|(name, shape, data)| (name.as_str(), shape.clone(), data.clone())).collect();
        let values: Vec<(&str, Scalar)> = values.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        file(&values, &tensors)
    }
}

/// `tokenizer.json` of WordPiece, whose words are `w4` and so on.
pub(crate) fn tokenizer() -> String {
    let special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"];
    let vocab: Vec<String> = (0..VOCABULARY)
        .map(|n| format!("\"{}\":{n}", special.get(n).map_or(format!("w{n}"), |s| (*s).to_owned())))
        .collect();
    let added: Vec<String> = (1..4)
        .map(|n| {
            let content = special[n];
            format!(
                r#"{{"id":{n},"content":"{content}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
            )
        })
        .collect();
    let token = |name: &str, kind: usize| format!(r#"{{"SpecialToken":{{"id":"{name}","type_id":{kind}}}}}"#);
    let text = |name: &str, kind: usize| format!(r#"{{"Sequence":{{"id":"{name}","type_id":{kind}}}}}"#);
    let single = [token("[CLS]", 0), text("A", 0), token("[SEP]", 0)].join(",");
    let pair = [single.clone(), text("B", 1), token("[SEP]", 1)].join(",");
    format!(
        r###"{{"version":"1.0","truncation":{{"max_length":8,"strategy":"LongestFirst","stride":0,"direction":"Right"}},"padding":null,"added_tokens":[{}],"normalizer":null,"pre_tokenizer":{{"type":"BertPreTokenizer"}},"post_processor":{{"type":"TemplateProcessing","single":[{single}],"pair":[{pair}],"special_tokens":{{"[CLS]":{{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]}},"[SEP]":{{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}}}}},"decoder":null,"model":{{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{{{}}}}}}}"###,
        added.join(","),
        vocab.join(",")
    )
}

/// The same vocabulary as GGUF holds it.
fn vocabulary() -> Vec<(&'static str, Scalar)> {
    let special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"];
    let texts = (0..VOCABULARY).map(|n| special.get(n).map_or(format!("\u{2581}w{n}"), |s| (*s).to_owned())).collect();
    let kinds = (0..VOCABULARY).map(|n| if n < special.len() { 3 } else { 1 }).collect();
    vec![
        ("tokenizer.ggml.model", Scalar::Text("bert".to_owned())),
        ("tokenizer.ggml.tokens", Scalar::Texts(texts)),
        ("tokenizer.ggml.token_type", Scalar::Integers(kinds)),
        ("tokenizer.ggml.unknown_token_id", Scalar::Unsigned(3)),
        ("tokenizer.ggml.cls_token_id", Scalar::Unsigned(1)),
        ("tokenizer.ggml.seperator_token_id", Scalar::Unsigned(2)),
    ]
}

/// The header of an encoder in GGUF that is 32 numbers wide: inner width, layers, heads and positions, and its way of pooling.
pub(crate) fn header(
    name: &'static str,
    [inner, layers, heads, positions]: [u32; 4],
    epsilon: f32,
    pooling: u32,
) -> Vec<(String, Scalar)> {
    let mut values: Vec<(String, Scalar)> =
        vocabulary().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    values.push(("general.architecture".to_owned(), Scalar::Text(name.to_owned())));
    for (key, number) in [
        ("embedding_length", 32),
        ("feed_forward_length", inner),
        ("block_count", layers),
        ("attention.head_count", heads),
        ("context_length", positions),
        ("pooling_type", pooling),
    ] {
        values.push((format!("{name}.{key}"), Scalar::Unsigned(number)));
    }
    values.push((format!("{name}.attention.layer_norm_epsilon"), Scalar::Float(epsilon)));
    values
}

/// A directory as people download it, imported.
pub(crate) fn directory(
    config: &str,
    tensors: &HashMap<String, Tensor>,
    files: &[(&str, &str)],
) -> Result<(tempfile::TempDir, Verified, Manifest), RegistryError> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tiny");
    std::fs::create_dir_all(&source).unwrap();
    candle_core::safetensors::save(tensors, source.join("model.safetensors")).unwrap();
    let tokenizer = tokenizer();
    for (path, text) in [("config.json", config), ("tokenizer.json", tokenizer.as_str())].iter().chain(files) {
        let path = source.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    imported(folder, &source)
}

/// A GGUF file, imported.
pub(crate) fn gguf_file(bytes: &[u8]) -> Result<(tempfile::TempDir, Verified, Manifest), RegistryError> {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tiny.gguf");
    std::fs::write(&source, bytes).unwrap();
    imported(folder, &source)
}

fn imported(
    folder: tempfile::TempDir,
    source: &Path,
) -> Result<(tempfile::TempDir, Verified, Manifest), RegistryError> {
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let manifest = registry.import(source, &Import::default())?;
    let verified = registry.verify(&manifest.name).unwrap();
    Ok((folder, verified, manifest))
}

/// The options of `threads` and `precision`, with everything else as it comes.
pub(crate) fn options(threads: usize, precision: Precision) -> PoolOptions {
    PoolOptions { threads, precision, ..PoolOptions::default() }
}

/// Loads whatever the manifest says that it is.
pub(crate) fn load(model: &Verified, options: &PoolOptions) -> Result<Box<dyn EncodeText>, LoadError> {
    let task = model.manifest().task;
    assert_ne!(task, Task::Generate);
    Ok(super::load_encoder(model, task, options)?.model)
}

/// Sequences of many lengths up to `longest`, one of a single token and one of the longest among them.
pub(crate) fn sequences(longest: usize) -> Vec<Sequence> {
    let of =
        |n: usize, length: usize| Sequence::one((0..length).map(|i| ((n * 13 + i * 5) % VOCABULARY) as u32).collect());
    let mut all: Vec<Sequence> = (0..60).map(|n| of(n, 2 + n * 7 % (longest - 2))).collect();
    all.extend([of(1, 1), of(2, longest)]);
    all
}

/// Compares a model in both precisions, with one thread and with three, alone and together, with what is expected.
pub(crate) fn same_vectors(model: &Verified, batch: &[Sequence], expected: &[Vec<f32>]) {
    for (precision, within) in WITHIN {
        let mut one = load(model, &options(1, precision)).unwrap();
        let together = one.encode(batch).unwrap();
        for ((sequence, vector), expected) in batch.iter().zip(&together).zip(expected) {
            near(vector, expected, within);
            assert_eq!(&one.encode(std::slice::from_ref(sequence)).unwrap()[0], vector);
        }
        let mut three = load(model, &options(3, precision)).unwrap();
        assert_eq!(three.encode(batch).unwrap(), together);
        for (sequence, vector) in batch.iter().zip(&together) {
            assert_eq!(&three.encode(std::slice::from_ref(sequence)).unwrap()[0], vector);
        }
    }
}

/// A sequence as candle's models take it, with a leading side.
pub(crate) fn input(sequence: &Sequence) -> Tensor {
    Tensor::new(sequence.tokens.as_slice(), &Device::Cpu).unwrap().unsqueeze(0).unwrap()
}

/// Vectors of tokens made one, of length one.
pub(crate) fn pooled(rows: &Tensor, cls: bool) -> Vec<f32> {
    let pooled = if cls { rows.get(0).unwrap() } else { rows.mean(0).unwrap() };
    let pooled: Vec<f32> = pooled.to_vec1().unwrap();
    let length = pooled.iter().map(|x| x * x).sum::<f32>().sqrt();
    pooled.iter().map(|x| x / length).collect()
}

/// `within` is the largest difference of one number.
pub(crate) fn near(found: &[f32], expected: &[f32], within: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < within, "{found} {expected}");
    }
}
