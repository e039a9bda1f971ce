//! What tokens are before the first layer.

use crate::layers::add_scaled;
use crate::task::embed::Sequence;

/// Vectors of words, and where a model has them of positions and of the first and second text, row after row.
pub(crate) struct Embeddings {
    words: Vec<f32>,
    positions: Vec<f32>,
    kinds: Vec<f32>,
    width: usize,
}

impl Embeddings {
    /// `positions` is empty where layers turn their heads instead, `kinds` where a model tells no kinds apart. Where there is
    /// one kind only, all tokens are of it.
    pub(crate) const fn new(width: usize, words: Vec<f32>, positions: Vec<f32>, kinds: Vec<f32>) -> Self {
        Self { words, positions, kinds, width }
    }

    pub(super) const fn width(&self) -> usize {
        self.width
    }

    pub(super) fn has(&self, token: u32) -> bool {
        (token as usize) < self.words.len() / self.width.max(1)
    }

    /// Writes the vectors of all tokens of some sequences, row after row, `stride` numbers each, zeros past the width.
    pub(super) fn write<'a>(&self, sequences: impl Iterator<Item = &'a Sequence>, stride: usize, rows: &mut [f32]) {
        let tokens = sequences.flat_map(|sequence| {
            sequence.tokens.iter().enumerate().map(|(at, token)| (*token as usize, at, at >= sequence.second))
        });
        let last = (self.kinds.len() / self.width.max(1)).saturating_sub(1);
        for (row, (token, position, second)) in rows.chunks_exact_mut(stride).zip(tokens) {
            row.fill(0.0);
            let kind = usize::from(second).min(last);
            for (from, at) in [(&self.words, token), (&self.positions, position), (&self.kinds, kind)] {
                add_scaled(row, 1.0, from.get(at * self.width..(at + 1) * self.width).unwrap_or_default());
            }
        }
    }
}
