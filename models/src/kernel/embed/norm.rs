//! Layer normalisation (Ba and others, 2016), with what is added before it.

use super::machine::{Machine, Work};
use super::{Line, Processor, lines, to_lines};

/// Brings a row to mean 0 and variance 1, then applies a weight and a bias.
pub(crate) struct Norm {
    weight: Vec<Line>,
    bias: Vec<Line>,
    epsilon: f32,
    width: usize,
}

impl Norm {
    /// `weight` and `bias` are of one length, the width of a row.
    pub(crate) fn new(weight: &[f32], bias: &[f32], epsilon: f32) -> Self {
        Self { weight: to_lines(weight), bias: to_lines(bias), epsilon, width: weight.len() }
    }

    /// Normalises `rows` in place.
    pub(crate) fn apply(&self, processor: Processor, rows: &mut [Line]) {
        processor.run(Apply { norm: self, rows, more: None });
    }

    /// Adds `more` to `rows`, then normalises them.
    pub(crate) fn add_and_apply(&self, processor: Processor, rows: &mut [Line], more: &[Line]) {
        processor.run(Apply { norm: self, rows, more: Some(more) });
    }
}

struct Apply<'a> {
    norm: &'a Norm,
    rows: &'a mut [Line],
    more: Option<&'a [Line]>,
}

impl Work for Apply<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let width = lines(self.norm.width).max(1);
        if let Some(more) = self.more {
            for (to, more) in self.rows.iter_mut().zip(more) {
                m.store(m.add(m.load(to), m.load(more)), to);
            }
        }
        for row in self.rows.chunks_exact_mut(width) {
            one(m, row, self.norm);
        }
    }
}

#[inline(always)]
fn one<M: Machine>(m: M, row: &mut [Line], norm: &Norm) {
    let count = norm.width as f32;
    let mut sum = m.splat(0.0);
    for line in row.iter() {
        sum = m.add(sum, m.load(line));
    }
    let mean = m.sum(sum) / count;
    let middle = m.splat(mean);
    let mut squares = m.splat(0.0);
    for line in row.iter() {
        let away = m.sub(m.load(line), middle);
        squares = m.fma(away, away, squares);
    }
    // What fills up the last line is 0 and so as far away as the mean is. Rounding must not leave less than nothing.
    let filled = (row.len() * 16 - norm.width) as f32;
    let variance = (m.sum(squares) - filled * mean * mean).max(0.0) / count;
    let scale = m.splat(1.0 / (variance + norm.epsilon).sqrt());
    for ((line, weight), bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
        let away = m.mul(m.sub(m.load(line), middle), scale);
        m.store(m.fma(away, m.load(weight), m.load(bias)), line);
    }
}
