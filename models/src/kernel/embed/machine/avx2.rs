//! AVX2 with FMA, the baseline for x86-64, and the same with VNNI in its 256-bit form: Intel's cores without AVX-512 since
//! Alder Lake (2021), AMD since Zen 5.

use std::arch::x86_64::*;

use super::{Block, Machine, Scaling, Sums, Values, Work};

/// A processor with AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx2(());

/// A processor with AVX2, FMA and AVX-VNNI.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct AvxVnni(());

impl Avx2 {
    /// The proof that this processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl AvxVnni {
    /// The proof that this processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        (Avx2::detect().is_some() && is_x86_feature_detected!("avxvnni")).then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma")]
fn within<W: Work>(machine: Avx2, work: W) -> W::Out {
    work.run(machine)
}

#[target_feature(enable = "avx2,fma,avxvnni")]
fn within_vnni<W: Work>(machine: AvxVnni, work: W) -> W::Out {
    work.run(machine)
}

/// Products of `ROWS` rows of a tile of 4 with a quarter of a panel, eight outputs. The processor's own product of bytes
/// cuts off sums that do not fit 16 bits, so bytes are widened to 16 bits: two products of those fit 32.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter<const ROWS: usize>(tile: &[[i16; 4]], weights: &[Block], part: usize, sums: &mut Sums) {
    let (half, side) = (part / 2, part % 2);
    let mut all = [[_mm256_setzero_si256(); 2]; ROWS];
    for (quads, block) in tile.as_chunks::<4>().0.iter().zip(weights) {
        let bytes = block.0[half].as_ptr();
        // SAFETY: 32 bytes at 0 or at 32 of 64.
        let (low, high) = unsafe {
            let bytes = bytes.add(side * 32);
            (_mm_loadu_si128(bytes.cast()), _mm_loadu_si128(bytes.add(16).cast()))
        };
        // Four outputs each, four weights of one output side by side.
        let (low, high) = (_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high));
        for (row, quad) in all.iter_mut().zip(quads) {
            // SAFETY: a quad is eight bytes.
            let quad = _mm256_set1_epi64x(unsafe { quad.as_ptr().cast::<i64>().read_unaligned() });
            row[0] = _mm256_add_epi32(row[0], _mm256_madd_epi16(quad, low));
            row[1] = _mm256_add_epi32(row[1], _mm256_madd_epi16(quad, high));
        }
    }
    for (row, sums) in all.iter().zip(sums) {
        // Outputs 0 1 4 5 and 2 3 6 7, then in order.
        let added = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(row[0], row[1]));
        // SAFETY: eight sums at 0 or at 8 of sixteen.
        unsafe { _mm256_storeu_si256(sums[half].as_mut_ptr().add(side * 8).cast(), added) };
    }
}

/// Products of `ROWS` rows of a tile of 6 with half a panel.
macro_rules! half {
    ($name:ident, $features:literal, $dot:ident) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn $name<const ROWS: usize>(tile: &[i32], weights: &[Block], half: usize, sums: &mut Sums) {
            let mut all = [[_mm256_setzero_si256(); 2]; ROWS];
            for (quads, block) in tile.as_chunks::<6>().0.iter().zip(weights) {
                let bytes = block.0[half].as_ptr();
                // SAFETY: 32 bytes at 0 and at 32 of 64.
                let (low, high) =
                    unsafe { (_mm256_loadu_si256(bytes.cast()), _mm256_loadu_si256(bytes.add(32).cast())) };
                for (row, quad) in all.iter_mut().zip(quads) {
                    let quad = _mm256_set1_epi32(*quad);
                    row[0] = $dot(row[0], quad, low);
                    row[1] = $dot(row[1], quad, high);
                }
            }
            for (row, sums) in all.iter().zip(sums) {
                let to = sums[half].as_mut_ptr();
                // SAFETY: eight sums at 0 and at 8 of sixteen.
                unsafe {
                    _mm256_storeu_si256(to.cast(), row[0]);
                    _mm256_storeu_si256(to.add(8).cast(), row[1]);
                }
            }
        }
    };
}
half!(half, "avx2,avxvnni", _mm256_dpbusd_avx_epi32);

