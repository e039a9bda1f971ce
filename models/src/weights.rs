//! Tensors out of verified files.

pub(crate) mod gguf;
pub(crate) mod safetensors;

use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use candle_core::Device;
use candle_core::quantized::{QStorage, QTensor};

use crate::error::LoadError;
use crate::registry::VerifiedFile;

/// A GGUF file with its header read.
pub(crate) struct GgufFile {
    file: VerifiedFile,
    pub(crate) header: gguf::Header,
}

impl GgufFile {
    pub(crate) fn open(mut file: VerifiedFile) -> Result<Self, LoadError> {
        let header = gguf::Header::read(&mut file)
            .map_err(|error| LoadError::malformed(&file.entry().path, error.to_string()))?;
        Ok(Self { file, header })
    }

    pub(crate) fn malformed(&self, what: impl Into<String>) -> LoadError {
        LoadError::malformed(&self.file.entry().path, what)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.header.tensor(name).is_some()
    }

    /// A tensor, where it has the expected shape, rows first.
    pub(crate) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Arc<QTensor>, LoadError> {
        let place = self.header.tensor(name).cloned();
        let place = place.ok_or_else(|| self.malformed(format!("tensor `{name}` is missing")))?;
        if place.shape != shape {
            let what = format!("tensor `{name}` has the shape {:?}, {shape:?} was expected", place.shape);
            return Err(self.malformed(what));
        }
        let mut bytes = vec![0; place.bytes];
        let read = self.file.seek(SeekFrom::Start(place.offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|error| self.malformed(format!("tensor `{name}` cannot be read ({error})")))?;
        let storage = QStorage::from_data(Cow::Borrowed(&bytes), &Device::Cpu, place.kind);
        let tensor = storage.and_then(|storage| QTensor::new(storage, shape.to_vec()));
        tensor.map(Arc::new).map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))
    }

    /// A vector of floats.
    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(name, &[length])?;
        let values = tensor.dequantize(&Device::Cpu).and_then(|tensor| tensor.to_vec1());
        values.map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))
    }
}
