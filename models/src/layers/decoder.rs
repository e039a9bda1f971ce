//! The decoder that language models of the Llama line share. What sets them apart is a field of [`Plan`] or a tensor
//! that is there or not.

use crate::kernel::attention::{Ask, Cache, Heads, POSITIONS, Part, Room};
use crate::kernel::rows::{Curve, gate, rms_norm, rms_norm_in_place};
use crate::kernel::{Activations, Matrix, Path, Team};
use crate::layers::rope::Rope;
use crate::task::StepError;
use crate::task::generate::{Piece, StepTokens};

/// What a model is made of, apart from its weights.
pub(crate) struct Plan {
    pub(crate) heads: Heads,
    pub(crate) epsilon: f32,
    /// Multiplies the rows of the embedding.
    pub(crate) embedding_scale: f32,
    /// Multiplies queries.
    pub(crate) query_scale: f32,
    pub(crate) curve: Curve,
    pub(crate) ropes: Vec<Rope>,
    /// Longest sequence.
    pub(crate) context: usize,
    /// Sequences of the longest length that there is room for.
    pub(crate) sequences: usize,
}

impl Plan {
    /// Refuses pieces that want more logits than they have tokens, or do not fit the context.
    pub(crate) fn check(&self, pieces: &[Piece<'_>]) -> Result<(), StepError> {
        for piece in pieces {
            if piece.tokens.is_empty() || piece.logits > piece.tokens.len() {
                return Err(misfit("the logits"));
            }
            if piece.position + piece.tokens.len() > self.context {
                let (tokens, position, context) = (piece.tokens.len(), piece.position, self.context);
                return Err(StepError(format!("{tokens} tokens at {position} do not fit a context of {context}")));
            }
        }
        Ok(())
    }
}

/// The weights of one layer, its matrices in the form that computes with them.
pub(crate) struct Layer<M = Matrix> {
    pub(crate) attention_norm: Vec<f32>,
    /// Queries, keys and values, in one matrix or several.
    pub(crate) qkv: Vec<M>,
    pub(crate) qkv_bias: Option<Vec<f32>>,
    /// Normalisation of every head of queries, and of keys.
    pub(crate) head_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub(crate) output: M,
    /// Normalisation of what attention adds.
    pub(crate) attention_after: Option<Vec<f32>>,
    pub(crate) feed_norm: Vec<f32>,
    /// Gate and up, in one matrix or two.
    pub(crate) gate_up: Vec<M>,
    pub(crate) down: M,
    /// Normalisation of what the feed-forward part adds.
    pub(crate) feed_after: Option<Vec<f32>>,
    /// Positions that a row sees.
    pub(crate) window: Option<usize>,
    /// Which of [`Plan::ropes`].
    pub(crate) rope: usize,
}

/// The weights of a model.
pub(crate) struct Weights<M = Matrix> {
    pub(crate) embedding: M,
    pub(crate) layers: Vec<Layer<M>>,
    pub(crate) norm: Vec<f32>,
    /// None where the embedding serves.
    pub(crate) head: Option<M>,
}

/// Memory that is kept from step to step.
#[derive(Default)]
struct Scratch {
    rows: Vec<f32>,
    mixed: Vec<f32>,
    attended: Vec<f32>,
    added: Vec<f32>,
    input: Activations,
    room: Room,
}

/// A loaded model with the state of its sequences, in blocks.
pub(crate) struct Decoder {
    plan: Plan,
    weights: Weights,
    cache: Cache,
    scratch: Scratch,
    path: Path,
    team: Team,
}

impl Decoder {
    pub(crate) fn new(plan: Plan, weights: Weights, path: Path, team: Team) -> Self {
        let sequences = plan.sequences.max(1);
        let each = plan.context.div_ceil(POSITIONS);
        let cache = Cache::new(plan.heads, weights.layers.len(), sequences * each);
        Self { plan, weights, cache, scratch: Scratch::default(), path, team }
    }

