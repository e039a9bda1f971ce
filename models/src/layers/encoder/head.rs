//! What a cross-encoder makes of the vector of a pair: a score.

use super::{Affine, Scale};
use crate::layers::curve::gelu;
use crate::layers::dot;
use crate::layers::norm::layer_norm;

/// The layer before the last one.
pub(crate) struct Dense {
    pub(crate) weights: Affine,
    pub(crate) curve: DenseCurve,
    pub(crate) norm: Option<(Scale, f32)>,
}

/// Its curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenseCurve {
    /// The hyperbolic tangent: BERT's pooler, RoBERTa's head.
    Tanh,
    /// The Gaussian error linear unit: ModernBERT.
    Gelu,
}

/// The head.
pub(crate) struct Head {
    pub(crate) dense: Option<Dense>,
    pub(crate) last: Affine,
}

impl Head {
    /// How many scores it gives.
    pub(super) const fn outputs(&self) -> usize {
        self.last.bias.len()
    }

    /// The scores: any numbers; of a cross-encoder one, the larger the better the second text answers the first.
    pub(super) fn scores(&self, mut vector: Vec<f32>) -> Vec<f32> {
        if let Some(dense) = &self.dense {
            vector = dense.weights.apply(&vector);
            vector.iter_mut().for_each(|x| {
                *x = match dense.curve {
                    DenseCurve::Tanh => x.tanh(),
                    DenseCurve::Gelu => gelu(*x),
                }
            });
            if let Some((scale, epsilon)) = &dense.norm {
                layer_norm(&mut vector, &scale.weight, &scale.bias, *epsilon);
            }
        }
        self.last.apply(&vector)
    }
}

impl Affine {
    /// The product with one row, in floats.
    fn apply(&self, row: &[f32]) -> Vec<f32> {
        let rows = self.weights.chunks_exact(self.inputs.max(1));
        rows.zip(&self.bias).map(|(weights, bias)| dot(weights, row) + bias).collect()
    }
}
