//! What this machine can do, measured through the kernels that serve: products with weights of every layout, attention, the
//! encoders' 8-bit products.
//!
//! A probe is one piece of work on numbers of no meaning; the time it takes does not depend on them. Benches time probes one by
//! one, [`crate::plan`] turns a set of them into [`crate::plan::Rates`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::LoadError;
use crate::kernel::attention::{Ask, Cache, Heads, Part, Room};
use crate::kernel::embed;
use crate::kernel::rows::{Curve, gate, rms_norm};
use crate::kernel::{Activations, Matrix, Path, Team};
use crate::pool::Instructions;

pub use crate::kernel::Format;

/// Threads that compute together with the best instructions of this processor.
#[derive(Clone)]
pub struct Crew {
    pub(crate) path: Path,
    pub(crate) team: Arc<Team>,
}

impl Crew {
    /// So many threads; 0 is one per core.
    ///
    /// # Errors
    /// [`LoadError::Thread`] where the system gives none.
    pub fn new(threads: usize) -> Result<Self, LoadError> {
        let team = Team::new(threads).map_err(LoadError::Thread)?;
        Ok(Self { path: Path::best(), team: Arc::new(team) })
    }

    /// Threads, the caller's included.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// The instructions that generation uses on this processor, and those that embedding does.
    #[must_use]
    pub fn instructions() -> (&'static str, &'static str) {
        (Path::best().name(), embed::Processor::of(Instructions::Best).name())
    }
}

/// Median seconds of a run, over as many as fit `budget`, at least three after one that warms up.
pub fn seconds(budget: Duration, mut run: impl FnMut()) -> f64 {
    run();
    let begun = Instant::now();
    let mut took = Vec::new();
    while took.len() < 3 || begun.elapsed() < budget {
        let run_begun = Instant::now();
        run();
        took.push(run_begun.elapsed().as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    took.get(took.len() / 2).copied().unwrap_or_default()
}

/// Rows of activations times one weight matrix.
pub struct Product {
    crew: Crew,
    matrix: Matrix,
    input: Activations,
    out: Vec<f32>,
    rows: usize,
}

impl Product {
    /// A matrix of `outputs` rows of `inputs` weights, times `rows` rows. `inputs` is rounded up to whole blocks of 256.
    #[must_use]
    pub fn new(crew: &Crew, format: Format, (inputs, outputs): (usize, usize), rows: usize) -> Self {
        let inputs = inputs.next_multiple_of(256).max(256);
        let matrix = Matrix::blank(format, (inputs, outputs), crew.path);
        let mut input = Activations::default();
        input.fill(crew.path, &crew.team, inputs, rows, wave);
        Self { crew: crew.clone(), matrix, input, out: vec![0.0; rows * outputs], rows }
    }

    /// Does it once.
    pub fn run(&mut self) {
        let done = Matrix::multiply(&[&self.matrix], &self.crew.team, &self.input, &mut self.out, false);
        debug_assert!(done, "the sizes of a probe fit together");
    }

    /// Weights: a run does as many multiplications with additions for every row.
    #[must_use]
    pub fn weights(&self) -> u64 {
        (self.matrix.inputs() * self.matrix.outputs()) as u64
    }

    /// Multiplications with additions of a run.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.weights() * self.rows as u64
    }

    /// Bytes of weights that a run reads.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.matrix.bytes() as u64
    }
}

/// How attention's heads are laid out in a row: asking heads, asked heads, numbers per head (a multiple of 16, at most 512).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLayout {
    /// Heads that ask, a multiple of `keys`.
    pub queries: usize,
    /// Heads that are asked.
    pub keys: usize,
    /// Numbers per head.
    pub size: usize,
}

/// The last rows of a sequence reading all that stands before them, in one layer.
pub struct Attention {
    crew: Crew,
    cache: Cache,
    heads: Heads,
    table: Vec<u32>,
    positions: usize,
    rows: usize,
    queries: Vec<f32>,
    room: Room,
    out: Vec<f32>,
}