    /// Runs the new tokens of some sequences through every layer. Writes the logits after each of the `wanted` rows, one
    /// row after the other.
    fn run(
        &mut self,
        parts: &[Part<'_>],
        tokens: &[u32],
        wanted: &[usize],
        logits: &mut Vec<f32>,
    ) -> Result<(), StepError> {
        let (path, team, width) = (self.path, &self.team, self.weights.embedding.inputs());
        let scratch = &mut self.scratch;
        let places = self.cache.places(parts).ok_or_else(|| misfit("the cache's blocks"))?;
        let positions: Vec<usize> = parts.iter().flat_map(|part| part.position..part.position + part.rows).collect();
        if positions.len() != tokens.len() {
            return Err(misfit("the tokens"));
        }
        let rows = sized(&mut scratch.rows, tokens.len() * width);
        for (row, token) in rows.chunks_exact_mut(width).zip(tokens) {
            let found = self.weights.embedding.row(*token as usize, row);
            found.ok_or_else(|| StepError(format!("there is no token {token}")))?;
            row.iter_mut().for_each(|x| *x *= self.plan.embedding_scale);
        }
        for (at, layer) in self.weights.layers.iter().enumerate() {
            let mut step = Step { plan: &self.plan, layer, path, team, positions: &positions };
            step.project(rows, &mut scratch.mixed, &mut scratch.input)?;
            let (mixed, stride) = (&scratch.mixed, step.stride());
            let (asking, asked) = (self.plan.heads.query_row(), self.plan.heads.key_row());
            self.cache.write(path, team, at, &places, |row| {
                let row = mixed.get(row * stride + asking..(row + 1) * stride).unwrap_or_default();
                row.split_at_checked(asked).unwrap_or_default()
            });
            let attended = sized(&mut scratch.attended, tokens.len() * asking);
            let ask = Ask { layer: at, queries: mixed, stride, window: layer.window };
            if !self.cache.read(path, team, parts, ask, &mut scratch.room, attended) {
                return Err(misfit("attention"));
            }
            step.finish(rows, attended, &mut scratch.mixed, &mut scratch.added, &mut scratch.input)?;
        }
        logits.clear();
        if wanted.is_empty() {
            return Ok(());
        }
        let (norm, epsilon) = (&self.weights.norm, self.plan.epsilon);
        let rows = &*rows;
        scratch.input.fill(path, team, width, wanted.len(), |at, to| {
            let row = wanted.get(at).copied().unwrap_or_default() * width;
            rms_norm(path, rows.get(row..row + width).unwrap_or_default(), norm, epsilon, to);
        });
        let head = self.weights.head.as_ref().unwrap_or(&self.weights.embedding);
        logits.resize(wanted.len() * head.outputs(), 0.0);
        multiply(&[head], team, &scratch.input, logits, false)
    }
}

/// One layer at work on some rows.
struct Step<'a> {
    plan: &'a Plan,
    layer: &'a Layer,
    path: Path,
    team: &'a Team,
    positions: &'a [usize],
}

impl Step<'_> {
    /// Length of a row of queries, keys and values.
    fn stride(&self) -> usize {
        self.plan.heads.query_row() + 2 * self.plan.heads.key_row()
    }

    /// Rows to queries, keys and values, normalised and turned.
    fn project(&mut self, rows: &[f32], mixed: &mut Vec<f32>, input: &mut Activations) -> Result<(), StepError> {
        let (path, plan, layer) = (self.path, self.plan, self.layer);
        self.normalise(rows, &layer.attention_norm, input);
        let stride = self.stride();
        let mixed = sized(mixed, self.positions.len() * stride);
        multiply(&layer.qkv.iter().collect::<Vec<_>>(), self.team, input, mixed, false)?;
        let heads = plan.heads;
        let rope = plan.ropes.get(layer.rope).ok_or_else(|| misfit("the rope"))?;
        self.each_row(mixed, stride, |at, row| {
            if let Some(bias) = &layer.qkv_bias {
                add(row, bias);
            }
            let Some((turned, _)) = row.split_at_mut_checked(heads.query_row() + heads.key_row()) else { return };
            if let Some((query_norm, key_norm)) = &layer.head_norms {
                for (head, part) in turned.chunks_exact_mut(heads.size).enumerate() {
                    let norm = if head < heads.queries { query_norm } else { key_norm };
                    rms_norm_in_place(path, part, norm, plan.epsilon);
                }
            }
            rope.turn(turned, heads.size, self.positions.get(at).copied().unwrap_or_default());
            for query in turned.iter_mut().take(heads.query_row()) {
                *query *= plan.query_scale;
            }
        });
        Ok(())
    }

