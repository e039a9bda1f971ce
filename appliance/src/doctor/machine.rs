//! Processor, memory, disk.

use std::path::Path;

use super::{Finding, Machine, existing};
use crate::cpu;

const GIB: u64 = 1 << 30;
/// What the default models and a middling collection need to run beside the system.
const MEMORY_LEAST: u64 = 2 * GIB;
const MEMORY_ENOUGH: u64 = 4 * GIB;
/// Below this a day of audit records and indexes may not fit.
const DISK_LEAST: u64 = GIB;
const DISK_ENOUGH: u64 = 10 * GIB;

/// Whether the processor has what the program is made of.
pub fn processor() -> Finding {
    match cpu::check() {
        Ok(()) => Finding::good("cpu", "the processor has what the program is made of"),
        Err(unsuitable) => Finding::bad("cpu", unsuitable.to_string(), "run Cloister on a newer processor"),
    }
}

pub(super) fn memory(machine: &Machine) -> Finding {
    let table = std::fs::read_to_string(machine.proc.join("meminfo")).unwrap_or_default();
    let Some(free) = bytes(&table, "MemAvailable:") else {
        return Finding::note("memory", "how much memory is free cannot be told");
    };
    let found = format!("{} of memory free", size(free));
    let mend = "end other programs, or give the machine more memory";
    match free {
        free if free < MEMORY_LEAST => Finding::bad("memory", found, mend),
        free if free < MEMORY_ENOUGH => Finding::warning("memory", found, mend),
        _ => Finding::good("memory", found),
    }
}

pub(super) fn swap(machine: &Machine) -> Finding {
    let table = std::fs::read_to_string(machine.proc.join("meminfo")).unwrap_or_default();
    match bytes(&table, "SwapTotal:") {
        None | Some(0) => Finding::good("swap", "none"),
        Some(swap) => Finding::warning(
            "swap",
            format!("{} of swap: patient text could reach the disk", size(swap)),
            "run under the systemd unit (MemorySwapMax=0), or switch swap off",
        ),
    }
}

/// One figure of `/proc/meminfo`, which counts in kibibytes, in bytes.
fn bytes(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

pub(super) fn disk(folder: &Path) -> Finding {
    let Some(stat) = existing(folder).and_then(|folder| rustix::fs::statvfs(folder).ok()) else {
        return Finding::note("disk", format!("how much room there is for {} cannot be told", folder.display()));
    };
    let free = stat.f_bavail * stat.f_frsize;
    let found = format!("{} free for {}", size(free), folder.display());
    let mend = "free the disk, or set `data.folder` to one with more room";
    match free {
        free if free < DISK_LEAST => Finding::bad("disk", found, mend),
        free if free < DISK_ENOUGH => Finding::warning("disk", found, mend),
        _ => Finding::good("disk", found),
    }
}

/// Bytes in words: tenths of a GiB.
fn size(bytes: u64) -> String {
    let tenths = bytes * 10 / GIB;
    format!("{}.{} GiB", tenths / 10, tenths % 10)
}
