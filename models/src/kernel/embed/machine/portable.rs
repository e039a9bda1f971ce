//! Plain Rust: the reference for the others, and what runs where there is nothing better.

use super::{Block, Machine, Scaling, Sums, Values, Work, pair};

/// Any processor.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Portable;

#[inline(always)]
fn each(mut of: impl FnMut(usize) -> f32) -> [f32; 16] {
    std::array::from_fn(&mut of)
}

#[inline(always)]
fn folded(x: [f32; 16], of: impl Fn(f32, f32) -> f32) -> f32 {
    let eight: [f32; 8] = std::array::from_fn(|n| of(x[n], x[n + 8]));
    let four: [f32; 4] = std::array::from_fn(|n| of(eight[n], eight[n + 4]));
    of(of(four[0], four[2]), of(four[1], four[3]))
}

impl Machine for Portable {
    type Floats = [f32; 16];
    type Quad = [u8; 4];
    const TILE: usize = 4;
    const WIDE: bool = false;

    fn work<W: Work>(self, work: W) -> W::Out {
        work.run(self)
    }

    #[inline(always)]
    fn load(self, from: &[f32; 16]) -> [f32; 16] {
        *from
    }
    #[inline(always)]
    fn store(self, x: [f32; 16], to: &mut [f32; 16]) {
        *to = x;
    }
    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 16] {
        [x; 16]
    }
    #[inline(always)]
    fn add(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(|n| a[n] + b[n])
    }
    #[inline(always)]
    fn sub(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(|n| a[n] - b[n])
    }
    #[inline(always)]
    fn mul(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(|n| a[n] * b[n])
    }
    #[inline(always)]
    fn div(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(|n| a[n] / b[n])
    }
    #[inline(always)]
    fn fma(self, a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        each(|n| a[n].mul_add(b[n], c[n]))
    }
    #[inline(always)]
    fn max(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(|n| if a[n] > b[n] { a[n] } else { b[n] })
    }
    #[inline(always)]
    fn min(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(|n| if a[n] < b[n] { a[n] } else { b[n] })
    }
    #[inline(always)]
    fn two_to(self, shifted: [f32; 16]) -> [f32; 16] {
        each(|n| f32::from_bits((shifted[n].to_bits() << 23).wrapping_add(0x3f80_0000)))
    }
    #[inline(always)]
    fn floats(self, from: &[i32; 16]) -> [f32; 16] {
        each(|n| from[n] as f32)
    }
    #[inline(always)]
    fn quads(self, x: [f32; 16]) -> [[u8; 4]; 4] {
        std::array::from_fn(|quad| std::array::from_fn(|n| x[quad * 4 + n].round_ties_even() as u8))
    }
    type Integers = [i32; 16];
    #[inline(always)]
    fn pairs(self, x: [f32; 16]) -> [i32; 8] {
        let short = |x: f32| x.round_ties_even() as i16 as u16;
        std::array::from_fn(|n| pair(short(x[n * 2]), short(x[n * 2 + 1])))
    }
    #[inline(always)]
    fn zeros(self) -> [i32; 16] {
        [0; 16]
    }
    #[inline(always)]
    fn add_products(self, to: [i32; 16], number: i32, column: &[i32; 16]) -> [i32; 16] {
        let halves = |pair: i32| (i32::from(pair as i16), pair >> 16);
        let (first, second) = halves(number);
        std::array::from_fn(|n| {
            let (low, high) = halves(column[n]);
            to[n] + first * low + second * high
        })
    }
    #[inline(always)]
    fn to_floats(self, x: [i32; 16]) -> [f32; 16] {
        self.floats(&x)
    }
    #[inline(always)]
    fn sum(self, x: [f32; 16]) -> f32 {
        folded(x, |a, b| a + b)
    }
    #[inline(always)]
    fn largest(self, x: [f32; 16]) -> f32 {
        folded(x, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn smallest(self, x: [f32; 16]) -> f32 {
        folded(x, |a, b| if a < b { a } else { b })
    }

    fn dot(self, rows: usize, tile: &[[u8; 4]], weights: &[Block], scaling: Scaling<'_>, values: &mut Values) {
        let mut sums = Sums::default();
        self.sums(rows, tile, weights, &mut sums);
        scaling.add_all(self, rows, &sums, values);
    }
}

impl Portable {
    pub(super) fn sums(self, rows: usize, tile: &[[u8; 4]], weights: &[Block], sums: &mut Sums) {
        for (row, sums) in sums.iter_mut().take(rows).enumerate() {
            *sums = [[0; 16]; 2];
            for (quads, block) in tile.as_chunks::<4>().0.iter().zip(weights) {
                for (sums, half) in sums.iter_mut().zip(&block.0) {
                    for (sum, weights) in sums.iter_mut().zip(half.as_chunks::<4>().0) {
                        for (activation, weight) in quads[row].iter().zip(weights) {
                            *sum += i32::from(*activation) * i32::from(*weight);
                        }
                    }
                }
            }
        }
    }
}
