//! What a machine can do, as numbers: measured here, or made up by a test.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::cost;
use crate::error::LoadError;
use crate::fit::Machine;
use crate::kernel::attention::Heads;
use crate::kernel::rows::Curve;
use crate::kernel::{Format, Matrix, Team};
use crate::layers::decoder::{Decoder, Layer, Plan, Weights};
use crate::layers::rope::{Pairs, Rope, Turning};
use crate::measure::{Attention, Between, Crew, EncoderAttention, EncoderProduct, HeadLayout, Product, seconds};
use crate::sampling::{Sampler, Sampling};
use crate::task::generate::{Piece, StepTokens};

/// A line through measured points, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Line(pub Vec<(f64, f64)>);

impl Line {
    /// The value at `x`: between points on the straight line, before the first point as there; after the last as there, or with
    /// `grows` on the last straight line.
    #[must_use]
    pub fn at(&self, x: f64, grows: bool) -> f64 {
        let Some((first, last)) = self.0.first().zip(self.0.last()) else { return 0.0 };
        if x <= first.0 {
            return first.1;
        }
        let pair = self.0.windows(2).find(|pair| pair.last().is_some_and(|to| x <= to.0));
        let pair = match pair {
            Some(pair) => pair,
            None if grows => self.0.windows(2).last().unwrap_or_default(),
            None => return last.1,
        };
        match pair {
            [from, to] if to.0 > from.0 => from.1 + (to.1 - from.1) * (x - from.0) / (to.0 - from.0),
            _ => last.1,
        }
    }
}

/// How fast products with one layout of weights are while the weights lie in the cache.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProductRate {
    /// The layout.
    pub format: Format,
    /// Rows, and seconds per weight at so many.
    pub seconds: Line,
}

/// How fast attention is, by numbers per head. Seconds per position that is seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttentionRate {
    /// Numbers per head.
    pub size: usize,
    /// One row, one asking head per asked one.
    pub one: f64,
    /// One row, four asking heads that are computed together.
    pub four: f64,
    /// Many rows, per asking head.
    pub many: f64,
}

/// How fast encoders are, all threads together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EncoderRates {
    /// Products of 8-bit integers: multiplications with additions per second.
    pub int8: f64,
    /// Attention: numbers per head, and seconds per position that a head of a token sees.
    pub attention: Line,
}

/// What a machine can do with so many threads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Threads.
    pub threads: usize,
    /// Bytes that are read again and again, and bytes per second that are read then.
    pub reading: Line,
    /// Products, by layout.
    pub products: Vec<ProductRate>,
    /// Share of the shorter of computing and reading that the longer one does not hide; 0 to 1.
    pub overlap: f64,
    /// Seconds that reading stands still where one matrix ends and the next begins.
    pub stall: f64,
    /// Attention, by numbers per head in ascending order.
    pub attention: Vec<AttentionRate>,
    /// Seconds per number that is normalised, then gated, of a single row.
    pub between_one: (f64, f64),
    /// The same where there are many rows, all threads together.
    pub between_many: (f64, f64),
    /// Seconds per layer beside what is computed.
    pub layer: f64,
    /// Seconds per logit of a token that is chosen.
    pub logit: f64,
    /// Encoders.
    pub encoder: EncoderRates,
}

/// Side of the square matrices that are timed: their weights lie in the second or third level of the cache.
const SIDE: usize = 1024;
/// Rows that products are timed at: one, few, many, and as many as a step of prompts has at most.
const ROWS: [usize; 9] = [1, 2, 4, 8, 16, 24, 32, 128, MANY];
/// Rows of a long step: what they take does not stay in the nearest cache.
const MANY: usize = 512;
/// Bytes that are read again and again.
const READ: [u64; 7] = [4 << 20, 16 << 20, 32 << 20, 64 << 20, 128 << 20, 256 << 20, 512 << 20];

/// What measuring may cost.
#[derive(Clone, Copy)]
struct Effort {
    /// How long one figure is measured.
    budget: Duration,
    /// Most bytes of one matrix.
    bytes: u64,
}

impl Rates {
    /// Measures this machine with so many threads; 0 is one per core. Takes three to ten seconds, and for a while up to a quarter of
    /// the memory that is free, at most half a GiB.
    ///
    /// # Errors
    /// [`LoadError`] where threads cannot be started.
    pub fn measure(threads: usize) -> Result<Self, LoadError> {
        let bytes = Machine::here().available_bytes / 4;
        Self::with(threads, Effort { budget: Duration::from_millis(8), bytes })
    }

