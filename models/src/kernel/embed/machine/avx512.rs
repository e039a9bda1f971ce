//! AVX-512 with VNNI: Intel since Cascade Lake (2019), AMD since Zen 4 (2022).

use std::arch::x86_64::*;

use super::{Block, Machine, Scaling, Values, Work};

/// A processor with AVX-512 F, BW, DQ, VL and VNNI.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    /// The proof that this processor has the instructions.
    pub(in super::super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        has.then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn within<W: Work>(machine: Avx512, work: W) -> W::Out {
    work.run(machine)
}

/// Products of `ROWS` rows of a tile of 12 with a panel.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile<const ROWS: usize>(m: Avx512, tile: &[i32], weights: &[Block], scaling: Scaling<'_>, values: &mut Values) {
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

// SAFETY, for every block below: a value of `Avx512` is the proof that the instructions are there, and what is read or
// written through a pointer is an array of just that length.
impl Machine for Avx512 {
    type Floats = __m512;
    type Quad = i32;
    const TILE: usize = 12;
    const WIDE: bool = true;

    fn work<W: Work>(self, work: W) -> W::Out {
        // SAFETY: above.
        unsafe { within(self, work) }
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
            match rows {
                1 => tile::<1>(self, quads, weights, scaling, values),
                2 => tile::<2>(self, quads, weights, scaling, values),
                3 => tile::<3>(self, quads, weights, scaling, values),
                4 => tile::<4>(self, quads, weights, scaling, values),
                5 => tile::<5>(self, quads, weights, scaling, values),
                6 => tile::<6>(self, quads, weights, scaling, values),
                7 => tile::<7>(self, quads, weights, scaling, values),
                8 => tile::<8>(self, quads, weights, scaling, values),
                9 => tile::<9>(self, quads, weights, scaling, values),
                10 => tile::<10>(self, quads, weights, scaling, values),
                11 => tile::<11>(self, quads, weights, scaling, values),
                _ => tile::<12>(self, quads, weights, scaling, values),
            }
        }
    }
}
