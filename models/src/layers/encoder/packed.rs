//! Layers in 8-bit integers, packed for this processor: how encoders run.
//!
//! A group of sequences goes through all layers on one thread, so that threads never wait for each other; only where there
//! are fewer groups than threads, a short query for one, the rows of a group are shared out.

use std::borrow::Cow;
use std::sync::Mutex;

use rayon::prelude::*;

use super::{Affine, Feed, Order, Parts, Plan, Scale};
use crate::kernel::embed::{Curve, Heads, Line, Norm, Packed, Processor, attend, gate, lines, product};

/// Rows that go through a product together: what they become between two products stays in the second-level cache.
const BLOCK: usize = 48;
/// The fewest rows that are worth a thread of their own.
const LEAST_BLOCK: usize = 8;

/// Most rows of buffers that are kept.
const KEPT: usize = 512;

/// All layers.
pub(super) struct Layers {
    processor: Processor,
    plan: Plan,
    first: Norm,
    last: Option<Norm>,
    layers: Vec<Layer>,
    /// Buffers that lie ready, so that no group pays for fresh memory.
    spare: Mutex<Vec<Buffers>>,
}

struct Layer {
    qkv: Packed,
    attended: Packed,
    attention_norm: Option<Norm>,
    inner: Packed,
    outer: Packed,
    feed_norm: Norm,
    rope: Option<usize>,
    reach: Option<usize>,
}

/// What one group needs.
#[derive(Default)]
struct Buffers {
    rows: Vec<Line>,
    qkv: Vec<Line>,
    attended: Vec<Line>,
}

/// What one group is: how long its sequences are, where each row stands in its own, and on how many threads it is computed.
struct Group<'a> {
    lengths: &'a [usize],
    positions: Vec<usize>,
    shares: usize,
}

impl Layers {
    pub(super) fn new(plan: Plan, first: &Scale, last: Option<Scale>, processor: Processor) -> Self {
        let norm = |scale: &Scale| Norm::new(&scale.weight, &scale.bias, plan.epsilon);
        let (first, last) = (norm(first), last.as_ref().map(norm));
        Self { processor, plan, first, last, layers: Vec::new(), spare: Mutex::default() }
    }

    pub(super) fn push(&mut self, parts: &Parts) {
        let pack = |affine: &Affine| Packed::new(&affine.weights, affine.inputs, &affine.bias);
        let norm = |scale: &Scale| Norm::new(&scale.weight, &scale.bias, self.plan.epsilon);
        self.layers.push(Layer {
            qkv: pack(&parts.qkv),
            attended: pack(&parts.attended),
            attention_norm: parts.attention_norm.as_ref().map(norm),
            inner: pack(&parts.inner),
            outer: pack(&parts.outer),
            feed_norm: norm(&parts.feed_norm),
            rope: parts.rope,
            reach: parts.reach,
        });
    }

    /// Runs a group of sequences of the given lengths. `embed` writes the embeddings of all tokens, and `pool` reads what
    /// became of them, row after row, each row in whole lines, and what they were half way, where that is `kept`. With `shares`
    /// above 1 that many threads work on it.
    pub(super) fn run<T>(
        &self,
        lengths: &[usize],
        shares: usize,
        kept: bool,
        embed: impl FnOnce(&mut [Line]),
        pool: impl FnOnce(&[Line], &[Line]) -> T,
    ) -> T {
        let mut buffers = self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
        let positions: Vec<usize> = lengths.iter().flat_map(|length| 0..*length).collect();
        let (count, width) = (positions.len(), lines(self.plan.width));
        let Buffers { rows, qkv, attended } = &mut buffers;
        for (buffer, width) in [(&mut *rows, width), (qkv, lines(3 * self.plan.width)), (attended, width)] {
            buffer.resize(count * width, [0.0; 16]);
        }
        embed(rows);
        self.first.apply(self.processor, rows);
        let group = Group { lengths, positions, shares };
        let (mut below, half) = (Vec::new(), self.layers.len().div_ceil(2));
        for (number, layer) in (1..).zip(&self.layers) {
            self.layer(layer, &mut buffers, &group);
            if kept && number == half {
                below.clone_from(&buffers.rows);
            }
        }
        if let Some(last) = &self.last {
            last.apply(self.processor, &mut buffers.rows);
        }
        let out = pool(&buffers.rows, &below);
        // What one long sequence needed is not kept for the short ones.
        if count <= KEPT
            && let Ok(mut spare) = self.spare.lock()
        {
            spare.push(buffers);
        }
        out
    }

