//! Layers in 32-bit floats: what the packed ones are measured against, and for sites that want the last digit.

use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::{Affine, Feed, Order, Parts, Plan, Scale};
use crate::kernel::embed::Curve;
use crate::layers::curve::{gelu, silu};
use crate::layers::linear::Linear;
use crate::layers::norm::layer_norm;
use crate::layers::{add_scaled, dot, softmax, step};
use crate::task::StepError;
use crate::task::embed::Sequence;

/// All layers.
pub(super) struct Floats {
    plan: Plan,
    first: Scale,
    last: Option<Scale>,
    layers: Vec<Layer>,
}

struct Layer {
    qkv: Product,
    attended: Product,
    attention_norm: Option<Scale>,
    inner: Product,
    outer: Product,
    feed_norm: Scale,
    rope: Option<usize>,
    reach: Option<usize>,
}

struct Product {
    weights: Linear,
    bias: Vec<f32>,
}

impl Floats {
    pub(super) const fn new(plan: Plan, first: Scale, last: Option<Scale>) -> Self {
        Self { plan, first, last, layers: Vec::new() }
    }

    pub(super) fn push(&mut self, parts: Parts) -> Result<(), StepError> {
        self.layers.push(Layer {
            qkv: Product::new(parts.qkv)?,
            attended: Product::new(parts.attended)?,
            attention_norm: parts.attention_norm,
            inner: Product::new(parts.inner)?,
            outer: Product::new(parts.outer)?,
            feed_norm: parts.feed_norm,
            rope: parts.rope,
            reach: parts.reach,
        });
        Ok(())
    }

    /// The vectors of all tokens, the sequences one after the other, and what they were half way, where that is `kept`; `rows` are
    /// their embeddings.
    pub(super) fn run(
        &self,
        mut rows: Vec<f32>,
        batch: &[Sequence],
        kept: bool,
    ) -> Result<(Vec<f32>, Vec<f32>), StepError> {
        self.normalise(&self.first, &mut rows);
        let (mut below, half) = (Vec::new(), self.layers.len().div_ceil(2));
        for (number, layer) in (1..).zip(&self.layers) {
            let mut qkv = layer.qkv.apply(&self.read(layer.attention_norm.as_ref(), &rows))?;
            self.turn(layer, &mut qkv, batch);
            let attended = self.attend(layer, &qkv, batch, rows.len());
            add_scaled(&mut rows, 1.0, &layer.attended.apply(&attended)?);
            self.after(layer.attention_norm.as_ref(), &mut rows);
            let inner = layer.inner.apply(&self.read(Some(&layer.feed_norm), &rows))?;
            let inner = self.bend(inner, layer);
            add_scaled(&mut rows, 1.0, &layer.outer.apply(&inner)?);
            self.after(Some(&layer.feed_norm), &mut rows);
            if kept && number == half {
                below.clone_from(&rows);
            }
        }
        if let Some(last) = &self.last {
            self.normalise(last, &mut rows);
        }
        Ok((rows, below))
    }

    fn normalise(&self, scale: &Scale, rows: &mut [f32]) {
        let (part, epsilon) = (scale.weight.len() * 16, self.plan.epsilon);
        rows.par_chunks_mut(part).for_each(|rows| layer_norm(rows, &scale.weight, &scale.bias, epsilon));
    }

