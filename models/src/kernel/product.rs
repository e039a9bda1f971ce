//! Products of panels of weights with rows of activations.

use super::activations::{Rounded, Scale, View};
use super::formats::{BLOCK, LANES, SUPER_LEAST, SUPER_PLAIN};
use super::simd::{Kernel, Simd};

#[cfg(target_arch = "x86_64")]
mod tiled;
#[cfg(target_arch = "x86_64")]
pub(super) use tiled::tiled;

/// Quants of a panel, as pairs of 16 bits or as quads of bytes.
pub(super) trait Quants {
    /// Bytes of 32 inputs.
    const BYTES: usize;
    /// Whether no quant is above 15, so that sixteen times each fits a byte.
    const SHORT: bool = false;
    /// How many bytes ahead of their use quants are asked for, where they come from memory; their scales, in proportion.
    const AHEAD: usize = AHEAD;
    /// The pair `PAIR` of a block: sixteen lanes of two 16-bit integers.
    ///
    /// # Safety
    /// A whole block lies there, and `S` exists.
    unsafe fn pair<S: Simd, const PAIR: usize>(block: *const u8) -> S::I;
    /// The quad `QUAD` of a block: sixteen lanes of four bytes, those of two pairs in turn.
    ///
    /// # Safety
    /// A whole block lies there, and `S` exists.
    unsafe fn quad<S: Simd, const QUAD: usize>(block: *const u8) -> S::I;
}

/// Far enough ahead that memory answers in time, near enough that the first-level cache still holds it. Read alone, from memory, on one thread of a
/// Xeon of the Sapphire Rapids class, Q4_1 goes at 6.3 GB/s without, at 9.2 with it (and at 13 with large pages besides).
const AHEAD: usize = 4096;

/// Four bits.
pub(super) struct Four;
/// Four bits and one more.
pub(super) struct Five;
/// Four bits and two more.
pub(super) struct Six;
/// Eight bits.
pub(super) struct Eight;
/// Sixteen bits: pairs taken apart beforehand.
struct Wide;
/// Eight bits: quads taken apart beforehand, a block of them every so many bytes.
struct Narrow<const BYTES: usize>;

/// Of 64 bytes with two quads in them the one whose quants are the lower four bits of the bytes, or the upper four.
#[inline(always)]
unsafe fn nibbles<S: Simd, const QUAD: usize>(block: *const u8) -> S::I {
    // SAFETY: the caller's word.
    unsafe {
        let both = S::load_int(block.add(QUAD / 2 * 64));
        let both = if QUAD.is_multiple_of(2) { both } else { S::right(both, 4) };
        S::and(both, S::splat_int(0x0f0f_0f0f))
    }
}

#[inline(always)]
unsafe fn low<S: Simd, const PAIR: usize>(block: *const u8) -> S::I {
    // SAFETY: the caller's word.
    unsafe {
        let four = S::load_int(block.add(PAIR / 4 * 64));
        let mask = S::splat_int(0x000f_000f);
        match PAIR % 4 {
            0 => S::and(four, mask),
            3 => S::right(four, 12),
            nibble => S::and(S::right(four, 4 * nibble as i32), mask),
        }
    }
}

/// The place of a pair among those that stand in the same byte: see [`super::formats::place`].
const fn slot(pair: usize) -> usize {
    pair / 4 * 2 + pair % 2
}

