//! Reading GGUF headers: our own, because every count in the file is a stranger's word.
//!
//! Layout: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Nothing is allocated by a count that the rest of the
//! file could not fill, arrays keep their element type (a value never takes more memory than a small multiple of its bytes in the
//! file), and every tensor's place is checked before anything is read from it.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use candle_core::quantized::GgmlDType;

use crate::kernel::Format;

/// Longest key or tensor name; the format allows 65535 and 64.
const MAX_NAME: u64 = 65_535;
/// Longest string value: a chat template is the longest in practice.
const MAX_STRING: u64 = 4 << 20;
/// Most elements of an array: the largest vocabularies have about 262,144 tokens and twice as many merges.
const MAX_ELEMENTS: u64 = 4 << 20;
/// Most keys, and most tensors, of a file.
const MAX_ENTRIES: u64 = 1 << 16;
/// Most bytes before the tensors' data.
const MAX_HEADER: u64 = 256 << 20;

/// Why a header is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum GgufError {
    #[error("it is not a GGUF file of version 2 or 3")]
    Magic,
    #[error("{what} at byte {at} is more than the file or the format can hold")]
    Bounds { what: &'static str, at: u64 },
    #[error("{what} at byte {at} is not known")]
    Unknown { what: &'static str, at: u64 },
    #[error("text at byte {at} is not UTF-8")]
    Text { at: u64 },
    #[error("tensor `{name}`: {what}")]
    Tensor { name: String, what: &'static str },
    #[error("it cannot be read to the end of its header: {0}")]
    Read(#[from] std::io::Error),
}

/// A value of the header.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Integers(Vec<i32>),
    Bytes(Vec<u8>),
    /// An array of a kind that no model we run needs; it was stepped over.
    Other,
}

/// Where a tensor lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Rows first: the reverse of the file's order.
    pub(crate) shape: Vec<usize>,
    pub(crate) kind: GgmlDType,
    /// From the start of the file.
    pub(crate) offset: u64,
    pub(crate) bytes: usize,
}

impl Place {
    /// The layout in memory; `None` for vectors, which are 32-bit floats there.
    pub(crate) fn format(&self) -> Option<Format> {
        (self.shape.len() > 1).then(|| Format::of(self.kind).unwrap_or(Format::F16))
    }

    /// Numbers of a row, and rows.
    pub(crate) fn sides(&self) -> (usize, usize) {
        let inputs = self.shape.last().copied().unwrap_or(0);
        (inputs, self.elements() / inputs.max(1))
    }

    fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes in memory, in the form that the kernels read.
    pub(crate) fn packed(&self) -> usize {
        let (inputs, outputs) = self.sides();
        self.format().map_or(self.elements() * 4, |format| format.packed_bytes(inputs, outputs))
    }

    /// Whether it takes another layout in memory, there being no kernel for its own.
    fn widens(&self) -> bool {
        self.shape.len() > 1 && Format::of(self.kind).is_none()
    }

    /// Bytes that are needed beside the result while it is packed: the file's, and where it widens its numbers twice, as candle
    /// takes them apart and as they are packed.
    fn passing(&self) -> usize {
        self.bytes + if self.widens() { self.bytes + self.elements() * (4 + 2) } else { 0 }
    }
}

/// A header, checked against the length of the file.
#[derive(Debug)]
pub(crate) struct Header {
    values: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Place>,
}

impl Header {
    pub(crate) fn read(file: &mut (impl Read + Seek)) -> Result<Self, GgufError> {
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut cursor = Cursor { file: std::io::BufReader::with_capacity(64 * 1024, file), at: 0, length };
        if cursor.array::<4>()? != *b"GGUF" || !matches!(cursor.u32()?, 2 | 3) {
            return Err(GgufError::Magic);
        }
        let (tensor_count, value_count) = (cursor.u64()?, cursor.u64()?);
        // The least that one entry takes: an empty name, a type and a byte; or a name, a rank, a type and an offset.
        cursor.bound("the number of tensors", tensor_count, MAX_ENTRIES, 24)?;
        cursor.bound("the number of keys", value_count, MAX_ENTRIES, 13)?;
        let mut values = BTreeMap::new();
        for _ in 0..value_count {
            let key = cursor.text(MAX_NAME)?;
            let kind = cursor.u32()?;
            values.insert(key, cursor.value(kind)?);
        }
        let mut infos = Vec::new();
        for _ in 0..tensor_count {
            infos.push(cursor.tensor()?);
        }
        let alignment = match values.get("general.alignment") {
            None => 32,
            Some(Value::Unsigned(alignment @ 1..=65_536)) if alignment.is_power_of_two() => *alignment,
            Some(_) => return Err(GgufError::Unknown { what: "the alignment", at: cursor.at }),
        };
        let data = cursor.at.next_multiple_of(alignment);
        Ok(Self { values, tensors: place(infos, data, length)? })
    }

    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn unsigned(&self, key: &str) -> Option<usize> {
        match self.values.get(key) {
            Some(Value::Unsigned(number)) => usize::try_from(*number).ok(),
            Some(Value::Signed(number)) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    pub(crate) fn float(&self, key: &str) -> Option<f64> {
        match self.values.get(key) {
            Some(Value::Float(number)) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.values.get(key) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Option<&[String]> {
        match self.values.get(key) {
            Some(Value::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    pub(crate) fn tensor(&self, name: &str) -> Option<&Place> {
        self.tensors.get(name)
    }

    /// Every tensor by name.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.tensors.iter().map(|(name, place)| (name.as_str(), place))
    }

    /// Bytes that all tensors take in memory.
    pub(crate) fn packed(&self) -> u64 {
        self.tensors.values().map(|place| place.packed() as u64).sum()
    }

    /// How many of these bytes are there only because a layout without kernels (Q2_K, Q3_K) becomes 16-bit floats.
    pub(crate) fn widened(&self) -> u64 {
        let widened = self.tensors.values().filter(|place| place.widens());
        widened.map(|place| place.packed().saturating_sub(place.bytes) as u64).sum()
    }

    /// Most bytes that are needed for a while beside what stays.
    pub(crate) fn passing(&self) -> u64 {
        self.tensors.values().map(|place| place.passing() as u64).max().unwrap_or(0)
    }
}

struct Info {
    name: String,
    shape: Vec<u64>,
    kind: GgmlDType,
    offset: u64,
}

/// Turns offsets into places, none of which reaches past the file. Together they are no larger than the data part, so
/// that a few bytes cannot be made into many tensors.
fn place(infos: Vec<Info>, data: u64, length: u64) -> Result<BTreeMap<String, Place>, GgufError> {
    let mut left = length.saturating_sub(data);
    let mut tensors = BTreeMap::new();
    for Info { name, shape, kind, offset } in infos {
        let wrong = |what| GgufError::Tensor { name: name.clone(), what };
        let elements = shape.iter().try_fold(1u64, |product, side| product.checked_mul(*side));
        let elements = elements.filter(|elements| *elements > 0).ok_or_else(|| wrong("its shape is impossible"))?;
        let block = kind.block_size() as u64;
        if !shape.first().is_some_and(|row| row.is_multiple_of(block)) {
            return Err(wrong("its rows are not whole blocks"));
        }
        let bytes = (elements / block).checked_mul(kind.type_size() as u64);
        let bytes = bytes.filter(|bytes| *bytes <= left).ok_or_else(|| wrong("it is larger than the file"))?;
        left -= bytes;
        let start = data.checked_add(offset).filter(|start| start.checked_add(bytes).is_some_and(|end| end <= length));
        let start = start.ok_or_else(|| wrong("it reaches past the end of the file"))?;
        let sides = shape.iter().rev().map(|side| usize::try_from(*side)).collect::<Result<Vec<_>, _>>();
        let shape = sides.map_err(|_| wrong("its shape is impossible"))?;
        let bytes = usize::try_from(bytes).map_err(|_| wrong("it is larger than the file"))?;
        if tensors.insert(name.clone(), Place { shape, kind, offset: start, bytes }).is_some() {
            return Err(wrong("it is there twice"));
        }
    }
    Ok(tensors)
}

struct Cursor<R> {
    file: R,
    at: u64,
    length: u64,
}

impl<R: Read> Cursor<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        if self.at > MAX_HEADER {
            return Err(GgufError::Bounds { what: "the header", at: self.at });
        }
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Refuses a count that the format or the rest of the file cannot hold at `least` bytes each.
    fn bound(&self, what: &'static str, count: u64, most: u64, least: u64) -> Result<(), GgufError> {
        let rest = self.length.saturating_sub(self.at).min(MAX_HEADER);
        if count > most || count.saturating_mul(least) > rest {
            return Err(GgufError::Bounds { what, at: self.at });
        }
        Ok(())
    }

    fn text(&mut self, most: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        self.bound("the length of a text", length, most, 1)?;
        let at = self.at;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact(&mut bytes)?;
        self.at += length;
        String::from_utf8(bytes).map_err(|_| GgufError::Text { at })
    }

    fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        Ok(match kind {
            0 => Value::Unsigned(u64::from(u8::from_le_bytes(self.array()?))),
            1 => Value::Signed(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Signed(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Unsigned(u64::from(self.u32()?)),
            5 => Value::Signed(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Value::Bool(self.array::<1>()? != [0]),
            8 => Value::Text(self.text(MAX_STRING)?),
            9 => self.elements()?,
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(GgufError::Unknown { what: "the type of a value", at: self.at }),
        })
    }

    fn elements(&mut self) -> Result<Value, GgufError> {
        let (kind, count) = (self.u32()?, self.u64()?);
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            // Arrays of arrays are in no model that we run.
            _ => return Err(GgufError::Unknown { what: "the type of an array", at: self.at }),
        };
        self.bound("the length of an array", count, MAX_ELEMENTS, least)?;
        match kind {
            8 => (0..count).map(|_| self.text(MAX_NAME)).collect::<Result<_, _>>().map(Value::Texts),
            6 => (0..count).map(|_| self.array().map(f32::from_le_bytes)).collect::<Result<_, _>>().map(Value::Floats),
            4 | 5 => {
                (0..count).map(|_| self.array().map(i32::from_le_bytes)).collect::<Result<_, _>>().map(Value::Integers)
            }
            0 | 1 => {
                (0..count).map(|_| self.array().map(u8::from_le_bytes)).collect::<Result<_, _>>().map(Value::Bytes)
            }
            _ => {
                for _ in 0..count * least {
                    self.array::<1>()?;
                }
                Ok(Value::Other)
            }
        }
    }

    fn tensor(&mut self) -> Result<Info, GgufError> {
        let name = self.text(MAX_NAME)?;
        let rank = self.u32()?;
        if !(1..=4).contains(&rank) {
            return Err(GgufError::Tensor { name, what: "it has neither 1 nor up to 4 sides" });
        }
        let shape = (0..rank).map(|_| self.u64()).collect::<Result<_, _>>()?;
        let kind = self.u32()?;
        let Some(kind) = element(kind) else {
            return Err(GgufError::Tensor { name, what: "its quantisation is not supported" });
        };
        Ok(Info { name, shape, kind, offset: self.u64()? })
    }
}

/// The numbers of `ggml_type` in ggml.h.
fn element(kind: u32) -> Option<GgmlDType> {
    Some(match kind {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => return None,
    })
}

#[cfg(test)]
pub(crate) mod tests;
