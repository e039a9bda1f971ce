//! The arithmetic of a step: see the model of cost in [`crate::plan`].

use super::rates::{AttentionRate, Line, Rates};
use crate::arch::shape::Shape;
use crate::kernel::Format;

/// Weights of one layout that are multiplied in every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Multiplied {
    pub(super) format: Format,
    pub(super) weights: f64,
    /// Bytes in memory.
    pub(super) bytes: f64,
}

/// A language model, as far as a step's time depends on it.
#[derive(Clone, Debug)]
pub(super) struct Language {
    pub(super) shape: Shape,
    /// Of all layers together.
    pub(super) layers: Vec<Multiplied>,
    /// What gives the logits.
    pub(super) head: Multiplied,
    /// Whether what attention and the feed-forward part add is normalised.
    pub(super) after: bool,
    /// Whether heads are normalised.
    pub(super) head_norms: bool,
}

/// Products of a layer that follow one another: queries with keys and values, what attention gives, gate with up, down.
const PRODUCTS: usize = 4;

/// New rows of one sequence: how many positions stand before them, and how many they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) position: usize,
    pub(super) rows: usize,
}

impl Language {
    /// Seconds of a step with these rows, of which some give logits.
    pub(super) fn step(&self, rates: &Rates, parts: &[Rows], chosen: usize) -> f64 {
        let rows: usize = parts.iter().map(|part| part.rows).sum();
        let layers = self.layers.iter().map(|part| (part, rows));
        let multiplied = layers.chain((chosen > 0).then_some((&self.head, chosen)));
        let (mut compute, mut bytes) = (0.0, 0.0);
        for (part, rows) in multiplied {
            compute += part.weights * rates.product(part.format, rows);
            bytes += part.bytes;
        }
        let (attention, state) = self.attention(rates, parts);
        let bytes = bytes + state;
        let memory = bytes / rates.bandwidth(bytes);
        let compute = compute + attention;
        // Where computing takes longer than reading, reading catches up.
        let stalls = rates.stall * (memory / compute).min(1.0);
        join(compute, memory, rates.overlap)
            + (PRODUCTS * self.shape.layers + usize::from(chosen > 0)) as f64 * stalls
            + self.between(rates, rows)
            + self.shape.layers as f64 * rates.layer
            + (chosen * self.shape.vocabulary) as f64 * rates.logit
    }

    /// Seconds of attention, and bytes of keys and values that it reads.
    fn attention(&self, rates: &Rates, parts: &[Rows]) -> (f64, f64) {
        let (heads, rate) = (self.shape.heads, attention_rate(&rates.attention, self.shape.heads.size));
        let group = heads.queries / heads.keys.max(1);
        let each = (group / 4) as f64 * tile(&rate, 4) + tile(&rate, group % 4);
        let (mut took, mut bytes) = (0.0, 0.0);
        for window in &self.shape.windows {
            let (mut work, mut units) = (0.0, 0);
            for part in parts {
                let seen = |row: usize| (part.position + row + 1).min(window.unwrap_or(usize::MAX));
                // Row by row the number seen grows by one until the window is full.
                let all: usize = (0..part.rows).map(seen).sum();
                let last = seen(part.rows.saturating_sub(1));
                if part.rows == 1 {
                    work += (heads.keys * all) as f64 * each;
                    units += heads.keys * last.div_ceil(256);
                } else {
                    work += (heads.queries * all) as f64 * rate.many;
                    units += heads.keys * part.rows.div_ceil(16);
                }
                bytes += (last * heads.key_row() * 2 * size_of::<u16>()) as f64;
            }
            took += work * rates.threads as f64 / rates.threads.min(units).max(1) as f64;
        }
        (took, bytes)
    }

    /// Seconds of what is done to rows between products.
    fn between(&self, rates: &Rates, rows: usize) -> f64 {
        let heads = self.shape.heads;
        let stride = heads.query_row() + 2 * heads.key_row();
        let mut normalised = 2 * self.shape.width + heads.query_row() + stride;
        if self.after {
            normalised += 2 * self.shape.width;
        }
        if self.head_norms {
            normalised += heads.query_row() + heads.key_row();
        }
        // Below this a row is not worth waking another thread for.
        let alone = rows * self.shape.width < 4096;
        let (norm, gate) = if alone { rates.between_one } else { rates.between_many };
        let row = normalised as f64 * norm + self.shape.inner as f64 * gate;
        row * rows as f64 * self.shape.layers as f64
    }
}

/// How long two things take that hide one another but for a share of the shorter.
pub(super) fn join(compute: f64, memory: f64, overlap: f64) -> f64 {
    compute.max(memory) + overlap * compute.min(memory)
}

/// The rates of heads of that size, on the lines between the sizes that were measured.
pub(super) fn attention_rate(rates: &[AttentionRate], size: usize) -> AttentionRate {
    let line = |of: fn(&AttentionRate) -> f64| {
        let line = Line(rates.iter().map(|rate| (rate.size as f64, of(rate))).collect());
        match rates.first() {
            // Shorter heads than were measured take their share.
            Some(first) if size < first.size => of(first) * size as f64 / first.size as f64,
            _ => line.at(size as f64, true),
        }
    };
    AttentionRate { size, one: line(|rate| rate.one), four: line(|rate| rate.four), many: line(|rate| rate.many) }
}

/// Seconds per position of so many asking heads that are computed together, at most four.
pub(super) fn tile(rate: &AttentionRate, heads: usize) -> f64 {
    match heads {
        0 => 0.0,
        heads => rate.one + (rate.four - rate.one) * (heads - 1) as f64 / 3.0,
    }
}
