//! The encoder that embedders and cross-encoders share. What sets them apart is a field of [`Plan`], or a part that is there
//! or not.
//!
//! The sequences of a batch lie one after the other without padding: every token is one row of the matrix products, and
//! attention goes sequence by sequence. So no mask is needed, and a vector cannot depend on what else is in the batch.

mod embeddings;
mod floats;
mod head;
mod packed;

use std::sync::Arc;

use rayon::prelude::*;

use crate::kernel::embed::{Curve, Line, Processor, lines};
use crate::layers::rope::Rope;
use crate::layers::{add_scaled, dot};
use crate::manifest::Pooling;
use crate::pool::{PoolOptions, Precision};
use crate::task::StepError;
use crate::task::embed::{EncodeText, Sequence, Yields};

pub(crate) use embeddings::Embeddings;
pub(crate) use head::{Dense, DenseCurve, Head};

use floats::Floats;
use packed::Layers;

/// Tokens of sequences that go through the layers together on one thread: enough that reading the weights costs nothing,
/// few enough that threads finish together.
const GROUP: usize = 128;
/// The fewest tokens that are worth a group of their own.
const LEAST_GROUP: usize = 16;
/// Tokens per thread in a batch of the pool: eight groups, so that the last one alone does not count.
const BATCH: usize = 1024;

/// A matrix, one row per output, and a number to add to each output.
pub(crate) struct Affine {
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
    pub(crate) inputs: usize,
}

/// Weight and bias of a normalisation.
pub(crate) struct Scale {
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// Where rows are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// After each part of a layer has been added to them.
    After,
    /// Before each part of a layer reads them, and at the end.
    Before,
}

/// What the feed-forward part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// A curve over what comes out of the first matrix.
    Plain(Curve),
    /// A curve over the first half of it, times the second half. Each half takes whole lines ([`lines`]).
    Gated(Curve),
}

/// What a model is made of, apart from its weights.
pub(crate) struct Plan {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) epsilon: f32,
    pub(crate) order: Order,
    pub(crate) feed: Feed,
    pub(crate) ropes: Vec<Rope>,
}

/// The weights of one layer. Queries, keys and values lie on top of each other, and so do gate and up.
pub(crate) struct Parts {
    pub(crate) qkv: Affine,
    pub(crate) attended: Affine,
    /// `None` where the rows come normalised: in the first layer of some models.
    pub(crate) attention_norm: Option<Scale>,
    pub(crate) inner: Affine,
    pub(crate) outer: Affine,
    pub(crate) feed_norm: Scale,
    /// Which of [`Plan::ropes`].
    pub(crate) rope: Option<usize>,
    /// How many positions a row sees on either side.
    pub(crate) reach: Option<usize>,
}

enum Trunk {
    Packed(Layers),
    Floats(Floats),
}

/// What the rows of a sequence become.
pub(crate) enum Readout {
    /// A vector.
    Pool(Pooling),
    /// Scores.
    Score(Pooling, Head),
}

/// A loaded model.
pub(crate) struct Encoder {
    embeddings: Embeddings,
    trunk: Trunk,
    readout: Readout,
    max_tokens: usize,
    threads: Arc<rayon::ThreadPool>,
}

/// What an encoder is built of, part by part.
pub(crate) struct Builder {
    trunk: Trunk,
    embeddings: Embeddings,
    threads: Arc<rayon::ThreadPool>,
}

impl Builder {
    /// `first` normalises the embeddings, `last` what the layers leave.
    pub(crate) fn new(
        plan: Plan,
        embeddings: Embeddings,
        first: Scale,
        last: Option<Scale>,
        threads: rayon::ThreadPool,
        options: &PoolOptions,
    ) -> Self {
        let trunk = match options.precision {
            Precision::Int8 => Trunk::Packed(Layers::new(plan, &first, last, Processor::of(options.instructions))),
            Precision::Float32 => Trunk::Floats(Floats::new(plan, first, last)),
        };
        Self { trunk, embeddings, threads: Arc::new(threads) }
    }

