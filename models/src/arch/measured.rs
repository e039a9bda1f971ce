//! Whole models of the catalogue beside candle's on a text of one's own: perplexity, and what is generated greedily.
//!
//! `CLOISTER_TEXT` names the text, `CLOISTER_MODEL` one model where all would take too long, `CLOISTER_TOKENS` how many tokens are
//! scored. candle is asked with the weights as the file has them, where it can, and with the same weights as floats: how far those two are
//! apart is what rounding activations does to logits, the quantisation's own noise. candle chooses its kernels when it is compiled,
//! so `RUSTFLAGS="-C target-cpu=native"` makes these tests several times faster. In a build with the feature of a device candle computes there, and
//! so do we where `CLOISTER_ON_DEVICE` is set. `CLOISTER_CHOSEN` names a file to which the prompts and what we chose are added, a JSON line
//! each, so that an engine that is not in here can be given the same.

#![allow(clippy::print_stdout, reason = "the figures are what one wants to know")]

use std::io::Write as _;

use candle_core::Tensor;
use rayon::prelude::*;

use super::candle::{Step, references};
use crate::manifest::{FileKind, Task};
use crate::pool::{Accelerator, PoolOptions};
use crate::task::generate::{Piece, StepTokens};
use crate::{catalogue, fetch, registry::Registry, weights::GgufFile};

/// Tokens of a sequence.
const WINDOW: usize = 512;
/// Sequences that are computed together.
const TOGETHER: usize = 14;
/// Prompts that are continued, their tokens, and the tokens that follow.
const PROMPTS: usize = 10;
const PROMPT: usize = 64;
const GENERATED: usize = 200;

/// A model, ours first.
struct Trial {
    name: &'static str,
    /// Where candle computes.
    device: candle_core::Device,
    ours: Box<dyn StepTokens>,
    theirs: Vec<(&'static str, Step)>,
    /// What stands before every sequence.
    begin: Vec<u32>,
    /// The text.
    tokens: Vec<u32>,
}

fn on_device() -> bool {
    std::env::var_os("CLOISTER_ON_DEVICE").is_some()
}

fn trials() -> impl Iterator<Item = Trial> {
    let text = std::fs::read_to_string(std::env::var("CLOISTER_TEXT").unwrap()).unwrap();
    let wanted = std::env::var("CLOISTER_MODEL").ok();
    let entries = catalogue::builtin().iter().filter(|entry| entry.task == Task::Generate);
    let entries = entries.filter(move |entry| wanted.as_ref().is_none_or(|name| *name == entry.name));
    entries.map(move |entry| {
        let registry = Registry::open(crate::cache_dir().join("models")).unwrap();
        fetch::ensure(entry, &registry, &mut |_| {}).unwrap();
        let verified = registry.verify(&entry.name).unwrap();
        let weights = || verified.first(FileKind::Weights).unwrap();
        let device = super::tested();
        let theirs = references(&entry.architecture, &weights().read_all(1 << 30).unwrap(), &device);
        let mut file = GgufFile::open(weights()).unwrap();
        let tokenizer = crate::tokenizer::from_gguf(&file.header).unwrap();
        let (begin, tokens) = (tokenizer.encode_framed("").unwrap(), tokenizer.encode(&text).unwrap());
        let accelerator = if on_device() { Accelerator::Candle } else { Accelerator::None };
        let options =
            PoolOptions { context_tokens: WINDOW, sequences: TOGETHER, device: accelerator, ..PoolOptions::default() };
        let ours = super::decoder(&entry.architecture, &mut file, &options).unwrap();
        Trial { name: &entry.name, device, ours, theirs, begin, tokens }
    })
}

impl Trial {
    /// Names of the engines, in the order of [`Trial::step`].
    fn engines(&self) -> Vec<&'static str> {
        std::iter::once("ours").chain(self.theirs.iter().map(|(name, _)| *name)).collect()
    }