impl Attention {
    /// The last `rows` rows of a sequence of `positions` positions. `None` where the heads do not fit together.
    #[must_use]
    pub fn new(crew: &Crew, layout: HeadLayout, positions: usize, rows: usize) -> Option<Self> {
        let HeadLayout { queries, keys, size } = layout;
        let fits = keys > 0 && queries > 0 && queries.is_multiple_of(keys) && size > 0 && size.is_multiple_of(16);
        if !fits || size > crate::kernel::attention::LONGEST_HEAD || rows == 0 || rows > positions {
            return None;
        }
        let heads = Heads { queries, keys, size };
        let blocks = positions.div_ceil(crate::kernel::attention::POSITIONS);
        let mut cache = Cache::new(heads, 1, blocks);
        let table: Vec<u32> = (0u32..).take(blocks).collect();
        let places = cache.places(&[Part { table: &table, position: 0, rows: positions }])?;
        let mut row = vec![0.0; heads.key_row()];
        wave(0, &mut row);
        cache.write(crew.path, &crew.team, 0, &places, |_| (row.as_slice(), row.as_slice()));
        let mut asked = vec![0.0; rows * heads.query_row()];
        wave(1, &mut asked);
        let out = vec![0.0; rows * heads.query_row()];
        let crew = crew.clone();
        Some(Self { crew, cache, heads, table, positions, rows, queries: asked, room: Room::default(), out })
    }

    /// Does it once.
    pub fn run(&mut self) {
        let part = Part { table: &self.table, position: self.positions - self.rows, rows: self.rows };
        let ask = Ask { layer: 0, queries: &self.queries, stride: self.heads.query_row(), window: None };
        let Crew { path, team } = &self.crew;
        let done = self.cache.read(*path, team, &[part], ask, &mut self.room, &mut self.out);
        debug_assert!(done, "the sizes of a probe fit together");
    }

    /// Positions that one asking head sees, summed over rows and asking heads.
    #[must_use]
    pub fn seen(&self) -> u64 {
        let rows = self.rows as u64;
        let first = (self.positions - self.rows + 1) as u64;
        self.heads.queries as u64 * (rows * first + rows * (rows - 1) / 2)
    }
}

/// What is done to rows between products: a normalisation and a gate, both rounded to integers.
pub(crate) struct Between {
    crew: Crew,
    width: usize,
    rows: usize,
    from: Vec<f32>,
    to: Activations,
}

impl Between {
    pub(crate) fn new(crew: &Crew, width: usize, rows: usize) -> Self {
        let mut from = vec![0.0; width * rows];
        wave(0, &mut from);
        Self { crew: crew.clone(), width, rows, from, to: Activations::default() }
    }

    fn row(&self, at: usize) -> &[f32] {
        self.from.get(at * self.width..(at + 1) * self.width).unwrap_or_default()
    }

    /// Normalises every row.
    pub(crate) fn normalise(&mut self) {
        let mut to = std::mem::take(&mut self.to);
        let (Crew { path, team }, weight) = (&self.crew, self.row(0));
        to.fill(*path, team, self.width, self.rows, |at, to| rms_norm(*path, self.row(at), weight, 1e-5, to));
        self.to = to;
    }

    /// Gates every row.
    pub(crate) fn gate(&mut self) {
        let mut to = std::mem::take(&mut self.to);
        let Crew { path, team } = &self.crew;
        to.fill(*path, team, self.width, self.rows, |at, to| {
            gate(*path, Curve::Silu, self.row(at), self.row(at), to);
        });
        self.to = to;
    }
}

/// One group of an encoder's rows through one product in 8-bit integers, on one thread.
pub struct EncoderProduct {
    processor: embed::Processor,
    packed: embed::Packed,
    rows: Vec<embed::Line>,
    out: Vec<embed::Line>,
    operations: u64,
}

