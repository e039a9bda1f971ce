//! `[batches]`: files of requests and what came of them.

use cloister_governance::batches::{RETENTION_DAYS, Room};
use serde::{Deserialize, Serialize};

/// `[batches]`: files of requests that are worked through, and the files of what came of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batches {
    /// How many days files and batches are kept, 1 to 3650. Default: 30.
    pub days: u32,
    /// Megabytes that the files of one account may take together. Default: 1024.
    pub megabytes: u32,
}

impl Default for Batches {
    fn default() -> Self {
        Self { days: RETENTION_DAYS, megabytes: 1024 }
    }
}

impl Batches {
    /// How much is kept, and for how long.
    pub fn room(&self) -> Room {
        Room { days: self.days, bytes: u64::from(self.megabytes) * 1024 * 1024 }
    }

    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if !(1..=3650).contains(&self.days) {
            Some(("batches.days", "takes 1 to 3650"))
        } else if self.megabytes == 0 {
            Some(("batches.megabytes", "must be at least 1"))
        } else {
            None
        }
    }
}
