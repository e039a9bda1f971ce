//! `[break_glass]`: emergency access.

use cloister_terms::AccessLabel;
use serde::{Deserialize, Serialize};

/// `[break_glass]`: emergency access, which agents, reviewers and knowledge managers open for themselves with a reason. It
/// opens every collection of their tenant to be read. A site that wants none forbids `break_glass` in its policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakGlass {
    /// Minutes that it lasts at most: 1 to 60. Default: 60.
    pub longest_minutes: u16,
    /// Access labels that it adds to those of the account. Default: none.
    pub labels: Vec<AccessLabel>,
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self { longest_minutes: 60, labels: Vec::new() }
    }
}

impl BreakGlass {
    pub(super) const fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.longest_minutes == 0 || self.longest_minutes > 60 {
            Some(("break_glass.longest_minutes", "must be 1 to 60"))
        } else {
            None
        }
    }
}
