//! Weight matrices, repacked once.

use std::marker::PhantomData;

use half::{bf16, f16};

use super::activations::Activations;
use super::formats::{BLOCK, Format, LANES, SUPER_LEAST, SUPER_PLAIN, Unit, place, upper_mask};
#[cfg(target_arch = "x86_64")]
use super::product::tiled;
use super::product::{
    Brain, Eight, FEW, Few, Five, FloatPanels, Four, Full, Half, HalfLeast, Many, Out, Panels, Quants, SPREAD,
    SPREAD_QUANTS, Scales, Six, Sixteen, Spread, SuperLeast, SuperPlain,
};
use super::team::Pointer;
use super::{Path, Team};

/// A line of the cache: what vectors are loaded from starts on one.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Bytes of whole lines.
struct Lines(Vec<Line>);

impl Lines {
    /// So many bytes, all zero. In large pages where the system gives them when asked: a walk of the page tables for every 4 KiB of weights costs a
    /// fourth of the speed at which they are read (measured on a virtual machine).
    fn new(bytes: usize) -> Self {
        let lines = bytes.div_ceil(64);
        let mut room = Vec::with_capacity(lines);
        ask_for_large_pages(&mut room);
        room.resize(lines, Line([0; 64]));
        Self(room)
    }

    fn start(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: a line is sixty-four bytes without padding, and the vector is borrowed as long as the slice.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 64) }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.start(), self.0.len() * 64) }
    }
}

