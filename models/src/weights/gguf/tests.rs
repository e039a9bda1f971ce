use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// A value of a file made for a test.
#[derive(Clone, Debug)]
pub(crate) enum Scalar {
    Unsigned(u32),
    Float(f32),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Integers(Vec<i32>),
    Bytes(Vec<u8>),
    Flag(bool),
}

/// Writes a GGUF file: keys, and tensors of 32-bit floats by name, shape (rows first) and data.
pub(crate) fn file(values: &[(&str, Scalar)], tensors: &[(&str, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    };
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((values.len() as u64).to_le_bytes());
    for (key, value) in values {
        text(&mut out, key);
        match value {
            Scalar::Unsigned(v) => {
                out.extend(4u32.to_le_bytes());
                out.extend(v.to_le_bytes());
            }
            Scalar::Float(v) => {
                out.extend(6u32.to_le_bytes());
                out.extend(v.to_le_bytes());
            }
            Scalar::Text(v) => {
                out.extend(8u32.to_le_bytes());
                text(&mut out, v);
            }
            Scalar::Texts(v) => {
                for n in [9u32, 8] {
                    out.extend(n.to_le_bytes());
                }
                out.extend((v.len() as u64).to_le_bytes());
                v.iter().for_each(|v| text(&mut out, v));
            }
            Scalar::Floats(v) => {
                for n in [9u32, 6] {
                    out.extend(n.to_le_bytes());
                }
                out.extend((v.len() as u64).to_le_bytes());
                v.iter().for_each(|v| out.extend(v.to_le_bytes()));
            }
            Scalar::Integers(v) => {
                for n in [9u32, 5] {
                    out.extend(n.to_le_bytes());
                }
                out.extend((v.len() as u64).to_le_bytes());
                v.iter().for_each(|v| out.extend(v.to_le_bytes()));
            }
            Scalar::Flag(v) => {
                out.extend(7u32.to_le_bytes());
                out.push(u8::from(*v));
            }
            Scalar::Bytes(v) => {
                for n in [9u32, 0] {
                    out.extend(n.to_le_bytes());
                }
                out.extend((v.len() as u64).to_le_bytes());
                out.extend(v);
            }
        }
    }
    let mut offset = 0u64;
    for (name, shape, data) in tensors {
        text(&mut out, name);
        out.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|side| out.extend((*side as u64).to_le_bytes()));
        out.extend(0u32.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += (data.len() as u64 * 4).next_multiple_of(32);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    for (_, _, data) in tensors {
        data.iter().for_each(|v| out.extend(v.to_le_bytes()));
        out.resize(out.len().next_multiple_of(32), 0);
    }
    out
}

fn sample() -> Vec<u8> {
    file(
        &[
            ("general.architecture", Scalar::Text("llama".to_owned())),
            ("llama.block_count", Scalar::Unsigned(2)),
            ("llama.rope.freq_base", Scalar::Float(10_000.0)),
            ("tokenizer.ggml.tokens", Scalar::Texts(vec!["a".to_owned(), "b".to_owned()])),
            ("tokenizer.ggml.scores", Scalar::Floats(vec![0.0, 1.0])),
            ("tokenizer.ggml.token_type", Scalar::Integers(vec![1, 3])),
        ],
        &[("x.weight", vec![2, 3], vec![1.0; 6]), ("y.weight", vec![4], vec![2.0; 4])],
    )
}

fn read(bytes: &[u8]) -> Result<Header, GgufError> {
    Header::read(&mut Cursor::new(bytes))
}

#[test]
fn a_header_is_read_with_the_places_of_its_tensors() {
    let header = read(&sample()).unwrap();
    assert_eq!(header.text("general.architecture"), Some("llama"));
    assert_eq!(header.unsigned("llama.block_count"), Some(2));
    assert_eq!(header.texts("tokenizer.ggml.tokens").unwrap().len(), 2);
    let place = header.tensor("x.weight").unwrap();
    assert_eq!((place.shape.as_slice(), place.bytes, place.kind), ([2, 3].as_slice(), 24, GgmlDType::F32));
    assert_eq!(header.tensor("y.weight").unwrap().offset - place.offset, 32);
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let bytes = sample();
    let end = bytes.len() - 16;
    for length in 0..end {
        assert!(read(&bytes[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn counts_that_the_file_cannot_hold_are_refused_before_anything_is_allocated() {
    for at in [8, 16] {
        for count in [u64::MAX, 1 << 40, 1 << 17] {
            let mut bytes = sample();
            bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
            assert!(matches!(read(&bytes), Err(GgufError::Bounds { .. })), "{at} {count}");
        }
    }
}

#[test]
fn tensors_that_share_their_bytes_are_refused() {
    // Many names for the same bytes would let a small file fill the memory.
    let tensors: Vec<(String, Vec<usize>, Vec<f32>)> =
        (0..3).map(|n| (format!("t{n}"), vec![64], vec![0.0; 64])).collect();
    let borrowed: Vec<(&str, Vec<usize>, Vec<f32>)> =
        tensors.iter().map(|(name, shape, data)| (name.as_str(), shape.clone(), data.clone())).collect();
    let bytes = file(&[], &borrowed);
    assert!(read(&bytes[..bytes.len() - 512]).is_err());
}

#[test]
fn an_alignment_of_zero_is_refused() {
    let bytes = file(&[("general.alignment", Scalar::Unsigned(0))], &[("x", vec![4], vec![0.0; 4])]);
    assert!(matches!(read(&bytes), Err(GgufError::Unknown { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Ten changed bytes anywhere: an error or a header whose every tensor lies inside the file, never a panic.
    #[test]
    fn a_changed_header_never_points_outside_the_file(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..10)) {
        let mut bytes = sample();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(header) = read(&bytes) {
            for name in ["x.weight", "y.weight"] {
                if let Some(place) = header.tensor(name) {
                    prop_assert!(place.offset as usize + place.bytes <= bytes.len());
                }
            }
        }
    }

    #[test]
    fn noise_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read(&bytes).is_err());
        let mut headed = b"GGUF\x03\0\0\0".to_vec();
        headed.extend(bytes);
        drop(read(&headed));
    }
}
