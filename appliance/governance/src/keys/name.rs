//! What a data key is for.

use std::{fmt, str::FromStr};

use cloister_terms::TenantId;
use serde::{Deserialize, Serialize};

/// What a data key encrypts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// A database: the accounts of the site, or all that a tenant has.
    Database,
    /// The audit log.
    Audit,
    /// The index that searches the audit log.
    AuditIndex,
    /// Backups of the store.
    Backup,
    /// A tenant's captures of questions and answers.
    Captures,
}

impl KeyPurpose {
    const ALL: [Self; 5] = [Self::Database, Self::Audit, Self::AuditIndex, Self::Backup, Self::Captures];

    /// The word that files, records and lists use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Audit => "audit",
            Self::AuditIndex => "audit-index",
            Self::Backup => "backup",
            Self::Captures => "captures",
        }
    }
}

/// Names a data key: a tenant, or the site as a whole, and a purpose. Written `site/audit`, `tenant/larkfield/database`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName {
    tenant: Option<TenantId>,
    purpose: KeyPurpose,
}

impl KeyName {
    /// A key of the site as a whole.
    pub const fn site(purpose: KeyPurpose) -> Self {
        Self { tenant: None, purpose }
    }

    /// A key of one tenant.
    pub const fn tenant(tenant: TenantId, purpose: KeyPurpose) -> Self {
        Self { tenant: Some(tenant), purpose }
    }

    /// The tenant; none for the site as a whole.
    pub const fn of_tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// The purpose.
    pub const fn purpose(&self) -> KeyPurpose {
        self.purpose
    }

    /// The name by which earlier releases derived this key from the master key, instead of keeping it in a keyring.
    pub(crate) fn derivation(&self) -> String {
        match (&self.tenant, self.purpose) {
            (Some(tenant), _) => format!("database/tenant/{tenant}"),
            (None, KeyPurpose::Database) => "database/fleet".to_owned(),
            (None, purpose) => format!("database/{}", purpose.as_str()),
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "tenant/{tenant}/{}", self.purpose.as_str()),
            None => write!(f, "site/{}", self.purpose.as_str()),
        }
    }
}

/// A word that names no data key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not the name of a data key, as in `site/audit` or `tenant/NAME/database`")]
pub struct NotAKeyName;

impl FromStr for KeyName {
    type Err = NotAKeyName;
    fn from_str(given: &str) -> Result<Self, NotAKeyName> {
        let (scope, purpose) = given.rsplit_once('/').ok_or(NotAKeyName)?;
        let purpose = KeyPurpose::ALL.into_iter().find(|p| p.as_str() == purpose).ok_or(NotAKeyName)?;
        match scope.split_once('/') {
            None if scope == "site" => Ok(Self::site(purpose)),
            Some(("tenant", tenant)) => Ok(Self::tenant(tenant.parse().map_err(|_| NotAKeyName)?, purpose)),
            _ => Err(NotAKeyName),
        }
    }
}

impl TryFrom<String> for KeyName {
    type Error = NotAKeyName;
    fn try_from(given: String) -> Result<Self, NotAKeyName> {
        given.parse()
    }
}

impl From<KeyName> for String {
    fn from(name: KeyName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_as_it_was_written() {
        let tenant: TenantId = "larkfield".parse().unwrap();
        for purpose in KeyPurpose::ALL {
            for name in [KeyName::site(purpose), KeyName::tenant(tenant.clone(), purpose)] {
                assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
        for wrong in
            ["", "site", "site/", "site/other", "tenant/audit", "tenant/A/audit", "tenant/a/b/audit", "x/audit"]
        {
            assert_eq!(wrong.parse::<KeyName>(), Err(NotAKeyName), "{wrong}");
        }
    }
}
