//! Rows times packed weights.

use super::machine::{MOST_ROWS, Machine, Range, Scaling, Work};
use super::matrix::{GROUP_LINES, GROUP_QUADS, Panel};
use super::{Curve, Line, Packed, Processor};

/// Multiplies `rows` with `weights`, adds the bias and applies `curve`; row after row into `out`, whose old contents are
/// lost. Rows beyond those that `out` has room for are left out.
pub(crate) fn product(processor: Processor, weights: &Packed, rows: &[Line], curve: Curve, out: &mut [Line]) {
    processor.run(Product { weights, rows, curve, out });
}

struct Product<'a> {
    weights: &'a Packed,
    rows: &'a [Line],
    curve: Curve,
    out: &'a mut [Line],
}

/// Rows rounded to integers.
struct Rounded<M: Machine> {
    /// By tile, group, and quad and row, or row and quad ([`Machine::ROWS_FIRST`]).
    quads: Vec<M::Quad>,
    /// By row and group.
    ranges: Vec<Range>,
    rows: usize,
    /// Quads of a row.
    length: usize,
}

impl Work for Product<'_> {
    type Out = ();

    #[inline(always)]
    fn run<M: Machine>(self, m: M) {
        let width = self.weights.input_lines().max(1);
        let stride = self.weights.output_lines().max(1);
        let rows = (self.rows.len() / width).min(self.out.len() / stride);
        let rounded = round(m, &self.rows[..rows * width], width);
        for (at, panel) in self.weights.panels().iter().enumerate() {
            let out = &mut self.out[..rows * stride];
            for (tile, out) in out.chunks_mut(stride * M::TILE).enumerate() {
                one(m, panel, &rounded, tile, self.curve, out, (stride, at * 2));
            }
        }
    }
}

#[inline(always)]
fn round<M: Machine>(m: M, rows: &[Line], width: usize) -> Rounded<M> {
    let (count, length, groups) = (rows.len() / width, width * 4, width.div_ceil(GROUP_LINES));
    let mut quads = vec![M::Quad::default(); count.div_ceil(M::TILE) * length * M::TILE];
    let mut ranges = vec![Range::default(); count * groups];
    for (at, (row, ranges)) in rows.chunks_exact(width).zip(ranges.chunks_exact_mut(groups)).enumerate() {
        let tile = &mut quads[at / M::TILE * length * M::TILE..];
        let row_of_tile = at % M::TILE;
        for (group, (lines, range)) in row.chunks(GROUP_LINES).zip(ranges).enumerate() {
            let (mut top, mut least) = (m.load(&lines[0]), m.load(&lines[0]));
            for line in lines {
                top = m.max(top, m.load(line));
                least = m.min(least, m.load(line));
            }
            let (top, bottom) = (m.largest(top), m.smallest(least));
            let inverse = if top > bottom { 255.0 / (top - bottom) } else { 0.0 };
            *range = Range { scale: (top - bottom) / 255.0, least: bottom };
            let (inverse, least) = (m.splat(inverse), m.splat(bottom));
            for (line, numbers) in lines.iter().enumerate() {
                let all = m.quads(m.mul(m.sub(m.load(numbers), least), inverse));
                // A group's quads, of which the last group may have fewer.
                let (first, across) = (group * GROUP_QUADS * M::TILE, lines.len() * 4);
                let (from, step) = if M::ROWS_FIRST {
                    (first + row_of_tile * across + line * 4, 1)
                } else {
                    (first + line * 4 * M::TILE + row_of_tile, M::TILE)
                };
                for (to, quad) in tile[from..].iter_mut().step_by(step).zip(all) {
                    *to = quad;
                }
            }
        }
    }
    Rounded { quads, ranges, rows: count, length }
}

/// One tile of rows with one panel of outputs, which begin at line `first` of a row of `out`.
#[inline(always)]
fn one<M: Machine>(
    m: M,
    panel: &Panel,
    rounded: &Rounded<M>,
    tile: usize,
    curve: Curve,
    out: &mut [Line],
    (stride, first): (usize, usize),
) {
    let rows = M::TILE.min(rounded.rows - tile * M::TILE);
    let quads = &rounded.quads[tile * rounded.length * M::TILE..][..rounded.length * M::TILE];
    let groups = panel.groups.len();
    let ranges = &rounded.ranges[tile * M::TILE * groups..];
    let mut values = [panel.bias; MOST_ROWS];
    let parts = quads.chunks(GROUP_QUADS * M::TILE).zip(panel.blocks.chunks(GROUP_QUADS));
    for (at, ((quads, blocks), group)) in parts.zip(&panel.groups).enumerate() {
        m.dot(rows, quads, blocks, Scaling { group, ranges: &ranges[at..], stride: groups }, &mut values);
    }
    for (row, values) in out.chunks_exact_mut(stride).zip(&values) {
        for (to, value) in row[first..].iter_mut().zip(values) {
            m.store(curve.of(m, m.load(value)), to);
        }
    }
}
