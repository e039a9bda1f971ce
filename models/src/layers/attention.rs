//! Attention over a growing sequence, and over a batch of padded ones.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::{add_scaled, dot, softmax, step};
use crate::task::StepError;

/// How heads are laid out in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    /// Heads that ask.
    pub(crate) queries: usize,
    /// Heads that are asked; each serves the same number of asking ones.
    pub(crate) keys: usize,
    /// Numbers per head.
    pub(crate) size: usize,
}

impl Heads {
    /// Length of a row of keys, and of values.
    pub(crate) fn key_row(self) -> usize {
        self.keys * self.size
    }

    /// Length of a row of queries, and of the result.
    pub(crate) fn query_row(self) -> usize {
        self.queries * self.size
    }

    fn group(self) -> usize {
        self.queries / self.keys.max(1)
    }
}

/// Keys and values of one layer for one sequence, row after row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// From this many new rows on, whole matrix products are faster than going through the rows.
const MATRIX_ROWS: usize = 8;
/// From this length on, one token's heads are worth sharing out among threads.
const PARALLEL_LENGTH: usize = 256;

impl Cache {
    pub(crate) fn truncate(&mut self, rows: usize, heads: Heads) {
        self.keys.truncate(rows * heads.key_row());
        self.values.truncate(rows * heads.key_row());
    }

    pub(crate) fn append(&mut self, key: &[f32], value: &[f32]) {
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
    }

    pub(crate) fn rows(&self, heads: Heads) -> usize {
        self.keys.len() / heads.key_row().max(1)
    }

    /// A copy of the first rows.
    pub(crate) fn prefix(&self, rows: usize, heads: Heads) -> Self {
        let part = |all: &[f32]| all.get(..rows * heads.key_row()).unwrap_or(all).to_vec();
        Self { keys: part(&self.keys), values: part(&self.values) }
    }

    /// What the queries, which belong to the last rows of the sequence, read from the rows up to their own.
    pub(crate) fn read(&self, queries: &[f32], heads: Heads) -> Result<Vec<f32>, StepError> {
        let rows = queries.len() / heads.query_row().max(1);
        if rows >= MATRIX_ROWS {
            return self.read_many(queries, rows, heads).map_err(step);
        }
        let first = self.rows(heads).saturating_sub(rows);
        let mut out = vec![0.0; queries.len()];
        for (row, (query, out)) in
            queries.chunks_exact(heads.query_row()).zip(out.chunks_exact_mut(heads.query_row())).enumerate()
        {
            self.read_one(query, first + row + 1, heads, out);
        }
        Ok(out)
    }

    /// One token: `length` rows are read.
    fn read_one(&self, query: &[f32], length: usize, heads: Heads, out: &mut [f32]) {
        let group = heads.group() * heads.size;
        let work =
            |(head, (query, out)): (usize, (&[f32], &mut [f32]))| self.read_group(query, head, length, heads, out);
        if length < PARALLEL_LENGTH {
            query.chunks_exact(group).zip(out.chunks_exact_mut(group)).enumerate().for_each(work);
        } else {
            query.par_chunks_exact(group).zip(out.par_chunks_exact_mut(group)).enumerate().for_each(work);
        }
    }

    /// The asking heads of one asked head.
    fn read_group(&self, query: &[f32], head: usize, length: usize, heads: Heads, out: &mut [f32]) {
        let scale = 1.0 / (heads.size as f32).sqrt();
        let (keys, values) = (head_rows(&self.keys, head, length, heads), head_rows(&self.values, head, length, heads));
        for (query, out) in query.chunks_exact(heads.size).zip(out.chunks_exact_mut(heads.size)) {
            let mut scores: Vec<f32> = keys.iter().map(|key| dot(query, key) * scale).collect();
            softmax(&mut scores);
            for (score, value) in scores.iter().zip(&values) {
                add_scaled(out, *score, value);
            }
        }
    }

