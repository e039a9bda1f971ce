//! Vectors of a segment: every one looked at while that is fast, a graph above that.

use rayon::prelude::*;
use usearch::{Index as Graph, IndexOptions, MetricKind, ScalarKind};

/// Rows up to which every vector is looked at: 50,000 of 384 numbers are 77 MB, some 8 ms of memory bandwidth on two
/// cores, as fast as a graph would answer and without its misses.
pub(crate) const EXACT_ROWS: usize = 50_000;

/// Rows that one thread takes at a time: enough work to be worth waking it for.
const ROWS_PER_TASK: usize = 1024;

/// Edges per node and breadth while building and searching: USearch's own defaults are 16, 128 and 64; a little more
/// breadth in searching buys recall where a filter thins the graph.
const CONNECTIVITY: usize = 16;
const EXPANSION_ADD: usize = 128;
const EXPANSION_SEARCH: usize = 256;

/// The graph failed.
#[derive(Debug, thiserror::Error)]
#[error("the vector index failed: {0}")]
pub(crate) struct GraphError(String);

impl GraphError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Vectors of unit length, by row number.
pub(crate) enum Vectors {
    /// All numbers in one block, row after row.
    Exact(Vec<f32>),
    /// USearch's graph in half precision, in memory only.
    Graph(Graph),
}

impl Vectors {
    /// The form that suits so many rows.
    pub(crate) fn new(numbers: Vec<f32>, dimensions: usize) -> Result<Self, GraphError> {
        if dimensions == 0 || numbers.len() / dimensions <= EXACT_ROWS {
            return Ok(Self::Exact(numbers));
        }
        let rows = numbers.len() / dimensions;
        let options = IndexOptions {
            dimensions,
            metric: MetricKind::IP,
            quantization: ScalarKind::F16,
            connectivity: CONNECTIVITY,
            expansion_add: EXPANSION_ADD,
            expansion_search: EXPANSION_SEARCH,
            multi: false,
        };
        let graph = Graph::new(&options).map_err(GraphError::of)?;
        let threads = rayon::current_num_threads();
        graph.reserve_capacity_and_threads(rows, threads).map_err(GraphError::of)?;
        numbers
            .par_chunks_exact(dimensions)
            .enumerate()
            .try_for_each(|(row, vector)| graph.add(row as u64, vector).map_err(GraphError::of))?;
        Ok(Self::Graph(graph))
    }

    /// The inner product of `direction` with rows that `shows` lets through: with all of them where rows are looked
    /// at one by one, with about the best `most` of them in a graph.
    pub(crate) fn nearest(
        &self,
        direction: &[f32],
        most: usize,
        shows: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Vec<(usize, f32)>, GraphError> {
        match self {
            Self::Exact(numbers) => Ok(numbers
                .par_chunks(direction.len().max(1))
                .with_min_len(ROWS_PER_TASK)
                .enumerate()
                .filter(|(row, _)| shows(*row))
                .map(|(row, vector)| (row, dot(direction, vector)))
                .collect()),
            Self::Graph(graph) => {
                let found = graph
                    .filtered_search(direction, most, |key| usize::try_from(key).is_ok_and(shows))
                    .map_err(GraphError::of)?;
                // USearch gives one less the inner product as the distance.
                let rows = found.keys.iter().filter_map(|key| usize::try_from(*key).ok());
                Ok(rows.zip(found.distances.iter().map(|distance| 1.0 - distance)).collect())
            }
        }
    }

    /// The inner product of `direction` with one row; `None` where there is no such row.
    pub(crate) fn product(&self, row: usize, direction: &[f32]) -> Option<f32> {
        match self {
            Self::Exact(numbers) => {
                let start = row.checked_mul(direction.len())?;
                numbers.get(start..start + direction.len()).map(|vector| dot(direction, vector))
            }
            Self::Graph(graph) => {
                let mut vector = vec![0.0_f32; direction.len()];
                let found = graph.get(row as u64, &mut vector).ok()?;
                (found == 1).then(|| dot(direction, &vector))
            }
        }
    }

    /// Adds every row to `sum`.
    pub(crate) fn add_to(&self, sum: &mut [f64], rows: usize) {
        let dimensions = sum.len();
        let mut add = |vector: &[f32]| sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += f64::from(*x));
        match self {
            Self::Exact(numbers) => numbers.chunks_exact(dimensions.max(1)).for_each(&mut add),
            Self::Graph(graph) => {
                let mut vector = vec![0.0_f32; dimensions];
                for row in 0..rows {
                    if graph.get(row as u64, &mut vector).is_ok_and(|found| found == 1) {
                        add(&vector);
                    }
                }
            }
        }
    }

    /// Appends the numbers of a row to `numbers`.
    pub(crate) fn copy(&self, row: usize, dimensions: usize, numbers: &mut Vec<f32>) {
        match self {
            Self::Exact(all) => {
                numbers.extend_from_slice(all.get(row * dimensions..(row + 1) * dimensions).unwrap_or_default());
            }
            Self::Graph(graph) => {
                let mut vector = vec![0.0_f32; dimensions];
                if graph.get(row as u64, &mut vector).is_ok_and(|found| found == 1) {
                    numbers.extend_from_slice(&vector);
                }
            }
        }
    }
}

/// The inner product, in sixteen sums that the compiler keeps in two registers.
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (left_lanes, left_rest) = left.as_chunks::<LANES>();
    let (right_lanes, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left_lanes.iter().zip(right_lanes) {
        for ((sum, x), y) in sums.iter_mut().zip(left).zip(right) {
            *sum = x.mul_add(*y, *sum);
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, dimensions: usize) -> Vec<f32> {
        let mut state = 1_u64;
        let mut numbers = Vec::with_capacity(count * dimensions);
        for _ in 0..count {
            let mut row: Vec<f32> = (0..dimensions)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    ((state >> 40) as f32 / (1 << 23) as f32) - 1.0
                })
                .collect();
            let length = dot(&row, &row).sqrt();
            row.iter_mut().for_each(|x| *x /= length);
            numbers.extend(row);
        }
        numbers
    }

    #[test]
    fn the_inner_product_agrees_with_the_plain_sum() {
        let numbers = rows(2, 389);
        let (left, right) = numbers.split_at(389);
        let plain: f64 = left.iter().zip(right).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        assert!((f64::from(dot(left, right)) - plain).abs() < 1e-5);
    }

    #[test]
    fn above_the_limit_a_graph_finds_what_exact_search_finds_and_nothing_filtered() {
        let dimensions = 8;
        let numbers = rows(EXACT_ROWS + 1, dimensions);
        let exact = Vectors::Exact(numbers.clone());
        let graph = Vectors::new(numbers.clone(), dimensions).unwrap();
        assert!(matches!(graph, Vectors::Graph(_)));
        let shows = |row: usize| row.is_multiple_of(3);
        let mut hits = 0;
        for row in 0..20 {
            let direction = &numbers[row * dimensions..(row + 1) * dimensions];
            let mut all = exact.nearest(direction, 10, &shows).unwrap();
            all.sort_by(|left, right| right.1.total_cmp(&left.1));
            let near = graph.nearest(direction, 10, &shows).unwrap();
            assert!(near.iter().all(|(row, _)| shows(*row)));
            hits += all[..10].iter().filter(|(row, _)| near.iter().any(|(other, _)| other == row)).count();
        }
        assert!(hits >= 190, "{hits} of 200");
    }
}