    pub(crate) fn push(&mut self, parts: Parts) -> Result<(), StepError> {
        match &mut self.trunk {
            Trunk::Packed(layers) => {
                self.threads.install(|| layers.push(&parts));
                Ok(())
            }
            Trunk::Floats(floats) => floats.push(parts),
        }
    }

    pub(crate) fn finish(self, readout: Readout, max_tokens: usize) -> Encoder {
        let Self { trunk, embeddings, threads } = self;
        Encoder { embeddings, trunk, readout, max_tokens, threads }
    }
}

impl Encoder {
    /// What a sequence yields of its `rows`, of which one begins every `stride` numbers, and of those `below`, as they were half way.
    fn read(&self, rows: &[f32], below: &[f32], stride: usize, yields: Yields) -> Vec<f32> {
        let width = self.embeddings.width();
        if yields == Yields::Tokens {
            let both = rows.chunks_exact(stride).zip(below.chunks_exact(stride));
            let both = both.flat_map(|(row, below)| [row.get(..width), below.get(..width)]);
            let mut vectors: Vec<f32> = both.flatten().flatten().copied().collect();
            vectors.chunks_exact_mut(width).for_each(normalise);
            return vectors;
        }
        let (Readout::Pool(pooling) | Readout::Score(pooling, _)) = &self.readout;
        let rows = rows.chunks_exact(stride).filter_map(|row| row.get(..width));
        let mut vector = vec![0.0; width];
        match pooling {
            Pooling::Cls => rows.take(1).for_each(|row| add_scaled(&mut vector, 1.0, row)),
            Pooling::Mean => {
                let share = 1.0 / rows.clone().count().max(1) as f32;
                rows.for_each(|row| add_scaled(&mut vector, share, row));
            }
        }
        match &self.readout {
            Readout::Pool(_) => {
                normalise(&mut vector);
                vector
            }
            Readout::Score(_, head) => head.scores(vector),
        }
    }

    fn run_floats(&self, floats: &Floats, batch: &[Sequence]) -> Result<Vec<Vec<f32>>, StepError> {
        let width = self.embeddings.width();
        let mut rows = vec![0.0; batch.iter().map(Sequence::len).sum::<usize>() * width];
        self.embeddings.write(batch.iter(), width, &mut rows);
        let (rows, kept) = floats.run(rows, batch, batch.iter().any(Sequence::is_by_token))?;
        let sequences: Vec<&Sequence> = batch.iter().collect();
        Ok(self.read_all(&rows, &kept, width, &sequences))
    }

    fn run_packed(&self, layers: &Layers, batch: &[Sequence]) -> Vec<Vec<f32>> {
        let threads = rayon::current_num_threads();
        let groups = groups(batch, threads);
        let shares = if groups.len() < threads { threads } else { 1 };
        let done: Vec<Vec<Vec<f32>>> =
            groups.par_iter().map(|group| self.run_group(layers, batch, group, shares)).collect();
        let mut vectors = vec![Vec::new(); batch.len()];
        for (at, vector) in groups.into_iter().flatten().zip(done.into_iter().flatten()) {
            if let Some(place) = vectors.get_mut(at) {
                *place = vector;
            }
        }
        vectors
    }

    fn run_group(&self, layers: &Layers, batch: &[Sequence], group: &[usize], shares: usize) -> Vec<Vec<f32>> {
        let sequences: Vec<&Sequence> = group.iter().filter_map(|at| batch.get(*at)).collect();
        let lengths: Vec<usize> = sequences.iter().map(|sequence| sequence.len()).collect();
        let width = lines(self.embeddings.width());
        let embed = |rows: &mut [Line]| {
            self.embeddings.write(sequences.iter().copied(), width * 16, rows.as_flattened_mut());
        };
        let kept = sequences.iter().any(|sequence| sequence.is_by_token());
        layers.run(&lengths, shares, kept, embed, |rows, kept| {
            self.read_all(rows.as_flattened(), kept.as_flattened(), width * 16, &sequences)
        })
    }

