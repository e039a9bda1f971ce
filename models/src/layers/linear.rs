//! Matrix products with weights.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};

use super::step;
use crate::task::StepError;

/// candle's fast 8-bit kernels want rows of whole blocks of this length; `QK_K` in ggml.
const WIDE_BLOCK: usize = 256;

/// A weight matrix, one row per output.
///
/// Weights of 4, 5 and 8 bits in ggml's older layouts are kept as 8-bit integers with a scale per 32, rows filled up with
/// zeros to whole blocks of 256: for those candle has kernels that use the processor's integer instructions, for the layouts
/// themselves it has none. Measured on one core pair, 576x1536, in GFLOP/s at 1 and 128 rows: Q4_1 as it is 23 and 22; taken
/// apart to f32 for each product 6 and 72; 8-bit in whole blocks 99 and 174. The values change by at most 1/254 of the
/// largest in their block, an eighth of what the 4-bit layout itself rounds away. One way of computing for prompts and for single
/// tokens also means that it does not matter in which steps a prompt was computed.
pub(crate) enum Linear {
    /// Integers with scales.
    Quantised {
        /// The product.
        product: QMatMul,
        /// Length of an input row, and of a weight row after filling up.
        inputs: (usize, usize),
        /// Length of an output row.
        outputs: usize,
    },
    /// 32-bit floats, transposed: one column per output.
    Dense {
        /// The weights.
        weights: Tensor,
        /// Length of an input row.
        inputs: usize,
        /// Length of an output row.
        outputs: usize,
    },
}

impl Linear {
    /// Puts matrices that take the same input on top of each other: one product instead of several.
    pub(crate) fn stack(parts: &[Arc<QTensor>]) -> Result<Self, StepError> {
        let inputs = parts.first().map_or(0, |part| part.shape().dims().last().copied().unwrap_or(0));
        let mut outputs = 0;
        for part in parts {
            match part.shape().dims() {
                [rows, columns] if *columns == inputs && inputs > 0 => outputs += rows,
                shape => return Err(StepError(format!("a weight matrix has the shape {shape:?}"))),
            }
        }
        match parts {
            [only] if is_wide(only.dtype()) => {
                let product = QMatMul::QTensor(Arc::clone(only));
                Ok(Self::Quantised { product, inputs: (inputs, inputs), outputs })
            }
            parts if parts.iter().all(|part| is_float(part.dtype())) => {
                let weights = tall(parts, inputs).and_then(|weights| weights.t()?.contiguous()).map_err(step)?;
                Ok(Self::Dense { weights, inputs, outputs })
            }
            parts => {
                let filled = inputs.next_multiple_of(WIDE_BLOCK);
                let weights = tall(parts, inputs)
                    .and_then(|weights| weights.pad_with_zeros(1, 0, filled - inputs))
                    .and_then(|weights| QTensor::quantize(&weights, GgmlDType::Q8_0))
                    .map_err(step)?;
                let product = QMatMul::QTensor(Arc::new(weights));
                Ok(Self::Quantised { product, inputs: (inputs, filled), outputs })
            }
        }
    }

    /// A matrix of floats, one row per output.
    pub(crate) fn dense(weights: &Tensor) -> Result<Self, StepError> {
        let (outputs, inputs) = weights.dims2().map_err(step)?;
        let weights = weights.t().and_then(|weights| weights.contiguous()).map_err(step)?;
        Ok(Self::Dense { weights, inputs, outputs })
    }

    /// Length of an output row.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Quantised { outputs, .. } | Self::Dense { outputs, .. } => *outputs,
        }
    }

    /// The product of every row with the weights.
    pub(crate) fn forward(&self, rows: &[f32]) -> Result<Vec<f32>, StepError> {
        let run = || match self {
            Self::Quantised { product, inputs: (inputs, filled), .. } => {
                let count = rows.len() / inputs;
                let wide = if inputs == filled { rows.to_vec() } else { fill(rows, *inputs, *filled) };
                product.forward(&Tensor::from_vec(wide, (count, *filled), &Device::Cpu)?)
            }
            Self::Dense { weights, inputs, .. } => {
                Tensor::from_slice(rows, (rows.len() / inputs, *inputs), &Device::Cpu)?.matmul(weights)
            }
        };
        run().and_then(|out| out.flatten_all()?.to_vec1()).map_err(step)
    }
}

