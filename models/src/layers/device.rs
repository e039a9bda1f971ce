//! The decoder of `layers::decoder` on a device of candle's: a graphics processor, or for tests candle's own processor.
//!
//! The state of sequences lies in the same blocks under the same scheduler. **What differs**: products are candle's, which choose
//! their kernels by how many rows there are, so a text may differ in its last bits by what it was computed with; and attention
//! goes sequence by sequence.

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
    /// By layer: keys and values, a row per position of every block.
    cache: Vec<(Tensor, Tensor)>,
    blocks: usize,
    device: Device,
}

/// What hides positions from the rows of a piece, by window.
type Masks = Vec<(Option<usize>, Tensor)>;

/// Where the new rows of a piece go, and what they read.
struct Place {
    /// First row among those of the step, and how many.
    rows: (usize, usize),
    /// Runs of rows that lie side by side in the cache: the first row of the piece, the first place, how many.
    runs: Vec<(usize, usize, usize)>,
    /// The places of all positions so far.
    seen: Vec<u32>,
    position: usize,
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
        let shape = (blocks * POSITIONS, plan.heads.key_row());
        // What candle's own processor multiplies slowly in 16 bits, devices multiply fast.
        let kind = if device.is_cpu() { DType::F32 } else { DType::F16 };
        let empty = || Tensor::zeros(shape, kind, &device).map_err(step);
        let cache = (0..weights.layers.len()).map(|_| Ok((empty()?, empty()?)));
        let cache = cache.collect::<Result<Vec<_>, StepError>>()?;
        Ok(Self { plan, weights, embedding, norms, last, ropes, cache, blocks, device })
    }

    /// Checks that every place exists.
    fn places(&self, pieces: &[Piece<'_>]) -> Option<Vec<Place>> {
        let mut first = 0;
        let mut places = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let end = piece.position + piece.tokens.len();
            let place = |position: usize| {
                let block = *piece.blocks.get(position / POSITIONS)? as usize;
                (block < self.blocks).then_some(block * POSITIONS + position % POSITIONS)
            };
            let seen = (0..end).map(|position| u32::try_from(place(position)?).ok()).collect::<Option<Vec<u32>>>()?;
            let mut runs: Vec<(usize, usize, usize)> = Vec::new();
            for (row, place) in seen.get(piece.position..)?.iter().enumerate() {
                match runs.last_mut() {
                    Some((_, start, count)) if *start + *count == *place as usize => *count += 1,
                    _ => runs.push((row, *place as usize, 1)),
                }
            }
            places.push(Place { rows: (first, piece.tokens.len()), runs, seen, position: piece.position });
            first += piece.tokens.len();
        }
        Some(places)
    }

    fn run(&self, places: &[Place], tokens: &[u32]) -> Result<Tensor, StepError> {
        let tokens = Tensor::new(tokens, &self.device).map_err(step)?;
        let positions: Vec<u32> = places
            .iter()
            .flat_map(|place| (place.position..place.position + place.rows.1).map(|position| position as u32))
            .collect();
        let positions = Tensor::new(positions.as_slice(), &self.device).map_err(step)?;
        let rows = self.embedding.index_select(&tokens, 0).and_then(|rows| rows.to_dtype(DType::F32));
        let mut rows = rows.and_then(|rows| rows * f64::from(self.plan.embedding_scale)).map_err(step)?;
        let masks = self.masks(places)?;
        for (at, layer) in self.weights.layers.iter().enumerate() {
            let (Some(norms), Some(cache)) = (self.norms.get(at), self.cache.get(at)) else { break };
            let work = Work { model: self, layer, norms, cache, places, masks: &masks };
            rows = work.run(&rows, &positions)?;
        }
        candle_nn::ops::rms_norm(&rows, &self.last, self.plan.epsilon).map_err(step)
    }

    /// By piece and window: what hides the later positions, and those out of the window, from each row.
    fn masks(&self, places: &[Place]) -> Result<Vec<Masks>, StepError> {
        let mut windows: Vec<Option<usize>> = self.weights.layers.iter().map(|layer| layer.window).collect();
        windows.sort_unstable();
        windows.dedup();
        let of = |place: &Place, window: Option<usize>| {
            let (rows, seen) = (place.rows.1, place.seen.len());
            let hidden = |row: usize, at: usize| {
                let position = place.position + row;
                at > position || window.is_some_and(|window| at + window <= position)
            };
            let numbers = (0..rows)
                .flat_map(|row| (0..seen).map(move |at| if hidden(row, at) { f32::NEG_INFINITY } else { 0.0 }));
            Tensor::from_vec(numbers.collect::<Vec<f32>>(), (1, rows, seen), &self.device).map_err(step)
        };
        let all = |place: &Place| windows.iter().map(|window| Ok((*window, of(place, *window)?))).collect();
        places.iter().map(all).collect()
    }
}

