//! What finds a tenant's identifiers, from its guardrail and its roster.

use std::{fs, path::Path};

use anyhow::Context;
use cloister_guardrails::{
    detect::{Detector, Patterns, Roster},
    document::Document,
};

use crate::{config::Tenant, pipeline::Identifiers};

/// What finds a tenant's identifiers, by its guardrail and the roster that the configuration names.
///
/// # Errors
/// A file that cannot be read or is not as it must be, by its path.
pub fn identifiers(tenant: &Tenant, document: &Document) -> anyhow::Result<Identifiers> {
    let policy = document.policy();
    let roster = match &tenant.roster {
        Some(path) => Some(Roster::read(&read(path)?).with_context(|| unfit(path))?),
        None => None,
    };
    let patterns = Patterns::of(&policy.regexes).context("a pattern of the guardrail cannot be used")?;
    Ok(Identifiers::new(Detector::new(roster, patterns), policy))
}

pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn unfit(path: &Path) -> String {
    format!("{} is not as it must be", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wiring::guardrail::draft;

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guardrail.toml");
        let tenant = Tenant { guardrail: Some(path.clone()), ..Tenant::default() };
        assert!(format!("{:#}", draft(&tenant).unwrap_err()).contains("guardrail.toml"));
        fs::write(&path, "version = 1\n[[entities]]\ntype = \"CAT\"\naction = \"BLOCK\"\n").unwrap();
        assert!(format!("{:#}", draft(&tenant).unwrap_err()).contains("guardrail.toml"));
        fs::write(&path, "version = 1\n").unwrap();
        let document = draft(&tenant).unwrap().document;
        assert!(identifiers(&tenant, &document).is_ok());
        let roster = folder.path().join("roster.jsonl");
        fs::write(&roster, "{\"kind\": \"NAME\", \"text\": \"Ana Cruz\", \"odd\": 1}\n").unwrap();
        let tenant = Tenant { roster: Some(roster), ..Tenant::default() };
        let error = format!("{:#}", identifiers(&tenant, &document).unwrap_err());
        assert!(error.contains("roster.jsonl") && !error.contains("Ana"), "{error}");
    }
}
