//! The tokens of an embedding model: a token is two vectors, what the last layer leaves and what the layer
//! half way up does, and a text is its tokens one after the other.

/// The tokens of a text without those that the model adds at either end; a vector has `width` numbers.
pub(crate) fn inside(rows: &[f32], width: usize) -> &[f32] {
    let token = 2 * width;
    rows.get(token..rows.len().saturating_sub(token)).unwrap_or_default()
}

/// The sum of products, in lanes that a processor adds at once.
pub(crate) fn dot(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut lanes = [0.0; LANES];
    let (one, other) = (one.get(..other.len()).unwrap_or(one), other);
    let (chunks, rest) = one.as_chunks::<LANES>();
    let (others, last) = other.as_chunks::<LANES>();
    for (one, other) in chunks.iter().zip(others) {
        lanes.iter_mut().zip(one.iter().zip(other)).for_each(|(sum, (one, other))| *sum += one * other);
    }
    lanes.iter().sum::<f32>() + rest.iter().zip(last).map(|(one, other)| one * other).sum::<f32>()
}
