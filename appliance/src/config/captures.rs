//! `[captures]` of a tenant: what is kept, sealed, of its questions and answers.

use cloister_governance::captures::{Form, MOST_DAYS, RETENTION_DAYS};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// What is kept, sealed, of a tenant's questions and answers, so that it can be found out what went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Captures {
    /// `off`, `redacted` or `raw`. Raw keeps identifiers of patients; only a tenant's own file, applied with `cloister
    /// tenant apply`, can say so. Default: `redacted`.
    pub mode: Mode,
    /// How many days they are kept, 1 to 3650. Default: 30.
    #[serde(deserialize_with = "days")]
    pub days: u32,
    /// Whether an answer that cannot be captured may not be given. Default: false, it is given, and the audit log says that
    /// there is no capture of it.
    pub required: bool,
}

/// Whether and how requests are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is kept.
    Off,
    /// Identifiers become placeholders before anything is kept.
    Redacted,
    /// As it was said.
    Raw,
}

impl Mode {
    /// The form of what is kept; none where nothing is.
    pub const fn form(self) -> Option<Form> {
        match self {
            Self::Off => None,
            Self::Redacted => Some(Form::Redacted),
            Self::Raw => Some(Form::Raw),
        }
    }
}

impl Default for Captures {
    fn default() -> Self {
        Self { mode: Mode::Redacted, days: RETENTION_DAYS, required: false }
    }
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let days = u32::deserialize(deserializer)?;
    let within = (1..=MOST_DAYS).contains(&days);
    if within { Ok(days) } else { Err(D::Error::custom(format!("`days` takes 1 to {MOST_DAYS}"))) }
}
