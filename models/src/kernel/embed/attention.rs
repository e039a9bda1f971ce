//! Attention of a sequence to itself.
//!
//! Queries, keys and values are rounded to integers of up to 16 bits: queries with a scale per row and head, keys and values
//! with one per sequence and head. So are the weights, once they sum to 1. What is lost is a few ten-thousandths of the
//! largest number, and pairs of such integers are multiplied twice as fast as floats, or faster. The exponentials are floats.

use std::ops::Range;

use super::curve::exp;
use super::machine::{Machine, Work, pair};
use super::{Line, Processor, lines};

/// How a row of queries, keys and values is laid out: `heads` queries of `size` numbers, so many keys, so many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// How many.
    pub(crate) count: usize,
    /// Numbers of each.
    pub(crate) size: usize,
    /// How many rows of the sequence a row sees on either side of itself; `None` is all of them.
    pub(crate) reach: Option<usize>,
}

impl Heads {
    /// The rows that row `row` of a sequence of `length` sees.
    fn seen(self, row: usize, length: usize) -> Range<usize> {
        let reach = self.reach.unwrap_or(length);
        row.saturating_sub(reach)..row.saturating_add(reach).saturating_add(1).min(length)
    }
}

/// What the rows of one sequence from `first` on read from all of its rows, as many as `out` has room for: a row of `out` has
/// `heads.count * heads.size` numbers, a row of `sequence` three times as many.
pub(crate) fn attend(processor: Processor, sequence: &[Line], heads: Heads, first: usize, out: &mut [Line]) {
    processor.run(Attend { sequence, heads, first, out });
}

struct Attend<'a> {
    sequence: &'a [Line],
    heads: Heads,
    first: usize,
    out: &'a mut [Line],
}

impl Work for Attend<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        if M::WIDE { self.go::<M, 8, 2>(m) } else { self.go::<M, 4, 1>(m) }
    }
}

/// Sixteen pairs of integers.
type Column = [i32; 16];

/// The largest integer that a weight or a value is rounded to. Weights sum to 1, so that no sum of their products with values
/// can leave 32 bits before the rounding of 65,000 weights adds up.
const MOST: f32 = 32_767.0;

/// One head of a sequence, rounded.
struct Head {
    size: usize,
    /// Pairs of numbers of a query or a key.
    key_pairs: usize,
    key_lines: usize,
    value_lines: usize,
    /// The largest integer that queries and keys are rounded to, so that the sum over a head fits 32 bits.
    most: f32,
    /// By sixteen keys and pair: a pair of sixteen keys.
    keys: Vec<Column>,
    key_scale: f32,
    /// By pair of rows: sixteen numbers of both rows.
    values: Vec<Column>,
    value_scale: f32,
}

impl Attend<'_> {
    #[inline(always)]
    fn go<M: Machine, const ROWS: usize, const COLUMNS: usize>(self, m: M) {
        let Heads { count, size, .. } = self.heads;
        let width = count * size;
        let stride = lines(3 * width).max(1) * 16;
        let numbers = self.sequence.as_flattened();
        let length = numbers.len() / stride;
        let out_lines = lines(width).max(1);
        let mut head = Head::new(size, length);
        let mut queries = vec![0; ROWS * head.key_pairs];
        let mut scores: Vec<Line> = vec![[0.0; 16]; ROWS * head.key_lines];
        let mut weights: Vec<[i32; 8]> = vec![[0; 8]; ROWS * head.key_lines];
        for at in 0..count {
            head.fill(m, numbers, stride, [(count + at) * size, (2 * count + at) * size]);
            for (block, out) in self.out.chunks_mut(out_lines * ROWS).enumerate() {
                let rows = out.len() / out_lines;
                // Where rows lack at the end, the last one stands in for them.
                let row_at = |row: usize| self.first + block * ROWS + row.min(rows - 1);
                let seen = self.heads.seen(row_at(0), length).start..self.heads.seen(row_at(rows - 1), length).end;
                // Lines of keys that one of the rows sees.
                let (low, high) = (seen.start / 16, lines(seen.end));
                let mut scales = [0.0; ROWS];
                for (row, (to, scale)) in queries.chunks_exact_mut(head.key_pairs).zip(&mut scales).enumerate() {
                    *scale = head.query(m, &numbers[row_at(row) * stride + at * size..][..size], to);
                }
                for column in (low..high).step_by(COLUMNS) {
                    let keys = &head.keys[column * head.key_pairs..];
                    let shape = (head.key_pairs, head.key_pairs, 1, head.key_pairs);
                    if column + COLUMNS <= high {
                        let tile = multiply::<M, ROWS, COLUMNS>(m, &queries, keys, shape);
                        keep(m, &tile, &mut scores, (head.key_lines, column));
                    } else {
                        let tile = multiply::<M, ROWS, 1>(m, &queries, keys, shape);
                        keep(m, &tile, &mut scores, (head.key_lines, column));
                    }
                }
                let parts = scores.chunks_exact_mut(head.key_lines).zip(weights.chunks_exact_mut(head.key_lines));
                for (row, ((scores, weights), scale)) in parts.zip(scales).enumerate() {
                    let seen = self.heads.seen(row_at(row), length);
                    let own = seen.start - low * 16..seen.end - low * 16;
                    weigh(m, &mut scores[low..high], own, scale, &mut weights[low..high]);
                }
                let out = out.as_flattened_mut();
                let first_pair = low * 8;
                let weights = &weights.as_flattened()[first_pair..];
                for column in (0..head.value_lines).step_by(COLUMNS) {
                    let values = &head.values[first_pair * head.value_lines + column..];
                    let shape = (head.key_lines * 8, seen.end.div_ceil(2) - first_pair, head.value_lines, 1);
                    let place = (out_lines * 16, at * size + column * 16, size - column * 16);
                    if column + COLUMNS <= head.value_lines {
                        let tile = multiply::<M, ROWS, COLUMNS>(m, weights, values, shape);
                        give(m, &tile, head.value_scale, out, place);
                    } else {
                        let tile = multiply::<M, ROWS, 1>(m, weights, values, shape);
                        give(m, &tile, head.value_scale, out, place);
                    }
                }
            }
        }
    }
}

