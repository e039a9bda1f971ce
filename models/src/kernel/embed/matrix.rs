//! Weights, packed once at load.

use rayon::prelude::*;

use super::machine::{Block, PANEL};
use super::{Line, lines};

/// Lines of a row that share a scale: 128 numbers.
pub(super) const GROUP_LINES: usize = 8;
/// Quads in a group.
pub(super) const GROUP_QUADS: usize = GROUP_LINES * 4;
/// The largest weight, as an integer.
const MOST: f32 = 127.0;

/// A matrix with one row per output, and a bias.
pub(crate) struct Packed {
    panels: Vec<Panel>,
    inputs: usize,
    outputs: usize,
}

/// What belongs to 32 outputs, the last panel filled up with zeros.
pub(super) struct Panel {
    /// By quad of inputs.
    pub(super) blocks: Vec<Block>,
    pub(super) groups: Vec<Group>,
    pub(super) bias: [Line; 2],
}

/// What belongs to 32 outputs and 128 inputs.
pub(super) struct Group {
    /// What an integer stands for.
    pub(super) scale: [Line; 2],
    /// The weights' sum: what the product is for activations that are all 1.
    pub(super) sum: [Line; 2],
}

impl Packed {
    /// Packs `weights`, row after row, `inputs` numbers each, and one number of `bias` per row. All of them finite.
    pub(crate) fn new(weights: &[f32], inputs: usize, bias: &[f32]) -> Self {
        let outputs = bias.len();
        let panels = weights.par_chunks(PANEL * inputs.max(1)).zip(bias.par_chunks(PANEL));
        let panels = panels.map(|(weights, bias)| Panel::new(weights, inputs, bias)).collect();
        Self { panels, inputs, outputs }
    }

    pub(super) fn panels(&self) -> &[Panel] {
        &self.panels
    }

    /// Lines of a row that goes in.
    pub(crate) const fn input_lines(&self) -> usize {
        lines(self.inputs)
    }

    /// Lines of a row that comes out.
    pub(crate) const fn output_lines(&self) -> usize {
        lines(self.outputs)
    }
}

impl Panel {
    fn new(weights: &[f32], inputs: usize, bias: &[f32]) -> Self {
        let quads = lines(inputs) * 4;
        let mut panel = Self { blocks: vec![Block([[0; 64]; 2]); quads], groups: Vec::new(), bias: [[0.0; 16]; 2] };
        for (to, bias) in panel.bias.as_flattened_mut().iter_mut().zip(bias) {
            *to = *bias;
        }
        for (at, blocks) in panel.blocks.chunks_mut(GROUP_QUADS).enumerate() {
            let mut group = Group { scale: [[0.0; 16]; 2], sum: [[0.0; 16]; 2] };
            for (output, row) in weights.chunks_exact(inputs.max(1)).enumerate() {
                let part = row.chunks(GROUP_QUADS * 4).nth(at).unwrap_or_default();
                let (scale, sum) = pack(part, output, blocks);
                group.scale.as_flattened_mut()[output] = scale;
                group.sum.as_flattened_mut()[output] = scale * sum as f32;
            }
            panel.groups.push(group);
        }
        panel
    }
}

/// Writes one output's weights of one group; returns their scale and the sum of the integers.
fn pack(weights: &[f32], output: usize, blocks: &mut [Block]) -> (f32, i32) {
    let scale = weights.iter().fold(0.0f32, |top, weight| top.max(weight.abs())) / MOST;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let mut sum = 0;
    for (block, weights) in blocks.iter_mut().zip(weights.chunks(4)) {
        let to = &mut block.0[output / 16][output % 16 * 4..];
        for (to, weight) in to.iter_mut().zip(weights) {
            // Rounding cannot leave the range by more than what the division above lost.
            *to = (weight * inverse).round_ties_even().clamp(-MOST, MOST) as i8;
            sum += i32::from(*to);
        }
    }
    (scale, sum)
}
