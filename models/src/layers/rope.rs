//! Rotary position embedding (Su and others, 2021).

/// Which two numbers of a head are turned together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairs {
    /// Neighbours: GGUF's Llama files.
    Neighbours,
    /// A number of the first half with one of the second: most others.
    Halves,
}

/// Angles for every position up to the longest.
pub(crate) struct Rope {
    /// Cosines, then sines, position by position.
    table: Vec<f32>,
    half: usize,
    pairs: Pairs,
}

/// How the angles of a rope grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turning<'a> {
    pub(crate) base: f64,
    /// Divides positions.
    pub(crate) stretch: f64,
    /// One per pair, divides frequencies.
    pub(crate) factors: Option<&'a [f32]>,
    /// Multiplies cosines and sines.
    pub(crate) size: f64,
}

impl Rope {
    /// `size` numbers of each head are turned.
    pub(crate) fn new(size: usize, positions: usize, pairs: Pairs, turning: Turning<'_>) -> Self {
        let half = size / 2;
        let frequencies: Vec<f64> = (0..half)
            .map(|pair| {
                let factor = turning.factors.and_then(|factors| factors.get(pair)).map_or(1.0, |f| f64::from(*f));
                turning.base.powf(-2.0 * pair as f64 / size as f64) / factor / turning.stretch
            })
            .collect();
        let mut table = Vec::with_capacity(positions * size);
        for position in 0..positions {
            let angles = || frequencies.iter().map(|frequency| position as f64 * frequency);
            table.extend(angles().map(|angle| (angle.cos() * turning.size) as f32));
            table.extend(angles().map(|angle| (angle.sin() * turning.size) as f32));
        }
        Self { table, half, pairs }
    }

    /// Cosines and sines, each position by position, and how many of each there are for one.
    pub(crate) fn angles(&self) -> (Vec<f32>, Vec<f32>, usize) {
        let positions = self.table.chunks_exact(2 * self.half.max(1));
        let (mut cosines, mut sines) = (Vec::new(), Vec::new());
        for angles in positions {
            let (cosine, sine) = angles.split_at(angles.len() / 2);
            cosines.extend(cosine);
            sines.extend(sine);
        }
        (cosines, sines, self.half)
    }

    /// Which numbers are turned together.
    pub(crate) const fn pairs(&self) -> Pairs {
        self.pairs
    }

    /// Turns the heads of one row, each `head` numbers long, for a position.
    pub(crate) fn turn(&self, row: &mut [f32], head: usize, position: usize) {
        let angles = self.table.get(position * 2 * self.half..(position + 1) * 2 * self.half).unwrap_or_default();
        let (cosines, sines) = angles.split_at(angles.len() / 2);
        for head in row.chunks_exact_mut(head) {
            match self.pairs {
                Pairs::Neighbours => {
                    let (pairs, _) = head.as_chunks_mut::<2>();
                    for (([a, b], cosine), sine) in pairs.iter_mut().zip(cosines).zip(sines) {
                        (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
                    }
                }
                Pairs::Halves => {
                    let (first, second) = head.split_at_mut(self.half);
                    for (((a, b), cosine), sine) in first.iter_mut().zip(second).zip(cosines).zip(sines) {
                        (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Turning<'_> = Turning { base: 10_000.0, stretch: 1.0, factors: None, size: 1.0 };

    #[test]
    fn the_product_of_two_heads_depends_on_their_distance_only() {
        for pairs in [Pairs::Neighbours, Pairs::Halves] {
            let rope = Rope::new(8, 64, pairs, PLAIN);
            let at = |position: usize| {
                let mut row = [1.0, 2.0, -1.0, 0.5, 0.25, 3.0, 1.5, -2.0];
                rope.turn(&mut row, 8, position);
                row
            };
            let product = |a: usize, b: usize| crate::layers::dot(&at(a), &at(b));
            assert!((product(3, 10) - product(40, 47)).abs() < 1e-3);
            assert!((product(3, 10) - product(3, 11)).abs() > 1e-2);
        }
    }

    #[test]
    fn numbers_past_the_turned_part_stay() {
        for pairs in [Pairs::Neighbours, Pairs::Halves] {
            let rope = Rope::new(4, 8, pairs, PLAIN);
            let mut row = [1.0, 1.0, 1.0, 1.0, 7.0, 8.0];
            rope.turn(&mut row, 6, 5);
            assert_eq!(row[4..], [7.0, 8.0]);
            assert_ne!(row[0], 1.0);
        }
    }
}
