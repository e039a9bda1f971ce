//! Which guardrail holds for a tenant: the version in force, else the file that the configuration names, else the built-in one.

use std::sync::Arc;

use anyhow::{Context, bail};
use cloister_governance::guardrails::{Guardrails, Version};
use cloister_guardrails::document::Document;
use cloister_terms::TenantId;

use super::{App, Ruling, identifiers, identifiers::read};
use crate::{
    config,
    evaluation::result::sha256,
    pipeline::{
        Guardrail, Settings, Stop,
        apply::Guarding,
        guardrail::{BUILT_IN, DRAFT},
    },
};

impl App {
    /// The guardrail of a tenant in that version: a number, [`DRAFT`], or what is in force where none is named. Blocks.
    ///
    /// # Errors
    /// [`Stop::Failed`]: there is no such tenant or version, or it cannot be used.
    pub(crate) fn guarding(&self, name: &TenantId, version: Option<&str>) -> Result<Guarding, Stop> {
        let tenant = self.tenants.get(name).ok_or_else(|| Stop::not_found("the guardrail"))?;
        let embed = Arc::clone(&tenant.embed);
        let Ruling { settings, identifiers: found_by, guardrail, .. } = tenant.in_force.now();
        if version.is_none_or(|version| guardrail.is_version(version)) {
            return Ok(Guarding { guardrail, identifiers: found_by, settings, embed });
        }
        let unusable =
            |fault: anyhow::Error| Stop::internal("reading the guardrail", std::io::Error::other(fault.to_string()));
        let held = match version.map(str::parse::<u32>) {
            Some(Ok(number)) => {
                let stored =
                    Guardrails::open(&self.store.fleet()).and_then(|guardrails| guardrails.version(name, number));
                let stored = stored.map_err(|fault| Stop::internal("reading the guardrail", fault))?;
                published(stored.ok_or_else(|| Stop::not_found("that version of the guardrail"))?)
            }
            _ if version == Some(DRAFT) => draft(&tenant.settings),
            _ => return Err(Stop::not_found("that version of the guardrail")),
        }
        .map_err(unusable)?;
        let identifiers = Arc::new(identifiers(&tenant.settings, &held.document).map_err(unusable)?);
        let settings = Arc::new(self::settings(&self.config.answer, &held.document));
        let guardrail = Guardrail::new((name.to_string(), held.version, held.sha256), held.document, embed.as_ref());
        let guardrail = Arc::new(guardrail.map_err(|fault| Stop::internal("reading the guardrail's topics", fault))?);
        Ok(Guarding { guardrail, identifiers, settings, embed })
    }
}

/// A guardrail that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) version: String,
    pub(crate) sha256: String,
    pub(crate) document: Document,
}

/// What holds for a tenant. With `on_trial` it is that version, where the tenant has it.
///
/// # Errors
/// When the database fails, or what holds cannot be read: what is missing might be what masks.
pub(crate) fn held(
    guardrails: &Guardrails,
    name: &TenantId,
    tenant: &config::Tenant,
    on_trial: Option<u32>,
) -> anyhow::Result<Held> {
    let on_trial = on_trial.map(|number| guardrails.version(name, number)).transpose()?.flatten();
    match on_trial.map_or_else(|| guardrails.active(name), |version| Ok(Some(version)))? {
        Some(version) => published(version),
        None => draft(tenant),
    }
}

/// A published version, as it was published.
pub(crate) fn published(version: Version) -> anyhow::Result<Held> {
    let Version { number, sha256: hash, document, .. } = version;
    if sha256(document.as_bytes()) != hash {
        bail!("version {number} of the guardrail is not as it was published: restore the site from a backup");
    }
    let document = Document::read(&document).with_context(|| format!("version {number} of the guardrail"))?;
    Ok(Held { version: number.to_string(), sha256: hash, document })
}

/// The file that the configuration names, else what is built in.
pub(crate) fn draft(tenant: &config::Tenant) -> anyhow::Result<Held> {
    let Some(path) = &tenant.guardrail else {
        return Ok(Held { version: BUILT_IN.to_owned(), sha256: sha256(b""), document: Document::default() });
    };
    let text = read(path)?;
    let document = Document::read(&text).with_context(|| format!("{} is not as it must be", path.display()))?;
    Ok(Held { version: DRAFT.to_owned(), sha256: sha256(text.as_bytes()), document })
}

/// How questions are answered under a guardrail: as the configuration says, but where the guardrail has a word of its own.
pub(crate) fn settings(configured: &Settings, document: &Document) -> Settings {
    let mut settings = configured.clone();
    if let Some(filter) = document.attacks() {
        settings.attack.question = filter.input_strength;
        settings.attack.document = filter.kept_out();
    }
    if let Some(grounding) = document.grounding {
        settings.threshold.grounding = grounding.grounding;
        settings.threshold.relevance = grounding.relevance;
    }
    settings
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cloister_governance::{guardrails::Passed, keys::MasterKey, store::Store};
    use cloister_guardrails::attack::Strength;
    use cloister_terms::FixedClock;

    use super::*;
    use crate::{config::Tenant, edge::rig::Seeded};

    #[test]
    fn the_version_in_force_comes_before_the_file_and_the_one_on_trial_before_both() {
        let folder = tempfile::tempdir().unwrap();
        let random = Arc::new(Seeded::new(3));
        let key = MasterKey::load_or_create(&folder.path().join("master.key"), random.as_ref()).unwrap();
        let store = Store::open(&folder.path().join("store"), key, random).unwrap();
        let guardrails = Guardrails::open(&store.fleet()).unwrap();
        let clock = FixedClock::at("2026-03-01T00:00:00Z".parse().unwrap());
        let (name, path) = ("a".parse().unwrap(), folder.path().join("g.toml"));
        fs::write(&path, "version = 1\n").unwrap();
        let tenant = Tenant { guardrail: Some(path), ..Tenant::default() };
        let version = |on_trial| held(&guardrails, &name, &tenant, on_trial).unwrap().version;
        assert_eq!(held(&guardrails, &name, &Tenant::default(), None).unwrap().version, BUILT_IN);
        assert_eq!(version(None), DRAFT);
        for text in ["version = 1\n# one\n", "version = 1\n# two\n"] {
            guardrails.publish(&name, text, &sha256(text.as_bytes()), &clock).unwrap();
        }
        let passed = Passed { result: "r".to_owned(), gate: "g".to_owned() };
        guardrails.activate(&name, 1, &passed, &clock).unwrap();
        assert_eq!(
            (version(None), version(Some(2)), version(Some(9))),
            ("1".to_owned(), "2".to_owned(), "1".to_owned())
        );
    }

    #[test]
    fn a_version_that_is_not_what_was_published_is_refused() {
        let version =
            Version { number: 1, sha256: sha256(b"other"), document: "version = 1\n".to_owned(), at: String::new() };
        assert!(published(version).unwrap_err().to_string().contains("version 1"));
    }

    #[test]
    fn the_guardrail_has_the_last_word_where_it_has_one() {
        let mut configured = Settings::default();
        configured.attack.question = Strength::Low;
        assert_eq!(settings(&configured, &Document::default()), configured);
        let text = "version = 1\n[[filters]]\ntype = \"PROMPT_ATTACK\"\ninput_strength = \"HIGH\"\n[grounding]\nrelevance = 0.25\n";
        let under = settings(&configured, &Document::read(text).unwrap());
        assert_eq!((under.attack.question, under.attack.document), (Strength::High, Strength::Medium));
        assert!((under.threshold.relevance - 0.25).abs() < 1e-6);
    }
}
