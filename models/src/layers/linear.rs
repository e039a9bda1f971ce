//! Matrix products with weights that are floats, by candle.

use candle_core::{Device, Tensor};

use super::step;
use crate::task::StepError;

/// A weight matrix of 32-bit floats, one row per output.
pub(crate) struct Linear {
    /// One column per output.
    weights: Tensor,
    inputs: usize,
}

impl Linear {
    /// A matrix of floats, one row per output.
    pub(crate) fn dense(weights: &Tensor) -> Result<Self, StepError> {
        let (_, inputs) = weights.dims2().map_err(step)?;
        let weights = weights.t().and_then(|weights| weights.contiguous()).map_err(step)?;
        Ok(Self { weights, inputs })
    }

    /// Numbers of a row that goes in.
    pub(crate) const fn inputs(&self) -> usize {
        self.inputs
    }

    /// The product of every row with the weights.
    pub(crate) fn forward(&self, rows: &[f32]) -> Result<Vec<f32>, StepError> {
        Tensor::from_slice(rows, (rows.len() / self.inputs, self.inputs), &Device::Cpu)
            .and_then(|rows| rows.matmul(&self.weights)?.flatten_all()?.to_vec1())
            .map_err(step)
    }
}