    fn with(threads: usize, effort: Effort) -> Result<Self, LoadError> {
        let crew = Crew::new(threads)?;
        let mut rates = Self {
            threads: crew.threads(),
            reading: reading(&crew, effort),
            products: Format::ALL.into_iter().map(|format| product(&crew, format, effort)).collect(),
            overlap: 0.0,
            stall: 0.0,
            attention: [64, 128, 256].into_iter().filter_map(|size| attention(&crew, size, effort)).collect(),
            between_one: between(&crew, 1, effort),
            between_many: between(&crew, MANY, effort),
            layer: 0.0,
            logit: logit(effort),
            encoder: encoder(crew.threads(), effort),
        };
        rates.overlap = overlap(&crew, &rates, effort);
        rates.stall = stall(&crew, &rates, effort);
        rates.layer = layer(&rates)?;
        Ok(rates)
    }

    /// Seconds per weight of a product with so many rows.
    pub(super) fn product(&self, format: Format, rows: usize) -> f64 {
        let rate = self.products.iter().find(|rate| rate.format == format);
        rate.map_or(0.0, |rate| rate.seconds.at(rows as f64, true))
    }

    /// Bytes per second when so many are read again and again. Between two points the line runs over powers of two.
    #[must_use]
    pub fn bandwidth(&self, bytes: f64) -> f64 {
        let points = self.reading.0.iter().map(|(bytes, speed)| (bytes.log2(), *speed)).collect();
        Line(points).at(bytes.max(1.0).log2(), false).max(1.0)
    }

    /// Multiplications with additions per second at so many rows with that layout, the weights in the cache.
    #[must_use]
    pub fn operations(&self, format: Format, rows: usize) -> f64 {
        rows as f64 / self.product(format, rows).max(f64::MIN_POSITIVE)
    }
}

/// 32-bit floats are read with one multiplication per four bytes, so that reading is what takes the time.
fn reading(crew: &Crew, effort: Effort) -> Line {
    let sizes = READ.into_iter().filter(|bytes| *bytes <= effort.bytes.max(READ[0]));
    let points = sizes.map(|bytes| {
        let outputs = (bytes / 4) as usize / (2 * SIDE);
        let mut product = Product::new(crew, Format::F32, (2 * SIDE, outputs), 1);
        let bytes = product.bytes() as f64;
        (bytes, bytes / seconds(10 * effort.budget, || product.run()))
    });
    Line(points.collect())
}

fn product(crew: &Crew, format: Format, effort: Effort) -> ProductRate {
    let points = ROWS.into_iter().map(|rows| {
        let mut product = Product::new(crew, format, (SIDE, SIDE), rows);
        (rows as f64, seconds(effort.budget, || product.run()) / product.weights() as f64)
    });
    ProductRate { format, seconds: Line(points.collect()) }
}

/// What shows of the shorter of computing and reading, on matrices that are read from memory.
fn overlap(crew: &Crew, rates: &Rates, effort: Effort) -> f64 {
    let bytes = (READ[0] as f64).max((effort.bytes as f64).min(READ[4] as f64));
    let formats = [Format::Q4_0, Format::Q4K, Format::Q6K];
    let shown = formats.map(|format| {
        let outputs = (bytes / (format.packed_bytes(2 * SIDE, 16) as f64 / 16.0)) as usize;
        let mut product = Product::new(crew, format, (2 * SIDE, outputs), 1);
        let took = seconds(10 * effort.budget, || product.run());
        let compute = product.weights() as f64 * rates.product(format, 1);
        let memory = product.bytes() as f64 / rates.bandwidth(product.bytes() as f64);
        ((took - compute.max(memory)) / compute.min(memory)).clamp(0.0, 1.0)
    });
    shown.iter().sum::<f64>() / shown.len() as f64
}

