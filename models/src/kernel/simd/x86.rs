//! The lanes on x86-64: two vectors of AVX2, or one of AVX-512.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each is one instruction, and what it needs is the trait's contract"
)]

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// AVX2, FMA and F16C: two vectors side by side.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx2;

/// AVX-512 F, BW, VL, DQ and VNNI.
#[derive(Clone, Copy)]
pub(in super::super) struct Avx512;

/// Both halves through the same instruction.
macro_rules! both {
    ($instruction:ident, $a:expr) => {{
        let [a, b] = $a;
        unsafe { [$instruction(a), $instruction(b)] }
    }};
    ($instruction:ident, $a:expr, $b:expr) => {{
        let ([a, b], [c, d]) = ($a, $b);
        unsafe { [$instruction(a, c), $instruction(b, d)] }
    }};
}

impl Simd for Avx2 {
    type F = [__m256; 2];
    type I = [__m256i; 2];
    const TALL: usize = 4;

    #[inline(always)]
    unsafe fn enter<K: Kernel>(kernel: K) {
        #[target_feature(enable = "avx2,fma,f16c")]
        unsafe fn enter<K: Kernel>(kernel: K) {
            unsafe { kernel.run::<Avx2>() }
        }
        unsafe { enter(kernel) }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, [a, b]: Self::F) {
        unsafe {
            _mm256_storeu_ps(to, a);
            _mm256_storeu_ps(to.add(8), b);
        }
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::F {
        unsafe { [_mm256_cvtph_ps(_mm_loadu_si128(from.cast())), _mm256_cvtph_ps(_mm_loadu_si128(from.add(8).cast()))] }
    }
    #[inline(always)]
    unsafe fn store_half(to: *mut u16, [a, b]: Self::F) {
        unsafe {
            _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(a));
            _mm_storeu_si128(to.add(8).cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(b));
        }
    }
    #[inline(always)]
    unsafe fn load_brain(from: *const u16) -> Self::F {
        unsafe {
            let wide = |at| _mm256_cvtepu16_epi32(_mm_loadu_si128(at));
            let float = |x| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(x));
            [float(wide(from.cast())), float(wide(from.add(8).cast()))]
        }
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self::F {
        unsafe {
            let wide = |at| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(at)));
            [wide(from.cast()), wide(from.add(8).cast())]
        }
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self::F {
        unsafe {
            let wide = |at| _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at)));
            [wide(from.cast()), wide(from.add(8).cast())]
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    unsafe fn fma([a, b]: Self::F, [c, d]: Self::F, [e, f]: Self::F) -> Self::F {
        unsafe { [_mm256_fmadd_ps(a, c, e), _mm256_fmadd_ps(b, d, f)] }
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        both!(_mm256_min_ps, a, b)
    }
    #[inline(always)]
    unsafe fn power([a, b]: Self::F) -> Self::F {
        unsafe {
            let one = _mm256_set1_epi32(0x3f80_0000);
            let power = |x| _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32::<23>(_mm256_castps_si256(x)), one));
            [power(a), power(b)]
        }
    }
    #[inline(always)]
    unsafe fn round(x: Self::F) -> Self::I {
        both!(_mm256_cvtps_epi32, x)
    }
    #[inline(always)]
    unsafe fn store_short(to: *mut i16, [a, b]: Self::I) {
        unsafe {
            // The packing goes by halves of 128 bits; the permutation puts them in order.
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b));
            _mm256_storeu_si256(to.cast(), packed);
        }
    }
    #[inline(always)]
    unsafe fn splat_int(x: i32) -> Self::I {
        unsafe { [_mm256_set1_epi32(x); 2] }
    }
    #[inline(always)]
    unsafe fn load_int(from: *const u8) -> Self::I {
        unsafe { [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())] }
    }
    #[inline(always)]
    unsafe fn store_int(to: *mut u8, [a, b]: Self::I) {
        unsafe {
            _mm256_storeu_si256(to.cast(), a);
            _mm256_storeu_si256(to.add(32).cast(), b);
        }
    }
    #[inline(always)]
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I {
        both!(_mm256_and_si256, a, b)
    }
    #[inline(always)]
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I {
        both!(_mm256_or_si256, a, b)
    }
    #[inline(always)]
    unsafe fn right([a, b]: Self::I, by: i32) -> Self::I {
        unsafe {
            let by = _mm_cvtsi32_si128(by);
            [_mm256_srl_epi16(a, by), _mm256_srl_epi16(b, by)]
        }
    }
    #[inline(always)]
    unsafe fn left([a, b]: Self::I, by: i32) -> Self::I {
        unsafe {
            let by = _mm_cvtsi32_si128(by);
            [_mm256_sll_epi16(a, by), _mm256_sll_epi16(b, by)]
        }
    }
    #[inline(always)]
    unsafe fn dot([s, t]: Self::I, [a, b]: Self::I, [c, d]: Self::I) -> Self::I {
        unsafe { [_mm256_add_epi32(s, _mm256_madd_epi16(a, c)), _mm256_add_epi32(t, _mm256_madd_epi16(b, d))] }
    }
    #[inline(always)]
    unsafe fn float(x: Self::I) -> Self::F {
        both!(_mm256_cvtepi32_ps, x)
    }
}

impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    const TALL: usize = 8;
    const BYTES: bool = true;

    #[inline(always)]
    unsafe fn enter<K: Kernel>(kernel: K) {
        #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
        unsafe fn enter<K: Kernel>(kernel: K) {
            unsafe { kernel.run::<Avx512>() }
        }
        unsafe { enter(kernel) }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::F {
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: Self::F) {
        unsafe { _mm512_storeu_ps(to, x) }
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self::F {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store_half(to: *mut u16, x: Self::F) {
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x)) }
    }
    #[inline(always)]
    unsafe fn load_brain(from: *const u16) -> Self::F {
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> Self::F {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> Self::F {
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn power(shifted: Self::F) -> Self::F {
        unsafe {
            let bits = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted));
            _mm512_castsi512_ps(_mm512_add_epi32(bits, _mm512_set1_epi32(0x3f80_0000)))
        }
    }
    #[inline(always)]
    unsafe fn round(x: Self::F) -> Self::I {
        unsafe { _mm512_cvtps_epi32(x) }
    }
    #[inline(always)]
    unsafe fn store_short(to: *mut i16, x: Self::I) {
        unsafe { _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(x)) }
    }
    #[inline(always)]
    unsafe fn splat_int(x: i32) -> Self::I {
        unsafe { _mm512_set1_epi32(x) }
    }
    #[inline(always)]
    unsafe fn load_int(from: *const u8) -> Self::I {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_int(to: *mut u8, x: Self::I) {
        unsafe { _mm512_storeu_si512(to.cast(), x) }
    }
    #[inline(always)]
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm512_and_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm512_or_si512(a, b) }
    }
    #[inline(always)]
    unsafe fn right(a: Self::I, by: i32) -> Self::I {
        unsafe { _mm512_srl_epi16(a, _mm_cvtsi32_si128(by)) }
    }
    #[inline(always)]
    unsafe fn left(a: Self::I, by: i32) -> Self::I {
        unsafe { _mm512_sll_epi16(a, _mm_cvtsi32_si128(by)) }
    }
    #[inline(always)]
    unsafe fn dot(sum: Self::I, a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm512_dpwssd_epi32(sum, a, b) }
    }
    #[inline(always)]
    unsafe fn dot_bytes(sum: Self::I, a: Self::I, b: Self::I) -> Self::I {
        unsafe { _mm512_dpbusd_epi32(sum, a, b) }
    }
    #[inline(always)]
    unsafe fn joined(low: Self::I, high: Self::I) -> Self::I {
        unsafe { _mm512_add_epi32(low, _mm512_slli_epi32::<4>(high)) }
    }
    #[inline(always)]
    unsafe fn float(x: Self::I) -> Self::F {
        unsafe { _mm512_cvtepi32_ps(x) }
    }
}
