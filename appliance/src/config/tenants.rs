//! `[tenants.NAME]`: a tenant.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Captures, Vault, captures::Mode};

/// `[tenants.NAME]`: a tenant. Its collections, accounts and documents live in its own database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// What people call it. Default: its name.
    pub title: Option<String>,
    /// The model name under which the OpenAI face offers its assistant. Default: its name.
    pub assistant: Option<String>,
    /// The file of its guardrail (TOML): identifiers, topics, words, strengths and thresholds. It is the draft, which holds until a
    /// version is in force (`cloister guardrail version`). Default: identifiers are masked in questions, and patients' are kept out
    /// of prompts and answers.
    pub guardrail: Option<PathBuf>,
    /// The file of its roster, one {"kind", "text"} a line: people and wards that are found wherever they stand. It is as
    /// secret as a patient's record. Like the guardrail it is read at start and again on reload. Default: none.
    pub roster: Option<PathBuf>,
    /// What is kept, sealed, of its questions and answers.
    pub captures: Captures,
    /// Whether what placeholders stand for is kept, sealed.
    pub vault: Vault,
}

impl Tenant {
    /// Who opts in to what keeps identifiers is on record where the tenant's own file is applied; a change of this file is on none.
    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        let vault = (self.vault.days > 0).then_some((
            "tenants",
            "keeps what placeholders stand for (`vault.days`): that is for the tenant's own file to say, so that it is on record who \
             wanted it; take the tenant out of here, and apply its file with `cloister tenant apply`",
        ));
        let raw = (self.captures.mode == Mode::Raw).then_some((
            "tenants",
            "captures raw: that is for the tenant's own file to say, so that it is on record who wanted it; take the tenant \
             out of here, and apply its file with `cloister tenant apply`",
        ));
        raw.or(vault)
    }
}
