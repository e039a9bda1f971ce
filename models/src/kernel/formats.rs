//! How weights lie in a file (ggml's blocks), and how they lie here.
//!
//! Here sixteen rows make a panel, one row per lane. Within a panel, for every 32 inputs, come sixteen pairs of neighbouring
//! inputs; in each 16 bits of a vector stand several pairs' quants on top of each other, so that a shift and a mask give a vector whose lane holds
//! one row's quants of one pair. Two pairs' quants stand in the same bits of neighbouring bytes, so that a shift and a mask of bytes give the quants
//! of both, for products of bytes. Scales stand in a stream of their own, sixteen rows side by side.
//!
//! Layouts of the blocks: `ggml-common.h` and `ggml-quants.c` of <https://github.com/ggml-org/ggml>.

use candle_core::quantized::GgmlDType;

/// Rows of a panel.
pub(crate) const LANES: usize = 16;
/// Inputs that share a scale of the activations.
pub(crate) const BLOCK: usize = 32;
/// Inputs of a block of K-quants.
const SUPER: usize = 256;

/// A layout of weights that there are kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Four bits, a scale per 32.
    Q4_0,
    /// Four bits, a scale and a least value per 32.
    Q4_1,
    /// Five bits, a scale per 32.
    Q5_0,
    /// Five bits, a scale and a least value per 32.
    Q5_1,
    /// Eight bits, a scale per 32.
    Q8_0,
    /// Four bits; per 32 a scale and a least value of six bits, which have scales per 256.
    Q4K,
    /// Five bits, scaled as Q4_K.
    Q5K,
    /// Six bits; per 16 a scale of eight bits, which has a scale per 256.
    Q6K,
    /// Floats of 16 bits, IEEE 754.
    F16,
    /// The upper halves of 32-bit floats.
    Bf16,
    /// Floats of 32 bits.
    F32,
}

impl serde::Serialize for Format {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

/// One block of a file taken apart.
pub(super) struct Unit {
    /// Quants as they are multiplied, before the offset is taken off.
    pub(super) quants: [u8; SUPER],
    /// The scale as a 16-bit float.
    pub(super) scale: [u8; 2],
    /// The least value, or the scale of the least values, as a 16-bit float.
    pub(super) least: [u8; 2],
    /// Scales of K-quants' parts.
    pub(super) scales: [u8; 16],
    /// Least values of K-quants' parts.
    pub(super) leasts: [u8; 8],
}

impl Unit {
    pub(super) const EMPTY: Self =
        Self { quants: [0; SUPER], scale: [0; 2], least: [0; 2], scales: [0; 16], leasts: [0; 8] };
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::F16,
        Self::Bf16,
        Self::F32,
    ];

