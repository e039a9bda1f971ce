//! Tensors out of verified files.

pub(crate) mod gguf;
pub(crate) mod safetensors;

use std::borrow::Cow;
use std::io::{Read, Seek, SeekFrom};

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{DType, Device, Tensor};

use crate::error::LoadError;
use crate::kernel::{Format, Matrix, Path, Team};
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

    /// A tensor's layout and bytes, where it has the expected shape, rows first.
    fn bytes(&mut self, name: &str, shape: &[usize]) -> Result<(GgmlDType, Vec<u8>), LoadError> {
        let place = self.header.tensor(name).cloned();
        let place = place.ok_or_else(|| self.malformed(format!("tensor `{name}` is missing")))?;
        // Quantising drops leading sides of one.
        let sides = |shape: &[usize]| shape.iter().copied().skip_while(|side| *side == 1).collect::<Vec<_>>();
        if sides(&place.shape) != sides(shape) {
            let what = format!("tensor `{name}` has the shape {:?}, {shape:?} was expected", place.shape);
            return Err(self.malformed(what));
        }
        let mut bytes = vec![0; place.bytes];
        let read = self.file.seek(SeekFrom::Start(place.offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|error| self.malformed(format!("tensor `{name}` cannot be read ({error})")))?;
        Ok((place.kind, bytes))
    }

    /// A weight matrix, packed for the kernels. Layouts without kernels (Q2_K, Q3_K) are kept as 16-bit floats.
    pub(crate) fn matrix(
        &mut self,
        name: &str,
        (inputs, outputs): (usize, usize),
        path: Path,
        team: &Team,
    ) -> Result<Matrix, LoadError> {
        let (kind, bytes) = self.bytes(name, &[outputs, inputs])?;
        let packed = match Format::of(kind) {
            Some(format) => Matrix::pack(format, &bytes, (inputs, outputs), path, team),
            None => {
                let floats = self.floats(name, kind, &bytes, inputs * outputs)?;
                let halves: Vec<u8> = floats.into_iter().flat_map(|x| half::f16::from_f32(x).to_le_bytes()).collect();
                Matrix::pack(Format::F16, &halves, (inputs, outputs), path, team)
            }
        };
        packed.map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))
    }

    /// A weight matrix as candle multiplies with it, on a device. Floats of 32 and 16 bits are kept as such.
    pub(crate) fn product(
        &mut self,
        name: &str,
        (inputs, outputs): (usize, usize),
        device: &Device,
    ) -> Result<QMatMul, LoadError> {
        let (kind, bytes) = self.bytes(name, &[outputs, inputs])?;
        QStorage::from_data(Cow::Owned(bytes), device, kind)
            .and_then(|storage| QMatMul::from_qtensor(QTensor::new(storage, (outputs, inputs))?))
            .map_err(|error| self.malformed(format!("tensor `{name}` cannot be put on the device ({error})")))
    }

    /// The same as plain numbers, of 16 bits where the device is not a processor.
    pub(crate) fn dense(&mut self, name: &str, shape: (usize, usize), device: &Device) -> Result<Tensor, LoadError> {
        let numbers = self.numbers(name, &[shape.0, shape.1])?;
        let kind = if device.is_cpu() { DType::F32 } else { DType::F16 };
        Tensor::from_vec(numbers, shape, &Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(kind)?.to_device(device))
            .map_err(|error| self.malformed(format!("tensor `{name}` cannot be put on the device ({error})")))
    }

    /// The numbers of a tensor, taken apart by candle.
    fn floats(&self, name: &str, kind: GgmlDType, bytes: &[u8], count: usize) -> Result<Vec<f32>, LoadError> {
        QStorage::from_data(Cow::Borrowed(bytes), &Device::Cpu, kind)
            .and_then(|storage| QTensor::new(storage, count)?.dequantize(&Device::Cpu)?.to_vec1())
            .map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))
    }

    /// The numbers of a tensor.
    pub(crate) fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let (kind, bytes) = self.bytes(name, shape)?;
        self.floats(name, kind, &bytes, shape.iter().product())
    }

    /// A vector of floats.
    pub(crate) fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        self.numbers(name, &[length])
    }
}
