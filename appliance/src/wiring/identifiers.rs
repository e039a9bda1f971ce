//! A tenant's guardrail for identifiers, from its files.

use std::{fs, path::Path};

use anyhow::Context;
use cloister_guardrails::{
    detect::{Detector, Patterns, Roster},
    redact::Policy,
};

use crate::{config::Tenant, pipeline::Identifiers};

/// Reads what the tenant's configuration names. Without a readable guardrail there is no start: what is missing might be
/// what masks.
///
/// # Errors
/// A file that cannot be read or is not as it must be, by its path.
pub fn identifiers(tenant: &Tenant) -> anyhow::Result<Identifiers> {
    let policy = match &tenant.guardrail {
        Some(path) => Policy::read(&read(path)?).with_context(|| unfit(path))?,
        None => Policy::default(),
    };
    let roster = match &tenant.roster {
        Some(path) => Some(Roster::read(&read(path)?).with_context(|| unfit(path))?),
        None => None,
    };
    let patterns = Patterns::of(&policy.regexes).context("a pattern of the guardrail cannot be used")?;
    Ok(Identifiers::new(Detector::new(roster, patterns), policy))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn unfit(path: &Path) -> String {
    format!("{} is not as it must be", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guardrail_that_cannot_be_read_is_named_and_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guardrail.toml");
        let tenant = Tenant { guardrail: Some(path.clone()), ..Tenant::default() };
        assert!(format!("{:#}", identifiers(&tenant).unwrap_err()).contains("guardrail.toml"));
        fs::write(&path, "version = 1\n[[entities]]\ntype = \"CAT\"\naction = \"BLOCK\"\n").unwrap();
        assert!(format!("{:#}", identifiers(&tenant).unwrap_err()).contains("guardrail.toml"));
        fs::write(&path, "version = 1\n").unwrap();
        assert!(identifiers(&tenant).is_ok());
        let roster = folder.path().join("roster.jsonl");
        fs::write(&roster, "{\"kind\": \"NAME\", \"text\": \"Ana Cruz\", \"odd\": 1}\n").unwrap();
        let error = format!("{:#}", identifiers(&Tenant { roster: Some(roster), ..Tenant::default() }).unwrap_err());
        assert!(error.contains("roster.jsonl") && !error.contains("Ana"), "{error}");
    }
}
