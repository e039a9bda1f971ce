//! The decoder of `layers::decoder` on a device of candle's: a graphics processor, or for tests candle's own processor.
//!
//! The state of sequences lies in the same blocks under the same scheduler. **What differs**: products are candle's, which choose
//! their kernels by how many rows there are, so a text may differ in its last bits by what it was computed with.
//!
//! # Why
//! - **Sequences that add equally many tokens attend together**, the shorter ones padded: what a step costs on a device is how many
//!   kernels are started, hardly how much each of them has to do. Sequences are joined up to twice the length of
//!   the shortest, so that padding stays bounded.
//! - **The cache holds heads first**, so that what is gathered from it is laid out as the product wants it.

use candle_core::quantized::QMatMul;
use candle_core::{D, DType, Device, Module, Tensor};

use super::decoder::{Layer, Plan, Weights};
use super::rope::Pairs;
use super::step;
use crate::kernel::attention::POSITIONS;
use crate::kernel::rows::Curve;
use crate::task::StepError;
use crate::task::generate::{Piece, StepTokens};

/// A matrix on the device, one row per output.
pub(crate) struct Product {
    product: QMatMul,
    outputs: usize,
}

impl Product {
    pub(crate) const fn new(product: QMatMul, outputs: usize) -> Self {
        Self { product, outputs }
    }

    fn apply(&self, rows: &Tensor) -> Result<Tensor, StepError> {
        self.product.forward(rows).map_err(step)
    }
}

/// Cosines and sines of a rope, a row per position.
struct Angles {
    cosines: Tensor,
    sines: Tensor,
    pairs: Pairs,
}

/// One layer's numbers that are no matrices.
struct Norms {
    attention: Tensor,
    attention_after: Option<Tensor>,
    feed: Tensor,
    feed_after: Option<Tensor>,
    heads: Option<(Tensor, Tensor)>,
    bias: Option<Tensor>,
}

/// A loaded model with the state of its sequences, in blocks.
pub(crate) struct DeviceDecoder {
    plan: Plan,
    weights: Weights<Product>,
    /// The rows of the embedding, which the device looks up.
    embedding: Tensor,
    norms: Vec<Norms>,
    last: Tensor,
    ropes: Vec<Angles>,
    /// By layer: keys and values, of the shape (heads, positions of every block, size).
    cache: Vec<(Tensor, Tensor)>,
    blocks: usize,
    device: Device,
}

/// A piece of a step, in the order in which its rows are computed.
struct Place {
    /// Which of the pieces.
    piece: usize,
    /// First row among those of the step, and how many.
    rows: (usize, usize),
    /// The places of all positions so far, the new ones included.
    seen: Vec<u32>,
    position: usize,
}

/// Pieces that attend together.
struct Group {
    /// First row, pieces, and rows of each.
    first: usize,
    pieces: usize,
    rows: usize,
    /// Places that each of them reads, one piece after the other, `length` of each.
    seen: Tensor,
    length: usize,
    /// By window: what hides the later positions, those out of the window and padding, of the shape (1, pieces, 1, rows, length).
    masks: Vec<(Option<usize>, Tensor)>,
}

/// What all layers of a step need to know.
struct Step {
    groups: Vec<Group>,
    /// Where the new keys and values go, of their own shape.
    places: Tensor,
    /// By rope: cosines and sines of the rows.
    angles: Vec<(Tensor, Tensor)>,
}

