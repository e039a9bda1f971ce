//! `[tenants.NAME]`: a tenant.

use serde::{Deserialize, Serialize};

/// `[tenants.NAME]`: a tenant. Its collections, accounts and documents live in its own database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// What people call it. Default: its name.
    pub title: Option<String>,
    /// The model name under which the OpenAI face offers its assistant. Default: its name.
    pub assistant: Option<String>,
}
