//! `[sign_in]`: persons who sign in with a password.

use cloister_governance::accounts::Rules;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// `[sign_in]`: persons who sign in with a password.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignIn {
    /// Minutes without a request until a person is signed out: 1 to 60. Default: 15.
    pub idle_minutes: u16,
    /// Hours that a person stays signed in at most: 1 to 24. Default: 12, a shift.
    pub longest_hours: u16,
    /// Whether everyone needs a second factor. Who has set one up needs it either way. Default: true.
    pub second_factor: bool,
    /// Tries to sign in a minute from one address before more are answered 429 unread. Raise it for a proxy.
    /// Default: 60.
    pub attempts_per_minute: u32,
}

impl Default for SignIn {
    fn default() -> Self {
        Self { idle_minutes: 15, longest_hours: 12, second_factor: true, attempts_per_minute: 60 }
    }
}

impl SignIn {
    /// The same as the register takes it.
    pub fn rules(&self) -> Rules {
        Rules {
            idle: SignedDuration::from_mins(i64::from(self.idle_minutes)),
            longest: SignedDuration::from_hours(i64::from(self.longest_hours)),
            second_factor: self.second_factor,
        }
    }

    pub(super) const fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if self.idle_minutes == 0 || self.idle_minutes > 60 {
            Some(("sign_in.idle_minutes", "must be 1 to 60"))
        } else if self.longest_hours == 0 || self.longest_hours > 24 {
            Some(("sign_in.longest_hours", "must be 1 to 24"))
        } else if self.attempts_per_minute == 0 {
            Some(("sign_in.attempts_per_minute", "must be at least 1"))
        } else {
            None
        }
    }
}
