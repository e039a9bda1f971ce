//! A model by its size and quantisation alone, as a data sheet names it: `8B`, `Q4_K_M`.
//!
//! Its shape is that of the published dense model whose number of parameters is nearest in ratio, with as many layers as make the
//! number right. Which weights a quantisation keeps in which layout follows `llama_tensor_get_type` of llama.cpp
//! (<https://github.com/ggml-org/llama.cpp>, `src/llama-quant.cpp`), on average over the layers.

use candle_core::quantized::GgmlDType;

use super::cost::{Language, Multiplied};
use crate::arch::shape::Shape;
use crate::fit::Weights;
use crate::kernel::Format;
use crate::kernel::attention::Heads;

/// Why a named model cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NamedError {
    /// The number of parameters is not one.
    #[error("`{0}` is not a number of parameters; write it as 8B, 0.5B or 360M, from 30M to 500B")]
    Parameters(String),
    /// The quantisation is not known.
    #[error("`{0}` is not a quantisation that is known; {known} are", known = QUANTISATIONS.join(", "))]
    Quantisation(String),
}

/// The quantisations that are known by name.
pub const QUANTISATIONS: [&str; 14] = [
    "Q2_K", "Q3_K_M", "Q4_0", "Q4_1", "Q4_K_S", "Q4_K_M", "Q5_0", "Q5_1", "Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0", "F16",
    "BF16",
];

type Published = (usize, usize, usize, usize, usize, usize, usize, bool);

/// Published dense models: width, inner width, layers, vocabulary, asking and asked heads, numbers per head, and whether embedding
/// and head share their weights. SmolLM2 135M and 360M, Qwen 2.5 0.5B, Llama 3.2 1B, Qwen 2.5 1.5B, Llama 3.2 3B, Phi 3 mini, Mistral
/// 7B 0.3, Llama 3.1 8B, Qwen 2.5 14B and 32B, Llama 3.1 70B.
const PUBLISHED: [Published; 12] = [
    (576, 1536, 30, 49_152, 9, 3, 64, true),
    (960, 2560, 32, 49_152, 15, 5, 64, true),
    (896, 4864, 24, 151_936, 14, 2, 64, true),
    (2048, 8192, 16, 128_256, 32, 8, 64, true),
    (1536, 8960, 28, 151_936, 12, 2, 128, true),
    (3072, 8192, 28, 128_256, 24, 8, 128, true),
    (3072, 8192, 32, 32_064, 32, 32, 96, false),
    (4096, 14_336, 32, 32_768, 32, 8, 128, false),
    (4096, 14_336, 32, 128_256, 32, 8, 128, false),
    (5120, 13_824, 48, 152_064, 40, 8, 128, false),
    (5120, 27_648, 64, 152_064, 40, 8, 128, false),
    (8192, 28_672, 80, 128_256, 64, 8, 128, false),
];

/// Longest sequence of a named model: what most of today's are trained for.
const TRAINED: usize = 1 << 17;

/// What a matrix does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Embedding,
    Head,
    Value,
    Output,
    Down,
    /// Queries, keys, gate, up.
    Other,
}

/// Reads a number of parameters: `8B`, `135m`, `0.5B`.
fn parameters(text: &str) -> Result<f64, NamedError> {
    let refused = || NamedError::Parameters(text.to_owned());
    let trimmed = text.trim().to_ascii_lowercase();
    let (number, unit) = match (trimmed.strip_suffix('b'), trimmed.strip_suffix('m')) {
        (Some(number), _) => (number, 1e9),
        (None, Some(number)) => (number, 1e6),
        (None, None) => return Err(refused()),
    };
    let number = number.trim().parse::<f64>().map_err(|_| refused())? * unit;
    if (30e6..=500e9).contains(&number) { Ok(number) } else { Err(refused()) }
}

/// The matrices of one layer: role, inputs, outputs.
fn matrices(shape: &Shape) -> [(Role, usize, usize); 7] {
    let (width, inner, asking, asked) = (shape.width, shape.inner, shape.heads.query_row(), shape.heads.key_row());
    [
        (Role::Other, width, asking),
        (Role::Other, width, asked),
        (Role::Value, width, asked),
        (Role::Output, asking, width),
        (Role::Other, width, inner),
        (Role::Other, width, inner),
        (Role::Down, inner, width),
    ]
}

