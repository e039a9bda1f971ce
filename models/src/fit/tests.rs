use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{Device, Tensor};

use super::*;
use crate::arch::tiny::{Tiny, verified};
use crate::kernel::{Path, Team};
use crate::weights::GgufFile;

/// A file with one matrix of 512 rows of 256 numbers in that layout, and a vector.
fn file(kind: GgmlDType) -> Vec<u8> {
    let floats = Tensor::ones((512, 256), candle_core::DType::F32, &Device::Cpu).unwrap();
    let matrix = QTensor::quantize(&floats, kind).unwrap();
    let floats = Tensor::ones(256, candle_core::DType::F32, &Device::Cpu).unwrap();
    let vector = QTensor::quantize(&floats, GgmlDType::F32).unwrap();
    let architecture = gguf_file::Value::String("llama".to_owned());
    let mut out = std::io::Cursor::new(Vec::new());
    let values = [("general.architecture", &architecture)];
    gguf_file::write(&mut out, &values, &[("matrix", &matrix), ("vector", &vector)]).unwrap();
    out.into_inner()
}

#[test]
fn layouts_without_kernels_count_as_the_floats_that_they_become() {
    for (kind, bits, widens) in [
        (GgmlDType::Q2K, 16, true),
        (GgmlDType::Q3K, 16, true),
        (GgmlDType::F16, 16, false),
        (GgmlDType::F32, 32, false),
    ] {
        let bytes = file(kind);
        let header = Header::read(&mut std::io::Cursor::new(&bytes)).unwrap();
        let place = header.tensor("matrix").unwrap();
        assert_eq!(header.packed(), 512 * 256 * bits / 8 + 256 * 4, "{kind:?}");
        let expected = if widens { 512 * 256 * 2 - place.bytes as u64 } else { 0 };
        assert_eq!(header.widened(), expected, "{kind:?}");
    }
}

#[test]
fn what_a_header_says_is_what_loading_takes() {
    let team = Team::new(1).unwrap();
    for kind in [GgmlDType::Q2K, GgmlDType::Q3K, GgmlDType::Q4_1, GgmlDType::Q4K, GgmlDType::Q6K, GgmlDType::BF16] {
        let (_folder, model, _) = verified(&file(kind));
        let mut file = GgufFile::open(model.first(FileKind::Weights).unwrap()).unwrap();
        let packed = file.matrix("matrix", (256, 512), Path::best(), &team).unwrap();
        assert_eq!(file.header.packed(), packed.bytes() as u64 + 256 * 4, "{kind:?}");
    }
}

fn estimate(options: &PoolOptions) -> Estimate {
    let (_folder, model, _) = verified(&Tiny::default().file(&[]));
    Estimate::of(&model, options).unwrap()
}

#[test]
fn a_machine_without_room_is_refused_with_what_is_needed_and_what_there_is() {
    let estimate = estimate(&PoolOptions::default());
    let small = Machine { available_bytes: 20 << 20, total_bytes: 3 << 30 };
    let refusal = estimate.carried_by(&small).unwrap_err().to_string();
    let needed = format!("model `tiny` needs {} of memory (weights ", Bytes(estimate.bytes()));
    assert!(refusal.starts_with(&needed), "{refusal}");
    assert!(refusal.contains("20 MiB of this machine's 3.0 GiB are free; stop other programs"), "{refusal}");
    let enough = Machine { available_bytes: estimate.bytes(), total_bytes: 3 << 30 };
    assert_eq!(estimate.carried_by(&enough), Ok(()));
}

#[test]
fn who_is_refused_for_a_widened_layout_is_told_to_take_another() {
    let weights = Weights { packed: 16 << 30, widened: 13 << 30, passing: 0 };
    let estimate = Estimate { weights: weights.packed, widened: weights.widened, ..estimate(&PoolOptions::default()) };
    let small = Machine { available_bytes: 4 << 30, total_bytes: 4 << 30 };
    let refusal = estimate.carried_by(&small).unwrap_err().to_string();
    assert!(refusal.contains("13.0 GiB of it since their layout becomes 16-bit floats"), "{refusal}");
    assert!(refusal.contains("take the same model in a layout that has kernels"), "{refusal}");
}

#[test]
fn state_grows_with_context_and_sequences_up_to_what_the_model_was_trained_for() {
    let state = |context_tokens, sequences| {
        estimate(&PoolOptions { context_tokens, sequences, ..PoolOptions::default() }).state
    };
    // Two layers, two heads of sixteen numbers, keys and values, two bytes each.
    assert_eq!(state(100, 1), 100 * 2 * 2 * 16 * 2 * 2);
    assert_eq!(state(100, 3), 3 * state(100, 1));
    assert_eq!(state(100_000, 1), state(512, 1));
}

#[test]
fn this_machine_has_memory() {
    let here = Machine::here();
    assert!(here.available_bytes > 0 && here.total_bytes >= here.available_bytes, "{here:?}");
}

#[test]
fn bytes_are_told_in_words() {
    let told = [0, 1, 512 << 20, (1 << 30) - 1, 41 << 30].map(|bytes| Bytes(bytes).to_string());
    assert_eq!(told, ["0 MiB", "1 MiB", "512 MiB", "1.0 GiB", "41.0 GiB"]);
}