/// Sixteen numbers rounded, as 16-bit integers in order.
#[inline]
#[target_feature(enable = "avx2")]
fn rounded(x: [__m256; 2]) -> __m256i {
    let words = _mm256_packs_epi32(_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
    _mm256_permute4x64_epi64::<0b11_01_10_00>(words)
}

/// Both halves down to one number, by the same operation at every step.
macro_rules! folded {
    ($x:ident, $eight:ident, $four:ident, $one:ident) => {
        // SAFETY: at `impl`.
        unsafe {
            let eight = $eight($x[0], $x[1]);
            let four = $four(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = $four(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32($one(two, _mm_movehdup_ps(two)))
        }
    };
}

/// Floats in two registers of eight.
macro_rules! floats {
    () => {
        type Floats = [__m256; 2];

        #[inline(always)]
        fn load(self, from: &[f32; 16]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] }
        }
        #[inline(always)]
        fn store(self, x: [__m256; 2], to: &mut [f32; 16]) {
            // SAFETY: at `impl`.
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), x[0]);
                _mm256_storeu_ps(to.as_mut_ptr().add(8), x[1]);
            }
        }
        #[inline(always)]
        fn splat(self, x: f32) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_set1_ps(x); 2] }
        }
        #[inline(always)]
        fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn sub(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn mul(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn div(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn fma(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
        }
        #[inline(always)]
        fn max(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn min(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
        }
        #[inline(always)]
        fn two_to(self, shifted: [__m256; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe {
                let one = _mm256_set1_epi32(0x3f80_0000);
                let low = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted[0]));
                let high = _mm256_slli_epi32::<23>(_mm256_castps_si256(shifted[1]));
                [_mm256_castsi256_ps(_mm256_add_epi32(low, one)), _mm256_castsi256_ps(_mm256_add_epi32(high, one))]
            }
        }
        #[inline(always)]
        fn floats(self, from: &[i32; 16]) -> [__m256; 2] {
            let from = from.as_ptr().cast::<__m256i>();
            // SAFETY: at `impl`.
            unsafe {
                [_mm256_cvtepi32_ps(_mm256_loadu_si256(from)), _mm256_cvtepi32_ps(_mm256_loadu_si256(from.add(1)))]
            }
        }
        type Integers = [__m256i; 2];
        #[inline(always)]
        fn pairs(self, x: [__m256; 2]) -> [i32; 8] {
            let mut out = [0; 8];
            // SAFETY: at `impl`.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), rounded(x)) };
            out
        }
        #[inline(always)]
        fn zeros(self) -> [__m256i; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_setzero_si256(); 2] }
        }
        #[inline(always)]
        fn to_floats(self, x: [__m256i; 2]) -> [__m256; 2] {
            // SAFETY: at `impl`.
            unsafe { [_mm256_cvtepi32_ps(x[0]), _mm256_cvtepi32_ps(x[1])] }
        }
        #[inline(always)]
        fn sum(self, x: [__m256; 2]) -> f32 {
            folded!(x, _mm256_add_ps, _mm_add_ps, _mm_add_ss)
        }
        #[inline(always)]
        fn largest(self, x: [__m256; 2]) -> f32 {
            folded!(x, _mm256_max_ps, _mm_max_ps, _mm_max_ss)
        }
        #[inline(always)]
        fn smallest(self, x: [__m256; 2]) -> f32 {
            folded!(x, _mm256_min_ps, _mm_min_ps, _mm_min_ss)
        }
    };
}

// SAFETY, for every block below: a value of the type is the proof that the instructions are there, and what is read or
// written through a pointer is an array of just that length.
impl Machine for Avx2 {
    type Quad = [i16; 4];
    const TILE: usize = 4;
    const WIDE: bool = false;
    floats!();

    fn work<W: Work>(self, work: W) -> W::Out {
        // SAFETY: at `impl`.
        unsafe { within(self, work) }
    }

    #[inline(always)]
    fn quads(self, x: [__m256; 2]) -> [[i16; 4]; 4] {
        let mut out = [[0; 4]; 4];
        // SAFETY: at `impl`.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), rounded(x)) };
        out
    }

    #[inline(always)]
    fn add_products(self, to: [__m256i; 2], number: i32, column: &[i32; 16]) -> [__m256i; 2] {
        // SAFETY: at `impl`.
        unsafe {
            let number = _mm256_set1_epi32(number);
            let low = _mm256_madd_epi16(number, _mm256_loadu_si256(column.as_ptr().cast()));
            let high = _mm256_madd_epi16(number, _mm256_loadu_si256(column.as_ptr().add(8).cast()));
            [_mm256_add_epi32(to[0], low), _mm256_add_epi32(to[1], high)]
        }
    }