impl EncoderProduct {
    /// `rows` rows of `inputs` numbers times `outputs` rows of weights.
    #[must_use]
    pub fn new((inputs, outputs): (usize, usize), rows: usize) -> Self {
        let mut weights = vec![0.0; inputs * outputs];
        wave(0, &mut weights);
        let packed = embed::Packed::new(&weights, inputs, &vec![0.1; outputs]);
        let mut floats = vec![0.0; inputs.next_multiple_of(16) * rows];
        wave(1, &mut floats);
        let out = vec![[0.0; 16]; packed.output_lines() * rows];
        let (processor, rows_in) = (embed::Processor::of(Instructions::Best), embed::to_lines(&floats));
        Self { processor, packed, rows: rows_in, out, operations: (inputs * outputs * rows) as u64 }
    }

    /// Does it once.
    pub fn run(&mut self) {
        embed::product(self.processor, &self.packed, &self.rows, embed::Curve::None, &mut self.out);
    }

    /// Multiplications with additions of a run.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.operations
    }
}

/// Attention of an encoder over one sequence, in one layer, on one thread.
pub struct EncoderAttention {
    processor: embed::Processor,
    heads: embed::Heads,
    sequence: Vec<embed::Line>,
    out: Vec<embed::Line>,
    seen: u64,
}

impl EncoderAttention {
    /// A sequence of `tokens` tokens; `heads` heads of `size` numbers.
    #[must_use]
    pub fn new((heads, size): (usize, usize), tokens: usize) -> Self {
        let width = (heads * size).next_multiple_of(16);
        let mut floats = vec![0.0; tokens * embed::lines(3 * heads * size) * 16];
        wave(0, &mut floats);
        let out = vec![[0.0; 16]; tokens * embed::lines(width)];
        let processor = embed::Processor::of(Instructions::Best);
        let seen = (heads * tokens * tokens) as u64;
        let heads = embed::Heads { count: heads, size, reach: None };
        Self { processor, heads, sequence: embed::to_lines(&floats), out, seen }
    }

    /// Does it once.
    pub fn run(&mut self) {
        embed::attend(self.processor, &self.sequence, self.heads, 0, &mut self.out);
    }

    /// Positions seen, summed over tokens and heads.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

/// Numbers between -1 and 1, none of them tiny, so that no result is subnormal and slow.
fn wave(row: usize, to: &mut [f32]) {
    for (at, x) in to.iter_mut().enumerate() {
        *x = ((row * 7 + at * 13) % 97) as f32 / 50.0 - 0.97;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_do_the_work_that_they_count() {
        let crew = Crew::new(2).unwrap();
        for format in Format::ALL {
            let mut product = Product::new(&crew, format, (300, 40), 3);
            assert_eq!((product.weights(), product.operations()), (512 * 40, 512 * 40 * 3), "{format:?}");
            assert_eq!(product.bytes(), format.packed_bytes(512, 40) as u64, "{format:?}");
            product.run();
            assert!(product.out.iter().all(|x| x.is_finite()) && product.out.iter().any(|x| *x != 0.0), "{format:?}");
        }
        let layout = HeadLayout { queries: 4, keys: 2, size: 32 };
        let mut attention = Attention::new(&crew, layout, 300, 20).unwrap();
        attention.run();
        assert!(attention.out.iter().all(|x| x.is_finite() && *x != 0.0));
        assert_eq!(attention.seen(), 4 * (281..=300).sum::<u64>());
        let mut encoder = EncoderProduct::new((384, 96), 5);
        encoder.run();
        assert!(encoder.out.iter().flatten().any(|x| *x != 0.0));
        let mut encoder = EncoderAttention::new((12, 32), 40);
        encoder.run();
        assert!(encoder.out.iter().flatten().any(|x| *x != 0.0));
    }

    #[test]
    fn heads_that_do_not_fit_together_are_refused() {
        let crew = Crew::new(1).unwrap();
        for (queries, keys, size, positions, rows) in
            [(3, 2, 32, 64, 1), (4, 0, 32, 64, 1), (4, 2, 20, 64, 1), (4, 2, 1024, 64, 1), (4, 2, 32, 64, 65)]
        {
            let layout = HeadLayout { queries, keys, size };
            assert!(Attention::new(&crew, layout, positions, rows).is_none(), "{layout:?} {positions} {rows}");
        }
    }
}
