//! `[session]`: one interaction, from its first question to its last.

use serde::{Deserialize, Serialize};

/// `[session]`: one interaction, from its first question to its last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// Minutes without use until a session ends. Default: 30.
    pub idle_minutes: u16,
    /// Hours until a session ends however it is used. Default: 8.
    pub longest_hours: u16,
}

impl Default for Session {
    fn default() -> Self {
        Self { idle_minutes: 30, longest_hours: 8 }
    }
}

impl Session {
    pub(super) const fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.idle_minutes == 0 {
            Some(("session.idle_minutes", "must be at least 1"))
        } else if self.longest_hours == 0 {
            Some(("session.longest_hours", "must be at least 1"))
        } else {
            None
        }
    }
}