    /// A stretch of a prompt: two matrix products per asked head, with what lies ahead of each row masked.
    fn read_many(&self, queries: &[f32], rows: usize, heads: Heads) -> candle_core::Result<Vec<f32>> {
        let (length, group) = (self.rows(heads), heads.group());
        let shape = (length, heads.keys, heads.size);
        let keys = Tensor::from_slice(&self.keys, shape, &Device::Cpu)?.transpose(0, 1)?.contiguous()?;
        let values = Tensor::from_slice(&self.values, shape, &Device::Cpu)?.transpose(0, 1)?.contiguous()?;
        // (rows, keys, group, size) -> (keys, rows * group, size)
        let queries = Tensor::from_slice(queries, (rows, heads.keys, group, heads.size), &Device::Cpu)?;
        let queries = queries.transpose(0, 1)?.contiguous()?.reshape((heads.keys, rows * group, heads.size))?;
        let scale = 1.0 / (heads.size as f32).sqrt();
        let mut scores: Vec<f32> = queries.matmul(&keys.t()?)?.flatten_all()?.to_vec1()?;
        scores.par_chunks_exact_mut(length.max(1)).enumerate().for_each(|(at, scores)| {
            let row = at % (rows * group) / group;
            let (seen, ahead) = scores.split_at_mut(length + row + 1 - rows);
            seen.iter_mut().for_each(|score| *score *= scale);
            softmax(seen);
            ahead.fill(0.0);
        });
        let scores = Tensor::from_vec(scores, (heads.keys, rows * group, length), &Device::Cpu)?;
        let out = scores.matmul(&values)?.reshape((heads.keys, rows, group, heads.size))?;
        out.transpose(0, 1)?.contiguous()?.flatten_all()?.to_vec1()
    }
}

/// One head's part of the first rows.
fn head_rows(all: &[f32], head: usize, length: usize, heads: Heads) -> Vec<&[f32]> {
    let part = head * heads.size..(head + 1) * heads.size;
    all.chunks_exact(heads.key_row()).take(length).map(|row| row.get(part.clone()).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|n| (((n + seed) * 7919 % 1000) as f32 - 500.0) / 500.0).collect()
    }

    #[test]
    fn a_prompt_read_at_once_equals_one_read_token_by_token() {
        let heads = Heads { queries: 6, keys: 2, size: 16 };
        let rows = 300;
        let (keys, values) = (numbers(rows * heads.key_row(), 1), numbers(rows * heads.key_row(), 2));
        let queries = numbers(rows * heads.query_row(), 3);
        let mut whole = Cache::default();
        whole.append(&keys, &values);
        let whole = whole.read(&queries, heads).unwrap();
        let mut cache = Cache::default();
        for row in 0..rows {
            let part = row * heads.key_row()..(row + 1) * heads.key_row();
            cache.append(&keys[part.clone()], &values[part]);
            let asked = row * heads.query_row()..(row + 1) * heads.query_row();
            let one = cache.read(&queries[asked.clone()], heads).unwrap();
            for (one, whole) in one.iter().zip(&whole[asked]) {
                assert!((one - whole).abs() < 1e-5, "row {row}: {one} {whole}");
            }
        }
    }

    #[test]
    fn a_cut_sequence_goes_on_as_if_the_rest_had_never_been() {
        let heads = Heads { queries: 2, keys: 1, size: 8 };
        let (keys, values, query) = (numbers(80, 1), numbers(80, 2), numbers(16, 3));
        let mut long = Cache::default();
        long.append(&keys, &values);
        long.truncate(5, heads);
        let mut short = Cache::default();
        short.append(&keys[..40], &values[..40]);
        assert_eq!(long.rows(heads), 5);
        assert_eq!(long.read(&query, heads).unwrap(), short.read(&query, heads).unwrap());
        assert_eq!(long.prefix(3, heads).rows(heads), 3);
    }
}
