//! Exponentials and what is made of them, sixteen at a time.

use super::machine::Machine;

/// What a product ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    /// Nothing.
    None,
    /// The Gaussian error linear unit in its exact form, x * (1 + erf(x / sqrt 2)) / 2.
    Gelu,
    /// x times its logistic function.
    Silu,
}

/// Adding this leaves the nearest whole number in the low bits of the sum.
const SHIFT: f32 = 12_582_912.0;

/// e to the x, within 2 units in the last place for x from -87 to 88, and the value at the nearer end elsewhere.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; the polynomial for e^r is Cephes' `expf` (Moshier).
#[inline(always)]
pub(super) fn exp<M: Machine>(m: M, x: M::Floats) -> M::Floats {
    let x = m.min(m.max(x, m.splat(-87.0)), m.splat(88.0));
    let shifted = m.fma(x, m.splat(std::f32::consts::LOG2_E), m.splat(SHIFT));
    let n = m.sub(shifted, m.splat(SHIFT));
    // ln 2 in two parts, so that n times the first is exact.
    let r = m.fma(n, m.splat(-0.693_359_4), x);
    let r = m.fma(n, m.splat(2.121_944_4e-4), r);
    let mut p = m.splat(1.987_569_1e-4);
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = m.fma(p, r, m.splat(c));
    }
    let e_r = m.add(m.fma(p, m.mul(r, r), r), m.splat(1.0));
    m.mul(e_r, m.two_to(shifted))
}

/// The error function, within 4e-7: a quotient of polynomials in x squared, as Eigen has it (`generic_fast_erf_float`).
#[inline(always)]
fn erf<M: Machine>(m: M, x: M::Floats) -> M::Floats {
    let x = m.min(m.max(x, m.splat(-4.0)), m.splat(4.0));
    let square = m.mul(x, x);
    let mut above = m.splat(-2.726_142_3e-10);
    for c in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2] {
        above = m.fma(above, square, m.splat(c));
    }
    let mut below = m.splat(-1.456_607_2e-5);
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        below = m.fma(below, square, m.splat(c));
    }
    m.div(m.mul(x, above), below)
}

impl Curve {
    #[inline(always)]
    pub(super) fn of<M: Machine>(self, m: M, x: M::Floats) -> M::Floats {
        match self {
            Self::None => x,
            Self::Gelu => {
                let erf = erf(m, m.mul(x, m.splat(std::f32::consts::FRAC_1_SQRT_2)));
                m.mul(m.mul(m.splat(0.5), x), m.add(m.splat(1.0), erf))
            }
            Self::Silu => m.div(x, m.add(m.splat(1.0), exp(m, m.sub(m.splat(0.0), x)))),
        }
    }
}
