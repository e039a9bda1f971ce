//! Sixteen lanes of 32 bits, on whatever the processor has.

#[cfg(target_arch = "x86_64")]
use super::amx::Tiles;
use crate::pool::Instructions;

/// A set of vector instructions.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// Plain Rust: the reference, and what runs on processors that are not x86-64.
    Portable,
    /// AVX2 with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same, and AMX for products of many rows.
    #[cfg(target_arch = "x86_64")]
    Amx(Tiles),
}

impl Path {
    /// Every path that this processor can run, the best last.
    pub(crate) fn available() -> Vec<Self> {
        #[allow(unused_mut, reason = "only x86-64 has more")]
        let mut paths = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c") {
                paths.push(Self::Avx2);
            }
            if ["f", "bw", "vl", "dq", "vnni"].iter().all(|part| match *part {
                "f" => is_x86_feature_detected!("avx512f"),
                "bw" => is_x86_feature_detected!("avx512bw"),
                "vl" => is_x86_feature_detected!("avx512vl"),
                "dq" => is_x86_feature_detected!("avx512dq"),
                _ => is_x86_feature_detected!("avx512vnni"),
            }) {
                paths.push(Self::Avx512);
                paths.extend(Tiles::detect().map(Self::Amx));
            }
        }
        paths
    }

    /// The best path that this processor can run.
    pub(crate) fn best() -> Self {
        Self::of(Instructions::Best)
    }

    /// The best path that this processor can run and that may be used.
    pub(crate) fn of(instructions: Instructions) -> Self {
        let may = |path: &Self| match path {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => instructions != Instructions::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => matches!(instructions, Instructions::Best | Instructions::Avx512),
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => instructions == Instructions::Best,
        };
        Self::available().into_iter().rfind(may).unwrap_or(Self::Portable)
    }

    /// A name for logs and measurements.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => "amx",
        }
    }

    /// Whether there are registers for eight rows at a time.
    pub(super) const fn is_tall(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Amx(_) => true,
            _ => false,
        }
    }

    /// Whether products of many rows take tiles.
    pub(super) const fn has_tiles(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx(_) => true,
            _ => false,
        }
    }

    /// Whether rows are rounded to bytes, low parts and high ones.
    #[cfg(test)]
    pub(super) fn multiplies_bytes(self) -> bool {
        match self {
            Self::Portable => Portable::BYTES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::Avx2::BYTES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Amx(_) => x86::Avx512::BYTES,
        }
    }

    /// Runs the kernel with this path's instructions.
    ///
    /// # Safety
    /// The path is one of [`Path::available`], and what the kernel itself asks for holds.
    #[inline]
    pub(super) unsafe fn run(self, kernel: impl Kernel) {
        // SAFETY: the caller's word.
        unsafe {
            match self {
                Self::Portable => Portable::enter(kernel),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => x86::Avx2::enter(kernel),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 | Self::Amx(_) => x86::Avx512::enter(kernel),
            }
        }
    }
}

/// Something computed over lanes. Its `run` must be inlined into the function that carries the instruction set.
pub(super) trait Kernel {
    /// # Safety
    /// The instructions of `S` exist, and the pointers that the kernel holds are good for what it does.
    unsafe fn run<S: Simd>(self);
}

/// Sixteen lanes. Every method is one or two instructions and is inlined into a function that carries the instruction set.
///
/// # Safety of all methods
/// The processor has the instructions, and pointers are good for sixteen elements of their type, at any alignment.
pub(super) trait Simd: Copy {
    /// Sixteen 32-bit floats.
    type F: Copy;
    /// Sixteen 32-bit integers, or thirty-two of 16 bits.
    type I: Copy;
    /// Rows that a product takes at a time, as far as registers go: 1, 4 or 8.
    const TALL: usize;
    /// Whether [`Simd::dot_bytes`] is one instruction, so that few rows are multiplied by bytes instead of by 16 bits.
    const BYTES: bool = false;

    unsafe fn enter<K: Kernel>(kernel: K);

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load(from: *const f32) -> Self::F;
    unsafe fn store(to: *mut f32, x: Self::F);
    /// From 16-bit floats of IEEE 754.
    unsafe fn load_half(from: *const u16) -> Self::F;
    /// To 16-bit floats, rounded to the nearest.
    unsafe fn store_half(to: *mut u16, x: Self::F);
    /// From the upper halves of 32-bit floats.
    unsafe fn load_brain(from: *const u16) -> Self::F;
    unsafe fn load_u8(from: *const u8) -> Self::F;
    unsafe fn load_i8(from: *const u8) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Of two equal or unordered values the second.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F;
    /// 2 to the n, where n stands in the low bits of a float.
    unsafe fn power(shifted: Self::F) -> Self::F;
    /// To the nearest integer, ties to even.
    unsafe fn round(x: Self::F) -> Self::I;
    /// Sixteen integers that fit 16 bits, written as such.
    unsafe fn store_short(to: *mut i16, x: Self::I);