/// Sixteen numbers from line `line` of a head, zeros past its end.
#[inline(always)]
fn part(numbers: &[f32], line: usize) -> Line {
    let rest = &numbers[line * 16..];
    match rest.first_chunk::<16>() {
        Some(whole) => *whole,
        None => std::array::from_fn(|n| rest.get(n).copied().unwrap_or(0.0)),
    }
}

/// The largest magnitude among the numbers of some rows of a head.
#[inline(always)]
fn magnitude<'a, M: Machine>(m: M, rows: impl Iterator<Item = &'a [f32]>, lines: usize) -> f32 {
    let zero = m.splat(0.0);
    let mut top = zero;
    for row in rows {
        for line in 0..lines {
            let numbers = m.load(&part(row, line));
            top = m.max(m.max(numbers, m.sub(zero, numbers)), top);
        }
    }
    m.largest(top)
}

/// What an integer stands for and what a number is multiplied with, for numbers up to `top` and integers up to `most`.
#[inline(always)]
fn scales(top: f32, most: f32) -> (f32, f32) {
    if top > 0.0 { (top / most, most / top) } else { (0.0, 0.0) }
}

impl Head {
    fn new(size: usize, length: usize) -> Self {
        let (key_pairs, key_lines, value_lines) = (size.div_ceil(2), lines(length), lines(size));
        Self {
            size,
            key_pairs,
            key_lines,
            value_lines,
            most: (f64::from(i32::MAX) / size as f64).sqrt().floor().min(f64::from(MOST)) as f32,
            keys: vec![[0; 16]; key_lines * key_pairs],
            key_scale: 0.0,
            values: vec![[0; 16]; length.div_ceil(2) * value_lines],
            value_scale: 0.0,
        }
    }

    /// Rounds the keys and values of a head, which begin at `places` of each row.
    #[inline(always)]
    fn fill<M: Machine>(&mut self, m: M, numbers: &[f32], stride: usize, places: [usize; 2]) {
        let size = self.size;
        let [keys, values] = places.map(|at| numbers.chunks_exact(stride).map(move |row| &row[at..][..size]));
        let (scale, inverse) = scales(magnitude(m, keys.clone(), self.value_lines), self.most);
        self.key_scale = scale / (size as f32).sqrt();
        let inverse = m.splat(inverse);
        for (row, key) in keys.enumerate() {
            let to = &mut self.keys[row / 16 * self.key_pairs..][..self.key_pairs];
            for (line, to) in to.chunks_mut(8).enumerate() {
                let pairs = m.pairs(m.mul(m.load(&part(key, line)), inverse));
                for (to, pair) in to.iter_mut().zip(pairs) {
                    to[row % 16] = pair;
                }
            }
        }
        let (scale, inverse) = scales(magnitude(m, values.clone(), self.value_lines), MOST);
        self.value_scale = scale / MOST;
        let inverse = m.splat(inverse);
        let mut rest = values;
        for to in self.values.chunks_exact_mut(self.value_lines) {
            let (first, second) = (rest.next().unwrap_or_default(), rest.next());
            for (line, to) in to.iter_mut().enumerate() {
                let low = m.pairs(m.mul(m.load(&part(first, line)), inverse));
                let high = second.map_or([0; 8], |second| m.pairs(m.mul(m.load(&part(second, line)), inverse)));
                for (to, (low, high)) in to.as_chunks_mut::<2>().0.iter_mut().zip(low.into_iter().zip(high)) {
                    *to = [pair(low as u16, high as u16), pair((low >> 16) as u16, (high >> 16) as u16)];
                }
            }
        }
    }

