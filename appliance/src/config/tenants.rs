//! `[tenants.NAME]`: a tenant.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[tenants.NAME]`: a tenant. Its collections, accounts and documents live in its own database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// What people call it. Default: its name.
    pub title: Option<String>,
    /// The model name under which the OpenAI face offers its assistant. Default: its name.
    pub assistant: Option<String>,
    /// The file of its guardrail for identifiers of people (TOML): what becomes of each kind in questions, evidence and
    /// answers. Default: each is masked in questions, and patients' are kept out of prompts and answers.
    pub guardrail: Option<PathBuf>,
    /// The file of its roster, one {"kind", "text"} a line: people and wards that are found wherever they stand. It is as
    /// secret as a patient's record. Default: none.
    pub roster: Option<PathBuf>,
}
