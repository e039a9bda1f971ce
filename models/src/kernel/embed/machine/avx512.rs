//! AVX-512 with VNNI: Intel since Cascade Lake (2019), AMD since Zen 4 (2022); and with tiles (AMX): Intel since Sapphire Rapids (2023).

use std::arch::x86_64::*;

use super::{Block, Machine, Scaling, Values, Work};
use crate::kernel::amx::{self, ROWS, Sums, Tiles};

/// A processor with AVX-512 F, BW, DQ, VL and VNNI; with `TILES` one that has tiles too, for the integer product.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx512<const TILES: bool>(Option<Tiles>);

impl Avx512<false> {
    /// The proof that this processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        has.then_some(Self(None))
    }
}

impl Avx512<true> {
    /// The proof that this processor has the instructions, tiles among them, and that this process may use them.
    pub(in super::super) fn detect() -> Option<Self> {
        Avx512::<false>::detect().and(Tiles::detect()).map(|tiles| Self(Some(tiles)))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn within<W: Work, const TILES: bool>(machine: Avx512<TILES>, work: W) -> W::Out {
    work.run(machine)
}

/// Products of `ROWS` rows of a tile of 12 with a panel.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile<const ROWS: usize, const TILES: bool>(
    m: Avx512<TILES>,
    tile: &[i32],
    weights: &[Block],
    scaling: Scaling<'_>,
    values: &mut Values,
) {
    let mut all = [[_mm512_setzero_si512(); 2]; ROWS];
    for (quads, block) in tile.as_chunks::<12>().0.iter().zip(weights) {
        // SAFETY: each half of a block is 64 bytes.
        let (low, high) =
            unsafe { (_mm512_loadu_si512(block.0[0].as_ptr().cast()), _mm512_loadu_si512(block.0[1].as_ptr().cast())) };
        for (row, quad) in all.iter_mut().zip(quads) {
            let quad = _mm512_set1_epi32(*quad);
            row[0] = _mm512_dpbusd_epi32(row[0], quad, low);
            row[1] = _mm512_dpbusd_epi32(row[1], quad, high);
        }
    }
    for (row, (sums, values)) in all.into_iter().zip(values).enumerate() {
        scaling.add(m, row, sums.map(|sums| m.to_floats(sums)), values);
    }
}

/// Quads of a row that a tile takes.
const STEP: usize = 16;
/// Up to this many rows the vector product is done sooner than that of whole tiles.
const FEW: usize = 3;

/// Products of some rows of a tile of 16, each row's quads one after the other, with a panel. What does not fill a tile is left to the vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn tiled<const TILES: bool>(
    m: Avx512<TILES>,
    rows: usize,
    quads: &[i32],
    weights: &[Block],
    scaling: Scaling<'_>,
    values: &mut Values,
) {
    let length = weights.len();
    let steps = if rows > FEW && quads.len() >= ROWS * length { length / STEP } else { 0 };
    let mut sums = Sums::ZERO;
    if steps > 0 {
        // SAFETY: `Machine::work` laid the tiles out; there are sixteen rows of `length` quads, and `length` blocks.
        unsafe { amx::bytes(quads.as_ptr().cast(), length * 4, weights.as_ptr().cast(), steps, &mut sums) };
    }
    for (row, (quads, values)) in quads.chunks_exact(length.max(1)).zip(values).take(rows).enumerate() {
        // SAFETY: each is sixteen integers.
        let mut all = unsafe { [row, ROWS + row].map(|at| _mm512_loadu_si512(sums.0[at].as_ptr().cast())) };
        for (quad, block) in quads.iter().zip(weights).skip(steps * STEP) {
            let quad = _mm512_set1_epi32(*quad);
            for (sum, half) in all.iter_mut().zip(&block.0) {
                // SAFETY: each half of a block is 64 bytes.
                *sum = _mm512_dpbusd_epi32(*sum, quad, unsafe { _mm512_loadu_si512(half.as_ptr().cast()) });
            }
        }
        scaling.add(m, row, all.map(|sums| m.to_floats(sums)), values);
    }
}