/// One layer at work on the rows of a step.
struct Work<'a> {
    model: &'a DeviceDecoder,
    layer: &'a Layer<Product>,
    norms: &'a Norms,
    cache: &'a (Tensor, Tensor),
    places: &'a [Place],
    masks: &'a [Masks],
}

impl Work<'_> {
    fn run(&self, rows: &Tensor, positions: &Tensor) -> Result<Tensor, StepError> {
        let epsilon = self.model.plan.epsilon;
        let norm = |rows: &Tensor, weight: &Tensor| candle_nn::ops::rms_norm(rows, weight, epsilon).map_err(step);
        let attended = self.attend(&norm(rows, &self.norms.attention)?, positions)?;
        let mut more = self.layer.output.apply(&attended)?;
        if let Some(after) = &self.norms.attention_after {
            more = norm(&more, after)?;
        }
        let rows = (rows + more).map_err(step)?;
        let mixed = joined(&self.layer.gate_up, &norm(&rows, &self.norms.feed)?)?;
        let gated = mixed.chunk(2, D::Minus1).and_then(|halves| {
            let [gate, up] = halves.as_slice() else { candle_core::bail!("a gate has two halves") };
            let gate = match self.model.plan.curve {
                Curve::Silu => gate.contiguous()?.silu()?,
                Curve::GeluTanh => gate.contiguous()?.gelu()?,
            };
            gate * up
        });
        let mut more = self.layer.down.apply(&gated.map_err(step)?)?;
        if let Some(after) = &self.norms.feed_after {
            more = norm(&more, after)?;
        }
        (rows + more).map_err(step)
    }

    fn attend(&self, rows: &Tensor, positions: &Tensor) -> Result<Tensor, StepError> {
        let heads = self.model.plan.heads;
        let mut mixed = joined(&self.layer.qkv, rows)?;
        if let Some(bias) = &self.norms.bias {
            mixed = mixed.broadcast_add(bias).map_err(step)?;
        }
        let (asking, asked) = (heads.query_row(), heads.key_row());
        let part =
            |from: usize, length: usize| mixed.narrow(D::Minus1, from, length).and_then(|part| part.contiguous());
        let (queries, keys) = (part(0, asking).map_err(step)?, part(asking, asked).map_err(step)?);
        let values = part(asking + asked, asked).map_err(step)?;
        let norms = self.norms.heads.as_ref();
        let queries = self.turned(&queries, heads.queries, norms.map(|norms| &norms.0), positions)?;
        let keys = self.turned(&keys, heads.keys, norms.map(|norms| &norms.1), positions)?;
        self.keep(&keys, &values).map_err(step)?;
        let scaled = (queries * f64::from(self.model.plan.query_scale)).map_err(step)?;
        let parts = self.places.iter().zip(self.masks).map(|(place, masks)| self.read(place, masks, &scaled));
        let parts = parts.collect::<candle_core::Result<Vec<_>>>().map_err(step)?;
        Tensor::cat(&parts, 0).map_err(step)
    }

    /// Heads normalised, where the model does that, and turned by their positions.
    fn turned(
        &self,
        rows: &Tensor,
        heads: usize,
        norm: Option<&Tensor>,
        positions: &Tensor,
    ) -> Result<Tensor, StepError> {
        let (size, count) = (self.model.plan.heads.size, rows.dim(0).map_err(step)?);
        let angles = self.model.ropes.get(self.layer.rope);
        let angles = angles.ok_or_else(|| StepError("a layer's rope is missing".to_owned()))?;
        let turn = || -> candle_core::Result<Tensor> {
            let mut rows = rows.reshape((count, heads, size))?;
            if let Some(norm) = norm {
                rows = candle_nn::ops::rms_norm(&rows, norm, self.model.plan.epsilon)?;
            }
            let cosines = angles.cosines.index_select(positions, 0)?;
            let sines = angles.sines.index_select(positions, 0)?;
            let turned = 2 * cosines.dim(1)?;
            // One sequence of heads by rows, as candle turns them.
            let rows = rows.transpose(0, 1)?.contiguous()?.unsqueeze(0)?;
            let first = rows.narrow(D::Minus1, 0, turned)?.contiguous()?;
            let first = match angles.pairs {
                Pairs::Neighbours => candle_nn::rotary_emb::rope_i(&first, &cosines, &sines)?,
                Pairs::Halves => candle_nn::rotary_emb::rope(&first, &cosines, &sines)?,
            };
            let rows = match size - turned {
                0 => first,
                rest => Tensor::cat(&[&first, &rows.narrow(D::Minus1, turned, rest)?.contiguous()?], D::Minus1)?,
            };
            rows.squeeze(0)?.transpose(0, 1)?.contiguous()?.reshape((count, heads * size))
        };
        turn().map_err(step)
    }

    /// Writes keys and values into the cache.
    fn keep(&self, keys: &Tensor, values: &Tensor) -> candle_core::Result<()> {
        for (from, to) in [(keys, &self.cache.0), (values, &self.cache.1)] {
            let from = from.to_dtype(to.dtype())?.contiguous()?;
            for place in self.places {
                for (row, start, count) in &place.runs {
                    to.slice_set(&from.narrow(0, place.rows.0 + row, *count)?.contiguous()?, 0, *start)?;
                }
            }
        }
        Ok(())
    }

    /// What the rows of one piece read from their own sequence.
    fn read(&self, place: &Place, masks: &Masks, queries: &Tensor) -> candle_core::Result<Tensor> {
        let heads = self.model.plan.heads;
        let (first, rows) = place.rows;
        let group = heads.queries / heads.keys.max(1);
        let seen = Tensor::new(place.seen.as_slice(), &self.model.device)?;
        let of = |cache: &Tensor| {
            let found = cache.index_select(&seen, 0)?.to_dtype(DType::F32)?;
            found.reshape((place.seen.len(), heads.keys, heads.size))?.transpose(0, 1)?.contiguous()
        };
        let (keys, values) = (of(&self.cache.0)?, of(&self.cache.1)?);
        let queries = queries.narrow(0, first, rows)?.reshape((rows, heads.keys, group, heads.size))?;
        let queries = queries.permute((1, 2, 0, 3))?.contiguous()?.reshape((heads.keys, group * rows, heads.size))?;
        let scores = queries.matmul(&keys.transpose(1, 2)?.contiguous()?)?;
        let scores = scores.reshape((heads.keys * group, rows, place.seen.len()))?;
        let mask = masks.iter().find(|(window, _)| *window == self.layer.window);
        let scores = match mask {
            Some((_, mask)) => scores.broadcast_add(mask)?,
            None => candle_core::bail!("a window has no mask"),
        };
        let weights = candle_nn::ops::softmax_last_dim(&scores)?;
        let weights = weights.reshape((heads.keys, group * rows, place.seen.len()))?;
        let read = weights.matmul(&values)?.reshape((heads.keys * group, rows, heads.size))?;
        read.transpose(0, 1)?.contiguous()?.reshape((rows, heads.query_row()))
    }
}

/// The products of some matrices with the same rows, side by side.
fn joined(matrices: &[Product], rows: &Tensor) -> Result<Tensor, StepError> {
    let products = matrices.iter().map(|matrix| matrix.apply(rows)).collect::<Result<Vec<_>, _>>()?;
    Tensor::cat(&products, D::Minus1).map_err(step)
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
        let tokens: Vec<u32> = pieces.iter().flat_map(|piece| piece.tokens).copied().collect();
        let vocabulary = self.embedding.dim(0).map_err(step)?;
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocabulary) {
            return Err(StepError(format!("there is no token {token}")));
        }
        let wanted: Vec<u32> = pieces
            .iter()
            .zip(&places)
            .flat_map(|(piece, place)| {
                let end = place.rows.0 + place.rows.1;
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