    unsafe fn splat_int(x: i32) -> Self::I;
    /// Sixty-four bytes.
    unsafe fn load_int(from: *const u8) -> Self::I;
    unsafe fn store_int(to: *mut u8, x: Self::I);
    unsafe fn and(a: Self::I, b: Self::I) -> Self::I;
    unsafe fn or(a: Self::I, b: Self::I) -> Self::I;
    /// Shifts each 16 bits to the right, zeros in.
    unsafe fn right(a: Self::I, by: i32) -> Self::I;
    /// Shifts each 16 bits to the left.
    unsafe fn left(a: Self::I, by: i32) -> Self::I;
    /// Adds to each 32 bits the products of their two halves, as signed 16 bits.
    unsafe fn dot(sum: Self::I, a: Self::I, b: Self::I) -> Self::I;
    /// Adds to each 32 bits the products of its four bytes, those of `a` without a sign, those of `b` with one.
    #[inline(always)]
    unsafe fn dot_bytes(sum: Self::I, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the caller's word, and the arrays hold sixty-four bytes.
        unsafe {
            let (mut sums, mut left, mut right) = ([[0u8; 4]; 16], [[0u8; 4]; 16], [[0u8; 4]; 16]);
            Self::store_int(sums.as_mut_ptr().cast(), sum);
            Self::store_int(left.as_mut_ptr().cast(), a);
            Self::store_int(right.as_mut_ptr().cast(), b);
            for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
                let products = left.into_iter().zip(right).map(|(a, b)| i32::from(a) * i32::from(b.cast_signed()));
                *sum = products.fold(i32::from_le_bytes(*sum), i32::wrapping_add).to_le_bytes();
            }
            Self::load_int(sums.as_ptr().cast())
        }
    }
    /// Sums of low parts' products, and those of high parts' sixteen times.
    #[inline(always)]
    unsafe fn joined(low: Self::I, high: Self::I) -> Self::I {
        // SAFETY: the caller's word, and the arrays hold sixty-four bytes.
        unsafe {
            let (mut sums, mut more) = ([[0u8; 4]; 16], [[0u8; 4]; 16]);
            Self::store_int(sums.as_mut_ptr().cast(), low);
            Self::store_int(more.as_mut_ptr().cast(), high);
            for (sum, more) in sums.iter_mut().zip(more) {
                let high = i32::from_le_bytes(more).wrapping_mul(16);
                *sum = i32::from_le_bytes(*sum).wrapping_add(high).to_le_bytes();
            }
            Self::load_int(sums.as_ptr().cast())
        }
    }
    unsafe fn float(x: Self::I) -> Self::F;

    /// Asks for the line at an address ahead of its use; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_from: *const u8) {}

    /// e to the x as [`crate::layers::curve::exp`] computes it; 0 below -87.
    #[inline(always)]
    unsafe fn exp(x: Self::F) -> Self::F {
        const SHIFT: f32 = 12_582_912.0;
        // SAFETY: the caller's word.
        unsafe {
            let clamped = Self::min(Self::max(x, Self::splat(-87.0)), Self::splat(88.0));
            let shifted = Self::fma(clamped, Self::splat(std::f32::consts::LOG2_E), Self::splat(SHIFT));
            let n = Self::sub(shifted, Self::splat(SHIFT));
            let r = Self::fma(n, Self::splat(-0.693_359_4), clamped);
            let r = Self::fma(n, Self::splat(2.121_944_4e-4), r);
            let mut p = Self::splat(1.987_569_1e-4);
            for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
                p = Self::fma(p, r, Self::splat(c));
            }
            let e = Self::add(Self::fma(p, Self::mul(r, r), r), Self::splat(1.0));
            // What was clamped is e to the -87, 1.6e-38: as good as 0 in every sum it goes into.
            Self::mul(e, Self::power(shifted))
        }
    }

    /// The sum of the lanes, in an order of its own.
    #[inline(always)]
    unsafe fn total(x: Self::F) -> f32 {
        let mut lanes = [0.0f32; 16];
        // SAFETY: the array holds sixteen.
        unsafe { Self::store(lanes.as_mut_ptr(), x) };
        fold(lanes, |a, b| a + b)
    }

    /// The greatest lane.
    #[inline(always)]
    unsafe fn greatest(x: Self::F) -> f32 {
        let mut lanes = [0.0f32; 16];
        // SAFETY: the array holds sixteen.
        unsafe { Self::store(lanes.as_mut_ptr(), x) };
        fold(lanes, |a, b| if a > b { a } else { b })
    }
}

/// Halves onto each other until one is left.
#[inline(always)]
fn fold(lanes: [f32; 16], by: impl Fn(f32, f32) -> f32) -> f32 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes;
    let half = [by(a, i), by(b, j), by(c, k), by(d, l), by(e, m), by(f, n), by(g, o), by(h, p)];
    let [a, b, c, d, e, f, g, h] = half;
    let [a, b, c, d] = [by(a, e), by(b, f), by(c, g), by(d, h)];
    by(by(a, c), by(b, d))
}

