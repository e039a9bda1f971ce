//! `[vault]` of a tenant: whether what placeholders stand for is kept, sealed.

use cloister_governance::captures::MOST_DAYS;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::Session;

/// Whether it is kept what the placeholders of a session stand for, so that they are the same throughout it and can be turned back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vault {
    /// How many days it is kept, 0 to 3650; only a tenant's own file, applied with `cloister tenant apply`, can say so. No session may
    /// last longer than that. Default: 0, it is not kept at all: each question has placeholders of its own, and nothing brings back what
    /// they stood for. With a vault nobody turns one back until a policy of the site's own permits `reidentify`.
    #[serde(deserialize_with = "days")]
    pub days: u32,
}

impl Vault {
    /// That what is kept outlasts every session: else one placeholder would stand for two people of one session.
    ///
    /// # Errors
    /// What to change.
    pub fn outlasts(self, session: &Session) -> Result<(), String> {
        let (days, hours) = (self.days, session.longest_hours);
        if days == 0 || 24 * days > u32::from(hours) {
            return Ok(());
        }
        Err(format!(
            "what placeholders stand for is kept for {days} days, and a session may last {hours} hours (`session.longest_hours`): one \
             placeholder could then stand for two people; keep it for more days, or let sessions end earlier"
        ))
    }
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(deserializer)?;
    if days <= MOST_DAYS { Ok(days) } else { Err(D::Error::custom(format!("`days` takes 0 to {MOST_DAYS}"))) }
}
