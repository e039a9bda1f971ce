//! Intel's matrix extension (AMX): eight tile registers of sixteen rows of 64 bytes, and products of whole tiles of 8-bit integers.
//!
//! A product takes a tile of rows with a tile of columns, four neighbouring bytes of each at a time, and adds 32-bit integers exactly. So the
//! sums are those of the vector paths to the last bit, and what is made of them afterwards is the same code.
//!
//! Rust's intrinsics for it are not stable yet, so the instructions are assembly here. A tile's shape comes from a configuration that each
//! thread loads before and releases afterwards: state that is in use makes every switch between threads dearer. The compiler itself never
//! touches tiles, so they keep what they hold between two blocks of assembly.
//!
//! Source of the instructions: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.

use std::arch::asm;
use std::sync::OnceLock;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Bytes of a row of sixteen sums.
pub(super) const ROW_BYTES: usize = 64;

/// Sums of two products of tiles, row by row.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[i32; 16]; 2 * ROWS]);

impl Sums {
    pub(super) const ZERO: Self = Self([[0; 16]; 2 * ROWS]);
}

/// The proof that this process may use tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles(());

impl Tiles {
    /// The proof, where the processor has tiles and the system lets this process have their state.
    pub(crate) fn detect() -> Option<Self> {
        static FOUND: OnceLock<bool> = OnceLock::new();
        FOUND.get_or_init(|| processor_has_them() && system_allows_them()).then_some(Self(()))
    }

    /// Runs `work` while tiles are laid out for products over `inner` bytes, a multiple of four and 64 at most: tiles 0 and 1 hold sums, tiles
    /// 2 and 5 rows of `inner` bytes, tiles 3 and 4 columns, four bytes of each of sixteen in a row.
    #[inline(always)]
    pub(super) fn laid_out<T>(self, inner: u8, work: impl FnOnce() -> T) -> T {
        let layout = Layout::new(inner);
        // SAFETY: `self` says that the instruction is there, and a layout is what it reads: 64 bytes with shapes that fit palette 1.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const layout, options(nostack, readonly, preserves_flags)) };
        let done = work();
        // SAFETY: as above; nothing of the tiles is needed any more.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
        done
    }
}

/// What the processor is told about the tiles' shapes.
#[repr(C, align(64))]
struct Layout {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Layout {
    fn new(inner: u8) -> Self {
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        let (of_rows, of_columns) = ((u16::from(inner), 16), (64, inner / 4));
        let shapes = [(64, 16), (64, 16), of_rows, of_columns, of_columns, of_rows];
        for ((row_bytes, rows), shape) in row_bytes.iter_mut().zip(&mut rows).zip(shapes) {
            (*row_bytes, *rows) = shape;
        }
        Self { palette: 1, start_row: 0, reserved: [0; 14], row_bytes, rows }
    }
}

fn processor_has_them() -> bool {
    let processor = raw_cpuid::CpuId::new();
    processor.get_extended_feature_info().is_some_and(|has| has.has_amx_tile() && has.has_amx_int8())
}

/// Linux saves the tiles' state for those processes only that ask: `arch_prctl(2)`, ARCH_REQ_XCOMP_PERM for XTILEDATA. It holds for all threads.
#[cfg(target_os = "linux")]
fn system_allows_them() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers and touches no memory of this process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn system_allows_them() -> bool {
    false
}

/// Products of sixteen rows of 64 bytes with a sign with sixteen columns of bytes without one; the second half of `sums` is left alone.
///
/// # Safety
/// Tiles are laid out for 64 bytes; sixteen rows of them lie at `rows` and sixteen lines of columns, four bytes of each of sixteen, at `columns`.
#[inline(always)]
pub(super) unsafe fn whole(rows: *const u8, columns: *const u8, sums: &mut Sums) {
    // SAFETY: the caller's word; `sums` has room for a tile.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tileloadd tmm3, [{columns} + {line}*1]",
            "tileloadd tmm2, [{rows} + {line}*1]",
            "tdpbsud tmm0, tmm2, tmm3",
            "tilestored [{sums} + {line}*1], tmm0",
            rows = in(reg) rows,
            columns = in(reg) columns,
            line = in(reg) ROW_BYTES,
            sums = in(reg) &raw mut sums.0,
            out("tmm0") _, out("tmm2") _, out("tmm3") _,
            options(nostack, preserves_flags)
        );
    }
}

/// Products of sixteen rows of numbers, whose low parts and high parts lie apart and are bytes with a sign, with sixteen columns of bytes
/// without one: the sums of the low parts come first in `sums`, those of the high ones after them.
///
/// # Safety
/// Tiles are laid out for the bytes of a row; of sixteen rows, 64 bytes apart, so many low parts lie at `rows` and so many high ones 32 bytes after
/// them; so many lines of columns, four bytes of each of sixteen, lie at `columns`.
#[inline(always)]
pub(super) unsafe fn parts(rows: *const u8, columns: *const u8, sums: &mut Sums) {
    // SAFETY: the caller's word; `sums` has room for two tiles.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tileloadd tmm3, [{columns} + {line}*1]",
            "tileloadd tmm2, [{rows} + {line}*1]",
            "tileloadd tmm5, [{rows} + {line}*1 + 32]",
            "tdpbsud tmm0, tmm2, tmm3",
            "tdpbsud tmm1, tmm5, tmm3",
            "tilestored [{sums} + {line}*1], tmm0",
            "tilestored [{sums} + {line}*1 + 1024], tmm1",
            rows = in(reg) rows,
            columns = in(reg) columns,
            line = in(reg) ROW_BYTES,
            sums = in(reg) &raw mut sums.0,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm5") _,
            options(nostack, preserves_flags)
        );
    }
}

/// Products of sixteen rows of bytes without a sign with two times sixteen columns of bytes with one, over `steps` times 64 bytes: the sums of the
/// first columns come first in `sums`.
///
/// # Safety
/// Tiles are laid out for 64 bytes; sixteen rows lie at `rows`, `stride` bytes apart, and `steps` times 2,048 bytes of columns at `columns`;
/// `steps` is not 0.
#[inline(always)]
pub(super) unsafe fn bytes(rows: *const u8, stride: usize, columns: *const i8, steps: usize, sums: &mut Sums) {
    // SAFETY: the caller's word; `sums` has room for two tiles.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            "tileloadd tmm2, [{rows} + {stride}*1]",
            "tileloadd tmm3, [{columns} + {block}*1]",
            "tileloadd tmm4, [{columns} + {block}*1 + 64]",
            "tdpbusd tmm0, tmm2, tmm3",
            "tdpbusd tmm1, tmm2, tmm4",
            "add {rows}, 64",
            "add {columns}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {line}*1], tmm0",
            "tilestored [{sums} + {line}*1 + 1024], tmm1",
            rows = inout(reg) rows => _,
            stride = in(reg) stride,
            columns = inout(reg) columns => _,
            block = in(reg) 2 * ROW_BYTES,
            line = in(reg) ROW_BYTES,
            steps = inout(reg) steps => _,
            sums = in(reg) &raw mut sums.0,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _, out("tmm4") _,
            options(nostack)
        );
    }
}