// SAFETY, for every block below: a value of `Avx512` is the proof that the instructions are there, and what is read or
// written through a pointer is an array of just that length.
impl<const TILES: bool> Machine for Avx512<TILES> {
    type Floats = __m512;
    type Quad = i32;
    const TILE: usize = if TILES { ROWS } else { 12 };
    const ROWS_FIRST: bool = TILES;
    const WIDE: bool = true;

    fn work<W: Work>(self, work: W) -> W::Out {
        // SAFETY: above.
        let work = || unsafe { within(self, work) };
        match self.0 {
            Some(tiles) => tiles.laid_out(64, work),
            None => work(),
        }
    }

    #[inline(always)]
    fn load(self, from: &[f32; 16]) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, x: __m512, to: &mut [f32; 16]) {
        // SAFETY: above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn two_to(self, shifted: __m512) -> __m512 {
        // SAFETY: above.
        unsafe {
            let bits = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(0x3f80_0000)))
        }
    }
    #[inline(always)]
    fn floats(self, from: &[i32; 16]) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(from.as_ptr().cast())) }
    }
    #[inline(always)]
    fn quads(self, x: __m512) -> [i32; 4] {
        let mut out = [0; 4];
        // SAFETY: above; sixteen bytes are four quads.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x))) };
        out
    }
    type Integers = __m512i;
    #[inline(always)]
    fn pairs(self, x: __m512) -> [i32; 8] {
        let mut out = [0; 8];
        // SAFETY: above; eight pairs are 32 bytes.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x))) };
        out
    }
    #[inline(always)]
    fn zeros(self) -> __m512i {
        // SAFETY: above.
        unsafe { _mm512_setzero_si512() }
    }
    #[inline(always)]
    fn add_products(self, to: __m512i, number: i32, column: &[i32; 16]) -> __m512i {
        // SAFETY: above.
        unsafe { _mm512_dpwssd_epi32(to, _mm512_set1_epi32(number), _mm512_loadu_si512(column.as_ptr().cast())) }
    }
    #[inline(always)]
    fn to_floats(self, x: __m512i) -> __m512 {
        // SAFETY: above.
        unsafe { _mm512_cvtepi32_ps(x) }
    }
    #[inline(always)]
    fn sum(self, x: __m512) -> f32 {
        // SAFETY: above.
        unsafe {
            let eight = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x));
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    fn largest(self, x: __m512) -> f32 {
        // SAFETY: above.
        unsafe { _mm512_reduce_max_ps(x) }
    }
    #[inline(always)]
    fn smallest(self, x: __m512) -> f32 {
        // SAFETY: above.
        unsafe { _mm512_reduce_min_ps(x) }
    }

    #[inline(always)]
    fn dot(self, rows: usize, quads: &[i32], weights: &[Block], scaling: Scaling<'_>, values: &mut Values) {
        // SAFETY: above.
        unsafe {
            if TILES {
                return tiled(self, rows, quads, weights, scaling, values);
            }
            match rows {
                1 => tile::<1, TILES>(self, quads, weights, scaling, values),
                2 => tile::<2, TILES>(self, quads, weights, scaling, values),
                3 => tile::<3, TILES>(self, quads, weights, scaling, values),
                4 => tile::<4, TILES>(self, quads, weights, scaling, values),
                5 => tile::<5, TILES>(self, quads, weights, scaling, values),
                6 => tile::<6, TILES>(self, quads, weights, scaling, values),
                7 => tile::<7, TILES>(self, quads, weights, scaling, values),
                8 => tile::<8, TILES>(self, quads, weights, scaling, values),
                9 => tile::<9, TILES>(self, quads, weights, scaling, values),
                10 => tile::<10, TILES>(self, quads, weights, scaling, values),
                11 => tile::<11, TILES>(self, quads, weights, scaling, values),
                _ => tile::<12, TILES>(self, quads, weights, scaling, values),
            }
        }
    }
}