/// Moves bits from one place to another.
#[inline(always)]
unsafe fn moved<S: Simd>(x: S::I, from: usize, to: usize) -> S::I {
    // SAFETY: the caller's word.
    unsafe {
        match from.cmp(&to) {
            std::cmp::Ordering::Less => S::left(x, (to - from) as i32),
            std::cmp::Ordering::Equal => x,
            std::cmp::Ordering::Greater => S::right(x, (from - to) as i32),
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Quants for Four {
    const BYTES: usize = 256;
    const SHORT: bool = true;
    #[inline(always)]
    unsafe fn pair<S: Simd, const PAIR: usize>(block: *const u8) -> S::I {
        unsafe { low::<S, PAIR>(block) }
    }
    #[inline(always)]
    unsafe fn quad<S: Simd, const QUAD: usize>(block: *const u8) -> S::I {
        unsafe { nibbles::<S, QUAD>(block) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Quants for Five {
    const BYTES: usize = 320;
    #[inline(always)]
    unsafe fn pair<S: Simd, const PAIR: usize>(block: *const u8) -> S::I {
        unsafe {
            let high = moved::<S>(S::load_int(block.add(256)), PAIR % 4 / 2 * 8 + slot(PAIR), 4);
            S::or(low::<S, PAIR>(block), S::and(high, S::splat_int(0x0010_0010)))
        }
    }
    #[inline(always)]
    unsafe fn quad<S: Simd, const QUAD: usize>(block: *const u8) -> S::I {
        unsafe {
            let high = moved::<S>(S::load_int(block.add(256)), QUAD, 4);
            S::or(nibbles::<S, QUAD>(block), S::and(high, S::splat_int(0x1010_1010)))
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Quants for Six {
    const BYTES: usize = 384;
    #[inline(always)]
    unsafe fn pair<S: Simd, const PAIR: usize>(block: *const u8) -> S::I {
        unsafe {
            let from = S::load_int(block.add(256 + slot(PAIR) / 4 * 64));
            let high = moved::<S>(from, PAIR % 4 / 2 * 8 + 2 * (slot(PAIR) % 4), 4);
            S::or(low::<S, PAIR>(block), S::and(high, S::splat_int(0x0030_0030)))
        }
    }
    #[inline(always)]
    unsafe fn quad<S: Simd, const QUAD: usize>(block: *const u8) -> S::I {
        unsafe {
            let high = moved::<S>(S::load_int(block.add(256 + QUAD / 4 * 64)), 2 * (QUAD % 4), 4);
            S::or(nibbles::<S, QUAD>(block), S::and(high, S::splat_int(0x3030_3030)))
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Quants for Eight {
    const BYTES: usize = 512;
    #[inline(always)]
    unsafe fn pair<S: Simd, const PAIR: usize>(block: *const u8) -> S::I {
        unsafe {
            let two = S::load_int(block.add(slot(PAIR) * 64));
            if PAIR % 4 < 2 { S::and(two, S::splat_int(0x00ff_00ff)) } else { S::right(two, 8) }
        }
    }
    #[inline(always)]
    unsafe fn quad<S: Simd, const QUAD: usize>(block: *const u8) -> S::I {
        unsafe { S::load_int(block.add(QUAD * 64)) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Quants for Wide {
    const BYTES: usize = 1024;
    const AHEAD: usize = 0;
    #[inline(always)]
    unsafe fn pair<S: Simd, const PAIR: usize>(block: *const u8) -> S::I {
        unsafe { S::load_int(block.add(PAIR * 64)) }
    }
    #[inline(always)]
    unsafe fn quad<S: Simd, const QUAD: usize>(block: *const u8) -> S::I {
        let pair = QUAD / 2 * 4 + QUAD % 2;
        unsafe { S::or(S::load_int(block.add(pair * 64)), S::left(S::load_int(block.add((pair + 2) * 64)), 8)) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl<const B: usize> Quants for Narrow<B> {
    const BYTES: usize = B;
    const AHEAD: usize = 0;
    #[inline(always)]
    unsafe fn pair<S: Simd, const PAIR: usize>(block: *const u8) -> S::I {
        unsafe { Eight::pair::<S, PAIR>(block) }
    }
    #[inline(always)]
    unsafe fn quad<S: Simd, const QUAD: usize>(block: *const u8) -> S::I {
        unsafe { Eight::quad::<S, QUAD>(block) }
    }
}

/// Scales of a panel. A weight is its quant times the scale, and the least value onto it.
pub(super) trait Scales {
    /// Whether each half of a block has a scale of its own.
    const HALVES: bool;
    /// Scale and least value of each half; the same twice where they have none of their own.
    ///
    /// # Safety
    /// The panel's scales reach over that block, and `S` exists.
    unsafe fn read<S: Simd>(panel: *const u8, block: usize) -> [(S::F, S::F); 2];
    /// Bytes per block.
    const BYTES: usize;
    /// Asks for the scales of a block, which need not be there.
    ///
    /// # Safety
    /// `S` exists.
    #[inline(always)]
    unsafe fn prefetch<S: Simd>(panel: *const u8, block: usize) {
        // SAFETY: any address will do.
        unsafe { S::prefetch(panel.wrapping_add(block * Self::BYTES)) }
    }
}

/// A 16-bit float per block; quants are `OFFSET` too large.
pub(super) struct Half<const OFFSET: i32>;
/// Two 16-bit floats per block: scale and least value.
pub(super) struct HalfLeast;
/// The scales of Q4_K and Q5_K.
pub(super) struct SuperLeast;
/// The scales of Q6_K, whose quants are 32 too large.
pub(super) struct SuperPlain;
/// Scales taken apart beforehand.
struct Plain<const HALVES: bool>;

/// Bytes of a block's scales that were taken apart: scales and least values of sixteen rows, for both halves.
const PLAIN: usize = 4 * 64;

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl<const OFFSET: i32> Scales for Half<OFFSET> {
    const HALVES: bool = false;
    const BYTES: usize = 32;
    #[inline(always)]
    unsafe fn read<S: Simd>(panel: *const u8, block: usize) -> [(S::F, S::F); 2] {
        unsafe {
            let scale = S::load_half(panel.add(block * 32).cast());
            [(scale, S::mul(scale, S::splat(-OFFSET as f32))); 2]
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Scales for HalfLeast {
    const HALVES: bool = false;
    const BYTES: usize = 64;
    #[inline(always)]
    unsafe fn read<S: Simd>(panel: *const u8, block: usize) -> [(S::F, S::F); 2] {
        unsafe {
            let at = panel.add(block * 64);
            [(S::load_half(at.cast()), S::load_half(at.add(32).cast())); 2]
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Scales for SuperLeast {
    const HALVES: bool = false;
    const BYTES: usize = SUPER_LEAST / 8;
    #[inline(always)]
    unsafe fn read<S: Simd>(panel: *const u8, block: usize) -> [(S::F, S::F); 2] {
        unsafe {
            let head = panel.add(block / 8 * SUPER_LEAST);
            let part = head.add(64 + block % 8 * 32);
            let scale = S::mul(S::load_half(head.cast()), S::load_u8(part));
            let least = S::mul(S::load_half(head.add(32).cast()), S::load_u8(part.add(16)));
            [(scale, S::sub(S::splat(0.0), least)); 2]
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl Scales for SuperPlain {
    const HALVES: bool = true;
    const BYTES: usize = SUPER_PLAIN / 8;
    #[inline(always)]
    unsafe fn read<S: Simd>(panel: *const u8, block: usize) -> [(S::F, S::F); 2] {
        unsafe {
            let head = panel.add(block / 8 * SUPER_PLAIN);
            let part = head.add(32 + block % 8 * 32);
            let (scale, offset) = (S::load_half(head.cast()), S::splat(-32.0));
            let (first, second) = (S::mul(scale, S::load_i8(part)), S::mul(scale, S::load_i8(part.add(16))));
            [(first, S::mul(first, offset)), (second, S::mul(second, offset))]
        }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads within the block that its contract gives")]
impl<const H: bool> Scales for Plain<H> {
    const HALVES: bool = H;
    const BYTES: usize = PLAIN;
    #[inline(always)]
    unsafe fn read<S: Simd>(panel: *const u8, block: usize) -> [(S::F, S::F); 2] {
        unsafe {
            let at: *const f32 = panel.add(block * PLAIN).cast();
            let first = (S::load(at), S::load(at.add(16)));
            [first, if H { (S::load(at.add(32)), S::load(at.add(48))) } else { first }]
        }
    }
}

/// The result of a panel: sixteen columns of some rows.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub(super) at: *mut f32,
    /// Numbers from row to row.
    pub(super) stride: usize,
    /// Columns that are written, at most sixteen.
    pub(super) columns: usize,
    /// Whether the product is added to what is there.
    pub(super) add: bool,
}

impl Out {
    #[inline(always)]
    unsafe fn write<S: Simd>(self, row: usize, x: S::F) {
        // SAFETY: the maker's word: rows of `columns` numbers lie there.
        unsafe {
            let to = self.at.add(row * self.stride);
            if self.columns == LANES {
                S::store(to, if self.add { S::add(S::load(to), x) } else { x });
                return;
            }
            let mut lanes = [0.0f32; LANES];
            S::store(lanes.as_mut_ptr(), x);
            for (column, lane) in lanes.iter().take(self.columns).enumerate() {
                let to = to.add(column);
                to.write(if self.add { to.read() + lane } else { *lane });
            }
        }
    }
}

/// Panels one after the other, times some rows.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    pub(super) quants: *const u8,
    pub(super) quants_stride: usize,
    pub(super) scales: *const u8,
    pub(super) scales_stride: usize,
    pub(super) panels: usize,
    /// Blocks of 32 inputs.
    pub(super) blocks: usize,
    pub(super) rows: usize,
    pub(super) input: View,
    /// The first panel's; the last one's columns may be fewer.
    pub(super) out: Out,
    /// Columns of all panels.
    pub(super) columns: usize,
}

impl Panels {
    #[inline(always)]
    unsafe fn panel(&self, at: usize) -> (*const u8, *const u8, Out) {
        // SAFETY: `at` is below `panels`.
        unsafe {
            let columns = (self.columns - at * LANES).min(LANES);
            let out = Out { at: self.out.at.add(at * LANES), columns, ..self.out };
            (self.quants.add(at * self.quants_stride), self.scales.add(at * self.scales_stride), out)
        }
    }

    /// The same without the rows before `row`.
    ///
    /// # Safety
    /// There are so many rows, and they are whole runs of rows that lie side by side.
    #[cfg(target_arch = "x86_64")]
    pub(super) unsafe fn from(self, row: usize) -> Self {
        let View { floats, quants, scales, stride, tall } = self.input;
        let place = self.input.place(row);
        // SAFETY: the caller's word: the rows lie there, and their blocks.
        unsafe {
            let input = View {
                floats: floats.add(row * stride),
                quants: quants.add(place),
                scales: scales.add(place),
                stride,
                tall,
            };
            let out = Out { at: self.out.at.add(row * self.out.stride), ..self.out };
            Self { rows: self.rows - row, input, out, ..self }
        }
    }
}

macro_rules! each {
    ($do:ident: $($at:literal)*) => { $( $do!($at); )* };
}

/// One panel times `R` rows, which lie side by side where rows do.
#[allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "indices run to lengths that are constants of the types; the compiler unrolls and checks nothing at run time"
)]
#[inline(always)]
unsafe fn tile<S: Simd, Q: Quants, C: Scales, const R: usize>(
    (quants, scales, out): (*const u8, *const u8, Out),
    blocks: usize,
    input: View,
    first: usize,
) {
    // SAFETY: the caller's word: the panel has `blocks` blocks, the input `R` rows from the first. What is asked for ahead may be anywhere.
    unsafe {
        let mut totals = [S::splat(0.0); R];
        let rows: [*const Rounded; R] = std::array::from_fn(|row| input.quants.add(input.place(first + row)));
        let row_scales: [*const Scale; R] = std::array::from_fn(|row| input.scales.add(input.place(first + row)));
        for block in 0..blocks {
            let at = quants.add(block * Q::BYTES);
            if Q::AHEAD > 0 {
                for line in 0..Q::BYTES / 64 {
                    S::prefetch(at.wrapping_add(Q::AHEAD + line * 64));
                }
                C::prefetch::<S>(scales, block + Q::AHEAD / Q::BYTES);
            }
            let [first_half, second_half] = C::read::<S>(scales, block);
            let mut sums = [S::splat_int(0); R];
            let mut high = [S::splat_int(0); R];
            macro_rules! pair {
                ($pair:literal) => {
                    let weights = Q::pair::<S, $pair>(at);
                    for (sum, row) in sums.iter_mut().zip(&rows) {
                        let pair = row.add(block * input.tall).cast::<i32>().add($pair).read();
                        *sum = S::dot(*sum, weights, S::splat_int(pair));
                    }
                };
            }
            macro_rules! quad {
                ($quad:literal) => {
                    let weights = Q::quad::<S, $quad>(at);
                    for ((low, high), row) in sums.iter_mut().zip(&mut high).zip(&rows) {
                        let quad = row.add(block * input.tall).cast::<i32>().add($quad);
                        *low = S::dot_bytes(*low, weights, S::splat_int(quad.read()));
                        *high = S::dot_bytes(*high, weights, S::splat_int(quad.add(BLOCK / 4).read()));
                    }
                };
            }
            // The quants' sums with their scales, and the least value for every number of the row, onto the totals.
            macro_rules! settle {
                ($half:expr, $which:literal) => {
                    for row in 0..R {
                        let (scale, least) = $half;
                        let of_row = row_scales[row].add(block * input.tall).cast::<f32>();
                        let sum = if S::BYTES { S::joined(sums[row], high[row]) } else { sums[row] };
                        let by = S::mul(scale, S::splat(of_row.read()));
                        totals[row] = S::fma(S::float(sum), by, totals[row]);
                        totals[row] = S::fma(least, S::splat(of_row.add(1 + $which).read()), totals[row]);
                        (sums[row], high[row]) = (S::splat_int(0), S::splat_int(0));
                    }
                };
            }
            if S::BYTES {
                each!(quad: 0 1 2 3);
            } else {
                each!(pair: 0 1 2 3 4 5 6 7);
            }
            if C::HALVES {
                settle!(first_half, 0);
            }
            if S::BYTES {
                each!(quad: 4 5 6 7);
            } else {
                each!(pair: 8 9 10 11 12 13 14 15);
            }
            if C::HALVES {
                settle!(second_half, 1);
            } else {
                settle!(first_half, 2);
            }
        }
        for (row, total) in totals.into_iter().enumerate() {
            out.write::<S>(first + row, total);
        }
    }
}

/// Up to this many rows are multiplied straight from the packed quants, which are taken apart again for every few rows. Taking a
/// panel apart beforehand costs as much as five rows.
pub(super) const FEW: usize = 24;

/// Few rows.
pub(super) struct Few<Q, C>(pub(super) Panels, pub(super) std::marker::PhantomData<(Q, C)>);

impl<Q: Quants, C: Scales> Kernel for Few<Q, C> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let work = self.0;
        let sizes = work.blocks;
        for panel in 0..work.panels {
            // SAFETY: the maker's word.
            unsafe {
                let place = work.panel(panel);
                let mut row = 0;
                while row < work.rows {
                    row += match work.rows - row {
                        left if left == 1 || S::TALL == 1 => {
                            tile::<S, Q, C, 1>(place, sizes, work.input, row);
                            1
                        }
                        2 | 3 => {
                            tile::<S, Q, C, 2>(place, sizes, work.input, row);
                            2
                        }
                        left if S::TALL >= 8 && left >= 8 => {
                            tile::<S, Q, C, 8>(place, sizes, work.input, row);
                            8
                        }
                        _ => {
                            tile::<S, Q, C, 4>(place, sizes, work.input, row);
                            4
                        }
                    };
                }
            }
        }
    }
}

/// Takes the quants and scales of one panel apart.
pub(super) struct Spread<Q, C> {
    pub(super) quants: *const u8,
    pub(super) scales: *const u8,
    pub(super) blocks: usize,
    /// Room for [`SPREAD`] bytes per block.
    pub(super) to: *mut u8,
    /// Whether sixteen times each quad stand after a block's quads; quants are short then.
    pub(super) twice: bool,
    pub(super) kind: std::marker::PhantomData<(Q, C)>,
}

/// Bytes that a block of a panel takes once it was taken apart, its quants' first.
pub(super) const SPREAD: usize = SPREAD_QUANTS + PLAIN;
/// Bytes of its quants, at most.
pub(super) const SPREAD_QUANTS: usize = Wide::BYTES;
/// Bytes of a block of quads.
const ONCE: usize = 512;
/// Bytes of a block of quads and of sixteen times the same.
const TWICE: usize = 2 * ONCE;

impl<Q: Quants, C: Scales> Kernel for Spread<Q, C> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for block in 0..self.blocks {
            // SAFETY: the maker's word.
            unsafe {
                let from = self.quants.add(block * Q::BYTES);
                if S::BYTES {
                    let to = self.to.add(block * if self.twice { TWICE } else { ONCE });
                    macro_rules! quad {
                        ($quad:literal) => {
                            let quad = Q::quad::<S, $quad>(from);
                            S::store_int(to.add($quad * 64), quad);
                            if self.twice {
                                S::store_int(to.add(ONCE + $quad * 64), S::left(quad, 4));
                            }
                        };
                    }
                    each!(quad: 0 1 2 3 4 5 6 7);
                } else {
                    let to = self.to.add(block * Wide::BYTES);
                    macro_rules! pair {
                        ($pair:literal) => {
                            S::store_int(to.add($pair * 64), Q::pair::<S, $pair>(from));
                        };
                    }
                    each!(pair: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                }
                let [first, second] = C::read::<S>(self.scales, block);
                let to: *mut f32 = self.to.add(self.blocks * Wide::BYTES + block * PLAIN).cast();
                for (at, lanes) in [first.0, first.1, second.0, second.1].into_iter().enumerate() {
                    S::store(to.add(at * LANES), lanes);
                }
            }
        }
    }
}

/// Many rows times one panel that was taken apart.
pub(super) struct Many<const HALVES: bool> {
    pub(super) work: Panels,
    /// As in [`Spread`].
    pub(super) twice: bool,
}

impl<const H: bool> Kernel for Many<H> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the maker's word.
        unsafe {
            match (S::BYTES, self.twice) {
                (true, true) => self.times::<S, Narrow<TWICE>>(),
                (true, false) => self.times::<S, Narrow<ONCE>>(),
                (false, _) => self.times::<S, Wide>(),
            }
        }
    }
}

impl<const H: bool> Many<H> {
    #[inline(always)]
    unsafe fn times<S: Simd, Q: Quants>(self) {
        let work = self.work;
        let sizes = work.blocks;
        // SAFETY: the caller's word.
        unsafe {
            let place = (work.quants, work.scales, work.out);
            let mut row = 0;
            while S::TALL >= 8 && row + 8 <= work.rows {
                tile::<S, Q, Plain<H>, 8>(place, sizes, work.input, row);
                row += 8;
            }
            while S::TALL >= 4 && row + 4 <= work.rows {
                tile::<S, Q, Plain<H>, 4>(place, sizes, work.input, row);
                row += 4;
            }
            while row < work.rows {
                tile::<S, Q, Plain<H>, 1>(place, sizes, work.input, row);
                row += 1;
            }
        }
    }
}

/// Weights that are floats.
pub(super) trait Floats {
    /// Bytes of one.
    const BYTES: usize;
    /// # Safety
    /// Sixteen lie there, and `S` exists.
    unsafe fn read<S: Simd>(from: *const u8) -> S::F;
}

pub(super) struct Sixteen;
pub(super) struct Brain;
pub(super) struct Full;

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads what its contract gives")]
impl Floats for Sixteen {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn read<S: Simd>(from: *const u8) -> S::F {
        unsafe { S::load_half(from.cast()) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads what its contract gives")]
impl Floats for Brain {
    const BYTES: usize = 2;
    #[inline(always)]
    unsafe fn read<S: Simd>(from: *const u8) -> S::F {
        unsafe { S::load_brain(from.cast()) }
    }
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads what its contract gives")]
impl Floats for Full {
    const BYTES: usize = 4;
    #[inline(always)]
    unsafe fn read<S: Simd>(from: *const u8) -> S::F {
        unsafe { S::load(from.cast()) }
    }
}

/// Panels of floats times rows of floats.
pub(super) struct FloatPanels<W>(pub(super) Panels, pub(super) std::marker::PhantomData<W>);

/// One panel times `R` rows; two sums per row, so that one addition need not wait for the other.
#[allow(
    clippy::indexing_slicing,
    clippy::needless_range_loop,
    reason = "indices run to lengths that are constants of the types; the compiler unrolls and checks nothing at run time"
)]
#[inline(always)]
unsafe fn float_tile<S: Simd, W: Floats, const R: usize>(
    quants: *const u8,
    out: Out,
    blocks: usize,
    input: View,
    first: usize,
) {
    // SAFETY: the caller's word: the panel has `blocks` blocks, the input `R` rows from the first.
    unsafe {
        let rows: [*const f32; R] = std::array::from_fn(|row| input.floats.add((first + row) * input.stride));
        let (mut even, mut odd) = ([S::splat(0.0); R], [S::splat(0.0); R]);
        for pair in 0..blocks * BLOCK / 2 {
            let at = quants.add(pair * 2 * LANES * W::BYTES);
            let (a, b) = (W::read::<S>(at), W::read::<S>(at.add(LANES * W::BYTES)));
            for row in 0..R {
                even[row] = S::fma(a, S::splat(*rows[row].add(2 * pair)), even[row]);
                odd[row] = S::fma(b, S::splat(*rows[row].add(2 * pair + 1)), odd[row]);
            }
        }
        for (row, (even, odd)) in even.into_iter().zip(odd).enumerate() {
            out.write::<S>(first + row, S::add(even, odd));
        }
    }
}

impl<W: Floats> Kernel for FloatPanels<W> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let work = self.0;
        for panel in 0..work.panels {
            // SAFETY: the maker's word.
            unsafe {
                let (quants, _, out) = work.panel(panel);
                let mut row = 0;
                while S::TALL >= 8 && row + 8 <= work.rows {
                    float_tile::<S, W, 8>(quants, out, work.blocks, work.input, row);
                    row += 8;
                }
                while S::TALL >= 4 && row + 2 <= work.rows {
                    float_tile::<S, W, 2>(quants, out, work.blocks, work.input, row);
                    row += 2;
                }
                while row < work.rows {
                    float_tile::<S, W, 1>(quants, out, work.blocks, work.input, row);
                    row += 1;
                }
            }
        }
    }
}