impl DeviceDecoder {
    /// `embedding` is dense, of the shape (tokens, width).
    pub(crate) fn new(
        plan: Plan,
        weights: Weights<Product>,
        embedding: Tensor,
        device: Device,
    ) -> Result<Self, StepError> {
        let vector = |numbers: &[f32]| Tensor::new(numbers, &device).map_err(step);
        let some = |numbers: &Option<Vec<f32>>| numbers.as_deref().map(vector).transpose();
        let norms = weights.layers.iter().map(|layer| {
            let heads = layer.head_norms.as_ref().map(|(queries, keys)| Ok((vector(queries)?, vector(keys)?)));
            Ok(Norms {
                attention: vector(&layer.attention_norm)?,
                attention_after: some(&layer.attention_after)?,
                feed: vector(&layer.feed_norm)?,
                feed_after: some(&layer.feed_after)?,
                heads: heads.transpose()?,
                bias: some(&layer.qkv_bias)?,
            })
        });
        let norms = norms.collect::<Result<Vec<_>, StepError>>()?;
        let last = vector(&weights.norm)?;
        let ropes = plan.ropes.iter().map(|rope| {
            let (cosines, sines, half) = rope.angles();
            let table = |numbers: Vec<f32>| Tensor::from_vec(numbers, (plan.context, half), &device).map_err(step);
            Ok(Angles { cosines: table(cosines)?, sines: table(sines)?, pairs: rope.pairs() })
        });
        let ropes = ropes.collect::<Result<Vec<_>, StepError>>()?;
        let blocks = plan.sequences.max(1) * plan.context.div_ceil(POSITIONS);
        let shape = (plan.heads.keys, blocks * POSITIONS, plan.heads.size);
        // What candle's own processor multiplies slowly in 16 bits, devices multiply fast.
        let kind = if device.is_cpu() { DType::F32 } else { DType::F16 };
        let empty = || Tensor::zeros(shape, kind, &device).map_err(step);
        let cache = (0..weights.layers.len()).map(|_| Ok((empty()?, empty()?)));
        let cache = cache.collect::<Result<Vec<_>, StepError>>()?;
        Ok(Self { plan, weights, embedding, norms, last, ropes, cache, blocks, device })
    }

