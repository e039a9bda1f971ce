//! Matrix products with weights.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};

use super::blocks::Blocks;
use super::step;
use crate::task::StepError;

/// Up to this many rows are multiplied one by one.
const FEW_ROWS: usize = 4;

/// A weight matrix, one row per output.
///
/// Weights of 4 and 8 bits are multiplied as integers where there is one row, which is limited by reading them, and taken
/// apart to floats for candle's matrix product where there are many, which is limited by arithmetic. candle's own product
/// with such weights was measured as well, 576x1536 on two cores, at 1 and 128 rows: Q4_1 23 and 22 GFLOP/s, Q8_0 99 and 174, but at the
/// price of rounding activations to 8 bits (see [`super::blocks`]); taking apart and multiplying as floats 6 and 72.
pub(crate) enum Linear {
    /// 4 or 8 bits, blocks of 32.
    Blocks {
        /// The weights.
        weights: Blocks,
        /// Lengths of an input and an output row.
        size: (usize, usize),
    },
    /// Other layouts of ggml's, which candle multiplies.
    Quantised {
        /// The product.
        product: QMatMul,
        /// Lengths of an input and an output row.
        size: (usize, usize),
    },
    /// 32-bit floats, one column per output.
    Dense {
        /// The weights.
        weights: Tensor,
        /// Lengths of an input and an output row.
        size: (usize, usize),
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
        let size = (inputs, outputs);
        let borrowed: Vec<&QTensor> = parts.iter().map(Arc::as_ref).collect();
        if let Some(weights) = Blocks::stack(&borrowed, inputs, outputs) {
            return Ok(Self::Blocks { weights, size });
        }
        match parts {
            [only] if !is_float(only.dtype()) => {
                Ok(Self::Quantised { product: QMatMul::QTensor(Arc::clone(only)), size })
            }
            // Of different layouts: as floats, which every layout can be.
            parts => Self::dense(&tall(parts).map_err(step)?),
        }
    }

    /// A matrix of floats, one row per output.
    pub(crate) fn dense(weights: &Tensor) -> Result<Self, StepError> {
        let (outputs, inputs) = weights.dims2().map_err(step)?;
        let weights = weights.t().and_then(|weights| weights.contiguous()).map_err(step)?;
        Ok(Self::Dense { weights, size: (inputs, outputs) })
    }

    /// Length of an output row.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Blocks { size, .. } | Self::Quantised { size, .. } | Self::Dense { size, .. } => size.1,
        }
    }

    /// The product of every row with the weights.
    pub(crate) fn forward(&self, rows: &[f32]) -> Result<Vec<f32>, StepError> {
        match self {
            Self::Blocks { weights, size: (inputs, outputs) } => {
                if rows.len() / inputs <= FEW_ROWS {
                    return Ok(rows.chunks_exact(*inputs).flat_map(|row| weights.product(row)).collect());
                }
                let floats = Tensor::from_vec(weights.floats(), (*outputs, *inputs), &Device::Cpu);
                multiply(rows, *inputs, |rows| rows.matmul(&floats?.t()?))
            }
            Self::Quantised { product, size } => multiply(rows, size.0, |rows| product.forward(rows)),
            Self::Dense { weights, size } => multiply(rows, size.0, |rows| rows.matmul(weights)),
        }
    }
}

fn multiply(
    rows: &[f32],
    inputs: usize,
    product: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<Vec<f32>, StepError> {
    Tensor::from_slice(rows, (rows.len() / inputs, inputs), &Device::Cpu)
        .and_then(|rows| product(&rows)?.flatten_all()?.to_vec1())
        .map_err(step)
}

fn is_float(kind: GgmlDType) -> bool {
    matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16)
}

/// The matrices as floats on top of each other.
fn tall(parts: &[Arc<QTensor>]) -> candle_core::Result<Tensor> {
    let parts = parts.iter().map(|part| part.dequantize(&Device::Cpu)).collect::<candle_core::Result<Vec<_>>>()?;
    Tensor::cat(&parts, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, kind: GgmlDType) -> Arc<QTensor> {
        let values: Vec<f32> = (0..rows * columns).map(|n| ((n * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let values = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
        Arc::new(QTensor::quantize(&values, kind).unwrap())
    }

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|n| ((n * 13 % 29) as f32 - 14.0) / 14.0).collect()
    }

    #[test]
    fn stacked_matrices_give_what_the_exact_product_gives() {
        for kinds in
            [[GgmlDType::F32; 2], [GgmlDType::Q4_1; 2], [GgmlDType::Q8_0; 2], [GgmlDType::Q4_1, GgmlDType::Q5_0]]
        {
            let parts = [matrix(32, 96, kinds[0]), matrix(16, 96, kinds[1])];
            let stacked = Linear::stack(&parts).unwrap();
            assert_eq!(stacked.outputs(), 48);
            for rows in [1, 9] {
                let input = numbers(rows * 96);
                let exact = Linear::dense(&tall(&parts).unwrap()).unwrap().forward(&input).unwrap();
                for (found, exact) in stacked.forward(&input).unwrap().iter().zip(&exact) {
                    assert!((found - exact).abs() < 2e-3, "{kinds:?}: {found} {exact}");
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_rows_beside_it() {
        let linear = Linear::stack(&[matrix(32, 96, GgmlDType::Q4_1)]).unwrap();
        let input = numbers(40 * 96);
        let all = linear.forward(&input).unwrap();
        let some = linear.forward(&input[..20 * 96]).unwrap();
        assert_eq!(all[..20 * 32], some);
    }

    #[test]
    fn matrices_of_different_width_cannot_be_stacked() {
        assert!(Linear::stack(&[matrix(32, 96, GgmlDType::F32), matrix(32, 64, GgmlDType::F32)]).is_err());
    }
}
