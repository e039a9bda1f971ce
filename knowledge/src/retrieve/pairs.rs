//! Curated pairs by the likeness of their questions.

use std::collections::HashMap;

use crate::index::Index;
use crate::index::force::Visible;
use crate::index::vectors::GraphError;

/// Rows that a graph is asked for: questions stand among passages, so more are taken than are kept.
const ROWS: usize = 400;

/// A pair whose question is near.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Near {
    pub(crate) pair: i64,
    pub(crate) version: i64,
    /// 0 where its own question came nearest, 1 for its first other wording, and so on.
    pub(crate) wording: usize,
    pub(crate) cosine: f32,
}

/// The `most` visible pairs with the nearest questions, each once, the nearest first.
pub(crate) fn nearest(
    index: &Index,
    visible: &Visible<'_>,
    vector: &[f32],
    most: usize,
) -> Result<Vec<Near>, GraphError> {
    let mut best: HashMap<i64, Near> = HashMap::new();
    for segment in &index.segments {
        let shown = super::shown(segment, visible);
        let shows = |row: usize| {
            segment.question_of_row(row).is_some() && shown.get(segment.chunk_of_row(row)).copied().unwrap_or(false)
        };
        for (row, cosine) in segment.vectors.nearest(vector, ROWS, &shows)? {
            let chunk = segment.chunks.get(segment.chunk_of_row(row));
            let (Some(chunk), Some(wording)) = (chunk, segment.question_of_row(row)) else { continue };
            let Some(pair) = chunk.pair else { continue };
            let near = Near { pair, version: chunk.version, wording, cosine };
            let held = best.entry(pair).or_insert(near);
            if near.cosine > held.cosine {
                *held = near;
            }
        }
    }
    let mut nearest: Vec<Near> = best.into_values().collect();
    nearest.sort_by(|left, right| right.cosine.total_cmp(&left.cosine).then(left.pair.cmp(&right.pair)));
    nearest.truncate(most);
    Ok(nearest)
}
