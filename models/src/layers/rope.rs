//! Rotary position embedding (Su and others, 2021) in the layout of GGUF's Llama files: neighbouring numbers form a pair.

/// Angles for every position up to the longest.
pub(crate) struct Rope {
    /// Cosine and sine, position by position.
    table: Vec<(f32, f32)>,
    half: usize,
}

impl Rope {
    /// `size` numbers of each head are turned. `stretch` divides positions; `factors`, one per pair, divide frequencies.
    pub(crate) fn new(size: usize, positions: usize, base: f64, stretch: f64, factors: Option<&[f32]>) -> Self {
        let half = size / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|pair| {
                let factor = factors.and_then(|factors| factors.get(pair)).map_or(1.0, |factor| f64::from(*factor));
                base.powf(-2.0 * pair as f64 / size as f64) / factor / stretch
            })
            .collect();
        let table = (0..positions)
            .flat_map(|position| frequencies.iter().map(move |frequency| position as f64 * frequency))
            .map(|angle| (angle.cos() as f32, angle.sin() as f32))
            .collect();
        Self { table, half }
    }

    /// Turns the heads of one row, each `head` numbers long, for a position.
    pub(crate) fn turn(&self, row: &mut [f32], head: usize, position: usize) {
        let angles = self.table.get(position * self.half..(position + 1) * self.half).unwrap_or_default();
        for head in row.chunks_exact_mut(head) {
            let (pairs, _) = head.as_chunks_mut::<2>();
            for ([a, b], (cosine, sine)) in pairs.iter_mut().zip(angles) {
                (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_two_heads_depends_on_their_distance_only() {
        let rope = Rope::new(8, 64, 10_000.0, 1.0, None);
        let at = |position: usize| {
            let mut row = [1.0, 2.0, -1.0, 0.5, 0.25, 3.0, 1.5, -2.0];
            rope.turn(&mut row, 8, position);
            row
        };
        let product = |a: usize, b: usize| crate::layers::dot(&at(a), &at(b));
        assert!((product(3, 10) - product(40, 47)).abs() < 1e-3);
        assert!((product(3, 10) - product(3, 11)).abs() > 1e-2);
    }

    #[test]
    fn numbers_past_the_turned_part_stay() {
        let rope = Rope::new(4, 8, 10_000.0, 1.0, None);
        let mut row = [1.0, 1.0, 1.0, 1.0, 7.0, 8.0];
        rope.turn(&mut row, 6, 5);
        assert_eq!(row[4..], [7.0, 8.0]);
        assert_ne!(row[0], 1.0);
    }
}