    /// What a part of a layer reads.
    fn read<'a>(&self, norm: Option<&Scale>, rows: &'a [f32]) -> Cow<'a, [f32]> {
        match norm {
            Some(norm) if self.plan.order == Order::Before => {
                let mut own = rows.to_vec();
                self.normalise(norm, &mut own);
                Cow::Owned(own)
            }
            _ => Cow::Borrowed(rows),
        }
    }

    /// What happens to the rows once a part has been added.
    fn after(&self, norm: Option<&Scale>, rows: &mut [f32]) {
        if let Some(norm) = norm.filter(|_| self.plan.order == Order::After) {
            self.normalise(norm, rows);
        }
    }

    /// Turns queries and keys by their positions.
    fn turn(&self, layer: &Layer, qkv: &mut [f32], batch: &[Sequence]) {
        let Some(rope) = layer.rope.and_then(|rope| self.plan.ropes.get(rope)) else { return };
        let positions = batch.iter().flat_map(|sequence| 0..sequence.len());
        for (row, position) in qkv.chunks_exact_mut(3 * self.plan.width).zip(positions) {
            let (turned, _) = row.split_at_mut(2 * self.plan.width);
            rope.turn(turned, self.plan.width / self.plan.heads, position);
        }
    }

    /// The curve of the feed-forward part, and its gate.
    fn bend(&self, mut inner: Vec<f32>, layer: &Layer) -> Vec<f32> {
        let curve = |curve: Curve, x: f32| match curve {
            Curve::None => x,
            Curve::Gelu => gelu(x),
            Curve::Silu => silu(x),
        };
        match self.plan.feed {
            Feed::Plain(kind) => {
                inner.par_chunks_mut(4096).for_each(|part| part.iter_mut().for_each(|x| *x = curve(kind, *x)));
                inner
            }
            Feed::Gated(kind) => {
                let half = layer.inner.bias.len() / 2;
                let width = layer.outer.weights.inputs();
                let mut out = vec![0.0; inner.len() / (2 * half).max(1) * width];
                let rows = out.par_chunks_exact_mut(width).zip(inner.par_chunks_exact(2 * half));
                rows.for_each(|(out, row)| {
                    let (gate, up) = row.split_at(half);
                    for ((to, gate), up) in out.iter_mut().zip(gate).zip(up) {
                        *to = curve(kind, *gate) * up;
                    }
                });
                out
            }
        }
    }

    /// Attention of every sequence to itself. A row of `qkv` is a query, a key and a value; the result has `size` numbers.
    fn attend(&self, layer: &Layer, qkv: &[f32], batch: &[Sequence], size: usize) -> Vec<f32> {
        let (width, heads) = (self.plan.width, self.plan.heads);
        let head = width / heads.max(1);
        let mut starts = BTreeMap::new();
        let mut start = 0;
        for sequence in batch {
            // Which sequence a row belongs to, by its last row: a look-up finds the range around it.
            starts.insert(start + sequence.len() - 1, start);
            start += sequence.len();
        }
        let scale = 1.0 / (head as f32).sqrt();
        let mut out = vec![0.0; size];
        out.par_chunks_exact_mut(width).enumerate().for_each(|(row, out)| {
            let Some((last, first)) = starts.range(row..).next() else { return };
            let reach = layer.reach.unwrap_or(usize::MAX);
            let (first, last) = ((*first).max(row.saturating_sub(reach)), (*last).min(row.saturating_add(reach)));
            let part = |row: usize, which: usize, at: usize| {
                let start = row * 3 * width + which * width + at * head;
                qkv.get(start..start + head).unwrap_or_default()
            };
            let mut scores = vec![0.0; last - first + 1];
            for (at, out) in out.chunks_exact_mut(head).enumerate() {
                let query = part(row, 0, at);
                for (score, other) in scores.iter_mut().zip(first..) {
                    *score = dot(query, part(other, 1, at)) * scale;
                }
                softmax(&mut scores);
                for (score, other) in scores.iter().zip(first..) {
                    add_scaled(out, *score, part(other, 2, at));
                }
            }
        });
        out
    }
}

impl Product {
    fn new(affine: Affine) -> Result<Self, StepError> {
        let Affine { weights, bias, inputs } = affine;
        let weights = Tensor::from_vec(weights, (bias.len(), inputs), &Device::Cpu).map_err(step)?;
        Ok(Self { weights: Linear::dense(&weights)?, bias })
    }

    fn apply(&self, rows: &[f32]) -> Result<Vec<f32>, StepError> {
        let mut out = self.weights.forward(rows)?;
        out.par_chunks_exact_mut(self.bias.len()).for_each(|row| add_scaled(row, 1.0, &self.bias));
        Ok(out)
    }
}