    /// Its name, as ggml has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F32 => "F32",
        }
    }

    /// The format of a file's tensor, where there are kernels for it.
    pub(crate) fn of(kind: GgmlDType) -> Option<Self> {
        Some(match kind {
            GgmlDType::Q4_0 => Self::Q4_0,
            GgmlDType::Q4_1 => Self::Q4_1,
            GgmlDType::Q5_0 => Self::Q5_0,
            GgmlDType::Q5_1 => Self::Q5_1,
            GgmlDType::Q8_0 => Self::Q8_0,
            GgmlDType::Q4K => Self::Q4K,
            GgmlDType::Q5K => Self::Q5K,
            GgmlDType::Q6K => Self::Q6K,
            GgmlDType::F16 => Self::F16,
            GgmlDType::BF16 => Self::Bf16,
            GgmlDType::F32 => Self::F32,
            _ => return None,
        })
    }

    /// Whether the weights are integers, so that activations are rounded to integers too.
    pub(crate) fn quantised(self) -> bool {
        !matches!(self, Self::F16 | Self::Bf16 | Self::F32)
    }

    /// Inputs of a block of the file, and its bytes.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::Q4_0 => (BLOCK, 18),
            Self::Q4_1 => (BLOCK, 20),
            Self::Q5_0 => (BLOCK, 22),
            Self::Q5_1 => (BLOCK, 24),
            Self::Q8_0 => (BLOCK, 34),
            Self::Q4K => (SUPER, 144),
            Self::Q5K => (SUPER, 176),
            Self::Q6K => (SUPER, 210),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::F32 => (1, 4),
        }
    }

    /// Bytes of a panel's quants or floats for 32 inputs.
    pub(super) fn quant_bytes(self) -> usize {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q4K => 256,
            Self::Q5_0 | Self::Q5_1 | Self::Q5K => 320,
            Self::Q6K => 384,
            Self::Q8_0 => 512,
            Self::F16 | Self::Bf16 => 1024,
            Self::F32 => 2048,
        }
    }

    /// Bytes of a panel's scales for so many inputs.
    pub(super) fn scale_bytes(self, inputs: usize) -> usize {
        match self {
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => inputs / BLOCK * 32,
            Self::Q4_1 | Self::Q5_1 => inputs / BLOCK * 64,
            Self::Q4K | Self::Q5K => inputs / SUPER * SUPER_LEAST,
            Self::Q6K => inputs / SUPER * SUPER_PLAIN,
            Self::F16 | Self::Bf16 | Self::F32 => 0,
        }
    }

    /// Bytes of a packed matrix of `outputs` rows of `inputs` weights.
    #[must_use]
    pub fn packed_bytes(self, inputs: usize, outputs: usize) -> usize {
        outputs.div_ceil(LANES) * (inputs.div_ceil(BLOCK) * self.quant_bytes() + self.scale_bytes(inputs))
    }

    /// What is taken off every quant.
    pub(super) fn offset(self) -> i32 {
        match self {
            Self::Q4_0 => 8,
            Self::Q5_0 => 16,
            Self::Q6K => 32,
            Self::Q8_0 => 128,
            _ => 0,
        }
    }

    /// Takes one block of the file apart. `None` where it is too short.
    pub(super) fn read(self, bytes: &[u8], unit: &mut Unit) -> Option<()> {
        match self {
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => self.read_halves(bytes, unit),
            Self::Q8_0 => {
                unit.scale = *bytes.first_chunk()?;
                for (to, from) in unit.quants.iter_mut().zip(bytes.get(2..34)?) {
                    // From -128..127 to 0..255.
                    *to = from ^ 0x80;
                }
                Some(())
            }
            Self::Q4K | Self::Q5K => self.read_super(bytes, unit),
            Self::Q6K => read_six(bytes, unit),
            Self::F16 | Self::Bf16 | Self::F32 => None,
        }
    }

    /// `block_q4_0` to `block_q5_1`: scale, least value, fifth bits, halves of bytes.
    fn read_halves(self, bytes: &[u8], unit: &mut Unit) -> Option<()> {
        let least = matches!(self, Self::Q4_1 | Self::Q5_1);
        let fifth = matches!(self, Self::Q5_0 | Self::Q5_1);
        let (scale, mut rest) = bytes.split_first_chunk()?;
        unit.scale = *scale;
        if least {
            let (least, after) = rest.split_first_chunk()?;
            (unit.least, rest) = (*least, after);
        }
        let mut high = 0;
        if fifth {
            let (bits, after) = rest.split_first_chunk()?;
            (high, rest) = (u32::from_le_bytes(*bits), after);
        }
        let (low, upper) = unit.quants.split_at_mut(16);
        for (at, ((low, upper), byte)) in low.iter_mut().zip(upper).zip(rest.get(..16)?).enumerate() {
            *low = byte & 15 | ((high >> at & 1) as u8) << 4;
            *upper = byte >> 4 | ((high >> (at + 16) & 1) as u8) << 4;
        }
        Some(())
    }

    /// `block_q4_K` and `block_q5_K`: two scales, eight scales and least values of 6 bits, fifth bits, halves of bytes.
    fn read_super(self, bytes: &[u8], unit: &mut Unit) -> Option<()> {
        let (scale, rest) = bytes.split_first_chunk()?;
        let (least, rest) = rest.split_first_chunk()?;
        (unit.scale, unit.least) = (*scale, *least);
        let (packed, rest) = rest.split_first_chunk::<12>()?;
        let [a, b, c] = [packed.get(..4)?, packed.get(4..8)?, packed.get(8..)?];
        for (at, ((a, b), c)) in a.iter().zip(b).zip(c).enumerate() {
            *unit.scales.get_mut(at)? = a & 63;
            *unit.leasts.get_mut(at)? = b & 63;
            *unit.scales.get_mut(at + 4)? = c & 15 | (a >> 6) << 4;
            *unit.leasts.get_mut(at + 4)? = c >> 4 | (b >> 6) << 4;
        }
        let (high, halves) = if self == Self::Q5K { rest.split_at_checked(32)? } else { (&[0u8; 32][..], rest) };
        for (part, (out, halves)) in unit.quants.chunks_exact_mut(64).zip(halves.chunks_exact(32)).enumerate() {
            let (low, upper) = out.split_at_mut(32);
            for (((low, upper), byte), high) in low.iter_mut().zip(upper).zip(halves).zip(high) {
                *low = byte & 15 | (high >> (2 * part) & 1) << 4;
                *upper = byte >> 4 | (high >> (2 * part + 1) & 1) << 4;
            }
        }
        Some(())
    }
}