/// The reference.
#[derive(Clone, Copy)]
pub(super) struct Portable;

/// Applies a function lane by lane.
#[inline(always)]
fn each<A: Copy, B: Copy, C: Copy + Default>(a: [A; 16], b: [B; 16], by: impl Fn(A, B) -> C) -> [C; 16] {
    let mut out = [C::default(); 16];
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = by(a, b);
    }
    out
}

/// The two halves of 32 bits.
#[inline(always)]
fn shorts(x: i32) -> (i16, i16) {
    (x as i16, (x >> 16) as i16)
}

#[inline(always)]
fn joined(low: i16, high: i16) -> i32 {
    i32::from(low as u16) | (i32::from(high) << 16)
}

#[allow(clippy::undocumented_unsafe_blocks, reason = "each reads or writes what its contract allows")]
impl Simd for Portable {
    type F = [f32; 16];
    type I = [i32; 16];
    const TALL: usize = 1;

    #[inline(always)]
    unsafe fn enter<K: Kernel>(kernel: K) {
        unsafe { kernel.run::<Self>() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; 16] {
        [x; 16]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> [f32; 16] {
        unsafe { from.cast::<[f32; 16]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, x: [f32; 16]) {
        unsafe { to.cast::<[f32; 16]>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> [f32; 16] {
        unsafe { from.cast::<[u16; 16]>().read_unaligned() }.map(|bits| half::f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    unsafe fn store_half(to: *mut u16, x: [f32; 16]) {
        unsafe { to.cast::<[u16; 16]>().write_unaligned(x.map(|x| half::f16::from_f32(x).to_bits())) }
    }
    #[inline(always)]
    unsafe fn load_brain(from: *const u16) -> [f32; 16] {
        unsafe { from.cast::<[u16; 16]>().read_unaligned() }.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }
    #[inline(always)]
    unsafe fn load_u8(from: *const u8) -> [f32; 16] {
        unsafe { from.cast::<[u8; 16]>().read_unaligned() }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn load_i8(from: *const u8) -> [f32; 16] {
        unsafe { from.cast::<[i8; 16]>().read_unaligned() }.map(f32::from)
    }
    #[inline(always)]
    unsafe fn add(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        let mut out = c;
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a.mul_add(b, *out);
        }
        out
    }
    #[inline(always)]
    unsafe fn max(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        each(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn power(shifted: [f32; 16]) -> [f32; 16] {
        shifted.map(|x| f32::from_bits((x.to_bits() << 23).wrapping_add(0x3f80_0000)))
    }
    #[inline(always)]
    unsafe fn round(x: [f32; 16]) -> [i32; 16] {
        x.map(|x| x.round_ties_even() as i32)
    }
    #[inline(always)]
    unsafe fn store_short(to: *mut i16, x: [i32; 16]) {
        unsafe { to.cast::<[i16; 16]>().write_unaligned(x.map(|x| x as i16)) }
    }
    #[inline(always)]
    unsafe fn splat_int(x: i32) -> [i32; 16] {
        [x; 16]
    }
    #[inline(always)]
    unsafe fn load_int(from: *const u8) -> [i32; 16] {
        unsafe { from.cast::<[[u8; 4]; 16]>().read_unaligned() }.map(i32::from_le_bytes)
    }
    #[inline(always)]
    unsafe fn store_int(to: *mut u8, x: [i32; 16]) {
        unsafe { to.cast::<[[u8; 4]; 16]>().write_unaligned(x.map(i32::to_le_bytes)) }
    }
    #[inline(always)]
    unsafe fn and(a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        each(a, b, |a, b| a & b)
    }
    #[inline(always)]
    unsafe fn or(a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        each(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn right(a: [i32; 16], by: i32) -> [i32; 16] {
        a.map(|x| {
            let (low, high) = shorts(x);
            joined((low as u16 >> by) as i16, (high as u16 >> by) as i16)
        })
    }
    #[inline(always)]
    unsafe fn left(a: [i32; 16], by: i32) -> [i32; 16] {
        a.map(|x| {
            let (low, high) = shorts(x);
            joined(((low as u16) << by) as i16, ((high as u16) << by) as i16)
        })
    }
    // Apart on x86-64: inlined into the products of 8-bit quants, the pinned compiler at opt-level 3 gives six lanes of sixteen
    // wrong sums, in release or in builds with assertions, as the sum is written. Nothing here is undefined, and only this path is
    // concerned, which no x86-64 machine that Cloister starts on takes. `.ci/run` holds every path against this one in both builds.
    #[cfg_attr(target_arch = "x86_64", inline(never))]
    #[cfg_attr(not(target_arch = "x86_64"), inline(always))]
    unsafe fn dot(sum: [i32; 16], a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        let products = each(a, b, |a, b| {
            let ((a, c), (b, d)) = (shorts(a), shorts(b));
            (i32::from(a) * i32::from(b)).wrapping_add(i32::from(c) * i32::from(d))
        });
        each(sum, products, i32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn float(x: [i32; 16]) -> [f32; 16] {
        x.map(|x| x as f32)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx512;