/// What shows between matrices of a layer's size that are read from memory one after the other, beyond what they take by themselves:
/// nothing is read ahead across the end of one, and there every thread waits for the last.
fn stall(crew: &Crew, rates: &Rates, effort: Effort) -> f64 {
    let bytes = (READ[0] as f64).max((effort.bytes as f64).min(READ[4] as f64));
    let formats = [Format::Q4_0, Format::Q4K, Format::Q6K];
    let stood = formats.map(|format| {
        let count = (bytes / format.packed_bytes(SIDE, SIDE) as f64).ceil().max(2.0) as usize;
        let mut products: Vec<_> = (0..count).map(|_| Product::new(crew, format, (SIDE, SIDE), 1)).collect();
        let took = seconds(10 * effort.budget, || products.iter_mut().for_each(Product::run));
        let weights: u64 = products.iter().map(Product::weights).sum();
        let bytes = products.iter().map(|product| product.bytes() as f64).sum();
        let memory = bytes / rates.bandwidth(bytes);
        let alone = cost::join(weights as f64 * rates.product(format, 1), memory, rates.overlap);
        (took - alone).max(0.0) / count as f64
    });
    stood.iter().sum::<f64>() / stood.len() as f64
}

fn attention(crew: &Crew, size: usize, effort: Effort) -> Option<AttentionRate> {
    const POSITIONS: usize = 1024;
    // Units enough for every thread: four stretches of each asked head.
    let keys = crew.threads().div_ceil(2).max(2);
    let one = |group: usize| {
        let layout = HeadLayout { queries: keys * group, keys, size };
        let mut probe = Attention::new(crew, layout, POSITIONS, 1)?;
        Some(seconds(effort.budget, || probe.run()) / (keys * POSITIONS) as f64)
    };
    let mut many = Attention::new(crew, HeadLayout { queries: keys * 4, keys, size }, POSITIONS, 128)?;
    let many = seconds(effort.budget, || many.run()) / many.seen() as f64;
    Some(AttentionRate { size, one: one(1)?, four: one(4)?, many })
}

fn between(crew: &Crew, rows: usize, effort: Effort) -> (f64, f64) {
    let mut probe = Between::new(crew, SIDE, rows);
    let numbers = (SIDE * rows) as f64;
    let normalised = seconds(effort.budget, || probe.normalise()) / numbers;
    (normalised, seconds(effort.budget, || probe.gate()) / numbers)
}

fn logit(effort: Effort) -> f64 {
    const LOGITS: usize = 1 << 17;
    let mut sampler = Sampler::new(&Sampling::default(), 0, &[]);
    let mut logits: Vec<f32> = (0..LOGITS).map(|at| (at % 1009) as f32).collect();
    let mut chosen = 0u64;
    let took = seconds(effort.budget, || chosen += u64::from(sampler.choose(&mut logits).unwrap_or_default()));
    std::hint::black_box(chosen);
    took / LOGITS as f64
}

fn encoder(threads: usize, effort: Effort) -> EncoderRates {
    /// Seconds of a run while every thread does the same by itself.
    fn together(threads: usize, budget: Duration, probe: impl Fn() -> Box<dyn FnMut()> + Sync) -> f64 {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let mut run = probe();
                        seconds(budget, &mut run)
                    })
                })
                .collect();
            let took: Vec<f64> = workers.into_iter().filter_map(|worker| worker.join().ok()).collect();
            took.iter().sum::<f64>() / took.len().max(1) as f64 / threads as f64
        })
    }
    let (rows, shape) = (48, (384, 1536));
    let product = together(threads, 4 * effort.budget, || {
        let mut probe = EncoderProduct::new(shape, rows);
        Box::new(move || probe.run())
    });
    let tokens = 128;
    let attention = [32, 64].map(|size| {
        let took = together(threads, 4 * effort.budget, || {
            let mut probe = EncoderAttention::new((8, size), tokens);
            Box::new(move || probe.run())
        });
        (size as f64, took / (8 * tokens * tokens) as f64)
    });
    let operations = (rows * shape.0 * shape.1) as f64;
    EncoderRates { int8: operations / product.max(f64::MIN_POSITIVE), attention: Line(attention.to_vec()) }
}