    /// What attention read, and the feed-forward part, onto the rows.
    fn finish(
        &mut self,
        rows: &mut [f32],
        attended: &[f32],
        mixed: &mut Vec<f32>,
        added: &mut Vec<f32>,
        input: &mut Activations,
    ) -> Result<(), StepError> {
        let (path, plan, layer, count) = (self.path, self.plan, self.layer, self.positions.len());
        let asking = plan.heads.query_row();
        input.fill(path, self.team, asking, count, |at, to| {
            to.copy_from_slice(attended.get(at * asking..(at + 1) * asking).unwrap_or_default());
        });
        self.onto(&layer.output, rows, input, layer.attention_after.as_deref(), added)?;
        self.normalise(rows, &layer.feed_norm, input);
        let inner = layer.down.inputs();
        let mixed = sized(mixed, count * 2 * inner);
        multiply(&layer.gate_up.iter().collect::<Vec<_>>(), self.team, input, mixed, false)?;
        let mixed = &*mixed;
        input.fill(path, self.team, inner, count, |at, to| {
            let row = mixed.get(at * 2 * inner..(at + 1) * 2 * inner).unwrap_or_default();
            if let Some((first, second)) = row.split_at_checked(inner) {
                gate(path, plan.curve, first, second, to);
            }
        });
        self.onto(&layer.down, rows, input, layer.feed_after.as_deref(), added)
    }

    fn normalise(&self, rows: &[f32], norm: &[f32], input: &mut Activations) {
        let (path, width, epsilon) = (self.path, norm.len(), self.plan.epsilon);
        input.fill(path, self.team, width, self.positions.len(), |at, to| {
            rms_norm(path, rows.get(at * width..(at + 1) * width).unwrap_or_default(), norm, epsilon, to);
        });
    }

    /// Adds a product to the rows, where there is an `after` normalised by it.
    fn onto(
        &self,
        matrix: &Matrix,
        rows: &mut [f32],
        input: &Activations,
        after: Option<&[f32]>,
        added: &mut Vec<f32>,
    ) -> Result<(), StepError> {
        let Some(after) = after else { return multiply(&[matrix], self.team, input, rows, true) };
        let added = sized(added, rows.len());
        multiply(&[matrix], self.team, input, added, false)?;
        let added = &*added;
        let width = after.len();
        self.each_row(rows, width, |at, row| {
            let mut normed = vec![0.0; width];
            let found = added.get(at * width..(at + 1) * width).unwrap_or_default();
            rms_norm(self.path, found, after, self.plan.epsilon, &mut normed);
            add(row, &normed);
        });
        Ok(())
    }

    /// Every row by itself; where there are many, several threads share them.
    fn each_row(&self, rows: &mut [f32], length: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
        let count = self.positions.len();
        let together = if rows.len() < 4096 { count } else { count.div_ceil(4 * self.team.threads()) }.max(1);
        self.team.split(rows, together * length, |unit, part| {
            for (at, row) in part.chunks_exact_mut(length).enumerate() {
                work(unit * together + at, row);
            }
        });
    }
}

/// The first numbers of a vector that grows when it must. What they are is not said: each use writes all of them first.
fn sized(vector: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if vector.len() < length {
        vector.resize(length, 0.0);
    }
    vector.get_mut(..length).unwrap_or_default()
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

fn multiply(
    matrices: &[&Matrix],
    team: &Team,
    input: &Activations,
    out: &mut [f32],
    add: bool,
) -> Result<(), StepError> {
    if Matrix::multiply(matrices, team, input, out, add) { Ok(()) } else { Err(misfit("a product")) }
}

fn misfit(what: &str) -> StepError {
    StepError(format!("the sizes of {what} do not fit together"))
}

impl StepTokens for Decoder {
    fn vocabulary(&self) -> usize {
        self.weights.embedding.outputs()
    }

    fn context_tokens(&self) -> usize {
        self.plan.context
    }

    fn block_tokens(&self) -> usize {
        POSITIONS
    }

    fn blocks(&self) -> usize {
        self.cache.blocks()
    }

    fn step(&mut self, pieces: &[Piece<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        self.plan.check(pieces)?;
        let parts: Vec<Part<'_>> = pieces
            .iter()
            .map(|piece| Part { table: piece.blocks, position: piece.position, rows: piece.tokens.len() })
            .collect();
        let tokens: Vec<u32> = pieces.iter().flat_map(|piece| piece.tokens).copied().collect();
        let mut rows = 0;
        let wanted: Vec<usize> = pieces
            .iter()
            .flat_map(|piece| {
                rows += piece.tokens.len();
                rows - piece.logits..rows
            })
            .collect();
        self.run(&parts, &tokens, &wanted, logits)
    }
}
