//! Tensors of a model's files, by name.

use candle_core::Tensor;

use crate::error::LoadError;
use crate::manifest::FileKind;
use crate::registry::Verified;
use crate::weights::safetensors::SafetensorsFile;

/// The weights of a model, its prefix found.
pub(super) struct Source {
    files: Vec<SafetensorsFile>,
    prefix: &'static str,
}

/// A matrix, one row per output, and a number to add to each output.
pub(super) struct Affine {
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) inputs: usize,
}

/// Weight and bias of a normalisation.
pub(super) struct Scale {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Source {
    pub(super) fn open(model: &Verified) -> Result<Self, LoadError> {
        let files = model
            .files()
            .filter(|file| file.entry().kind == FileKind::Weights)
            .map(SafetensorsFile::open)
            .collect::<Result<Vec<_>, _>>()?;
        // Models saved with a head carry their name before every tensor.
        let word = |prefix: &str| format!("{prefix}embeddings.word_embeddings.weight");
        let prefix = ["bert.", "roberta."].into_iter().find(|prefix| files.iter().any(|file| file.has(&word(prefix))));
        let prefix = prefix.unwrap_or_default();
        Ok(Self { files, prefix })
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let name = format!("{}{name}", self.prefix);
        match self.files.iter_mut().find(|file| file.has(&name)) {
            Some(file) => file.tensor(&name, shape),
            None => Err(LoadError::malformed("the weights", format!("tensor `{name}` is missing"))),
        }
    }

    pub(super) fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(name, shape)?;
        let values = tensor.flatten_all().and_then(|tensor| tensor.to_vec1::<f32>());
        let values = values.map_err(|error| LoadError::malformed("the weights", error.to_string()))?;
        // What is no number would be rounded to one: every vector would be wrong and none would show it.
        if values.iter().any(|value| !value.is_finite()) {
            return Err(LoadError::malformed("the weights", format!("tensor `{name}` holds what is no finite number")));
        }
        Ok(values)
    }

    /// Matrices that take the same input, on top of each other.
    pub(super) fn affine(&mut self, names: &[String], outputs: usize, inputs: usize) -> Result<Affine, LoadError> {
        let (mut weights, mut bias) = (Vec::with_capacity(names.len() * outputs * inputs), Vec::new());
        for name in names {
            weights.extend(self.numbers(&format!("{name}.weight"), &[outputs, inputs])?);
            bias.extend(self.numbers(&format!("{name}.bias"), &[outputs])?);
        }
        Ok(Affine { weights, bias, inputs })
    }

    pub(super) fn scale(&mut self, name: &str, width: usize) -> Result<Scale, LoadError> {
        let weight = self.numbers(&format!("{name}.weight"), &[width])?;
        Ok(Scale { weight, bias: self.numbers(&format!("{name}.bias"), &[width])? })
    }
}
