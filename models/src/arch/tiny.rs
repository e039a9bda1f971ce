//! Tiny models with random weights, for tests: every architecture is compared with candle's own implementation on them.

use std::io::Write;

use candle_core::{Device, Tensor};

use crate::error::LoadError;
use crate::manifest::{FileKind, Manifest};
use crate::pool::{Accelerator, PoolOptions};
use crate::registry::{Import, Registry, Verified};
use crate::task::StepError;
use crate::task::generate::{Piece, StepTokens};
use crate::weights::GgufFile;
use crate::weights::gguf::tests::{Scalar, file};

pub(crate) const VOCABULARY: usize = 300;

/// 64 numbers wide, four heads that ask and two that are asked.
pub(crate) struct Tiny {
    pub(crate) name: &'static str,
    pub(crate) layers: usize,
    /// Numbers per head.
    pub(crate) size: usize,
    pub(crate) bias: bool,
    pub(crate) head_norms: bool,
    pub(crate) after: bool,
    pub(crate) fused: bool,
}

impl Default for Tiny {
    fn default() -> Self {
        Self { name: "llama", layers: 2, size: 16, bias: false, head_norms: false, after: false, fused: false }
    }
}

impl Tiny {
    /// The file, some of its keys changed.
    pub(crate) fn file(&self, changes: &[(&str, Scalar)]) -> Vec<u8> {
        let (width, inner, asking, asked) = (64, 96, 4 * self.size, 2 * self.size);
        let mut seed = 0u64;
        let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
        let mut add = |name: String, shape: &[usize], middle: f32, size: f32| {
            let numbers = (0..shape.iter().product()).map(|_| {
                seed += 1;
                middle + (crate::sampling::unit(7, seed) as f32 - 0.5) * 2.0 * size
            });
            tensors.push((name, shape.to_vec(), numbers.collect()));
        };
        add("token_embd.weight".to_owned(), &[VOCABULARY, width], 0.0, 1.0);
        for layer in 0..self.layers {
            let mut matrices = vec![("attn_output", width, asking), ("ffn_down", width, inner)];
            if self.fused {
                matrices.extend([("attn_qkv", asking + 2 * asked, width), ("ffn_up", 2 * inner, width)]);
            } else {
                matrices.extend([("attn_q", asking, width), ("attn_k", asked, width), ("attn_v", asked, width)]);
                matrices.extend([("ffn_gate", inner, width), ("ffn_up", inner, width)]);
            }
            for (name, rows, columns) in matrices {
                add(format!("blk.{layer}.{name}.weight"), &[rows, columns], 0.0, 0.3);
            }
            let mut norms = vec![("attn_norm", width), ("ffn_norm", width)];
            if self.head_norms {
                norms.extend([("attn_q_norm", self.size), ("attn_k_norm", self.size)]);
            }
            if self.after {
                norms.extend([("post_attention_norm", width), ("post_ffw_norm", width)]);
            }
            for (name, length) in norms {
                add(format!("blk.{layer}.{name}.weight"), &[length], 1.0, 0.2);
            }
            if self.bias {
                for (name, length) in [("attn_q", asking), ("attn_k", asked), ("attn_v", asked)] {
                    add(format!("blk.{layer}.{name}.bias"), &[length], 0.0, 0.5);
                }
            }
        }
        add("output_norm.weight".to_owned(), &[width], 1.0, 0.2);
        if self.fused {
            add("output.weight".to_owned(), &[VOCABULARY, width], 0.0, 1.0);
        }
        let tensors: Vec<(&str, Vec<usize>, Vec<f32>)> =
            tensors.iter().map(|(name, shape, data)| (name.as_str(), shape.clone(), data.clone())).collect();
        let values = self.values(changes);
        let values: Vec<(&str, Scalar)> = values.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        file(&values, &tensors)
    }

