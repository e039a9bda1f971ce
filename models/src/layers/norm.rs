//! Normalisation, row by row.

/// Brings each row to mean 0 and variance 1, then applies `weight` and `bias`. In place.
pub(crate) fn layer_norm(rows: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    for row in rows.chunks_exact_mut(weight.len()) {
        let count = row.len() as f32;
        let mean = row.iter().sum::<f32>() / count;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *x = (*x - mean) * scale * weight + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_normalised_one_by_one() {
        let mut rows = [1.0, 3.0, 10.0, 30.0];
        layer_norm(&mut rows, &[1.0, 1.0], &[0.0, 5.0], 0.0);
        for (found, expected) in rows.iter().zip([-1.0, 6.0, -1.0, 6.0]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}