    /// The logits after one more token of each sequence: those of every engine, a row per sequence.
    fn step(&mut self, tokens: &[u32], position: usize) -> Vec<Vec<f32>> {
        let each = (WINDOW / self.ours.block_tokens()) as u32;
        let blocks: Vec<Vec<u32>> = (0..tokens.len() as u32).map(|n| (n * each..(n + 1) * each).collect()).collect();
        let pieces: Vec<Piece<'_>> = std::iter::zip(tokens, &blocks)
            .map(|(token, blocks)| Piece { blocks, position, tokens: std::slice::from_ref(token), logits: 1 })
            .collect();
        let mut logits = Vec::new();
        self.ours.step(&pieces, &mut logits).unwrap();
        let input = Tensor::new(tokens, &self.device).unwrap().unsqueeze(1).unwrap();
        let row = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let theirs = self.theirs.iter_mut().map(|(_, step)| row(step(&input, position).unwrap()));
        std::iter::once(logits).chain(theirs).collect()
    }
}

/// What the token cost, in nats.
fn surprise(logits: &[f32], token: u32) -> f64 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    f64::from(top - logits[token as usize]) + sum.ln()
}

#[test]
#[ignore = "takes minutes and a text of one's own"]
fn perplexity_is_within_half_a_percent_of_candles() {
    let count: usize = std::env::var("CLOISTER_TOKENS").map_or(1024, |count| count.parse().unwrap());
    for mut trial in trials() {
        let (vocabulary, engines) = (trial.ours.vocabulary(), trial.engines());
        let windows = trial.tokens.chunks_exact(WINDOW - trial.begin.len());
        let windows: Vec<Vec<u32>> = windows
            .map(|text| trial.begin.iter().chain(text).copied().collect())
            .take(count.div_ceil(WINDOW - 1))
            .collect();
        let (mut costs, mut scored) = (vec![0.0; engines.len()], 0);
        for windows in windows.chunks(TOGETHER) {
            for position in 0..WINDOW - 1 {
                let column = |at: usize| windows.iter().map(|window| window[at]).collect::<Vec<u32>>();
                let next = column(position + 1);
                for (cost, logits) in costs.iter_mut().zip(trial.step(&column(position), position)) {
                    let rows = logits.par_chunks(vocabulary).zip(&next);
                    *cost += rows.map(|(row, token)| surprise(row, *token)).sum::<f64>();
                }
                scored += windows.len();
            }
        }
        let perplexities: Vec<f64> = costs.iter().map(|cost| (cost / scored as f64).exp()).collect();
        for (name, perplexity) in engines.iter().zip(&perplexities) {
            let apart = (perplexities[0] / perplexity - 1.0) * 100.0;
            println!("{}, {scored} tokens: {name} {perplexity:.4}, ours {apart:+.3} % of it", trial.name);
        }
        for (name, theirs) in engines.iter().zip(&perplexities) {
            assert!((perplexities[0] / theirs - 1.0).abs() < 0.005, "{} against {name}", trial.name);
        }
    }
}

/// How two engines differ over many steps.
#[derive(Default)]
struct Apart {
    steps: usize,
    /// Mean of the absolute differences of logits, and the largest of each step: summed over steps.
    mean: f64,
    largest: f64,
    /// Each step at which the two would choose differently.
    partings: Vec<Parting>,
}

struct Parting {
    sequence: usize,
    step: usize,
    /// By how much each engine prefers its own choice to the other's.
    gaps: [f32; 2],
    /// Largest difference of any logit at that step.
    largest: f32,
}

fn greatest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |top, at| if row[at] > row[top] { at } else { top })
}

impl Apart {
    fn add(&mut self, sequence: usize, step: usize, one: &[f32], other: &[f32]) {
        let differences = || one.iter().zip(other).map(|(one, other)| (one - other).abs());
        let largest = differences().fold(0.0, f32::max);
        self.steps += 1;
        self.mean += differences().map(f64::from).sum::<f64>() / one.len() as f64;
        self.largest += f64::from(largest);
        let (first, second) = (greatest(one), greatest(other));
        if first != second {
            let gaps = [one[first] - one[second], other[second] - other[first]];
            self.partings.push(Parting { sequence, step, gaps, largest });
        }
    }

    fn mean(&self) -> f64 {
        self.mean / self.steps as f64
    }