    fn layer(&self, layer: &Layer, buffers: &mut Buffers, group: &Group<'_>) {
        let (processor, width, shares) = (self.processor, lines(self.plan.width), group.shares);
        let three = lines(3 * self.plan.width);
        let size = self.plan.width / self.plan.heads;
        let heads = Heads { count: self.plan.heads, size, reach: layer.reach };
        let Buffers { rows, qkv, attended } = buffers;
        let block = |rows: usize| if shares > 1 { rows.div_ceil(shares).clamp(LEAST_BLOCK, BLOCK) } else { BLOCK };
        let own = block(rows.len() / width);
        let blocks = rows.chunks(own * width).zip(qkv.chunks_mut(own * three)).zip(group.positions.chunks(own));
        share(shares, blocks, |((rows, qkv), positions)| {
            product(processor, &layer.qkv, &self.read(layer.attention_norm.as_ref(), rows), Curve::None, qkv);
            if let Some(rope) = layer.rope.and_then(|rope| self.plan.ropes.get(rope)) {
                for (row, position) in qkv.chunks_exact_mut(three).zip(positions) {
                    // Queries, and the keys that lie behind them.
                    let row = row.as_flattened_mut().get_mut(..2 * self.plan.width).unwrap_or_default();
                    rope.turn(row, size, *position);
                }
            }
        });
        let (mut qkv, mut rest) = (qkv.as_slice(), attended.as_mut_slice());
        for length in group.lengths {
            let (own, others) = qkv.split_at_checked(length * three).unwrap_or_default();
            let (out, after) = std::mem::take(&mut rest).split_at_mut_checked(length * width).unwrap_or_default();
            (qkv, rest) = (others, after);
            let size = if shares > 1 { block(*length) } else { *length };
            let blocks = out.chunks_mut(size * width).enumerate();
            share(shares, blocks, |(at, out)| attend(processor, own, heads, at * size, out));
        }
        let blocks = rows.chunks_mut(own * width).zip(attended.chunks(own * width));
        share(shares, blocks, |(rows, attended)| self.feed(layer, rows, attended));
    }

    /// What a part of a layer reads: the rows, normalised first where that is the model's order.
    fn read<'a>(&self, norm: Option<&Norm>, rows: &'a [Line]) -> Cow<'a, [Line]> {
        match norm {
            Some(norm) if self.plan.order == Order::Before => {
                let mut own = rows.to_vec();
                norm.apply(self.processor, &mut own);
                Cow::Owned(own)
            }
            _ => Cow::Borrowed(rows),
        }
    }

    /// Adds what a part of a layer made, and normalises the rows where that is the model's order.
    fn add(&self, norm: Option<&Norm>, rows: &mut [Line], more: &[Line]) {
        match norm {
            Some(norm) if self.plan.order == Order::After => norm.add_and_apply(self.processor, rows, more),
            _ => {
                for (to, more) in rows.as_flattened_mut().iter_mut().zip(more.as_flattened()) {
                    *to += more;
                }
            }
        }
    }

    /// What follows attention, for some rows.
    fn feed(&self, layer: &Layer, rows: &mut [Line], attended: &[Line]) {
        let processor = self.processor;
        let mut more = vec![[0.0; 16]; rows.len()];
        product(processor, &layer.attended, attended, Curve::None, &mut more);
        self.add(layer.attention_norm.as_ref(), rows, &more);
        let count = rows.len() / layer.inner.input_lines().max(1);
        let mut inner = vec![[0.0; 16]; count * layer.inner.output_lines()];
        let read = self.read(Some(&layer.feed_norm), rows);
        match self.plan.feed {
            Feed::Plain(curve) => product(processor, &layer.inner, &read, curve, &mut inner),
            Feed::Gated(curve) => {
                product(processor, &layer.inner, &read, Curve::None, &mut inner);
                inner = gate(processor, curve, &inner, layer.outer.input_lines());
            }
        }
        drop(read);
        product(processor, &layer.outer, &inner, Curve::None, &mut more);
        self.add(Some(&layer.feed_norm), rows, &more);
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