/// `block_q6_K`: low halves, upper quarters, sixteen scales, the scale of the scales.
fn read_six(bytes: &[u8], unit: &mut Unit) -> Option<()> {
    let (low, rest) = bytes.split_at_checked(128)?;
    let (high, rest) = rest.split_at_checked(64)?;
    let (scales, rest) = rest.split_first_chunk()?;
    (unit.scales, unit.scale) = (*scales, *rest.first_chunk()?);
    for ((out, low), high) in unit.quants.chunks_exact_mut(128).zip(low.chunks_exact(64)).zip(high.chunks_exact(32)) {
        let (first, second) = low.split_at(32);
        for (part, (halves, upper)) in
            [(first, false), (second, false), (first, true), (second, true)].into_iter().enumerate()
        {
            for ((to, byte), high) in out.iter_mut().skip(32 * part).zip(halves).zip(high) {
                *to = if upper { byte >> 4 } else { byte & 15 } | (high >> (2 * part) & 3) << 4;
            }
        }
    }
    Some(())
}

/// Bytes of the scales of 256 inputs of a panel: scale and least scale, then per 32 inputs a scale and a least value.
pub(super) const SUPER_LEAST: usize = 64 + 8 * 32;
/// The same without least values: the scale, then per 16 inputs a scale.
pub(super) const SUPER_PLAIN: usize = 32 + 16 * 16;

/// Where a quant stands: the first byte and the shift of its low four bits (of all eight for Q8_0), then of its upper bits.
pub(super) fn place(format: Format, lane: usize, input: usize) -> ([usize; 2], [u32; 2]) {
    let (pair, odd) = (input / 2, input % 2);
    // Of four pairs, the first two stand in the lower byte of each 16 bits, the others in the upper one.
    let byte = lane * 4 + odd * 2 + pair % 4 / 2;
    // Within the byte: which of two neighbouring pairs, then which four pairs.
    let slot = pair / 4 * 2 + pair % 2;
    if format == Format::Q8_0 {
        return ([slot * 64 + byte, 0], [0, 0]);
    }
    let (low, low_shift) = (pair / 4 * 64 + byte, 4 * (pair % 2) as u32);
    match format {
        Format::Q5_0 | Format::Q5_1 | Format::Q5K => ([low, 256 + byte], [low_shift, slot as u32]),
        Format::Q6K => ([low, 256 + slot / 4 * 64 + byte], [low_shift, 2 * (slot % 4) as u32]),
        _ => ([low, 0], [low_shift, 0]),
    }
}

/// Bits of a quant beyond the low four.
pub(super) fn upper_mask(format: Format) -> u8 {
    match format {
        Format::Q5_0 | Format::Q5_1 | Format::Q5K => 1,
        Format::Q6K => 3,
        _ => 0,
    }
}
