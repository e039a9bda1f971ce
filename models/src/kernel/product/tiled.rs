//! Sixteen rows at a time times one panel that was taken apart, on tiles.

#![allow(
    clippy::indexing_slicing,
    reason = "indices run to lengths that are constants of the types; the compiler unrolls and checks nothing at run time"
)]

use super::super::amx::{self, ROWS, Sums, Tiles};
use super::super::simd::{Avx512, Simd};
use super::{BLOCK, ONCE, Panels, Plain, Scales, TWICE};

/// Multiplies as many rows as make whole tiles; returns how many. Where sixteen times each quad stand after the quads, both parts of the rows' numbers
/// meet what they need in one product.
///
/// # Safety
/// The processor has AVX-512, the pointers of `work` are good for one panel that was taken apart and for the rows, and sixteen of these lie side
/// by side.
pub(in super::super) unsafe fn tiled<const HALVES: bool, const BOTH: bool>(tiles: Tiles, work: Panels) -> usize {
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
    unsafe fn within<const HALVES: bool, const BOTH: bool>(work: Panels, rows: usize) {
        for first in (0..rows).step_by(ROWS) {
            // SAFETY: the caller's word.
            unsafe { sixteen::<HALVES, BOTH>(work, first) };
        }
    }
    let rows = work.rows / ROWS * ROWS;
    if rows > 0 && work.input.tall == ROWS {
        // Both parts of a block are 64 bytes of a row, one part 32, half of one 16.
        let inner = if BOTH { 64 } else { if HALVES { 16 } else { 32 } };
        // SAFETY: the caller's word.
        tiles.laid_out(inner, || unsafe { within::<HALVES, BOTH>(work, rows) });
        return rows;
    }
    0
}

/// The steps of [`super::tile`], with the sums of a block's products from tiles. The next tiles' products are asked for before the last ones are
/// scaled, so that the two units work at the same time.
#[inline(always)]
unsafe fn sixteen<const HALVES: bool, const BOTH: bool>(work: Panels, first: usize) {
    let parts = if HALVES { 2 } else { 1 };
    let mut sums = [Sums::ZERO, Sums::ZERO];
    // SAFETY: the caller's word: the panel has `blocks` blocks, the input sixteen rows from the first, side by side.
    unsafe {
        let rows = work.input.quants.add(work.input.place(first)).cast::<u8>();
        let row_scales = work.input.scales.add(work.input.place(first));
        let mut totals = [Avx512::splat(0.0); ROWS];
        let products = |step: usize, sums: &mut Sums| {
            if BOTH {
                amx::whole(rows.add(step * ROWS * 2 * BLOCK), work.quants.add(step * TWICE), sums);
            } else {
                let part = step / parts * ROWS * 2 * BLOCK + step % parts * (BLOCK / 2);
                amx::parts(rows.add(part), work.quants.add(step * (ONCE / parts)), sums);
            }
        };
        products(0, &mut sums[0]);
        for block in 0..work.blocks {
            let scales = Plain::<HALVES>::read::<Avx512>(work.scales, block);
            for (part, (scale, least)) in scales.into_iter().enumerate().take(parts) {
                let step = block * parts + part;
                if step + 1 < work.blocks * parts {
                    products(step + 1, &mut sums[(step + 1) % 2]);
                }
                let found = &sums[step % 2].0;
                let which = if HALVES { part } else { 2 };
                for row in 0..ROWS {
                    let of_row = row_scales.add(block * ROWS + row).cast::<f32>();
                    let mut sum = Avx512::load_int(found[row].as_ptr().cast());
                    if !BOTH {
                        sum = Avx512::joined(sum, Avx512::load_int(found[ROWS + row].as_ptr().cast()));
                    }
                    let by = Avx512::mul(scale, Avx512::splat(of_row.read()));
                    totals[row] = Avx512::fma(Avx512::float(sum), by, totals[row]);
                    totals[row] = Avx512::fma(least, Avx512::splat(of_row.add(1 + which).read()), totals[row]);
                }
            }
        }
        for (row, total) in totals.into_iter().enumerate() {
            work.out.write::<Avx512>(first + row, total);
        }
    }
}