    /// Checks that every place exists. Pieces that add equally many tokens come together, the shorter sequence first.
    fn places(&self, pieces: &[Piece<'_>]) -> Option<Vec<Place>> {
        let mut order: Vec<(usize, &Piece<'_>)> = pieces.iter().enumerate().collect();
        order.sort_by_key(|(_, piece)| (piece.tokens.len(), piece.position));
        let mut first = 0;
        let mut places = Vec::with_capacity(pieces.len());
        for (index, piece) in order {
            let end = piece.position + piece.tokens.len();
            let place = |position: usize| {
                let block = *piece.blocks.get(position / POSITIONS)? as usize;
                (block < self.blocks).then_some(block * POSITIONS + position % POSITIONS)
            };
            let seen = (0..end).map(|position| u32::try_from(place(position)?).ok()).collect::<Option<Vec<u32>>>()?;
            let rows = (first, piece.tokens.len());
            places.push(Place { piece: index, rows, seen, position: piece.position });
            first += piece.tokens.len();
        }
        Some(places)
    }

    fn run(&self, places: &[Place], tokens: &[u32]) -> Result<Tensor, StepError> {
        let tokens = Tensor::new(tokens, &self.device).map_err(step)?;
        let rows = self.embedding.index_select(&tokens, 0).and_then(|rows| rows.to_dtype(DType::F32));
        let mut rows = rows.and_then(|rows| rows * f64::from(self.plan.embedding_scale)).map_err(step)?;
        let laid = self.lay(places).map_err(step)?;
        for (at, layer) in self.weights.layers.iter().enumerate() {
            let (Some(norms), Some(cache)) = (self.norms.get(at), self.cache.get(at)) else { break };
            rows = Work { model: self, layer, norms, cache, step: &laid }.run(&rows)?;
        }
        candle_nn::ops::rms_norm(&rows, &self.last, self.plan.epsilon).map_err(step)
    }

    /// What all layers of a step need to know, told to the device once.
    fn lay(&self, places: &[Place]) -> candle_core::Result<Step> {
        let heads = self.plan.heads;
        let new = places.iter().flat_map(|place| place.seen.iter().skip(place.position).copied());
        let new: Vec<u32> = new.collect();
        let rows = new.len();
        let new = Tensor::from_vec(new, (1, rows, 1), &self.device)?;
        let new = new.broadcast_as((heads.keys, rows, heads.size))?.contiguous()?;
        let positions = places.iter().flat_map(|place| place.position..place.position + place.rows.1);
        let positions: Vec<u32> = positions.map(|position| position as u32).collect();
        let positions = Tensor::new(positions.as_slice(), &self.device)?;
        let of = |angles: &Angles| {
            Ok((angles.cosines.index_select(&positions, 0)?, angles.sines.index_select(&positions, 0)?))
        };
        let angles = self.ropes.iter().map(of).collect::<candle_core::Result<Vec<_>>>()?;
        let groups = groups(places).into_iter().map(|places| self.group(places));
        Ok(Step { groups: groups.collect::<candle_core::Result<_>>()?, places: new, angles })
    }

    fn group(&self, places: &[Place]) -> candle_core::Result<Group> {
        let length = places.iter().map(|place| place.seen.len()).max().unwrap_or(0);
        let (first, rows) = places.first().map_or((0, 0), |place| place.rows);
        // With a place of its own: what is hidden counts for nothing unless it is no number, and then it is no other sequence's.
        let padded = |place: &Place| {
            let (padding, own) = (length - place.seen.len(), place.seen.first().copied().unwrap_or(0));
            place.seen.iter().copied().chain(std::iter::repeat_n(own, padding)).collect::<Vec<u32>>()
        };
        let seen: Vec<u32> = places.iter().flat_map(padded).collect();
        let mut windows: Vec<Option<usize>> = self.weights.layers.iter().map(|layer| layer.window).collect();
        windows.sort_unstable();
        windows.dedup();
        let masks = windows.into_iter().map(|window| {
            let mut mask = Vec::with_capacity(places.len() * rows * length);
            for (place, row) in places.iter().flat_map(|place| (0..rows).map(move |row| (place, row))) {
                let position = place.position + row;
                let hidden = |at: usize| at > position || window.is_some_and(|window| at + window <= position);
                mask.extend((0..length).map(|at| if hidden(at) { f32::NEG_INFINITY } else { 0.0 }));
            }
            Ok((window, Tensor::from_vec(mask, (1, places.len(), 1, rows, length), &self.device)?))
        });
        let masks = masks.collect::<candle_core::Result<_>>()?;
        let seen = Tensor::new(seen.as_slice(), &self.device)?;
        Ok(Group { first, pieces: places.len(), rows, seen, length, masks })
    }
}

/// The places by group. The last ones of prompts and guesses are joined; the rows of a prompt fill a device by themselves.
fn groups(places: &[Place]) -> Vec<&[Place]> {
    let (mut groups, mut rest) = (Vec::new(), places);
    while let Some(first) = rest.first() {
        let joins = |place: &&Place| {
            place.rows.1 == first.rows.1
                && first.rows.1 <= JOINED
                && place.seen.len() <= 2 * first.seen.len() + POSITIONS
        };
        let (group, after) = rest.split_at(rest.iter().take_while(joins).count().max(1));
        groups.push(group);
        rest = after;
    }
    groups
}

/// Rows of a piece up to which it attends together with others.
const JOINED: usize = 16;

/// One layer at work on the rows of a step.
struct Work<'a> {
    model: &'a DeviceDecoder,
    layer: &'a Layer<Product>,
    norms: &'a Norms,
    cache: &'a (Tensor, Tensor),
    step: &'a Step,
}

impl Work<'_> {
    fn run(&self, rows: &Tensor) -> Result<Tensor, StepError> {
        let epsilon = self.model.plan.epsilon;
        let norm = |rows: &Tensor, weight: &Tensor| candle_nn::ops::rms_norm(rows, weight, epsilon).map_err(step);
        let attended = self.attend(&norm(rows, &self.norms.attention)?)?;
        let mut more = self.layer.output.apply(&attended)?;
        if let Some(after) = &self.norms.attention_after {
            more = norm(&more, after)?;
        }
        let rows = (rows + more).map_err(step)?;
        let (gate, up) = halves(&self.layer.gate_up, &norm(&rows, &self.norms.feed)?)?;
        let gate = match self.model.plan.curve {
            Curve::Silu => gate.silu(),
            Curve::GeluTanh => gate.gelu(),
        };
        let gated = gate.and_then(|gate| gate * up);
        let mut more = self.layer.down.apply(&gated.map_err(step)?)?;
        if let Some(after) = &self.norms.feed_after {
            more = norm(&more, after)?;
        }
        (rows + more).map_err(step)
    }

