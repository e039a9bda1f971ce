//! Layers in 8-bit integers, packed for this processor: how encoders run.
//!
//! A group of sequences goes through all layers on one thread, so that threads never wait for each other; only where there
//! are fewer groups than threads, a short query for one, the rows of a group are shared out.

use std::sync::Mutex;

use rayon::prelude::*;

use super::source::{Affine, Scale};
use super::{Parts, Shape};
use crate::kernel::embed::{Curve, Heads, Line, Norm, Packed, Processor, attend, lines, product};

/// Rows that go through a product together: what they become between two products stays in the second-level cache.
const BLOCK: usize = 48;
/// The fewest rows that are worth a thread of their own.
const LEAST_BLOCK: usize = 8;

/// All layers.
pub(super) struct Layers {
    processor: Processor,
    shape: Shape,
    norm: Norm,
    layers: Vec<Layer>,
    /// Buffers that lie ready, so that no group pays for fresh memory.
    spare: Mutex<Vec<Buffers>>,
}

struct Layer {
    qkv: Packed,
    attended: Packed,
    attended_norm: Norm,
    inner: Packed,
    outer: Packed,
    outer_norm: Norm,
}

/// What one group needs.
#[derive(Default)]
struct Buffers {
    rows: Vec<Line>,
    qkv: Vec<Line>,
    attended: Vec<Line>,
}

impl Layers {
    pub(super) fn new(shape: Shape, norm: &Scale, processor: Processor) -> Self {
        let norm = Norm::new(&norm.weight, &norm.bias, shape.epsilon);
        Self { processor, shape, norm, layers: Vec::new(), spare: Mutex::default() }
    }

    pub(super) fn push(&mut self, parts: &Parts) {
        let pack = |affine: &Affine| Packed::new(&affine.weights, affine.inputs, &affine.bias);
        let norm = |scale: &Scale| Norm::new(&scale.weight, &scale.bias, self.shape.epsilon);
        self.layers.push(Layer {
            qkv: pack(&parts.qkv),
            attended: pack(&parts.attended),
            attended_norm: norm(&parts.attended_norm),
            inner: pack(&parts.inner),
            outer: pack(&parts.outer),
            outer_norm: norm(&parts.outer_norm),
        });
    }

    /// Runs a group of sequences of the given lengths. `embed` writes the embeddings of all tokens, and `pool` reads what
    /// became of them, row after row, each row in whole lines. With `shares` above 1 that many threads work on it.
    pub(super) fn run<T>(
        &self,
        lengths: &[usize],
        shares: usize,
        embed: impl FnOnce(&mut [Line]),
        pool: impl FnOnce(&[Line]) -> T,
    ) -> T {
        let mut buffers = self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
        let (count, width) = (lengths.iter().sum::<usize>(), lines(self.shape.width));
        let Buffers { rows, qkv, attended } = &mut buffers;
        for (buffer, width) in [(&mut *rows, width), (qkv, lines(3 * self.shape.width)), (attended, width)] {
            buffer.resize(count * width, [0.0; 16]);
        }
        embed(rows);
        self.norm.apply(self.processor, rows);
        for layer in &self.layers {
            self.layer(layer, &mut buffers, lengths, shares);
        }
        let out = pool(&buffers.rows);
        if let Ok(mut spare) = self.spare.lock() {
            spare.push(buffers);
        }
        out
    }

    fn layer(&self, layer: &Layer, buffers: &mut Buffers, lengths: &[usize], shares: usize) {
        let (processor, width) = (self.processor, lines(self.shape.width));
        let three = lines(3 * self.shape.width);
        let heads = Heads { count: self.shape.heads, size: self.shape.width / self.shape.heads };
        let Buffers { rows, qkv, attended } = buffers;
        let block = |rows: usize| if shares > 1 { rows.div_ceil(shares).clamp(LEAST_BLOCK, BLOCK) } else { BLOCK };
        let size = block(rows.len() / width);
        let blocks = (rows.chunks(size * width), qkv.chunks_mut(size * three));
        share(shares, blocks.0.zip(blocks.1), |(rows, qkv)| product(processor, &layer.qkv, rows, Curve::None, qkv));
        let (mut qkv, mut rest) = (qkv.as_slice(), attended.as_mut_slice());
        for length in lengths {
            let (own, others) = qkv.split_at_checked(length * three).unwrap_or_default();
            let (out, after) = std::mem::take(&mut rest).split_at_mut_checked(length * width).unwrap_or_default();
            (qkv, rest) = (others, after);
            let size = if shares > 1 { block(*length) } else { *length };
            let blocks = out.chunks_mut(size * width).enumerate();
            share(shares, blocks, |(at, out)| attend(processor, own, heads, at * size, out));
        }
        let blocks = rows.chunks_mut(size * width).zip(attended.chunks(size * width));
        share(shares, blocks, |(rows, attended)| layer.feed(processor, rows, attended));
    }
}

impl Layer {
    /// What follows attention, for some rows.
    fn feed(&self, processor: Processor, rows: &mut [Line], attended: &[Line]) {
        let mut more = vec![[0.0; 16]; rows.len()];
        product(processor, &self.attended, attended, Curve::None, &mut more);
        self.attended_norm.add_and_apply(processor, rows, &more);
        let mut inner = vec![[0.0; 16]; rows.len() / self.inner.input_lines().max(1) * self.inner.output_lines()];
        product(processor, &self.inner, rows, Curve::Gelu, &mut inner);
        product(processor, &self.outer, &inner, Curve::None, &mut more);
        self.outer_norm.add_and_apply(processor, rows, &more);
    }
}

/// Does all parts of a work, on several threads where that is wanted.
fn share<T: Send>(shares: usize, parts: impl Iterator<Item = T>, work: impl Fn(T) + Send + Sync) {
    if shares > 1 {
        parts.collect::<Vec<_>>().into_par_iter().for_each(work);
    } else {
        parts.for_each(work);
    }
}
