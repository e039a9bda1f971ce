//! Tenants that stand in files of their own instead of in the configuration.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use cloister_governance::declarations::Declarations;
use cloister_terms::{CollectionId, TenantId};
use serde::{Deserialize, Serialize};

use crate::config::{Captures, Tenant, Vault};

/// What a tenant's file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// Its name, which stands in addresses, records and file names.
    pub name: TenantId,
    /// What people call it. Default: its name.
    pub title: Option<String>,
    /// The model name under which the OpenAI face offers its assistant. Default: its name.
    pub assistant: Option<String>,
    /// What is kept, sealed, of its questions and answers.
    #[serde(default)]
    pub captures: Captures,
    /// Whether what placeholders stand for is kept, sealed.
    #[serde(default)]
    pub vault: Vault,
    /// The collections it has.
    #[serde(default)]
    pub collections: Vec<DeclaredCollection>,
}

/// A collection that a tenant's file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredCollection {
    /// Its name.
    pub id: CollectionId,
    /// What people call it. Default: its name.
    pub title: Option<String>,
}

impl Declared {
    /// Reads a tenant's file.
    ///
    /// # Errors
    /// With the place, where something in it is wrong.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let declared: Self = toml::from_str(text)?;
        let mut seen = BTreeSet::new();
        let twice = declared.collections.iter().find(|collection| !seen.insert(&collection.id));
        if let Some(twice) = twice {
            anyhow::bail!("the collection `{}` stands there twice", twice.id);
        }
        Ok(declared)
    }

    /// The file again.
    ///
    /// # Errors
    /// Never for what [`Declared::parse`] gave.
    pub fn text(&self) -> anyhow::Result<String> {
        let text = toml::to_string(self)?;
        ensure!(Self::parse(&text)? == *self, "a tenant's file does not read back as it was written");
        Ok(text)
    }
}

/// The tenants that were declared in files, as the configuration would name them.
///
/// # Errors
/// When the site's database fails, or a declaration is from a later release.
pub fn declared(declarations: &Declarations) -> anyhow::Result<BTreeMap<TenantId, Tenant>> {
    let read = |(name, text): (TenantId, String)| {
        let unreadable = || format!("what was declared of the tenant `{name}` cannot be read");
        let declared = Declared::parse(&text).with_context(unreadable)?;
        let Declared { title, assistant, captures, vault, .. } = declared;
        Ok((name, Tenant { title, assistant, captures, vault, ..Tenant::default() }))
    };
    declarations.all()?.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CaptureMode;

    #[test]
    fn a_file_reads_back_and_what_it_should_not_say_is_refused() {
        let text = "name = \"clinic\"\ntitle = \"Infusion clinic\"\n[[collections]]\nid = \"procedures\"\n";
        let declared = Declared::parse(text).unwrap();
        assert_eq!(Declared::parse(&declared.text().unwrap()).unwrap(), declared);
        assert_eq!(declared.collections.len(), 1);
        assert_eq!(declared.captures, Captures::default());
        let raw = Declared::parse(&format!("{text}[captures]\nmode = \"raw\"\ndays = 3\n")).unwrap();
        assert_eq!((raw.captures.mode, raw.captures.days), (CaptureMode::Raw, 3));
        assert_eq!(Declared::parse(&raw.text().unwrap()).unwrap(), raw);
        for (wrong, says) in [
            ("name = \"Clinic\"", "not a valid tenant name"),
            ("title = \"x\"", "name"),
            ("name = \"a\"\ncolour = \"blue\"", "colour"),
            ("name = \"a\"\n[captures]\nmode = \"raw\"\nyears = 1", "years"),
            ("name = \"a\"\n[captures]\nmode = \"loud\"", "loud"),
            ("name = \"a\"\n[captures]\ndays = 0", "1 to 3650"),
            ("name = \"a\"\n[[collections]]\nid = \"p\"\n[[collections]]\nid = \"p\"", "twice"),
        ] {
            let error = format!("{:#}", Declared::parse(wrong).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}