/// The shape of a model with so many parameters, and whether embedding and head share their weights.
fn shape(parameters: f64) -> (Shape, bool) {
    let of = |(width, inner, layers, vocabulary, queries, keys, size, tied): Published| {
        let heads = Heads { queries, keys, size };
        let shape = Shape {
            width,
            inner,
            layers,
            vocabulary,
            heads,
            turned: size,
            trained: TRAINED,
            windows: vec![None; layers],
            epsilon: 1e-5,
            base: 10_000.0,
        };
        (shape, tied)
    };
    let distance = |(shape, tied): &(Shape, bool)| (count(shape, *tied) / parameters).ln().abs();
    let all = PUBLISHED.into_iter().map(of);
    let nearest = all.min_by(|a, b| distance(a).total_cmp(&distance(b)));
    let (mut shape, tied) = nearest.unwrap_or_else(|| of((4096, 14_336, 32, 128_256, 32, 8, 128, false)));
    let (outside, layer) = (ends(&shape, tied), layer(&shape));
    shape.layers = ((parameters - outside) / layer).round().max(1.0) as usize;
    shape.windows = vec![None; shape.layers];
    (shape, tied)
}

fn layer(shape: &Shape) -> f64 {
    matrices(shape).iter().map(|(_, inputs, outputs)| inputs * outputs).sum::<usize>() as f64
}

fn ends(shape: &Shape, tied: bool) -> f64 {
    (shape.width * shape.vocabulary * if tied { 1 } else { 2 }) as f64
}

/// Parameters of a model; vectors are left out, which are less than a thousandth.
fn count(shape: &Shape, tied: bool) -> f64 {
    ends(shape, tied) + layer(shape) * shape.layers as f64
}