/// Kinds that candle multiplies fast as they are: their rows are whole blocks of 256 by definition.
fn is_wide(kind: GgmlDType) -> bool {
    matches!(kind, GgmlDType::Q4K | GgmlDType::Q5K | GgmlDType::Q6K | GgmlDType::Q3K | GgmlDType::Q2K)
}

fn is_float(kind: GgmlDType) -> bool {
    matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16)
}

/// The matrices as floats on top of each other.
fn tall(parts: &[Arc<QTensor>], inputs: usize) -> candle_core::Result<Tensor> {
    let parts = parts
        .iter()
        .map(|part| part.dequantize(&Device::Cpu)?.reshape(((), inputs)))
        .collect::<candle_core::Result<Vec<_>>>()?;
    Tensor::cat(&parts, 0)
}

fn fill(rows: &[f32], inputs: usize, filled: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.len() / inputs * filled];
    for (to, from) in out.chunks_exact_mut(filled).zip(rows.chunks_exact(inputs)) {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, kind: GgmlDType) -> Arc<QTensor> {
        let values: Vec<f32> = (0..rows * columns).map(|n| ((n * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let values = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
        Arc::new(QTensor::quantize(&values, kind).unwrap())
    }

    #[test]
    fn stacked_matrices_give_what_each_gives_alone() {
        for kind in [GgmlDType::F32, GgmlDType::Q4_1, GgmlDType::Q8_0] {
            let (a, b) = (matrix(32, 96, kind), matrix(16, 96, kind));
            let input: Vec<f32> = (0..3 * 96).map(|n| ((n * 13 % 29) as f32 - 14.0) / 14.0).collect();
            let together = Linear::stack(&[Arc::clone(&a), Arc::clone(&b)]).unwrap();
            assert_eq!(together.outputs(), 48);
            let together = together.forward(&input).unwrap();
            let first = Linear::stack(&[a]).unwrap().forward(&input).unwrap();
            let second = Linear::stack(&[b]).unwrap().forward(&input).unwrap();
            for row in 0..3 {
                assert_eq!(together[row * 48..row * 48 + 32], first[row * 32..row * 32 + 32], "{kind:?}");
                assert_eq!(together[row * 48 + 32..row * 48 + 48], second[row * 16..row * 16 + 16], "{kind:?}");
            }
        }
    }

    #[test]
    fn quantised_products_are_near_the_exact_ones() {
        let weights = matrix(64, 96, GgmlDType::Q4_1);
        let exact = weights.dequantize(&Device::Cpu).unwrap();
        let input: Vec<f32> = (0..96).map(|n| ((n * 13 % 29) as f32 - 14.0) / 14.0).collect();
        let expected = Linear::dense(&exact).unwrap().forward(&input).unwrap();
        let found = Linear::stack(&[weights]).unwrap().forward(&input).unwrap();
        let size = expected.iter().fold(0f32, |top, x| top.max(x.abs()));
        for (expected, found) in expected.iter().zip(&found) {
            assert!((expected - found).abs() < 0.02 * size, "{expected} {found}");
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_rows_beside_it() {
        let linear = Linear::stack(&[matrix(32, 96, GgmlDType::Q4_1)]).unwrap();
        let input: Vec<f32> = (0..40 * 96).map(|n| ((n * 13 % 29) as f32 - 14.0) / 14.0).collect();
        let all = linear.forward(&input).unwrap();
        let one = linear.forward(&input[7 * 96..8 * 96]).unwrap();
        assert_eq!(all[7 * 32..8 * 32], one);
    }

    #[test]
    fn matrices_of_different_width_cannot_be_stacked() {
        assert!(Linear::stack(&[matrix(32, 96, GgmlDType::F32), matrix(32, 64, GgmlDType::F32)]).is_err());
    }
}
