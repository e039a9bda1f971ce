//! What architectures are made of. Rows are tokens; every buffer is row after row.

pub(crate) mod curve;
pub(crate) mod decoder;
pub(crate) mod device;
pub(crate) mod encoder;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod rope;

use crate::task::StepError;

/// A step of candle's that failed: its words name shapes and kinds, never what was computed on.
pub(crate) fn step(error: candle_core::Error) -> StepError {
    StepError(error.to_string())
}

/// The sum of products. Sixteen sums side by side, which the compiler keeps in vector registers; the order is fixed, so the
/// result is the same on every run.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// `to += by * from`.
pub(crate) fn add_scaled(to: &mut [f32], by: f32, from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.mul_add(by, *to);
    }
}

/// Softmax in place.
pub(crate) fn softmax(scores: &mut [f32]) {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = curve::exp(*score - top);
        sum += *score;
    }
    let scale = if sum > 0.0 { 1.0 / sum } else { 0.0 };
    scores.iter_mut().for_each(|score| *score *= scale);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_product_counts_every_element() {
        for length in 0..70usize {
            let a: Vec<f32> = (0..length).map(|n| n as f32).collect();
            let expected: f32 = a.iter().map(|x| x * 2.0).sum();
            assert_eq!(dot(&a, &vec![2.0; length]), expected);
        }
    }

    #[test]
    fn softmax_sums_to_one_however_large_the_scores() {
        let mut scores = [1e30, 1e30, -1e30];
        softmax(&mut scores);
        assert_eq!(scores, [0.5, 0.5, 0.0]);
    }
}