    fn attend(&self, rows: &Tensor) -> Result<Tensor, StepError> {
        let heads = self.model.plan.heads;
        let mut mixed = joined(&self.layer.qkv, rows)?;
        if let Some(bias) = &self.norms.bias {
            mixed = mixed.broadcast_add(bias).map_err(step)?;
        }
        let mixed = self.split(&mixed).map_err(step)?;
        let norms = self.norms.heads.as_ref();
        let asking = mixed.narrow(1, 0, heads.queries).map_err(step)?;
        let asked = mixed.narrow(1, heads.queries, heads.keys).map_err(step)?;
        let queries = self.turned(&asking, norms.map(|norms| &norms.0)).map_err(step)?;
        let keys = self.turned(&asked, norms.map(|norms| &norms.1)).map_err(step)?;
        let values = mixed.narrow(1, heads.queries + heads.keys, heads.keys).and_then(|values| values.transpose(0, 1));
        self.keep(&keys, &values.map_err(step)?).map_err(step)?;
        let scaled = (queries * f64::from(self.model.plan.query_scale)).map_err(step)?;
        let parts = self.step.groups.iter().map(|group| self.read(group, &scaled));
        let parts = parts.collect::<candle_core::Result<Vec<_>>>().map_err(step)?;
        match parts.as_slice() {
            [whole] => Ok(whole.clone()),
            parts => Tensor::cat(parts, 0).map_err(step),
        }
    }

    /// Queries, keys and values of the rows as heads: (rows, heads, size).
    fn split(&self, mixed: &Tensor) -> candle_core::Result<Tensor> {
        let heads = self.model.plan.heads;
        mixed.reshape((mixed.dim(0)?, heads.queries + 2 * heads.keys, heads.size))
    }

    /// Heads normalised, where the model does that, and turned by their positions: (heads, rows, size) of (rows, heads, size).
    fn turned(&self, rows: &Tensor, norm: Option<&Tensor>) -> candle_core::Result<Tensor> {
        let size = self.model.plan.heads.size;
        let (Some(rope), Some((cosines, sines))) =
            (self.model.ropes.get(self.layer.rope), self.step.angles.get(self.layer.rope))
        else {
            candle_core::bail!("a layer's rope is missing")
        };
        let rows = match norm {
            Some(norm) => candle_nn::ops::rms_norm(&rows.contiguous()?, norm, self.model.plan.epsilon)?,
            None => rows.clone(),
        };
        let turned = 2 * cosines.dim(1)?;
        // One sequence of heads by rows, as candle turns them.
        let rows = rows.transpose(0, 1)?.contiguous()?.unsqueeze(0)?;
        let first = rows.narrow(D::Minus1, 0, turned)?.contiguous()?;
        let first = match rope.pairs {
            Pairs::Neighbours => candle_nn::rotary_emb::rope_i(&first, cosines, sines)?,
            Pairs::Halves => candle_nn::rotary_emb::rope(&first, cosines, sines)?,
        };
        let rows = match size - turned {
            0 => first,
            rest => Tensor::cat(&[&first, &rows.narrow(D::Minus1, turned, rest)?.contiguous()?], D::Minus1)?,
        };
        rows.squeeze(0)
    }

    /// Writes keys and values, of the shape (heads, rows, size), into the cache.
    fn keep(&self, keys: &Tensor, values: &Tensor) -> candle_core::Result<()> {
        for (from, to) in [(keys, &self.cache.0), (values, &self.cache.1)] {
            to.scatter_set(&self.step.places, &from.to_dtype(to.dtype())?.contiguous()?, 1)?;
        }
        Ok(())
    }

    /// What the rows of a group read, each from its own sequence.
    fn read(&self, group: &Group, queries: &Tensor) -> candle_core::Result<Tensor> {
        let heads = self.model.plan.heads;
        let Group { pieces, rows, length, .. } = *group;
        let shared = heads.queries / heads.keys.max(1);
        let of = |cache: &Tensor| {
            let found = cache.index_select(&group.seen, 1)?.to_dtype(DType::F32)?;
            found.reshape((heads.keys, pieces, length, heads.size))
        };
        let (keys, values) = (of(&self.cache.0)?, of(&self.cache.1)?);
        let queries = queries.narrow(1, group.first, pieces * rows)?.contiguous()?;
        let queries = queries.reshape((heads.keys, shared, pieces, rows, heads.size))?.transpose(1, 2)?.contiguous()?;
        let queries = queries.reshape((heads.keys, pieces, shared * rows, heads.size))?;
        let scores = queries.matmul(&keys.t()?)?.reshape((heads.keys, pieces, shared, rows, length))?;
        let scores = match group.masks.iter().find(|(window, _)| *window == self.layer.window) {
            Some((_, mask)) => scores.broadcast_add(mask)?,
            None => candle_core::bail!("a window has no mask"),
        };
        let weights = candle_nn::ops::softmax_last_dim(&scores)?;
        let read = weights.reshape((heads.keys, pieces, shared * rows, length))?.matmul(&values)?;
        let read = read.reshape((heads.keys, pieces, shared, rows, heads.size))?.permute((1, 3, 0, 2, 4))?;
        read.contiguous()?.reshape((pieces * rows, heads.query_row()))
    }
}