/// Which layouts the weights of a role are kept in, and the share of layers that have each.
fn layouts(quantisation: &str, role: Role) -> Option<Vec<(GgmlDType, f64)>> {
    use GgmlDType::{BF16, F16, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    let whole = |kind| Some(vec![(kind, 1.0)]);
    let some = |kind, share: f64, rest| Some(vec![(kind, share), (rest, 1.0 - share)]);
    let plain = match quantisation {
        "Q4_0" => Q4_0,
        "Q4_1" => Q4_1,
        "Q5_0" => Q5_0,
        "Q5_1" => Q5_1,
        "Q8_0" => return whole(Q8_0),
        "F16" => return whole(F16),
        "BF16" => return whole(BF16),
        "Q6_K" => Q6K,
        "Q4_K_S" | "Q4_K_M" => Q4K,
        "Q5_K_S" | "Q5_K_M" => Q5K,
        "Q3_K_M" => Q3K,
        "Q2_K" => Q2K,
        _ => return None,
    };
    match (quantisation, role) {
        (_, Role::Head) => whole(Q6K),
        ("Q4_K_M" | "Q5_K_M", Role::Value | Role::Down) => some(Q6K, 0.5, plain),
        ("Q4_K_S", Role::Value | Role::Down) => some(Q5K, 0.125, plain),
        ("Q3_K_M", Role::Value | Role::Output | Role::Down) | ("Q2_K", Role::Value) => whole(Q4K),
        ("Q2_K", Role::Output | Role::Down) => whole(Q3K),
        _ => whole(plain),
    }
}

/// Rows that are no whole blocks of 256 take a layout with blocks of 32.
fn fallback(kind: GgmlDType, inputs: usize) -> GgmlDType {
    if inputs.is_multiple_of(kind.block_size()) {
        return kind;
    }
    match kind {
        GgmlDType::Q2K | GgmlDType::Q3K => GgmlDType::Q4_0,
        GgmlDType::Q4K => GgmlDType::Q5_0,
        GgmlDType::Q5K => GgmlDType::Q5_1,
        _ => GgmlDType::Q8_0,
    }
}

/// Weights by layout, and what they take in memory.
#[derive(Default)]
struct Sum {
    parts: Vec<Multiplied>,
    memory: Weights,
}

impl Sum {
    fn add(&mut self, quantisation: &str, (role, inputs, outputs): (Role, usize, usize), times: f64) -> Option<()> {
        for (kind, share) in layouts(quantisation, role)? {
            let kind = fallback(kind, inputs);
            let format = Format::of(kind).unwrap_or(Format::F16);
            let (weights, packed) = ((inputs * outputs) as f64, format.packed_bytes(inputs, outputs) as f64);
            let stored = weights / kind.block_size() as f64 * kind.type_size() as f64;
            let (weights, bytes) = (weights * share * times, packed * share * times);
            self.memory.packed += bytes as u64;
            let mut passing = stored;
            if Format::of(kind).is_none() {
                self.memory.widened += (bytes - stored * share * times).max(0.0) as u64;
                passing += stored + 6.0 * (inputs * outputs) as f64;
            }
            self.memory.passing = self.memory.passing.max(passing as u64);
            match self.parts.iter_mut().find(|part| part.format == format) {
                Some(part) => {
                    part.weights += weights;
                    part.bytes += bytes;
                }
                None => self.parts.push(Multiplied { format, weights, bytes }),
            }
        }
        Some(())
    }
}

/// The model of that size and quantisation.
pub(super) fn language(size: &str, quantisation: &str) -> Result<(Language, Weights), NamedError> {
    let (shape, tied) = shape(parameters(size)?);
    with_shape(shape, tied, quantisation, (false, false))
        .ok_or_else(|| NamedError::Quantisation(quantisation.to_owned()))
}

/// The model of that shape and quantisation; `None` where the quantisation is not known. `(after, head_norms)` say what is normalised
/// besides.
pub(super) fn with_shape(
    shape: Shape,
    tied: bool,
    quantisation: &str,
    (after, head_norms): (bool, bool),
) -> Option<(Language, Weights)> {
    let quantisation = quantisation.to_ascii_uppercase();
    let (mut layers, mut head, mut embedding) = (Sum::default(), Sum::default(), Sum::default());
    for matrix in matrices(&shape) {
        layers.add(&quantisation, matrix, shape.layers as f64)?;
    }
    head.add(&quantisation, (Role::Head, shape.width, shape.vocabulary), 1.0)?;
    if !tied {
        embedding.add(&quantisation, (Role::Embedding, shape.width, shape.vocabulary), 1.0)?;
    }
    let memory = [&layers, &head, &embedding].into_iter().fold(Weights::default(), |sum, part| Weights {
        packed: sum.packed + part.memory.packed,
        widened: sum.widened + part.memory.widened,
        passing: sum.passing.max(part.memory.passing),
    });
    let head = head.parts.first().copied()?;
    Some((Language { shape, layers: layers.parts, head, after, head_norms }, memory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_shapes_have_the_published_numbers_of_parameters() {
        let published =
            [134.5e6, 361.8e6, 494e6, 1.236e9, 1.544e9, 3.213e9, 3.821e9, 7.248e9, 8.030e9, 14.77e9, 32.76e9, 70.55e9];
        for (row, published) in PUBLISHED.into_iter().zip(published) {
            let (found, tied) = shape(published);
            assert_eq!((found.width, found.layers, tied), (row.0, row.2, row.7), "{published}");
            assert!((count(&found, tied) / published - 1.0).abs() < 0.005, "{published}: {}", count(&found, tied));
        }
    }

    #[test]
    fn sizes_between_published_ones_have_the_layers_that_make_their_number_right() {
        for parameters in [60e6, 200e6, 2e9, 5e9, 9e9, 20e9, 50e9, 120e9, 400e9] {
            let (found, tied) = shape(parameters);
            let ratio = count(&found, tied) / parameters;
            assert!((0.85..1.15).contains(&ratio), "{parameters}: {ratio}");
        }
    }

    #[test]
    fn named_files_have_the_published_bits_per_weight() {
        // Bytes of the published GGUF files of Llama 3.1 8B.
        for (quantisation, gigabytes) in
            [("Q4_K_M", 4.92), ("Q4_K_S", 4.69), ("Q5_K_M", 5.73), ("Q6_K", 6.60), ("Q8_0", 8.54), ("F16", 16.07)]
        {
            let (_, memory) = language("8B", quantisation).unwrap();
            let ratio = memory.packed as f64 / gigabytes / 1e9;
            assert!((0.97..1.04).contains(&ratio), "{quantisation}: {ratio}");
            assert_eq!(memory.widened, 0, "{quantisation}");
        }
    }

    #[test]
    fn layouts_without_kernels_take_sixteen_bits() {
        let (_, small) = language("8b", "q2_k").unwrap();
        let (_, whole) = language("8B", "F16").unwrap();
        assert!(small.packed > whole.packed * 3 / 4, "{} {}", small.packed, whole.packed);
        assert!(small.widened > small.packed / 2);
    }

    #[test]
    fn what_is_no_size_or_no_quantisation_is_refused_in_words() {
        for size in ["", "8", "B", "8T", "-3B", "nanB", "1M", "9999B"] {
            assert_eq!(language(size, "Q4_0").unwrap_err(), NamedError::Parameters(size.to_owned()));
        }
        let refusal = language("8B", "Q9_X").unwrap_err().to_string();
        assert!(refusal.starts_with("`Q9_X` is not a quantisation that is known; Q2_K, Q3_K_M,"), "{refusal}");
        for quantisation in QUANTISATIONS {
            assert!(language("1B", quantisation).is_ok(), "{quantisation}");
        }
    }
}