    fn say(&self, model: &str, one: &str, other: &str) {
        let first = |sequence| self.partings.iter().find(|parting| parting.sequence == sequence);
        let parted: Vec<Option<&Parting>> = (0..PROMPTS).map(first).collect();
        let whole = parted.iter().filter(|parted| parted.is_none()).count();
        let at: Vec<usize> = parted.iter().flatten().map(|parting| parting.step).collect();
        let worst = |of: fn(&Parting) -> f32| self.partings.iter().map(of).fold(0.0, f32::max);
        println!(
            "{model}, {one} and {other}: {whole} of {PROMPTS} texts equal over {GENERATED} tokens, the others to {at:?}; \
             {} of {} choices differ; logits differ by {:.4}, a step's most by {:.3} on average; where choices differ, by at \
             most {:.3} in one and {:.3} in the other, and by {:.2} of that step's largest difference",
            self.partings.len(),
            self.steps,
            self.mean(),
            self.largest / self.steps as f64,
            worst(|parting| parting.gaps[0]),
            worst(|parting| parting.gaps[1]),
            worst(|parting| parting.gaps[0].max(parting.gaps[1]) / parting.largest),
        );
    }
}

/// Adds what ours chose after each prompt to the file that is named for it.
fn keep(model: &str, prompts: &[Vec<u32>], texts: &[Vec<u32>]) {
    let Some(path) = std::env::var_os("CLOISTER_CHOSEN") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    for (prompt, chosen) in prompts.iter().zip(texts) {
        writeln!(file, "{}", serde_json::json!({"model": model, "prompt": prompt, "chosen": chosen})).unwrap();
    }
}

/// All engines are given what ours chose, so that every step compares the same text, after a first parting too.
#[test]
#[ignore = "takes minutes and a text of one's own"]
fn greedy_texts_are_candles_own_or_part_where_both_tokens_are_as_good_within_the_noise() {
    for mut trial in trials() {
        let (vocabulary, engines) = (trial.ours.vocabulary(), trial.engines());
        let far = trial.tokens.len() / PROMPTS;
        let prompt = |text: &[u32]| trial.begin.iter().chain(&text[..PROMPT]).copied().collect::<Vec<u32>>();
        let prompts: Vec<Vec<u32>> = trial.tokens.chunks(far).take(PROMPTS).map(prompt).collect();
        let length = prompts[0].len();
        let mut logits = Vec::new();
        for position in 0..length {
            logits = trial.step(&prompts.iter().map(|prompt| prompt[position]).collect::<Vec<_>>(), position);
        }
        let pairs: Vec<(usize, usize)> =
            (0..engines.len()).flat_map(|one| (one + 1..engines.len()).map(move |other| (one, other))).collect();
        let mut apart: Vec<Apart> = pairs.iter().map(|_| Apart::default()).collect();
        let mut texts = vec![Vec::new(); prompts.len()];
        for step in 0..GENERATED {
            for (apart, (one, other)) in apart.iter_mut().zip(&pairs) {
                let rows = logits[*one].chunks(vocabulary).zip(logits[*other].chunks(vocabulary));
                rows.enumerate().for_each(|(sequence, (one, other))| apart.add(sequence, step, one, other));
            }
            let chosen: Vec<u32> = logits[0].chunks(vocabulary).map(|row| greatest(row) as u32).collect();
            texts.iter_mut().zip(&chosen).for_each(|(text, token)| text.push(*token));
            logits = trial.step(&chosen, length + step);
        }
        keep(trial.name, &prompts, &texts);
        for (apart, (one, other)) in apart.iter().zip(&pairs) {
            apart.say(trial.name, engines[*one], engines[*other]);
        }
        if !on_device() {
            for (apart, _) in apart.iter().zip(&pairs).filter(|(_, (one, _))| *one == 0) {
                let within = |parting: &Parting| parting.gaps[0] < parting.largest;
                assert!(apart.partings.iter().all(within), "{}", trial.name);
            }
        }
        // With a quantised reference: floats are nearer to ours than to it. On a device both round activations to eight bits, and ours
        // keeps its cache in 16: as far from floats, then.
        if let [_, ours, theirs] = apart.as_slice() {
            let most = if on_device() { 1.15 } else { 1.0 };
            assert!(ours.mean() < most * theirs.mean(), "{}: {} {}", trial.name, ours.mean(), theirs.mean());
        }
    }
}
