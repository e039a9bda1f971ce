//! An adapter: a small file that makes an embedding model a cross-encoder, by low-rank additions to its matrices (LoRA: Hu and
//! others, 2021, arXiv:2106.09685) and a head of its own.
//!
//! Safetensors, with the tensor names of the model it belongs to: beside `NAME.weight` stand `NAME.lora_A.weight` of rank times
//! inputs and `NAME.lora_B.weight` of outputs times rank, whose product is added; what is added to a table as it is stands under
//! the table's own name; the head under transformers' names.

use std::collections::BTreeSet;
use std::io::Cursor;

use candle_core::Tensor;

use super::tensors::finite;
use crate::error::LoadError;
use crate::layers::encoder::Affine;
use crate::weights::safetensors::SafetensorsFile;

/// Largest product of a rank and a side; no adapter of a model that runs here comes near.
const MAX_NUMBERS: u64 = 1 << 26;

/// An adapter's tensors.
pub(super) struct Adapter {
    file: SafetensorsFile<Cursor<Vec<u8>>>,
    /// The names of those that were taken.
    taken: BTreeSet<String>,
}

impl Adapter {
    /// Reads the file that `bytes` are.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, LoadError> {
        let file = SafetensorsFile::read(Cursor::new(bytes.to_vec()), "the adapter".to_owned())?;
        if let Some((name, _)) = file.sizes().find(|(_, numbers)| *numbers > MAX_NUMBERS) {
            return Err(malformed(format!("tensor `{name}` is larger than that of any model")));
        }
        Ok(Self { file, taken: BTreeSet::new() })
    }

    /// Refuses an adapter that holds what the model has no place for: it is one of another model.
    pub(super) fn finish(&self) -> Result<(), LoadError> {
        match self.file.sizes().find(|(name, _)| !self.taken.contains(*name)) {
            Some((name, _)) => Err(malformed(format!("the model has no place for tensor `{name}`"))),
            None => Ok(()),
        }
    }

    /// Adds to the numbers of a tensor of `shape` what the adapter has for it.
    pub(super) fn add(&mut self, name: &str, shape: &[usize], numbers: &mut [f32]) -> Result<(), LoadError> {
        let added = match (self.low_rank(name, shape)?, self.file.has(name)) {
            (Some(added), _) => added,
            (None, true) => self.numbers(name, shape)?,
            (None, false) => return Ok(()),
        };
        numbers.iter_mut().zip(added).for_each(|(number, added)| *number += added);
        Ok(())
    }

    /// The product of the two narrow matrices for a tensor; none where there are none.
    fn low_rank(&mut self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, LoadError> {
        let (Some(matrix), [outputs, inputs]) = (name.strip_suffix(".weight"), shape) else { return Ok(None) };
        let [down, up] = ["A", "B"].map(|side| format!("{matrix}.lora_{side}.weight"));
        let Some(numbers) = self.length(&down) else { return Ok(None) };
        let rank = (numbers / (*inputs).max(1) as u64) as usize;
        let (down, up) = (self.tensor(&down, &[rank, *inputs])?, self.tensor(&up, &[*outputs, rank])?);
        let product = up.matmul(&down).and_then(|product| flat(&product));
        finite(name, product.map_err(malformed)?).map(Some).map_err(malformed)
    }

    /// A matrix of the head with its bias, of as many outputs as there are.
    pub(super) fn head(&mut self, name: &str, inputs: usize) -> Result<Affine, LoadError> {
        let bias = format!("{name}.bias");
        let outputs = self.length(&bias).ok_or_else(|| malformed(format!("tensor `{bias}` is missing")))? as usize;
        let weights = self.numbers(&format!("{name}.weight"), &[outputs, inputs])?;
        Ok(Affine { weights, bias: self.numbers(&bias, &[outputs])?, inputs })
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, LoadError> {
        self.taken.insert(name.to_owned());
        self.file.tensor(name, shape)
    }

    fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let tensor = self.tensor(name, shape)?;
        finite(name, flat(&tensor).map_err(malformed)?).map_err(malformed)
    }

    /// How many numbers a tensor has.
    fn length(&self, name: &str) -> Option<u64> {
        self.file.sizes().find(|(known, _)| *known == name).map(|(_, numbers)| numbers)
    }
}

fn flat(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all().and_then(|tensor| tensor.to_vec1::<f32>())
}

fn malformed(what: impl ToString) -> LoadError {
    LoadError::malformed("the adapter", what.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tensors of floats as a file.
    fn file(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, shape, numbers) in tensors {
            let start = data.len();
            data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            let place = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
            header.insert((*name).to_owned(), place);
        }
        let header = serde_json::to_vec(&header).unwrap();
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }

    #[test]
    fn the_product_of_the_narrow_matrices_is_added_and_other_tensors_stay() {
        let bytes = file(&[
            ("a.lora_A.weight", &[1, 3], &[1.0, 2.0, 3.0]),
            ("a.lora_B.weight", &[2, 1], &[10.0, 0.5]),
            ("kinds.weight", &[1, 2], &[1.0, -1.0]),
        ]);
        let mut adapter = Adapter::read(&bytes).unwrap();
        let mut matrix = vec![1.0; 6];
        adapter.add("a.weight", &[2, 3], &mut matrix).unwrap();
        assert_eq!(matrix, [11.0, 21.0, 31.0, 1.5, 2.0, 2.5]);
        let mut table = vec![1.0, 1.0];
        adapter.add("kinds.weight", &[1, 2], &mut table).unwrap();
        adapter.add("b.weight", &[1, 2], &mut table).unwrap();
        assert_eq!(table, [2.0, 0.0]);
        adapter.finish().unwrap();
    }

    #[test]
    fn an_adapter_of_another_model_or_of_no_numbers_is_refused() {
        let bytes = file(&[("a.lora_A.weight", &[1, 3], &[1.0; 3]), ("a.lora_B.weight", &[2, 1], &[f32::NAN, 0.0])]);
        let mut adapter = Adapter::read(&bytes).unwrap();
        assert!(adapter.add("a.weight", &[2, 3], &mut [0.0; 6]).is_err());
        assert!(adapter.add("a.weight", &[4, 3], &mut [0.0; 12]).is_err());
        assert!(adapter.add("a.weight", &[2, 7], &mut [0.0; 14]).is_err());
        assert!(adapter.head("classifier", 3).is_err());
        assert!(Adapter::read(bytes.get(..20).unwrap()).is_err());
        let mut other = Adapter::read(&file(&[("b.lora_A.weight", &[1, 3], &[1.0; 3])])).unwrap();
        other.add("a.weight", &[2, 3], &mut [0.0; 6]).unwrap();
        assert!(other.finish().unwrap_err().to_string().contains("b.lora_A.weight"));
    }
}