/// The products of some matrices with the same rows, side by side.
fn joined(matrices: &[Product], rows: &Tensor) -> Result<Tensor, StepError> {
    let products = matrices.iter().map(|matrix| matrix.apply(rows)).collect::<Result<Vec<_>, _>>()?;
    Tensor::cat(&products, D::Minus1).map_err(step)
}

/// The products of one matrix or two with the same rows, which are a gate and what goes through it.
fn halves(matrices: &[Product], rows: &Tensor) -> Result<(Tensor, Tensor), StepError> {
    if let [gate, up] = matrices {
        return Ok((gate.apply(rows)?, up.apply(rows)?));
    }
    let mixed = joined(matrices, rows)?;
    let half = mixed.dim(D::Minus1).map_err(step)? / 2;
    let part = |at| mixed.narrow(D::Minus1, at, half).and_then(|part| part.contiguous()).map_err(step);
    Ok((part(0)?, part(half)?))
}

impl StepTokens for DeviceDecoder {
    fn vocabulary(&self) -> usize {
        self.weights.head.as_ref().unwrap_or(&self.weights.embedding).outputs
    }

    fn context_tokens(&self) -> usize {
        self.plan.context
    }

    fn block_tokens(&self) -> usize {
        POSITIONS
    }

    fn blocks(&self) -> usize {
        self.blocks
    }