    /// What each sequence yields of the rows of all, and of those that were kept; none were where nobody asked for them.
    fn read_all(&self, rows: &[f32], kept: &[f32], stride: usize, sequences: &[&Sequence]) -> Vec<Vec<f32>> {
        let (mut rows, mut kept) = (rows, kept);
        let mut vectors = Vec::with_capacity(sequences.len());
        for sequence in sequences {
            let (own, others) = rows.split_at_checked(sequence.len() * stride).unwrap_or_default();
            let (below, after) = kept.split_at_checked(sequence.len() * stride).unwrap_or_default();
            vectors.push(self.read(own, below, stride, sequence.yields));
            (rows, kept) = (others, after);
        }
        vectors
    }
}

/// Makes a vector's length one.
fn normalise(vector: &mut [f32]) {
    let length = dot(vector, vector).sqrt().max(1e-12);
    vector.iter_mut().for_each(|x| *x /= length);
}

/// Which sequences go through the layers together. The longest come first, so that the last groups are small ones.
fn groups(batch: &[Sequence], threads: usize) -> Vec<Vec<usize>> {
    let length = |at: &usize| batch.get(*at).map_or(0, Sequence::len);
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(length(at)));
    let total: usize = order.iter().map(length).sum();
    let most = total.div_ceil(threads.max(1)).clamp(LEAST_GROUP, GROUP);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut tokens = usize::MAX;
    for at in order {
        let own = length(&at);
        match groups.last_mut() {
            Some(group) if tokens.saturating_add(own) <= most => {
                group.push(at);
                tokens += own;
            }
            _ => {
                groups.push(vec![at]);
                tokens = own;
            }
        }
    }
    groups
}

impl EncodeText for Encoder {
    fn dimensions(&self) -> usize {
        match &self.readout {
            Readout::Pool(_) => self.embeddings.width(),
            Readout::Score(_, head) => head.outputs(),
        }
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn batch_tokens(&self) -> usize {
        BATCH * self.threads.current_num_threads()
    }

    fn encode(&mut self, batch: &[Sequence]) -> Result<Vec<Vec<f32>>, StepError> {
        if batch.iter().any(|sequence| sequence.is_empty() || sequence.len() > self.max_tokens) {
            return Err(StepError("a sequence is empty or too long".to_owned()));
        }
        if matches!(self.readout, Readout::Score(..)) && batch.iter().any(Sequence::is_by_token) {
            return Err(StepError("a model that scores pairs has no vectors of tokens".to_owned()));
        }
        let mut tokens = batch.iter().flat_map(|sequence| &sequence.tokens);
        if tokens.any(|token| !self.embeddings.has(*token)) {
            return Err(StepError("the model has no vector for a token".to_owned()));
        }
        let threads = Arc::clone(&self.threads);
        let vectors = threads.install(|| match &self.trunk {
            Trunk::Packed(layers) => Ok(self.run_packed(layers, batch)),
            Trunk::Floats(floats) => self.run_floats(floats, batch),
        })?;
        if vectors.iter().flatten().any(|number| !number.is_finite()) {
            return Err(StepError("a vector holds what is no finite number".to_owned()));
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_grouped_without_one_lost_or_a_thread_left_idle() {
        let of = |length: usize| Sequence::one(vec![0; length]);
        let batch: Vec<Sequence> = (0..50usize).map(|n| of(1 + n * 37 % 200)).collect();
        let groups = groups(&batch, 2);
        let mut seen: Vec<usize> = groups.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        let tokens = |group: &Vec<usize>| group.iter().map(|at| batch[*at].len()).sum::<usize>();
        assert!(groups.iter().all(|group| group.len() == 1 || tokens(group) <= GROUP));
        assert_eq!(super::groups(&[of(20), of(20)], 2).len(), 2);
    }
}
