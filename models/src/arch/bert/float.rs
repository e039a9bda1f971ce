//! Layers in 32-bit floats: what the packed ones are measured against, and for sites that want the last digit.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::source::{Affine, Scale};
use super::{Parts, Shape};
use crate::layers::curve::gelu;
use crate::layers::linear::Linear;
use crate::layers::norm::layer_norm;
use crate::layers::{add_scaled, dot, softmax, step};
use crate::task::StepError;

/// All layers.
pub(super) struct Floats {
    shape: Shape,
    norm: Scale,
    layers: Vec<Layer>,
}

struct Layer {
    qkv: Product,
    attended: Product,
    attended_norm: Scale,
    inner: Product,
    outer: Product,
    outer_norm: Scale,
}

struct Product {
    weights: Linear,
    bias: Vec<f32>,
}

impl Floats {
    pub(super) fn new(shape: Shape, norm: Scale) -> Self {
        Self { shape, norm, layers: Vec::new() }
    }

    pub(super) fn push(&mut self, parts: Parts) -> Result<(), StepError> {
        self.layers.push(Layer {
            qkv: Product::new(parts.qkv)?,
            attended: Product::new(parts.attended)?,
            attended_norm: parts.attended_norm,
            inner: Product::new(parts.inner)?,
            outer: Product::new(parts.outer)?,
            outer_norm: parts.outer_norm,
        });
        Ok(())
    }

    /// The vectors of all tokens, the sequences one after the other; `rows` are their embeddings.
    pub(super) fn run(&self, mut rows: Vec<f32>, batch: &[Vec<u32>]) -> Result<Vec<f32>, StepError> {
        let epsilon = self.shape.epsilon;
        normalise(&self.norm, &mut rows, epsilon);
        for layer in &self.layers {
            let qkv = layer.qkv.apply(&rows)?;
            let attended = attend(&qkv, batch, self.shape.heads, rows.len());
            add_scaled(&mut rows, 1.0, &layer.attended.apply(&attended)?);
            normalise(&layer.attended_norm, &mut rows, epsilon);
            let mut inner = layer.inner.apply(&rows)?;
            inner.par_chunks_mut(4096).for_each(|part| part.iter_mut().for_each(|x| *x = gelu(*x)));
            add_scaled(&mut rows, 1.0, &layer.outer.apply(&inner)?);
            normalise(&layer.outer_norm, &mut rows, epsilon);
        }
        Ok(rows)
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

fn normalise(scale: &Scale, rows: &mut [f32], epsilon: f32) {
    let part = scale.weight.len() * 16;
    rows.par_chunks_mut(part).for_each(|rows| layer_norm(rows, &scale.weight, &scale.bias, epsilon));
}

/// Attention of every sequence to itself. A row of `qkv` is a query, a key and a value; the result has `size` numbers.
fn attend(qkv: &[f32], batch: &[Vec<u32>], heads: usize, size: usize) -> Vec<f32> {
    let tokens: usize = batch.iter().map(Vec::len).sum();
    let width = size / tokens.max(1);
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
        let part = |row: usize, which: usize, at: usize| {
            let start = row * 3 * width + which * width + at * head;
            qkv.get(start..start + head).unwrap_or_default()
        };
        let mut scores = vec![0.0; last - first + 1];
        for (at, out) in out.chunks_exact_mut(head).enumerate() {
            let query = part(row, 0, at);
            for (score, other) in scores.iter_mut().zip(*first..) {
                *score = dot(query, part(other, 1, at)) * scale;
            }
            softmax(&mut scores);
            for (score, other) in scores.iter().zip(*first..) {
                add_scaled(out, *score, part(other, 2, at));
            }
        }
    });
    out
}
