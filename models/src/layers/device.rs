//! The decoder of `layers::decoder` on a device of candle's: a graphics processor, or for tests candle's own processor.
//!
//! The state of sequences lies in the same blocks under the same scheduler. **What differs**: products are candle's, which choose
//! their kernels by how many rows there are, so a text may differ in its last bits by what it was computed with.
//!
//! # Why
//! - **The cache holds heads first**, so that what is gathered from it is laid out as the product wants it.

use candle_core::quantized::QMatMul;
use candle_core::{D, DType, Device, Module, Tensor};

use self::pieces::{Group, Place, Step};
use super::decoder::{Layer, Plan, Weights};
use super::rope::Pairs;
use super::step;
use crate::kernel::attention::POSITIONS;
use crate::kernel::rows::Curve;
use crate::task::StepError;
use crate::task::generate::{Piece, StepTokens};

mod pieces;

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
}

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
