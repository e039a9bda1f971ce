//! `[site]`: where the site is.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// `[site]`: where the site is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Site {
    /// Its time zone, by its IANA name as in `America/New_York`. Versions of documents take effect and expire at midnight
    /// there. Default: the machine's own.
    pub zone: Option<Zone>,
}

impl Site {
    /// The zone by whose calendar documents hold.
    pub fn time_zone(&self) -> TimeZone {
        self.zone.as_ref().map_or_else(TimeZone::system, |zone| zone.0.clone())
    }
}

/// A time zone that this machine knows, by its IANA name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(TimeZone);

/// A name that is no time zone's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no time zone: write its IANA name, as in `America/New_York`, and see that the package `tzdata` is installed"
)]
pub struct UnknownZone(String);

impl TryFrom<String> for Zone {
    type Error = UnknownZone;
    fn try_from(name: String) -> Result<Self, UnknownZone> {
        TimeZone::get(&name).map(Self).map_err(|_| UnknownZone(name))
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.0.iana_name().unwrap_or("UTC").to_owned()
    }
}
