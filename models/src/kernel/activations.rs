//! Rows of activations, rounded for products with integer weights.
//!
//! A row is rounded to twelve bits, sign included, with a scale per 32 numbers. Twelve rather than the usual eight: a few of Llama's activations
//! are a thousand times the others, and with eight bits those beside them are rounded away. Measured on SmolLM2 against an exact computation, error
//! of the logits (standard deviation 3.4): 8 bits and a scale per 256, as candle's fast kernels have it, 0.3 to 1.4; 8 bits and a scale per 32, 0.15
//! to 0.4; 16 bits, 0.0002 to 0.0024, so twelve give sixteen times that. More than twelve would not let two parts of a number meet four-bit weights
//! in one product of tiles.
//!
//! A rounded block takes 64 bytes: thirty-two numbers of 16 bits, or, for instructions that multiply bytes, their low parts and then their high
//! ones, both bytes with a sign: a number is the low part, -8 to 7, and sixteen times the high one. Where rows are many, sixteen of them lie side by
//! side, block by block, so that a tile of them is one run of memory; row by row their lines would fall on the same few places of the cache.

use super::formats::{BLOCK, LANES};
use super::product::FEW;
use super::simd::{Kernel, Simd};
use super::team::Pointer;
use super::{Path, Team};

/// Rows that take the same product. The memory is kept from product to product.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    inputs: usize,
    padded: usize,
    rows: usize,
    /// Rows that lie side by side, block by block.
    tall: usize,
    floats: Vec<f32>,
    quants: Vec<Rounded>,
    scales: Vec<Scale>,
}

/// A rounded block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Rounded([u8; 2 * BLOCK]);

/// A block's scale, then what the rounded numbers of its first half, of its second and of both sum up to.
pub(super) type Scale = [f32; 4];

/// Where a row's parts lie.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) floats: *const f32,
    pub(super) quants: *const Rounded,
    pub(super) scales: *const Scale,
    /// Floats from row to row.
    pub(super) stride: usize,
    /// Rows that lie side by side: from block to block of a row it is so many.
    pub(super) tall: usize,
}

impl View {
    /// The place of a row's first block among the rounded ones.
    #[inline(always)]
    pub(super) fn place(&self, row: usize) -> usize {
        place(row, self.stride / BLOCK, self.tall)
    }
}

#[inline(always)]
fn place(row: usize, blocks: usize, tall: usize) -> usize {
    row / tall * tall * blocks + row % tall
}

impl Activations {
    /// Rows that it holds.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Length of a row.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Fills `rows` rows of `inputs` numbers: `write` gets the number of a row and its place, which is rounded afterwards.
    pub(crate) fn fill(
        &mut self,
        path: Path,
        team: &Team,
        inputs: usize,
        rows: usize,
        write: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let padded = inputs.next_multiple_of(BLOCK);
        (self.inputs, self.padded, self.rows) = (inputs, padded, rows);
        let blocks = padded / BLOCK;
        self.tall = if rows > FEW { LANES } else { 1 };
        let (tall, places) = (self.tall, rows.next_multiple_of(self.tall) * blocks);
        grow(&mut self.floats, rows * padded, 0.0);
        grow(&mut self.quants, places, Rounded([0; 2 * BLOCK]));
        grow(&mut self.scales, places, [0.0; 4]);
        let floats = Pointer(self.floats.as_mut_ptr());
        let (quants, scales) = (Pointer(self.quants.as_mut_ptr()), Pointer(self.scales.as_mut_ptr()));
        // One short row is done before another thread has heard of it.
        let together = if rows * padded < 4096 { rows } else { rows.div_ceil(4 * team.threads()) };
        let together = together.max(1).next_multiple_of(tall);
        team.run(rows.div_ceil(together), |unit| {
            for row in unit * together..rows.min((unit + 1) * together) {
                // SAFETY: the vectors hold `rows` rows, and every row belongs to one unit.
                unsafe {
                    let all = std::slice::from_raw_parts_mut(floats.at(row * padded), padded);
                    let (used, rest) = all.split_at_mut(inputs);
                    write(row, used);
                    rest.fill(0.0);
                    let place = place(row, blocks, tall);
                    path.run(Round {
                        floats: floats.at(row * padded),
                        quants: quants.at(place),
                        scales: scales.at(place),
                        blocks,
                        step: tall,
                    });
                }
            }
        });
    }

    /// The rows; `None` where there are none.
    pub(super) fn view(&self) -> Option<View> {
        let places = self.rows.next_multiple_of(self.tall.max(1)) * (self.padded / BLOCK);
        Some(View {
            floats: self.floats.get(..self.rows * self.padded)?.as_ptr(),
            quants: self.quants.get(..places)?.as_ptr(),
            scales: self.scales.get(..places)?.as_ptr(),
            stride: self.padded,
            tall: (self.tall > 0).then_some(self.tall)?,
        })
    }
}