/// What a layer takes that has next to nothing to compute.
fn layer(rates: &Rates) -> Result<f64, LoadError> {
    const LAYERS: usize = 24;
    const STEPS: usize = 96;
    let heads = Heads { queries: 4, keys: 2, size: 16 };
    let mut model = tiny(rates.threads, heads, LAYERS)?;
    let blocks: Vec<u32> = (0..4).collect();
    let mut logits = Vec::new();
    let mut took = Vec::new();
    for position in 0..STEPS {
        let begun = Instant::now();
        model.step(&[Piece { blocks: &blocks, position, tokens: &[1], logits: 1 }], &mut logits)?;
        took.push(begun.elapsed().as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    let step = took.get(STEPS / 2).copied().unwrap_or_default();
    // Sixty-four wide: queries, keys and values, output, gate and up, down.
    let weights = (64 * (64 + 2 * 32) + 64 * 64 + 3 * 64 * 96) as f64;
    let (norm, gate) = rates.between_one;
    let computed = weights * rates.product(Format::Q8_0, 1) + norm * 448.0 + gate * 96.0;
    let seen = cost::attention_rate(&rates.attention, heads.size);
    let computed = computed + (heads.keys * STEPS / 2) as f64 * cost::tile(&seen, 2);
    Ok((step / LAYERS as f64 - computed).max(0.0))
}

/// A model of sixty-four numbers with made-up weights.
fn tiny(threads: usize, heads: Heads, layers: usize) -> Result<Decoder, LoadError> {
    let team = Team::new(threads).map_err(LoadError::Thread)?;
    let path = crate::kernel::Path::best();
    let matrix = |inputs, outputs| Matrix::blank(Format::Q8_0, (inputs, outputs), path);
    let (width, inner, asked) = (64, 96, heads.key_row());
    let layer = || Layer {
        attention_norm: vec![1.0; width],
        qkv: vec![matrix(width, heads.query_row()), matrix(width, asked), matrix(width, asked)],
        qkv_bias: None,
        head_norms: None,
        output: matrix(heads.query_row(), width),
        attention_after: None,
        feed_norm: vec![1.0; width],
        gate_up: vec![matrix(width, inner), matrix(width, inner)],
        down: matrix(inner, width),
        feed_after: None,
        window: None,
        rope: 0,
    };
    let turning = Turning { base: 10_000.0, stretch: 1.0, factors: None, size: 1.0 };
    let plan = Plan {
        heads,
        epsilon: 1e-5,
        embedding_scale: 1.0,
        query_scale: 0.25,
        curve: Curve::Silu,
        ropes: vec![Rope::new(heads.size, 128, Pairs::Halves, turning)],
        context: 128,
        sequences: 1,
    };
    let layers = (0..layers).map(|_| layer()).collect();
    let weights = Weights { embedding: matrix(width, 64), layers, norm: vec![1.0; width], head: None };
    Ok(Decoder::new(plan, weights, path, team))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_straight_between_points_and_goes_on_as_told() {
        let line = Line(vec![(1.0, 10.0), (3.0, 20.0), (4.0, 40.0)]);
        for (x, grows, expected) in [
            (0.0, true, 10.0),
            (1.0, false, 10.0),
            (2.0, false, 15.0),
            (3.0, false, 20.0),
            (3.5, true, 30.0),
            (5.0, false, 40.0),
            (5.0, true, 60.0),
        ] {
            assert_eq!(line.at(x, grows), expected, "{x} {grows}");
        }
        assert_eq!(Line::default().at(7.0, true), 0.0);
        assert_eq!(Line(vec![(2.0, 5.0)]).at(9.0, true), 5.0);
    }

    #[test]
    fn a_machine_that_is_measured_can_do_something_in_every_way() {
        let rates = Rates::with(2, Effort { budget: Duration::from_millis(1), bytes: 16 << 20 }).unwrap();
        assert_eq!((rates.threads, rates.products.len(), rates.attention.len()), (2, Format::ALL.len(), 3));
        let speeds = rates.reading.0.iter().map(|point| point.1);
        assert!(speeds.clone().count() > 1 && speeds.clone().all(|speed| speed > 1e6), "{:?}", rates.reading);
        for rate in &rates.products {
            assert!(rate.seconds.0.iter().all(|point| point.1 > 0.0), "{rate:?}");
        }
        assert!((0.0..=1.0).contains(&rates.overlap));
        let all = [rates.between_one.0, rates.between_one.1, rates.between_many.0, rates.between_many.1, rates.logit];
        assert!(all.into_iter().all(|seconds| seconds > 0.0), "{all:?}");
        assert!(rates.encoder.int8 > 0.0 && rates.encoder.attention.0.iter().all(|point| point.1 > 0.0));
    }
}