    /// Rounds a query; returns what a product with a key is to be multiplied with.
    #[inline(always)]
    fn query<M: Machine>(&self, m: M, query: &[f32], to: &mut [i32]) -> f32 {
        let (scale, inverse) = scales(magnitude(m, std::iter::once(query), self.value_lines), self.most);
        let inverse = m.splat(inverse);
        for (line, to) in to.chunks_mut(8).enumerate() {
            let pairs = m.pairs(m.mul(m.load(&part(query, line)), inverse));
            for (to, pair) in to.iter_mut().zip(pairs) {
                *to = pair;
            }
        }
        scale * self.key_scale
    }
}

/// The product of `ROWS` rows of `a`, `stride` pairs each of which `steps` count, with `COLUMNS` columns of `b`, where a step
/// down is `down` on, the next column `aside`.
#[inline(always)]
fn multiply<M: Machine, const ROWS: usize, const COLUMNS: usize>(
    m: M,
    a: &[i32],
    b: &[Column],
    (stride, steps, down, aside): (usize, usize, usize, usize),
) -> [[M::Integers; COLUMNS]; ROWS] {
    assert!(steps <= stride && a.len() >= (ROWS - 1) * stride + steps);
    assert!(steps == 0 || (steps - 1) * down + (COLUMNS - 1) * aside < b.len());
    let mut all = [[m.zeros(); COLUMNS]; ROWS];
    for step in 0..steps {
        for (row, all) in all.iter_mut().enumerate() {
            // SAFETY: asserted above.
            let number = unsafe { *a.get_unchecked(row * stride + step) };
            for (column, sum) in all.iter_mut().enumerate() {
                // SAFETY: asserted above.
                *sum = m.add_products(*sum, number, unsafe { b.get_unchecked(step * down + column * aside) });
            }
        }
    }
    all
}

#[inline(always)]
fn keep<M: Machine, const ROWS: usize, const COLUMNS: usize>(
    m: M,
    tile: &[[M::Integers; COLUMNS]; ROWS],
    scores: &mut [Line],
    (stride, column): (usize, usize),
) {
    for (row, scores) in tile.iter().zip(scores.chunks_exact_mut(stride)) {
        for (value, to) in row.iter().zip(&mut scores[column..]) {
            m.store(m.to_floats(*value), to);
        }
    }
}

/// Turns scores into weights that sum to [`MOST`], two in each integer. Overwrites the scores; those that are not `seen` weigh
/// nothing.
#[inline(always)]
fn weigh<M: Machine>(m: M, scores: &mut [Line], seen: Range<usize>, scale: f32, weights: &mut [[i32; 8]]) {
    // What is not seen is neither the largest score nor, below, part of the sum.
    scores.as_flattened_mut()[..seen.start].fill(f32::MIN);
    scores.as_flattened_mut()[seen.end..].fill(f32::MIN);
    let mut top = m.splat(f32::MIN);
    for line in scores.iter() {
        top = m.max(m.load(line), top);
    }
    let (top, scale) = (m.splat(m.largest(top)), m.splat(scale));
    for line in scores.iter_mut() {
        let weight = exp(m, m.mul(m.sub(m.load(line), top), scale));
        m.store(weight, line);
    }
    scores.as_flattened_mut()[..seen.start].fill(0.0);
    scores.as_flattened_mut()[seen.end..].fill(0.0);
    let mut sum = m.splat(0.0);
    for line in scores.iter() {
        sum = m.add(sum, m.load(line));
    }
    let share = m.splat(MOST / m.sum(sum));
    for (line, to) in scores.iter().zip(weights) {
        *to = m.pairs(m.mul(m.load(line), share));
    }
}

#[inline(always)]
fn give<M: Machine, const ROWS: usize, const COLUMNS: usize>(
    m: M,
    tile: &[[M::Integers; COLUMNS]; ROWS],
    scale: f32,
    out: &mut [f32],
    (stride, start, left): (usize, usize, usize),
) {
    let scale = m.splat(scale);
    for (row, out) in tile.iter().zip(out.chunks_exact_mut(stride)) {
        let to = out[start..start + left.min(COLUMNS * 16)].chunks_mut(16);
        for (value, to) in row.iter().zip(to) {
            let value = m.mul(m.to_floats(*value), scale);
            if let Ok(to) = <&mut Line>::try_from(&mut *to) {
                m.store(value, to);
            } else {
                let mut lane = [0.0; 16];
                m.store(value, &mut lane);
                to.iter_mut().zip(lane).for_each(|(to, value)| *to = value);
            }
        }
    }
}