/// Asks, before anything is written there, that the room of a vector be in large pages. What cannot be had is done without.
fn ask_for_large_pages<T>(room: &mut Vec<T>) {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        /// Advice goes by whole pages; large ones are 2 MiB.
        const LARGE: usize = 2 << 20;
        let (start, bytes) = (room.as_mut_ptr().cast::<u8>(), room.capacity() * size_of::<T>());
        let skipped = start.align_offset(LARGE);
        let whole = bytes.saturating_sub(skipped) / LARGE * LARGE;
        if whole > 0 {
            // SAFETY: the range lies within the vector's room; the advice changes how it is backed, not what it holds.
            unsafe { libc::madvise(start.wrapping_add(skipped).cast(), whole, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    let _ = room;
}

/// A weight matrix, one row per output, in the form that the kernels read. It takes the place of the file's form.
pub(crate) struct Matrix {
    format: Format,
    inputs: usize,
    outputs: usize,
    path: Path,
    quants: Lines,
    quants_stride: usize,
    scales: Lines,
    scales_stride: usize,
}

/// Why weights cannot be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are not {outputs} rows of {inputs} weights in the layout {format:?}")]
pub(crate) struct PackError {
    format: Format,
    bytes: usize,
    inputs: usize,
    outputs: usize,
}

/// Bytes of weights that one unit of work reads where rows are few: long enough to stream, short enough to share out.
const UNIT_BYTES: usize = 128 * 1024;

impl Matrix {
    /// Packs the rows of a file, each `inputs` weights long.
    ///
    /// # Errors
    /// [`PackError`] where the bytes are not so many rows.
    pub(crate) fn pack(
        format: Format,
        bytes: &[u8],
        (inputs, outputs): (usize, usize),
        path: Path,
        team: &Team,
    ) -> Result<Self, PackError> {
        let error = PackError { format, bytes: bytes.len(), inputs, outputs };
        let (unit, unit_bytes) = format.block();
        if inputs == 0 || outputs == 0 || !inputs.is_multiple_of(unit) {
            return Err(error);
        }
        let row_bytes = inputs / unit * unit_bytes;
        if row_bytes.checked_mul(outputs) != Some(bytes.len()) {
            return Err(error);
        }
        let mut packed = Self::empty(format, (inputs, outputs), path);
        let (panels, quants_stride, scales_stride) = (packed.panels(), packed.quants_stride, packed.scales_stride);
        let (quants, scales) = (packed.quants.bytes_mut(), packed.scales.bytes_mut());
        let scales = Pointer(scales.as_mut_ptr());
        team.split(quants.get_mut(..panels * quants_stride).unwrap_or_default(), quants_stride, |panel, quants| {
            // SAFETY: every panel is one unit's, and has so many bytes of scales.
            let scales = unsafe { std::slice::from_raw_parts_mut(scales.at(panel * scales_stride), scales_stride) };
            for (lane, row) in bytes.chunks_exact(row_bytes).skip(panel * LANES).take(LANES).enumerate() {
                // Every index below lies within the panel, whose size was computed from the same numbers.
                let _ = pack_row(format, lane, row, quants, scales);
            }
        });
        Ok(packed)
    }

    /// Room for the weights.
    fn empty(format: Format, (inputs, outputs): (usize, usize), path: Path) -> Self {
        let (panels, blocks) = (outputs.div_ceil(LANES), inputs.div_ceil(BLOCK));
        let (quants_stride, scales_stride) = (blocks * format.quant_bytes(), format.scale_bytes(inputs));
        let (quants, scales) = (Lines::new(panels * quants_stride), Lines::new(panels * scales_stride));
        Self { format, inputs, outputs, path, quants, quants_stride, scales, scales_stride }
    }

    /// Weights of no meaning, to be timed. Every byte is the same, and no number that is made of it is subnormal, infinite or none.
    /// Inputs are whole blocks.
    pub(crate) fn blank(format: Format, (inputs, outputs): (usize, usize), path: Path) -> Self {
        let mut blank = Self::empty(format, (inputs, outputs), path);
        blank.quants.bytes_mut().fill(0x11);
        blank.scales.bytes_mut().fill(0x11);
        blank
    }

    /// Length of a row of the result.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Length of a row that is multiplied.
    pub(crate) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.quants.bytes().len() + self.scales.bytes().len()
    }

    /// Bytes that a product with one row reads for one panel.
    fn panel_bytes(&self) -> usize {
        self.quants_stride + self.scales_stride
    }

    /// One row of weights as floats. `None` where there is no such row, or `out` is not as long as a row.
    pub(crate) fn row(&self, row: usize, out: &mut [f32]) -> Option<()> {
        if row >= self.outputs || out.len() != self.inputs {
            return None;
        }
        let (panel, lane) = (row / LANES, row % LANES);
        let quants = self.quants.bytes().get(panel * self.quants_stride..(panel + 1) * self.quants_stride)?;
        let scales = self.scales.bytes().get(panel * self.scales_stride..(panel + 1) * self.scales_stride)?;
        for (input, out) in out.iter_mut().enumerate() {
            *out = weight(self.format, lane, input, quants, scales)?;
        }
        Some(())
    }

    /// Multiplies every row of `input`; the products are written to `out`, or added to it, row by row. Several matrices of
    /// one input write one after the other into each row. Nothing is done where the sizes do not fit together.
    pub(crate) fn multiply(matrices: &[&Self], team: &Team, input: &Activations, out: &mut [f32], add: bool) -> bool {
        let stride: usize = matrices.iter().map(|matrix| matrix.outputs).sum();
        let rows = input.rows();
        let fits = matrices.iter().all(|matrix| matrix.inputs == input.inputs()) && out.len() == rows * stride;
        if !fits || input.view().is_none() {
            return false;
        }
        // Units of about the same size over all matrices, at least a few per thread.
        let total: usize = matrices.iter().map(|matrix| matrix.panels() * matrix.panel_bytes()).sum();
        let size = if rows > FEW {
            total.div_ceil(8 * team.threads())
        } else {
            total.div_ceil(4 * team.threads()).min(UNIT_BYTES)
        };
        let mut units = Vec::new();
        let mut column = 0;
        for matrix in matrices {
            let together = (size / matrix.panel_bytes()).max(1);
            units.extend(
                (0..matrix.panels())
                    .step_by(together)
                    .map(|first| (*matrix, first, together.min(matrix.panels() - first), column)),
            );
            column += matrix.outputs;
        }
        let start = Pointer(out.as_mut_ptr());
        team.run(units.len(), |unit| {
            let (Some((matrix, first, panels, column)), Some(view)) = (units.get(unit).copied(), input.view()) else {
                return;
            };
            // SAFETY: the place lies within the first row of `out`, and units write to columns of their own.
            let at = unsafe { start.at(column + first * LANES) };
            let out = Out { at, stride, columns: LANES, add };
            let columns = matrix.outputs - first * LANES;
            // SAFETY: the matrix holds the panels, `view` the rows, and `out` has room for every row's columns.
            unsafe {
                matrix.panels_times(Panels {
                    quants: matrix.quants.start().add(first * matrix.quants_stride),
                    quants_stride: matrix.quants_stride,
                    scales: matrix.scales.start().add(first * matrix.scales_stride),
                    scales_stride: matrix.scales_stride,
                    panels,
                    blocks: matrix.inputs.div_ceil(BLOCK),
                    rows,
                    input: view,
                    out,
                    columns,
                })
            };
        });
        true
    }

    fn panels(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// # Safety
    /// The pointers of `work` are those of this matrix's panels, and good for what the sizes say.
    unsafe fn panels_times(&self, work: Panels) {
        // SAFETY: the caller's word, and the path was one of those available when the matrix was packed.
        unsafe {
            match self.format {
                Format::Q4_0 => self.quantised::<Four, Half<8>, false>(work),
                Format::Q4_1 => self.quantised::<Four, HalfLeast, false>(work),
                Format::Q5_0 => self.quantised::<Five, Half<16>, false>(work),
                Format::Q5_1 => self.quantised::<Five, HalfLeast, false>(work),
                Format::Q8_0 => self.quantised::<Eight, Half<128>, false>(work),
                Format::Q4K => self.quantised::<Four, SuperLeast, false>(work),
                Format::Q5K => self.quantised::<Five, SuperLeast, false>(work),
                Format::Q6K => self.quantised::<Six, SuperPlain, true>(work),
                Format::F16 => self.path.run(FloatPanels::<Sixteen>(work, PhantomData)),
                Format::Bf16 => self.path.run(FloatPanels::<Brain>(work, PhantomData)),
                Format::F32 => self.path.run(FloatPanels::<Full>(work, PhantomData)),
            }
        }
    }

    /// # Safety
    /// As for [`Matrix::panels_times`].
    unsafe fn quantised<Q: Quants, C: Scales, const HALVES: bool>(&self, work: Panels) {
        // SAFETY: the caller's word.
        unsafe {
            if work.rows <= FEW {
                return self.path.run(Few::<Q, C>(work, PhantomData));
            }
            ROOM.with_borrow_mut(|room| {
                let needed = work.blocks * SPREAD;
                if room.0.len() * 64 < needed {
                    *room = Lines::new(needed);
                }
                let room = room.bytes_mut().as_mut_ptr();
                let twice = Q::SHORT && self.path.has_tiles();
                for panel in 0..work.panels {
                    let (quants, scales) =
                        (work.quants.add(panel * work.quants_stride), work.scales.add(panel * work.scales_stride));
                    let (blocks, kind) = (work.blocks, PhantomData);
                    self.path.run(Spread::<Q, C> { quants, scales, blocks, to: room, twice, kind });
                    let out = Out {
                        at: work.out.at.add(panel * LANES),
                        columns: (work.columns - panel * LANES).min(LANES),
                        ..work.out
                    };
                    let scales = room.add(work.blocks * SPREAD_QUANTS).cast_const();
                    let quants = room.cast_const();
                    let panel = Panels { quants, scales, panels: 1, out, ..work };
                    #[cfg(target_arch = "x86_64")]
                    let panel = match self.path {
                        Path::Amx(tiles) if twice => panel.from(tiled::<false, true>(tiles, panel)),
                        Path::Amx(tiles) => panel.from(tiled::<HALVES, false>(tiles, panel)),
                        _ => panel,
                    };
                    self.path.run(Many::<HALVES> { work: panel, twice });
                }
            });
        }
    }
}

thread_local! {
    /// Where a panel is taken apart.
    static ROOM: std::cell::RefCell<Lines> = const { std::cell::RefCell::new(Lines(Vec::new())) };
}

/// Puts one row into its lane of a panel.
fn pack_row(format: Format, lane: usize, row: &[u8], quants: &mut [u8], scales: &mut [u8]) -> Option<()> {
    let (length, bytes) = format.block();
    if !format.quantised() {
        for (input, number) in row.chunks_exact(bytes).enumerate() {
            quants.get_mut((input * LANES + lane) * bytes..)?.get_mut(..bytes)?.copy_from_slice(number);
        }
        return Some(());
    }
    let mut unit = Unit::EMPTY;
    let panel_bytes = format.quant_bytes();
    let upper = upper_mask(format);
    for (at, bytes) in row.chunks_exact(bytes).enumerate() {
        format.read(bytes, &mut unit)?;
        for (part, values) in unit.quants.get(..length)?.chunks_exact(BLOCK).enumerate() {
            let block = quants.get_mut((at * length / BLOCK + part) * panel_bytes..)?.get_mut(..panel_bytes)?;
            for (input, value) in values.iter().enumerate() {
                let ([low, high], [low_shift, high_shift]) = place(format, lane, input);
                if format == Format::Q8_0 {
                    *block.get_mut(low)? = *value;
                    continue;
                }
                *block.get_mut(low)? |= (value & 15) << low_shift;
                if upper > 0 {
                    *block.get_mut(high)? |= (value >> 4 & upper) << high_shift;
                }
            }
        }
        pack_scales(format, lane, at, &unit, scales)?;
    }
    Some(())
}

fn pack_scales(format: Format, lane: usize, at: usize, unit: &Unit, scales: &mut [u8]) -> Option<()> {
    let mut put = |place: usize, bytes: &[u8]| {
        scales.get_mut(place..place + bytes.len())?.copy_from_slice(bytes);
        Some(())
    };
    match format {
        Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => put(at * 32 + lane * 2, &unit.scale),
        Format::Q4_1 | Format::Q5_1 => {
            put(at * 64 + lane * 2, &unit.scale)?;
            put(at * 64 + 32 + lane * 2, &unit.least)
        }
        Format::Q4K | Format::Q5K => {
            let head = at * SUPER_LEAST;
            put(head + lane * 2, &unit.scale)?;
            put(head + 32 + lane * 2, &unit.least)?;
            for (part, (scale, least)) in unit.scales.iter().zip(&unit.leasts).enumerate() {
                put(head + 64 + part * 32 + lane, &[*scale])?;
                put(head + 64 + part * 32 + 16 + lane, &[*least])?;
            }
            Some(())
        }
        Format::Q6K => {
            let head = at * SUPER_PLAIN;
            put(head + lane * 2, &unit.scale)?;
            for (part, scale) in unit.scales.iter().enumerate() {
                put(head + 32 + part * 16 + lane, &[*scale])?;
            }
            Some(())
        }
        Format::F16 | Format::Bf16 | Format::F32 => Some(()),
    }
}

/// One weight of a panel as a float.
fn weight(format: Format, lane: usize, input: usize, quants: &[u8], scales: &[u8]) -> Option<f32> {
    let half = |at: usize| Some(f16::from_le_bytes(*scales.get(at..)?.first_chunk()?).to_f32());
    let place_of = |bytes: usize| quants.get((input * LANES + lane) * bytes..);
    match format {
        Format::F16 => return Some(f16::from_le_bytes(*place_of(2)?.first_chunk()?).to_f32()),
        Format::Bf16 => return Some(bf16::from_le_bytes(*place_of(2)?.first_chunk()?).to_f32()),
        Format::F32 => return Some(f32::from_le_bytes(*place_of(4)?.first_chunk()?)),
        _ => {}
    }
    let block = input / BLOCK;
    let bytes = quants.get(block * format.quant_bytes()..)?;
    let ([low, high], [low_shift, high_shift]) = place(format, lane, input % BLOCK);
    let mut quant = i32::from(*bytes.get(low)?);
    if format != Format::Q8_0 {
        quant = quant >> low_shift & 15 | i32::from(*bytes.get(high)? >> high_shift & upper_mask(format)) << 4;
    }
    let quant = (quant - format.offset()) as f32;
    let byte = |at: usize| scales.get(at).copied();
    Some(match format {
        Format::Q4_1 | Format::Q5_1 => quant.mul_add(half(block * 64 + lane * 2)?, half(block * 64 + 32 + lane * 2)?),
        Format::Q4K | Format::Q5K => {
            let (head, part) = (block / 8 * SUPER_LEAST, block % 8 * 32);
            let scale = half(head + lane * 2)? * f32::from(byte(head + 64 + part + lane)?);
            let least = half(head + 32 + lane * 2)? * f32::from(byte(head + 64 + part + 16 + lane)?);
            quant.mul_add(scale, -least)
        }
        Format::Q6K => {
            let (head, part) = (block / 8 * SUPER_PLAIN, input % 256 / 16 * 16);
            quant * half(head + lane * 2)? * f32::from(byte(head + 32 + part + lane)?.cast_signed())
        }
        _ => quant * half(block * 32 + lane * 2)?,
    })
}

#[cfg(test)]
mod tests;
