//! Passages and vectors that were loaded together. A segment never changes; passages of versions that are gone stay
//! in it, unseen, until segments are merged.

use std::sync::Arc;

use super::vectors::{GraphError, Vectors};
use crate::draft::QUESTION_PARTS;
use crate::store::StoreError;
use crate::store::passages::{ChunkRow, VectorRow};

/// Passages in order of their keys, each with its rows of vectors.
pub(crate) struct Segment {
    pub(crate) chunks: Vec<ChunkRow>,
    /// First row of each passage, and one more for the end.
    starts: Vec<u32>,
    /// Which part of its passage a row is.
    parts: Vec<i64>,
    pub(crate) vectors: Vectors,
}

impl Segment {
    /// How many vectors it holds.
    pub(crate) fn rows(&self) -> usize {
        self.parts.len()
    }

    /// How many of them belong to versions that `live` knows.
    pub(crate) fn rows_of(&self, live: impl Fn(i64) -> bool) -> usize {
        let of_chunk = |at| self.rows_of_chunk(at).len();
        self.chunks.iter().enumerate().filter(|(_, chunk)| live(chunk.version)).map(|(at, _)| of_chunk(at)).sum()
    }

    /// The rows of a passage.
    pub(crate) fn rows_of_chunk(&self, at: usize) -> std::ops::Range<usize> {
        let bound = |at: usize| self.starts.get(at).map_or(0, |row| *row as usize);
        bound(at)..bound(at + 1)
    }

    /// The passage that a row belongs to.
    pub(crate) fn chunk_of_row(&self, row: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= row).saturating_sub(1)
    }

    /// The number of the question that a row is a vector of: 0 is the pair's own, 1 its first other wording. `None`
    /// for a stretch of the passage itself.
    pub(crate) fn question_of_row(&self, row: usize) -> Option<usize> {
        self.parts.get(row).and_then(|part| usize::try_from(part.checked_sub(QUESTION_PARTS)?).ok())
    }

    /// Where a passage stands in the segment.
    pub(crate) fn position(&self, chunk: i64) -> Option<usize> {
        self.chunks.binary_search_by_key(&chunk, |row| row.key).ok()
    }
}

/// Collects passages and vectors, in order of their keys.
pub(crate) struct SegmentBuilder {
    dimensions: usize,
    chunks: Vec<ChunkRow>,
    starts: Vec<u32>,
    parts: Vec<i64>,
    numbers: Vec<f32>,
    /// The passage to which the next vector is expected to belong.
    open: usize,
}

impl SegmentBuilder {
    pub(crate) const fn new(dimensions: usize) -> Self {
        Self { dimensions, chunks: Vec::new(), starts: Vec::new(), parts: Vec::new(), numbers: Vec::new(), open: 0 }
    }

    /// The passages whose vectors come next.
    pub(crate) fn begin(&mut self, chunks: &[ChunkRow]) {
        self.chunks.extend_from_slice(chunks);
    }

    /// A vector of one of these passages. One of another is left out: it would be found for the wrong text.
    pub(crate) fn add(&mut self, row: VectorRow<'_>) {
        while self.chunks.get(self.open).is_some_and(|chunk| chunk.key < row.chunk) {
            self.close();
        }
        if self.chunks.get(self.open).is_some_and(|chunk| chunk.key == row.chunk) {
            if self.starts.len() == self.open {
                self.starts.push(self.row());
            }
            self.parts.push(row.part);
            self.numbers.extend_from_slice(row.numbers);
        }
    }

    fn row(&self) -> u32 {
        u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }

    fn close(&mut self) {
        if self.starts.len() == self.open {
            self.starts.push(self.row());
        }
        self.open += 1;
    }

    pub(crate) fn finish(mut self) -> Result<Segment, StoreError> {
        while self.open < self.chunks.len() {
            self.close();
        }
        let end = self.row();
        self.starts.push(end);
        let vectors = Vectors::new(self.numbers, self.dimensions).map_err(graph_failed)?;
        Ok(Segment { chunks: self.chunks, starts: self.starts, parts: self.parts, vectors })
    }
}

fn graph_failed(_: GraphError) -> StoreError {
    StoreError::Damaged { what: "vectors that make no index" }
}

/// Merges small segments into their neighbours, so that there are never more than a few: each is more than twice as
/// large as the one after it. Passages of versions that are gone are dropped on the way.
pub(crate) fn merged(segments: Vec<Arc<Segment>>, dimensions: usize, live: &dyn Fn(i64) -> bool) -> Vec<Arc<Segment>> {
    let mut kept: Vec<Arc<Segment>> = Vec::with_capacity(segments.len());
    for segment in segments {
        kept.push(segment);
        while let [.., before, last] = kept.as_slice() {
            if before.rows() > last.rows() * 2 {
                break;
            }
            let Ok(merged) = merge(&[before, last], dimensions, live) else { break };
            kept.truncate(kept.len() - 2);
            kept.push(Arc::new(merged));
        }
    }
    kept
}

fn merge(segments: &[&Arc<Segment>], dimensions: usize, live: &dyn Fn(i64) -> bool) -> Result<Segment, StoreError> {
    let mut places: Vec<(ChunkRow, &Segment, usize)> = segments
        .iter()
        .flat_map(|segment| segment.chunks.iter().enumerate().map(|(at, chunk)| (*chunk, segment.as_ref(), at)))
        .filter(|(chunk, _, _)| live(chunk.version))
        .collect();
    places.sort_unstable_by_key(|(chunk, _, _)| chunk.key);
    let mut builder = SegmentBuilder::new(dimensions);
    builder.begin(&places.iter().map(|(chunk, _, _)| *chunk).collect::<Vec<_>>());
    let mut numbers = Vec::with_capacity(dimensions);
    for (chunk, segment, at) in places {
        for row in segment.rows_of_chunk(at) {
            numbers.clear();
            segment.vectors.copy(row, dimensions, &mut numbers);
            if let (Some(part), true) = (segment.parts.get(row), numbers.len() == dimensions) {
                builder.add(VectorRow { chunk: chunk.key, part: *part, numbers: &numbers });
            }
        }
    }
    builder.finish()
}

/// The mean of all vectors, not brought to unit length.
pub(crate) fn mean(segments: &[Arc<Segment>], dimensions: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; dimensions];
    let rows: usize = segments.iter().map(|segment| segment.rows()).sum();
    for segment in segments {
        segment.vectors.add_to(&mut sum, segment.rows());
    }
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a mean of numbers up to one")]
    sum.into_iter().map(|sum| (sum / rows.max(1) as f64) as f32).collect()
}
