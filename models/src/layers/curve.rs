//! Exponentials and what is made of them, written so that the compiler can compute several at once: the standard library's are
//! exact to the last bit and a function call each.

/// e to the x, within 2 units in the last place; 0 and infinity past what 32 bits hold.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; the polynomial for e^r is Cephes' `expf` (Moshier).
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding this leaves the nearest whole number in the low bits of the sum.
    const SHIFT: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let shifted = clamped.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let n = shifted - SHIFT;
    // ln 2 in two parts, so that n times the first is exact.
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]
        .iter()
        .fold(1.987_569_1e-4, |p: f32, c| p.mul_add(r, *c));
    let e_r = p.mul_add(r * r, r) + 1.0;
    let two_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { e_r * two_n }
}

/// The error function, within 4e-7: a quotient of polynomials in x squared, as Eigen has it (`generic_fast_erf_float`).
#[inline]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let above = [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2];
    let above = above.iter().fold(-2.726_142_3e-10, |p: f32, c| p.mul_add(square, *c));
    let below = [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let below = below.iter().fold(-1.456_607_2e-5, |p: f32, c| p.mul_add(square, *c));
    x * above / below
}

/// The Gaussian error linear unit, in its exact form.
#[inline]
pub(crate) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// x times its logistic function.
#[inline]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_near_the_exact_ones_over_the_whole_range() {
        for step in -8700..8800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!(((f64::from(exp(x)) - exact) / exact).abs() < 3e-7, "{x}: {} {exact}", exp(x));
        }
        assert_eq!((exp(-100.0), exp(f32::NEG_INFINITY), exp(0.0)), (0.0, 0.0, 1.0));
    }

    #[test]
    fn the_error_function_is_near_known_values() {
        // From tables of the error function (Abramowitz and Stegun, table 7.1).
        for (x, exact) in [
            (0.0, 0.0),
            (0.1, 0.112_462_9),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
            (3.5, 0.999_999_3),
        ] {
            assert!((erf(x) - exact).abs() < 5e-7, "{x}: {}", erf(x));
            assert!((erf(-x) + exact).abs() < 5e-7);
        }
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6);
    }
}