fn grow<T: Clone>(vector: &mut Vec<T>, length: usize, empty: T) {
    if vector.len() < length {
        vector.resize(length, empty);
    }
}

/// The greatest rounded number: its high part is 127 and its low one 7.
const TOP: f32 = 2039.0;

/// Where the numbers of eight stand among their bytes. Four bytes that are multiplied together are those of two pairs, as weights hold them: see
/// [`super::formats`].
const ORDER: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// Low parts and high parts of a block.
#[inline(always)]
#[allow(clippy::indexing_slicing, reason = "indices are below 32 by the constants above")]
fn split(numbers: &[i16; BLOCK]) -> [[i8; BLOCK]; 2] {
    let raised = |at: usize| numbers[at / 8 * 8 + ORDER[at % 8]].wrapping_add(8);
    [std::array::from_fn(|at| ((raised(at) & 15) - 8) as i8), std::array::from_fn(|at| (raised(at) >> 4) as i8)]
}

/// Rounds one row.
struct Round {
    floats: *const f32,
    quants: *mut Rounded,
    scales: *mut Scale,
    blocks: usize,
    /// From block to block.
    step: usize,
}

impl Kernel for Round {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for block in 0..self.blocks {
            // SAFETY: the row has `blocks` blocks of 32 numbers.
            unsafe {
                let from = self.floats.add(block * BLOCK);
                let (a, b) = (S::load(from), S::load(from.add(16)));
                let zero = S::splat(0.0);
                let size = |x| S::max(x, S::sub(zero, x));
                // Below this the inverse overflows and each path would round infinities in its own way: such a block is zero.
                let top = match S::greatest(S::max(size(a), size(b))) {
                    tiny if tiny <= 1e-30 => 0.0,
                    top => top,
                };
                let inverse = S::splat(if top > 0.0 { TOP / top } else { 0.0 });
                let (a, b) = (S::round(S::mul(a, inverse)), S::round(S::mul(b, inverse)));
                let mut numbers = [0i16; BLOCK];
                S::store_short(numbers.as_mut_ptr(), a);
                S::store_short(numbers.as_mut_ptr().add(16), b);
                let to = self.quants.add(block * self.step);
                if S::BYTES {
                    to.cast::<[[i8; BLOCK]; 2]>().write(split(&numbers));
                } else {
                    to.cast::<[i16; BLOCK]>().write(numbers);
                }
                let scale = top / TOP;
                // Sums this small are exact in floats, in whatever order.
                let (first, second) = (S::total(S::float(a)), S::total(S::float(b)));
                let sums = [scale, first * scale, second * scale, (first + second) * scale];
                self.scales.add(block * self.step).write(sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_eleven_bits_and_every_path_rounds_alike() {
        let team = Team::new(2).unwrap();
        let number = |row: usize, at: usize| ((row * 31 + at * 17) % 101) as f32 / 7.0 - 7.0;
        let fill = |path| {
            let mut rows = Activations::default();
            rows.fill(path, &team, 75, 9, |row, out| {
                out.iter_mut().enumerate().for_each(|(at, x)| *x = number(row, at));
            });
            rows
        };
        let numbers = |path: Path, rows: &Activations| -> Vec<i16> {
            let bytes = |quant: &Rounded| quant.0.map(u8::cast_signed);
            let whole = |quant: &Rounded| -> Vec<i16> {
                if !path.multiplies_bytes() {
                    return quant.0.chunks(2).map(|two| i16::from_ne_bytes([two[0], two[1]])).collect();
                }
                let mut out = vec![0; BLOCK];
                for (at, byte) in bytes(quant).into_iter().enumerate() {
                    let part = if at < BLOCK { i16::from(byte) } else { i16::from(byte) * 16 };
                    out[at % BLOCK / 8 * 8 + ORDER[at % 8]] += part;
                }
                out
            };
            rows.quants.iter().flat_map(whole).collect()
        };
        let reference = fill(Path::Portable);
        let expected = numbers(Path::Portable, &reference);
        for path in Path::available() {
            let found = fill(path);
            assert_eq!(numbers(path, &found), expected, "{path:?}");
            assert_eq!(found.scales, reference.scales, "{path:?}");
        }
        for row in 0..9 {
            for at in 0..75 {
                let back = f32::from(expected[row * 96 + at]) * reference.scales[(row * 96 + at) / 32][0];
                assert!((back - number(row, at)).abs() < 2e-3, "{back}");
            }
            assert!(expected[row * 96 + 75..(row + 1) * 96].iter().all(|quant| *quant == 0));
        }
    }

    #[test]
    fn every_rounded_number_is_its_two_parts() {
        for number in -2_039..=2_039i16 {
            let [low, high] = split(&[number; BLOCK]);
            assert!(
                low.iter().zip(high).all(|(low, high)| i16::from(*low) + 16 * i16::from(high) == number),
                "{number}"
            );
        }
    }
}