    #[inline(always)]
    fn dot(self, rows: usize, quads: &[[i16; 4]], weights: &[Block], scaling: Scaling<'_>, values: &mut Values) {
        let mut sums = Sums::default();
        for part in 0..4 {
            // SAFETY: at `impl`.
            unsafe {
                match rows {
                    ..=1 => quarter::<1>(quads, weights, part, &mut sums),
                    2 => quarter::<2>(quads, weights, part, &mut sums),
                    _ => quarter::<4>(quads, weights, part, &mut sums),
                }
            }
        }
        scaling.add_all(self, rows, &sums, values);
    }
}

// SAFETY, for every block below: as above.
impl Machine for AvxVnni {
    type Quad = i32;
    const TILE: usize = 6;
    const WIDE: bool = false;
    floats!();

    fn work<W: Work>(self, work: W) -> W::Out {
        // SAFETY: at `impl`.
        unsafe { within_vnni(self, work) }
    }

    #[inline(always)]
    fn quads(self, x: [__m256; 2]) -> [i32; 4] {
        let mut out = [0; 4];
        // SAFETY: at `impl`.
        unsafe {
            let words = rounded(x);
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(out.as_mut_ptr().cast(), bytes);
        }
        out
    }

    #[inline(always)]
    fn add_products(self, to: [__m256i; 2], number: i32, column: &[i32; 16]) -> [__m256i; 2] {
        // SAFETY: at `impl`.
        unsafe {
            let number = _mm256_set1_epi32(number);
            let (low, high) = (column.as_ptr(), column.as_ptr().add(8));
            [
                _mm256_dpwssd_avx_epi32(to[0], number, _mm256_loadu_si256(low.cast())),
                _mm256_dpwssd_avx_epi32(to[1], number, _mm256_loadu_si256(high.cast())),
            ]
        }
    }

    #[inline(always)]
    fn dot(self, rows: usize, quads: &[i32], weights: &[Block], scaling: Scaling<'_>, values: &mut Values) {
        let mut sums = Sums::default();
        for part in 0..2 {
            // SAFETY: at `impl`.
            unsafe {
                match rows {
                    ..=1 => half::<1>(quads, weights, part, &mut sums),
                    2 => half::<2>(quads, weights, part, &mut sums),
                    3..=4 => half::<4>(quads, weights, part, &mut sums),
                    _ => half::<6>(quads, weights, part, &mut sums),
                }
            }
        }
        scaling.add_all(self, rows, &sums, values);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Portable;
    use super::*;

    half!(half_in_its_other_encoding, "avx512f,avx512vl,avx512vnni", _mm256_dpbusd_epi32);

    /// The code of the AVX-VNNI product, on processors that have the instruction in AVX-512's encoding only.
    #[test]
    fn the_short_vnni_product_gives_what_the_portable_one_gives() {
        if !(is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl")) {
            return;
        }
        let weight = |n: usize| (n * 71 % 255) as i8;
        let blocks: Vec<Block> = (0..37)
            .map(|n| Block([0, 1].map(|half| std::array::from_fn(|i| weight(n * 128 + half * 64 + i)))))
            .collect();
        let bytes: Vec<[u8; 4]> = (0..37 * 6usize).map(|n| [0, 1, 2, 3].map(|i| (n * 37 + i * 101) as u8)).collect();
        let quads: Vec<i32> = bytes.iter().map(|quad| i32::from_le_bytes(*quad)).collect();
        let mut found: Sums = Default::default();
        for part in 0..2 {
            // SAFETY: asked for above.
            unsafe { half_in_its_other_encoding::<6>(&quads, &blocks, part, &mut found) };
        }
        for (first, count) in [(0, 4), (4, 2)] {
            let row = |rows: &[[u8; 4]], row: usize| rows.get(row).copied().unwrap_or_default();
            let tile: Vec<[u8; 4]> =
                bytes.chunks(6).flat_map(|rows| [0, 1, 2, 3].map(|at| row(rows, first + at))).collect();
            let mut expected: Sums = Default::default();
            Portable.sums(count, &tile, &blocks, &mut expected);
            assert_eq!(found[first..first + count], expected[..count]);
        }
    }
}
