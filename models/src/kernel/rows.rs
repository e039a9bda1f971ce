//! What is done to rows between products: normalisation and gates.

use super::Path;
use super::formats::LANES;
use super::simd::{Kernel, Simd};

/// Divides a row by its root mean square and multiplies by `weight`. Nothing is written where the lengths differ.
pub(crate) fn rms_norm(path: Path, row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    if row.len() == weight.len() && row.len() == out.len() {
        let (length, from, weight, to) = (row.len(), row.as_ptr(), weight.as_ptr(), out.as_mut_ptr());
        // SAFETY: the lengths are equal, and the path is one that this processor has.
        unsafe { path.run(Norm { from, weight, to, length, epsilon }) };
    }
}

/// [`rms_norm`] in place.
pub(crate) fn rms_norm_in_place(path: Path, row: &mut [f32], weight: &[f32], epsilon: f32) {
    if row.len() == weight.len() {
        let (length, to) = (row.len(), row.as_mut_ptr());
        // SAFETY: as above; every number is read before it is written.
        unsafe { path.run(Norm { from: to, weight: weight.as_ptr(), to, length, epsilon }) };
    }
}

/// How a gate bends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    /// x times the logistic function of x.
    Silu,
    /// The Gaussian error linear unit, approximated with the hyperbolic tangent (Hendrycks and Gimpel, 2016).
    GeluTanh,
}

/// `curve(gate) * up`. Nothing is written where the lengths differ.
pub(crate) fn gate(path: Path, curve: Curve, gate: &[f32], up: &[f32], out: &mut [f32]) {
    if gate.len() == up.len() && gate.len() == out.len() {
        let (length, gate, up, to) = (gate.len(), gate.as_ptr(), up.as_ptr(), out.as_mut_ptr());
        // SAFETY: the lengths are equal, and the path is one that this processor has.
        unsafe { path.run(Gate { gate, up, to, length, curve }) };
    }
}

struct Norm {
    from: *const f32,
    weight: *const f32,
    to: *mut f32,
    length: usize,
    epsilon: f32,
}

/// The last numbers of a row, zeros after them.
#[inline(always)]
unsafe fn tail<S: Simd>(from: *const f32, count: usize) -> S::F {
    let mut lanes = [0.0f32; LANES];
    // SAFETY: the caller's word: `count` numbers lie there, at most sixteen.
    unsafe {
        std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
        S::load(lanes.as_ptr())
    }
}

#[inline(always)]
unsafe fn store_tail<S: Simd>(to: *mut f32, x: S::F, count: usize) {
    let mut lanes = [0.0f32; LANES];
    // SAFETY: the caller's word: there is room for `count` numbers, at most sixteen.
    unsafe {
        S::store(lanes.as_mut_ptr(), x);
        std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
    }
}

/// Calls `each` with the place of every sixteen numbers, and of the rest.
#[inline(always)]
fn lanes(length: usize, mut each: impl FnMut(usize, usize)) {
    let mut at = 0;
    while at < length {
        each(at, LANES.min(length - at));
        at += LANES;
    }
}

#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32, count: usize) -> S::F {
    // SAFETY: the caller's word.
    unsafe { if count == LANES { S::load(from) } else { tail::<S>(from, count) } }
}

#[inline(always)]
unsafe fn store<S: Simd>(to: *mut f32, x: S::F, count: usize) {
    // SAFETY: the caller's word.
    unsafe { if count == LANES { S::store(to, x) } else { store_tail::<S>(to, x, count) } }
}

impl Kernel for Norm {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the maker's word.
        unsafe {
            let mut sum = S::splat(0.0);
            lanes(self.length, |at, count| {
                let x = load::<S>(self.from.add(at), count);
                sum = S::fma(x, x, sum);
            });
            let scale = S::splat(1.0 / (S::total(sum) / self.length as f32 + self.epsilon).sqrt());
            lanes(self.length, |at, count| {
                let x = S::mul(load::<S>(self.from.add(at), count), scale);
                store::<S>(self.to.add(at), S::mul(x, load::<S>(self.weight.add(at), count)), count);
            });
        }
    }
}

struct Gate {
    gate: *const f32,
    up: *const f32,
    to: *mut f32,
    length: usize,
    curve: Curve,
}

impl Kernel for Gate {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the maker's word.
        unsafe {
            let one = S::splat(1.0);
            lanes(self.length, |at, count| {
                let x = load::<S>(self.gate.add(at), count);
                let inner = match self.curve {
                    Curve::Silu => x,
                    // Half of x times 1 + tanh(z) is x times the logistic function of 2 z.
                    Curve::GeluTanh => {
                        let cube = S::mul(S::mul(x, x), x);
                        let z = S::fma(cube, S::splat(0.044_715), x);
                        S::mul(z, S::splat(2.0 * 0.797_884_6))
                    }
                };
                let curved = S::div(x, S::add(one, S::exp(S::sub(S::splat(0.0), inner))));
                store::<S>(self.to.add(at), S::mul(curved, load::<S>(self.up.add(at), count)), count);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, by: usize) -> Vec<f32> {
        (0..count).map(|n| ((n * by) % 97) as f32 / 12.0 - 4.0).collect()
    }

    #[test]
    fn every_path_gives_the_same_bits_and_they_are_right() {
        for length in [1, 7, 16, 31, 64, 75, 576] {
            let (row, weight) = (numbers(length, 13), numbers(length, 29));
            let mean = row.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / length as f64;
            for path in Path::available() {
                let mut out = vec![0.0; length];
                rms_norm(path, &row, &weight, 1e-5, &mut out);
                let mut reference = row.clone();
                rms_norm_in_place(Path::Portable, &mut reference, &weight, 1e-5);
                assert_eq!(out, reference, "{path:?}");
                for ((out, x), weight) in out.iter().zip(&row).zip(&weight) {
                    let exact = f64::from(*x) / (mean + 1e-5).sqrt() * f64::from(*weight);
                    assert!((f64::from(*out) - exact).abs() < 1e-4, "{out} {exact}");
                }
                for curve in [Curve::Silu, Curve::GeluTanh] {
                    let mut reference = vec![0.0; length];
                    gate(path, curve, &row, &weight, &mut out);
                    gate(Path::Portable, curve, &row, &weight, &mut reference);
                    assert_eq!(out, reference, "{path:?} {curve:?}");
                    for ((out, x), up) in out.iter().zip(&row).zip(&weight) {
                        let (x, up) = (f64::from(*x), f64::from(*up));
                        let curved = match curve {
                            Curve::Silu => x / (1.0 + (-x).exp()),
                            Curve::GeluTanh => {
                                0.5 * x
                                    * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
                            }
                        };
                        assert!((f64::from(*out) - curved * up).abs() < 2e-5, "{out} {}", curved * up);
                    }
                }
            }
        }
    }
}
