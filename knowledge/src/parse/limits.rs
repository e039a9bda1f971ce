//! How much one file may cost.

use serde::{Deserialize, Serialize};

/// How much one file may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space of the child process, beyond what the program and its libraries take.
    pub memory_bytes: u64,
    /// Wall-clock and processor time.
    pub seconds: u64,
    /// Size of the file; what is unpacked from it may be four times as large.
    pub input_bytes: u64,
    /// Size of the result: text, blocks and metadata together.
    pub output_bytes: u64,
}

impl Default for Limits {
    /// 1 GiB of memory, 60 s, 64 MiB in, 32 MiB out: several times what the largest hospital manual needs.
    fn default() -> Self {
        Self { memory_bytes: 1 << 30, seconds: 60, input_bytes: 64 << 20, output_bytes: 32 << 20 }
    }
}
