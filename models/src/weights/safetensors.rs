//! Reading safetensors headers: our own, because the file stays on disk and tensors are read one by one.
//!
//! Layout: <https://huggingface.co/docs/safetensors>: a length, a JSON object, then the data.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

use crate::error::LoadError;
use crate::registry::VerifiedFile;

/// Longest header; the format's own limit is 100 MB, real ones take 100 bytes per tensor.
const MAX_HEADER: u64 = 16 << 20;

/// One tensor as the header states it.
#[derive(Debug, Deserialize)]
struct Stated {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

/// Where a tensor lies in the file.
#[derive(Debug)]
struct Place {
    kind: DType,
    shape: Vec<usize>,
    offset: u64,
    bytes: usize,
}

/// A safetensors file with its header read.
pub(crate) struct SafetensorsFile<F = VerifiedFile> {
    file: F,
    name: String,
    tensors: BTreeMap<String, Place>,
}

impl SafetensorsFile {
    pub(crate) fn open(file: VerifiedFile) -> Result<Self, LoadError> {
        let name = file.entry().path.clone();
        Self::read(file, name)
    }
}

impl<F: Read + Seek> SafetensorsFile<F> {
    pub(crate) fn read(mut file: F, name: String) -> Result<Self, LoadError> {
        let tensors = places(&mut file).map_err(|what| LoadError::malformed(&name, what))?;
        Ok(Self { file, name, tensors })
    }

    pub(crate) fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// A tensor as 32-bit floats, where it has the expected shape.
    pub(crate) fn tensor(&mut self, tensor: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        let malformed = |what: String| LoadError::malformed(&self.name, format!("tensor `{tensor}` {what}"));
        let place = self.tensors.get(tensor).ok_or_else(|| malformed("is missing".to_owned()))?;
        if place.shape != shape {
            return Err(malformed(format!("has the shape {:?}, {shape:?} was expected", place.shape)));
        }
        let mut bytes = vec![0; place.bytes];
        let read = self.file.seek(SeekFrom::Start(place.offset)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|error| malformed(format!("cannot be read ({error})")))?;
        Tensor::from_raw_buffer(&bytes, place.kind, shape, &Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(DType::F32))
            .map_err(|error| malformed(error.to_string()))
    }

    /// The tensors, and how many numbers each has.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (&str, u64)> {
        self.tensors
            .iter()
            .map(|(name, place)| (name.as_str(), (place.bytes / place.kind.size_in_bytes().max(1)) as u64))
    }

    /// A vector of floats.
    #[cfg(test)]
    pub(crate) fn vector(&mut self, tensor: &str, length: usize) -> Result<Vec<f32>, LoadError> {
        let values = self.tensor(tensor, &[length])?.to_vec1();
        values.map_err(|error| LoadError::malformed(&self.name, error.to_string()))
    }
}

/// Reads and checks a header. Tensors lie inside the file and together are no larger than its data.
fn places(file: &mut (impl Read + Seek)) -> Result<BTreeMap<String, Place>, String> {
    let text = |error: std::io::Error| format!("cannot be read ({error})");
    let length = file.seek(SeekFrom::End(0)).map_err(text)?;
    file.rewind().map_err(text)?;
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(text)?;
    let size = u64::from_le_bytes(size);
    let data = size.checked_add(8).filter(|data| size <= MAX_HEADER && *data <= length);
    let data = data.ok_or("its header is longer than the file or the format allows")?;
    let mut header = vec![0; size as usize];
    file.read_exact(&mut header).map_err(text)?;
    let stated: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&header)
        .map_err(|error| format!("its header is not JSON (column {})", error.column()))?;
    let mut left = length - data;
    let mut tensors = BTreeMap::new();
    for (name, stated) in stated {
        if name == "__metadata__" {
            continue;
        }
        let wrong = |what: &str| format!("tensor `{name}` {what}");
        let stated: Stated = serde_json::from_value(stated).map_err(|_| wrong("is not described as it should be"))?;
        let kind = match stated.dtype.as_str() {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "I64" => DType::I64,
            _ => return Err(wrong("has a kind of number that is not supported; F32, F16 and BF16 are")),
        };
        let elements = stated.shape.iter().try_fold(kind.size_in_bytes(), |product, side| product.checked_mul(*side));
        let bytes = elements.ok_or_else(|| wrong("has an impossible shape"))?;
        let (start, end) = stated.data_offsets;
        if end.checked_sub(start) != Some(bytes as u64) || end > length - data || bytes as u64 > left {
            return Err(wrong("does not lie where it should"));
        }
        left -= bytes as u64;
        tensors.insert(name, Place { kind, shape: stated.shape, offset: data + start, bytes });
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn sample() -> Vec<u8> {
        let header = br#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F16","shape":[2],"data_offsets":[16,20]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend([1f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()));
        bytes.extend([0x00, 0x3c, 0x00, 0x40]);
        bytes
    }

    fn open(bytes: Vec<u8>) -> Result<SafetensorsFile<Cursor<Vec<u8>>>, LoadError> {
        SafetensorsFile::read(Cursor::new(bytes), "model.safetensors".to_owned())
    }

    #[test]
    fn tensors_are_read_as_floats() {
        let mut file = open(sample()).unwrap();
        assert_eq!(file.tensor("a", &[2, 2]).unwrap().to_vec2::<f32>().unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(file.vector("b", 2).unwrap(), [1.0, 2.0]);
        assert!(!file.has("__metadata__"));
        let refusal = file.vector("a", 4).unwrap_err().to_string();
        assert!(refusal.contains("[2, 2]"), "{refusal}");
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let bytes = sample();
        for length in 0..bytes.len() {
            assert!(open(bytes[..length].to_vec()).is_err(), "cut at {length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_changed_file_is_an_error_or_keeps_to_its_bounds(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut bytes = sample();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Ok(mut file) = open(bytes) {
                drop(file.tensor("a", &[2, 2]));
                drop(file.vector("b", 2));
            }
        }
    }
}
