//! What a processor does with sixteen floats at a time, and with the integer product, once per kind of processor.
//!
//! A value of a type here is the proof that the processor has the instructions that its methods are made of: it comes from
//! `detect` alone. Every method rounds as IEEE 754 says and adds in a fixed order, so that all machines give the same bits.

mod avx2;
mod avx512;
mod portable;

pub(super) use avx2::{Avx2, AvxVnni};
pub(super) use avx512::Avx512;
pub(super) use portable::Portable;

use super::Line;
use super::matrix::Group;

/// Outputs that a panel of packed weights holds.
pub(super) const PANEL: usize = 32;
/// Four weights of each output of a panel: outputs 0 to 15 first, the four of one output side by side.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Block(pub(super) [[i8; 64]; 2]);

/// The most rows that [`Machine::dot`] takes.
pub(super) const MOST_ROWS: usize = 16;
/// Sums of products, by row and output.
type Sums = [[[i32; 16]; 2]; MOST_ROWS];
/// What comes out, by row and output.
pub(super) type Values = [[Line; 2]; MOST_ROWS];

/// How a group of a row was rounded: x = scale * q + least.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub(super) scale: f32,
    pub(super) least: f32,
}

/// What the sums of a group are scaled with.
#[derive(Clone, Copy)]
pub(super) struct Scaling<'a> {
    /// Of the weights.
    pub(super) group: &'a Group,
    /// Of the rows: the first one's, the others `stride` apart.
    pub(super) ranges: &'a [Range],
    pub(super) stride: usize,
}

impl Scaling<'_> {
    /// Scales the sums of row `row` and adds them to its values.
    #[inline(always)]
    fn add<M: Machine>(self, m: M, row: usize, sums: [M::Floats; 2], values: &mut [Line; 2]) {
        let Range { scale, least } = self.ranges[row * self.stride];
        let (scale, least) = (m.splat(scale), m.splat(least));
        for half in 0..2 {
            let product = m.mul(sums[half], m.load(&self.group.scale[half]));
            let value = m.fma(product, scale, m.load(&values[half]));
            m.store(m.fma(least, m.load(&self.group.sum[half]), value), &mut values[half]);
        }
    }

    /// The same for all rows.
    #[inline(always)]
    fn add_all<M: Machine>(self, m: M, rows: usize, sums: &Sums, values: &mut Values) {
        for (row, (sums, values)) in sums.iter().zip(values).take(rows).enumerate() {
            self.add(m, row, [m.floats(&sums[0]), m.floats(&sums[1])], values);
        }
    }
}

/// A computation that is written once for all machines. Its `run`, and whatever that calls, must be `#[inline(always)]`: it
/// is compiled into a function that has the machine's instructions.
pub(super) trait Work {
    /// What it gives.
    type Out;
    /// Does it.
    fn run<M: Machine>(self, machine: M) -> Self::Out;
}

/// Two numbers of 16 bits in one of 32.
#[inline(always)]
pub(super) const fn pair(low: u16, high: u16) -> i32 {
    (low as u32 | (high as u32) << 16).cast_signed()
}

/// The instructions.
pub(super) trait Machine: Copy + Send + Sync {
    /// Sixteen floats.
    type Floats: Copy;
    /// Four activations, rounded to 8 bits without a sign, as the product takes them.
    type Quad: Copy + Default + Send + Sync;
    /// Rows that the integer product takes at a time.
    const TILE: usize;
    /// Whether the quads of one row of a group lie one after the other; else those of one place in all rows of the tile.
    const ROWS_FIRST: bool = false;
    /// Whether there are registers for eight rows of two times sixteen floats.
    const WIDE: bool;

    /// Runs `work` with the machine's instructions.
    fn work<W: Work>(self, work: W) -> W::Out;

    fn load(self, from: &[f32; 16]) -> Self::Floats;
    fn store(self, x: Self::Floats, to: &mut [f32; 16]);
    fn splat(self, x: f32) -> Self::Floats;
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// The larger one; `b` where either is no number.
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// The smaller one; `b` where either is no number.
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// 2 to the n, out of n + 12582912 (1.5 times 2 to the 23), n from -126 to 127.
    fn two_to(self, shifted: Self::Floats) -> Self::Floats;
    /// Integers as floats.
    fn floats(self, from: &[i32; 16]) -> Self::Floats;
    /// Numbers between 0 and 255, rounded to the nearest integer, to the even one of two.
    fn quads(self, x: Self::Floats) -> [Self::Quad; 4];

    /// Sixteen integers of 32 bits.
    type Integers: Copy;
    /// Numbers between -32767 and 32767 rounded as [`Machine::quads`] does, two of 16 bits in each integer, the first one low.
    fn pairs(self, x: Self::Floats) -> [i32; 8];
    /// Sixteen zeros.
    fn zeros(self) -> Self::Integers;
    /// Adds the products of the two numbers in `number` with the two in each integer of `column`.
    fn add_products(self, to: Self::Integers, number: i32, column: &[i32; 16]) -> Self::Integers;
    /// Integers as floats.
    fn to_floats(self, x: Self::Integers) -> Self::Floats;

    /// The sum: lane n and n + 8, then n and n + 4, n and n + 2, the two that are left.
    fn sum(self, x: Self::Floats) -> f32;

    /// The largest of the sixteen.
    fn largest(self, x: Self::Floats) -> f32;
    /// The smallest of the sixteen.
    fn smallest(self, x: Self::Floats) -> f32;

    /// Products of the first `rows` rows of a tile with the weights of a panel, over the quads that `weights` has, scaled and
    /// added to `values`. The sums before that are exact: the largest, 255 * 127 * 4 for each block, must fit 32 bits.
    fn dot(self, rows: usize, tile: &[Self::Quad], weights: &[Block], scaling: Scaling<'_>, values: &mut Values);
}