    fn step(&mut self, pieces: &[Piece<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        self.plan.check(pieces)?;
        logits.clear();
        let misfit = || StepError("the cache's blocks do not fit the pieces".to_owned());
        let places = self.places(pieces).ok_or_else(misfit)?;
        let mut rows = vec![(0, 0); pieces.len()];
        let mut tokens: Vec<u32> = Vec::new();
        for place in &places {
            if let (Some(piece), Some(own)) = (pieces.get(place.piece), rows.get_mut(place.piece)) {
                *own = place.rows;
                tokens.extend(piece.tokens);
            }
        }
        let vocabulary = self.embedding.dim(0).map_err(step)?;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            return Err(StepError(format!("there is no token {token}")));
        }
        let wanted: Vec<u32> = pieces
            .iter()
            .zip(&rows)
            .flat_map(|(piece, (first, count))| {
                let end = first + count;
                (end - piece.logits..end).map(|row| row as u32)
            })
            .collect();
        let rows = self.run(&places, &tokens)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let wanted = Tensor::new(wanted.as_slice(), &self.device).map_err(step)?;
        let rows = rows.index_select(&wanted, 0).map_err(step)?;
        let found = self.weights.head.as_ref().unwrap_or(&self.weights.embedding).apply(&rows)?;
        *logits = found.flatten_all().and_then(|found| found.to_vec1()).map_err(step)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::tiny::{Tiny, VOCABULARY, feed, load_on, near, tokens};
    use crate::pool::Accelerator;

    fn tiny() -> Box<dyn StepTokens> {
        load_on(&Tiny::default().file(&[]), Accelerator::Candle).unwrap()
    }

    #[test]
    fn a_prompt_gives_the_same_in_one_step_in_many_and_in_blocks_apart() {
        let (mut model, tokens) = (tiny(), tokens(150));
        let (mut whole, mut logits) = (Vec::new(), Vec::new());
        feed(&mut model, 0, 0, &tokens, &mut whole).unwrap();
        for (at, token) in tokens.iter().enumerate() {
            feed(&mut model, 1, at, &[*token], &mut logits).unwrap();
        }
        near(&logits, &whole, 1e-4);
        let blocks: Vec<u32> = (0..5).map(|block| 60 - 3 * block).collect();
        let piece = |position, tokens| Piece { blocks: &blocks, position, tokens, logits: 1 };
        model.step(&[piece(0, &tokens[..77])], &mut logits).unwrap();
        model.step(&[piece(77, &tokens[77..])], &mut logits).unwrap();
        near(&logits, &whole, 1e-4);
    }

    #[test]
    fn rows_of_several_sequences_come_in_their_order() {
        let (mut model, tokens) = (tiny(), tokens(40));
        let (mut first, mut second, mut both) = (Vec::new(), Vec::new(), Vec::new());
        feed(&mut model, 0, 0, &tokens[..25], &mut first).unwrap();
        feed(&mut model, 1, 0, &tokens[20..], &mut second).unwrap();
        let blocks: [Vec<u32>; 2] = [(32..40).collect(), (40..48).collect()];
        let piece = |at: usize, tokens| Piece { blocks: &blocks[at], position: 0, tokens, logits: 2 };
        model.step(&[piece(0, &tokens[..25]), piece(1, &tokens[20..])], &mut both).unwrap();
        let rows: Vec<&[f32]> = both.chunks(VOCABULARY).collect();
        assert_eq!(rows.len(), 4);
        near(rows[1], &first, 1e-4);
        near(rows[3], &second, 1e-4);
    }

    #[test]
    fn sequences_of_any_length_and_with_any_number_of_new_tokens_read_what_they_read_alone() {
        let (mut model, tokens) = (tiny(), tokens(250));
        // Tokens that are there, and tokens that are new.
        let cases = [(200, 1), (5, 1), (90, 1), (0, 20), (11, 3), (60, 3), (40, 1)];
        let blocks: Vec<Vec<u32>> = (0..cases.len() as u32).map(|slot| (slot * 8..(slot + 1) * 8).collect()).collect();
        let mut logits = Vec::new();
        for ((there, _), blocks) in cases.iter().zip(&blocks).filter(|((there, _), _)| *there > 0) {
            let piece = Piece { blocks, position: 0, tokens: &tokens[..*there], logits: 0 };
            model.step(&[piece], &mut logits).unwrap();
        }
        let piece = |at: usize| {
            let (there, new) = cases[at];
            Piece { blocks: &blocks[at], position: there, tokens: &tokens[there..there + new], logits: 1 }
        };
        let alone: Vec<Vec<f32>> = (0..cases.len())
            .map(|at| {
                model.step(&[piece(at)], &mut logits).unwrap();
                logits.clone()
            })
            .collect();
        let together: Vec<Piece<'_>> = (0..cases.len()).map(piece).collect();
        model.step(&together, &mut logits).unwrap();
        for (together, alone) in logits.chunks(VOCABULARY).zip(&alone) {
            near(together, alone, 1e-4);
        }
    }

    #[test]
    fn a_block_or_a_token_that_there_is_not_is_an_error() {
        fn piece<'a>(blocks: &'a [u32], tokens: &'a [u32]) -> Piece<'a> {
            Piece { blocks, position: 0, tokens, logits: 1 }
        }
        let (mut model, mut logits) = (tiny(), Vec::new());
        let missing = model.blocks() as u32;
        assert!(model.step(&[piece(&[missing], &[1])], &mut logits).is_err());
        assert!(model.step(&[piece(&[], &[1])], &mut logits).is_err());
        assert!(model.step(&[piece(&[0], &[VOCABULARY as u32])], &mut logits).is_err());
        assert!(model.step(&[piece(&[0], &[1])], &mut logits).is_ok());
    }

    #[test]
    fn a_device_that_this_build_has_not_is_refused_with_what_to_do() {
        // A build with the feature, on a machine that has the device, would go on.
        if !cfg!(any(feature = "cuda", feature = "metal")) {
            for (device, word) in
                [(Accelerator::Cuda(0), "--features cuda"), (Accelerator::Metal(0), "--features metal")]
            {
                let refusal = load_on(&Tiny::default().file(&[]), device).err().unwrap().to_string();
                assert!(refusal.contains(word), "{refusal}");
            }
        }
    }
}
