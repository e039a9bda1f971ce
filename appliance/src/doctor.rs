//! The doctor: what stands in the way of serving, each with a code and what to do.
//!
//! It looks and changes nothing: it makes no folder or key and sends no packet. Only that it used the keys is recorded.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Config;

mod files;
mod machine;
mod network;
mod weight;

pub use machine::processor;
pub use weight::weigh;

/// How a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Good,
    /// Worth knowing; nothing to do.
    Note,
    /// It works, and will not for ever.
    Warning,
    /// The server cannot do its work.
    Bad,
}

impl State {
    /// The word that tables show.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Bad => "PROBLEM",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A stable word for programs and for the handbook.
    pub code: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mend: String,
}

impl Finding {
    /// As it should be.
    pub fn good(code: &'static str, found: impl Into<String>) -> Self {
        Self { code, state: State::Good, found: found.into(), mend: String::new() }
    }

    /// Worth knowing.
    pub fn note(code: &'static str, found: impl Into<String>) -> Self {
        Self { state: State::Note, ..Self::good(code, found) }
    }

    /// It works, and will not for ever.
    pub fn warning(code: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { code, state: State::Warning, found: found.into(), mend: mend.into() }
    }

    /// It stands in the way.
    pub fn bad(code: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { state: State::Bad, ..Self::warning(code, found, mend) }
    }
}

/// Looks at the models: present, and equal to their manifests. The program passes the registry's answer.
pub type Models<'a> = &'a dyn Fn(&Config) -> Vec<Finding>;

/// What `/proc` and `/sys` say, or a folder that a test made up.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Where `/proc` is.
    pub proc: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self { proc: PathBuf::from("/proc") }
    }
}

/// Looks at everything. `models` looks at the models.
pub fn examine(config: &Config, machine: &Machine, now: Timestamp, models: Models<'_>) -> Vec<Finding> {
    let mut findings = vec![
        processor(),
        machine::memory(machine),
        machine::swap(machine),
        machine::disk(&config.data.folder),
        files::data_folder(&config.data.folder),
        files::master_key(config),
    ];
    findings.extend(files::store(config));
    findings.push(files::certificate(config, now));
    findings.extend(models(config));
    findings.push(network::listener(&config.server));
    findings.push(network::egress(machine));
    findings
}

/// The worst of `findings`.
pub fn worst(findings: &[Finding]) -> State {
    findings.iter().map(|finding| finding.state).max().unwrap_or(State::Good)
}

/// The nearest folder above `path` that there is.
fn existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|ancestor| ancestor.exists())
}

#[cfg(test)]
mod tests;