    fn values(&self, changes: &[(&str, Scalar)]) -> Vec<(String, Scalar)> {
        let mut texts: Vec<String> = (0..VOCABULARY).map(|n| format!("unused{n}")).collect();
        "<end>".clone_into(&mut texts[0]);
        let key = |key: &str| format!("{}.{key}", self.name);
        let number = |n: usize| Scalar::Unsigned(n as u32);
        let mut values = vec![
            ("general.architecture".to_owned(), Scalar::Text(self.name.to_owned())),
            (key("attention.head_count"), number(4)),
            (key("attention.head_count_kv"), number(2)),
            (key("attention.key_length"), number(self.size)),
            (key("attention.value_length"), number(self.size)),
            (key("block_count"), number(self.layers)),
            (key("embedding_length"), number(64)),
            (key("feed_forward_length"), number(96)),
            (key("context_length"), number(512)),
            (key("rope.dimension_count"), number(self.size)),
            (key("rope.freq_base"), Scalar::Float(10_000.0)),
            (key("attention.layer_norm_rms_epsilon"), Scalar::Float(1e-5)),
            ("tokenizer.ggml.model".to_owned(), Scalar::Text("gpt2".to_owned())),
            ("tokenizer.ggml.tokens".to_owned(), Scalar::Texts(texts)),
            ("tokenizer.ggml.merges".to_owned(), Scalar::Texts(Vec::new())),
        ];
        for (key, value) in changes {
            values.retain(|(other, _)| other != key);
            values.push(((*key).to_owned(), value.clone()));
        }
        values
    }
}

/// The file in a registry of its own, verified.
pub(crate) fn verified(bytes: &[u8]) -> (tempfile::TempDir, Verified, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("tiny.gguf");
    std::fs::File::create(&source).unwrap().write_all(bytes).unwrap();
    let registry = Registry::open(folder.path().join("models")).unwrap();
    let manifest = registry.import(&source, &Import::default()).unwrap();
    let verified = registry.verify(&manifest.name).unwrap();
    (folder, verified, manifest)
}

/// The model of a file.
pub(crate) fn load(bytes: &[u8]) -> Result<Box<dyn StepTokens>, LoadError> {
    load_on(bytes, Accelerator::None)
}

/// The model of a file, on a device.
pub(crate) fn load_on(bytes: &[u8], device: Accelerator) -> Result<Box<dyn StepTokens>, LoadError> {
    let (_folder, model, manifest) = verified(bytes);
    let mut file = GgufFile::open(model.first(FileKind::Weights).unwrap())?;
    super::decoder(&manifest.architecture, &mut file, &PoolOptions { threads: 2, device, ..PoolOptions::default() })
}

pub(crate) fn tokens(count: usize) -> Vec<u32> {
    (0..count as u64).map(|n| (crate::sampling::mix(n) % VOCABULARY as u64) as u32).collect()
}

/// Feeds a sequence that has blocks of its own, the `slot`th 16.
pub(crate) fn feed(
    model: &mut Box<dyn StepTokens>,
    slot: u32,
    position: usize,
    tokens: &[u32],
    logits: &mut Vec<f32>,
) -> Result<(), StepError> {
    let blocks: Vec<u32> = (slot * 16..(slot + 1) * 16).collect();
    model.step(&[Piece { blocks: &blocks, position, tokens, logits: 1 }], logits)
}

/// Whether two rows of logits differ by no more than `by` of the greatest.
pub(crate) fn near(found: &[f32], expected: &[f32], by: f32) {
    let size = expected.iter().fold(0f32, |top, x| top.max(x.abs()));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= by * size, "{found} {expected} of {size}");
    }
}

/// Compares the model with a reference token by token. The cache keeps 16-bit floats, candle's 32-bit ones.
pub(crate) fn same_logits(bytes: &[u8], by: f32, mut theirs: impl FnMut(&Tensor, usize) -> Tensor) {
    let mut ours = load(bytes).unwrap();
    let mut on_device = load_on(bytes, Accelerator::Candle).unwrap();
    let mut logits = Vec::new();
    for (position, token) in tokens(40).into_iter().enumerate() {
        let input = Tensor::new(&[[token]], &Device::Cpu).unwrap();
        let expected: Vec<f32> = theirs(&input, position).flatten_all().unwrap().to_vec1().unwrap();
        for model in [&mut ours, &mut on_device] {
            feed(model, 0, position, &[token], &mut logits).unwrap();
            near(&logits, &expected, by);
        }
    }
}
