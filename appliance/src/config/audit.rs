//! `[audit]`: the audit log.

use cloister_governance::audit::RETENTION_YEARS;
use serde::{Deserialize, Serialize};

/// `[audit]`: the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Years that records are kept before `cloister audit purge` may remove them; 6 at least. Default: 6.
    pub retention_years: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { retention_years: RETENTION_YEARS }
    }
}

impl Audit {
    pub(super) const fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.retention_years < RETENTION_YEARS {
            Some((
                "audit.retention_years",
                "must be at least 6: the log is documentation in the sense of 45 CFR 164.316",
            ))
        } else if self.retention_years > 1000 {
            Some(("audit.retention_years", "must be at most 1000"))
        } else {
            None
        }
    }
}
