//! Encoders on the CPU: integer products with packed weights, and what lies between them, for whole rows of tokens.
//!
//! A row is a token, stored in lines of sixteen floats, the last one filled up with zeros. Weights are 8-bit integers with a
//! scale per output and 128 inputs, activations 8-bit integers with a scale and a least value per row and 128 inputs; the
//! products of the two are summed exactly. Everything is written once, for [`machine::Machine`], which says what a processor
//! does; all of them give the same bits, so a vector does not depend on the machine that computed it, and neither on the
//! rows beside its own.
//!
//! Why 128: on MiniLM and abstracts of articles one scale per row and per output gives a cosine to the exact vectors of 0.9989
//! on average; by 128 inputs 0.9995, by 64 0.9997 at a tenth of the speed more.

#![allow(unsafe_code, reason = "vector instructions, and loops over memory whose bounds are checked once")]
#![allow(
    clippy::indexing_slicing,
    reason = "kernels walk buffers of which they computed the lengths themselves; a slip panics, which fails the request"
)]

mod attention;
mod curve;
mod gate;
mod machine;
mod matrix;
mod norm;
mod product;

pub(crate) use attention::{Heads, attend};
pub(crate) use curve::Curve;
pub(crate) use gate::gate;
pub(crate) use matrix::Packed;
pub(crate) use norm::Norm;
pub(crate) use product::product;

use machine::{Machine, Portable, Work};

use crate::pool::Instructions;

/// Sixteen floats of a row.
pub(crate) type Line = [f32; 16];

/// Lines that a row of so many numbers takes.
pub(crate) const fn lines(numbers: usize) -> usize {
    numbers.div_ceil(16)
}

/// Numbers as lines, filled up with zeros.
pub(crate) fn to_lines(numbers: &[f32]) -> Vec<Line> {
    let line = |part: &[f32]| std::array::from_fn(|n| part.get(n).copied().unwrap_or(0.0));
    numbers.chunks(16).map(line).collect()
}

/// What computes: the instructions of this processor that are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processor(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(machine::Avx2),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(machine::AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512(machine::Avx512<false>),
    #[cfg(target_arch = "x86_64")]
    Amx(machine::Avx512<true>),
}

impl Processor {
    /// The fastest that this machine has and that may be used.
    pub(crate) fn of(instructions: Instructions) -> Self {
        let may = |processor: &Self| match instructions {
            Instructions::Best => true,
            Instructions::Avx512 => processor.name() != "amx",
            Instructions::Avx2 => matches!(processor.name(), "avx2" | "portable"),
            Instructions::Portable => processor.name() == "portable",
        };
        Self::all().into_iter().rfind(may).unwrap_or(Self(Kind::Portable))
    }

    /// All that this machine has, the slowest first.
    pub(crate) fn all() -> Vec<Self> {
        #[allow(unused_mut, reason = "other architectures have the portable one only")]
        let mut all = vec![Kind::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(machine::Avx2::detect().map(Kind::Avx2));
            all.extend(machine::AvxVnni::detect().map(Kind::AvxVnni));
            all.extend(machine::Avx512::<false>::detect().map(Kind::Avx512));
            all.extend(machine::Avx512::<true>::detect().map(Kind::Amx));
        }
        all.into_iter().map(Self).collect()
    }

    /// A name for logs and measurements.
    pub(crate) const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni(_) => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Amx(_) => "amx",
        }
    }

    fn run<W: Work>(self, work: W) -> W::Out {
        match self.0 {
            Kind::Portable => Portable.work(work),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(machine) => machine.work(work),
            #[cfg(target_arch = "x86_64")]
            Kind::AvxVnni(machine) => machine.work(work),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(machine) => machine.work(work),
            #[cfg(target_arch = "x86_64")]
            Kind::Amx(machine) => machine.work(work),
        }
    }
}

#[cfg(test)]
mod tests;
