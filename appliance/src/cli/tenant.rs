//! `cloister tenant`: tenants, each stood up from one file of its own.
//!
//! ```toml
//! name = "clinic"
//! title = "Infusion clinic"
//! assistant = "clinic"
//!
//! [captures]                # sealed captures of questions and answers; these are the defaults
//! mode = "redacted"         # off, redacted, or raw: with patients' identifiers
//! days = 30
//! required = false          # whether an answer that cannot be captured is withheld
//!
//! [vault]                   # what placeholders stand for, sealed, so that whoever may can turn them back
//! days = 0                  # 0, the default: it is not kept
//!
//! [[collections]]
//! id = "procedures"
//! title = "Procedures"
//! ```

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use cloister_governance::{audit::Outcome, declarations::Declarations, guardrails::Guardrails};
use cloister_knowledge::CollectionSpec;
use cloister_terms::{Action, TenantId};

use super::{
    key,
    site::{self, Desk},
    table,
};
use crate::{
    config::{CaptureMode, Captures, Tenant, Vault},
    wiring::{Declared, declared, tenant_database},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what `apply` would do, and do nothing
    Plan {
        /// The tenant's file
        file: PathBuf,
    },
    /// Make the site have the tenant as its file says; what is so already stays
    ///
    /// What is not in the file is not removed: a collection with its documents goes only with `cloister kb`, a tenant only
    /// with `destroy`. A running server has the tenant at its next start.
    Apply {
        /// The tenant's file
        file: PathBuf,
    },
    /// List the tenants, and where each was named
    List,
    /// Destroy a tenant with its keys and its data, for ever: the same as `cloister key destroy`
    Destroy(key::Destroy),
}

/// One thing that is not as the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Database,
    Collection(CollectionSpec),
    Captures { from: Option<Captures>, to: Captures },
    Vault { from: Vault, to: Vault },
    Declaration,
}

impl Step {
    /// Whether identifiers of patients will be kept from then on, and were not before.
    fn turns_raw(&self) -> bool {
        let raw = |captures: &Captures| captures.mode == CaptureMode::Raw;
        matches!(self, Self::Captures { from, to } if raw(to) && !from.as_ref().is_some_and(raw))
    }

    /// Whether what placeholders stand for will be kept from then on, and was not before.
    const fn opens_vault(&self) -> bool {
        matches!(self, Self::Vault { from: Vault { days: 0 }, to: Vault { days: 1.. } })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("make the tenant, with a data key and a database of its own"),
            Self::Collection(spec) => write!(f, "make the collection `{}`", spec.id),
            Self::Captures { to, .. } if self.turns_raw() => write!(
                f,
                "CAPTURE QUESTIONS, EVIDENCE AND ANSWERS RAW, WITH THE IDENTIFIERS OF PATIENTS, sealed, for {} days; nobody \
                 reads them until a policy of the site's own permits `read_raw_capture`",
                to.days
            ),
            Self::Captures { from, to } => {
                let from = from.as_ref().map_or_else(String::new, |from| format!(", not {}", kept(from)));
                write!(f, "keep captures of questions and answers {}{from}", kept(to))
            }
            Self::Vault { to: Vault { days: 0 }, .. } => {
                f.write_str("keep what placeholders stand for no longer, and remove what was kept")
            }
            Self::Vault { to: Vault { days }, .. } => write!(
                f,
                "KEEP WHAT PLACEHOLDERS STAND FOR, THE IDENTIFIERS OF PATIENTS, sealed, for {days} days; nobody turns one back until \
                 a policy of the site's own permits `reidentify`"
            ),
            Self::Declaration => {
                f.write_str("note its title, its assistant, its captures, its vault and its collections")
            }
        }
    }
}

fn kept(captures: &Captures) -> String {
    let required = if captures.required { ", and give no answer without" } else { "" };
    match captures.mode.form() {
        None => "off".to_owned(),
        Some(form) => format!("{form} for {} days{required}", captures.days),
    }
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    match arguments.verb {
        Verb::Plan { file } => {
            let declared = read(&file)?;
            let steps = desk.govern_site_for(Action::ManageTenants, &declared.name, || {
                Ok((plan(&desk, &declared)?, Outcome::done().with_code("planned")))
            })?;
            for step in &steps {
                say(&step.to_string());
            }
            if steps.is_empty() {
                say("nothing to do");
            }
        }
        Verb::Apply { file } => apply(&desk, &read(&file)?)?,
        Verb::List => list(&desk)?,
        Verb::Destroy(wanted) => key::destroy(&desk, wanted)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<Declared> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Declared::parse(&text).with_context(|| format!("{} is not as it must be", file.display()))
}

fn plan(desk: &Desk, declared: &Declared) -> anyhow::Result<Vec<Step>> {
    if desk.config.tenants.contains_key(&declared.name) {
        bail!(
            "the configuration names the tenant `{0}` too: take [tenants.{0}] out of it, so that one place says what it is",
            declared.name
        );
    }
    let short = |why| anyhow!("[vault]: {why}");
    declared.vault.outlasts(&desk.config.session).map_err(short)?;
    let mut steps = Vec::new();
    let there = desk.store.tenants()?.contains(&declared.name);
    if !there {
        steps.push(Step::Database);
    }
    let have = if there && !declared.collections.is_empty() {
        desk.library(&declared.name)?.collections()?.into_iter().map(|collection| collection.id).collect()
    } else {
        Vec::new()
    };
    for wanted in declared.collections.iter().filter(|wanted| !have.contains(&wanted.id)) {
        let title = wanted.title.clone().unwrap_or_else(|| wanted.id.to_string());
        steps.push(Step::Collection(CollectionSpec { id: wanted.id.clone(), title }));
    }
    let noted = Declarations::open(&desk.store.fleet())?.get(&declared.name)?;
    let noted = noted.as_deref().and_then(|noted| Declared::parse(noted).ok());
    let (from, to) = (noted.as_ref().map(|noted| noted.captures), declared.captures);
    // What a tenant without a word on captures gets is told of too: something is kept.
    if from != Some(to) {
        steps.push(Step::Captures { from, to });
    }
    let (from, to) = (noted.as_ref().map_or_else(Vault::default, |noted| noted.vault), declared.vault);
    if from != to {
        steps.push(Step::Vault { from, to });
    }
    if noted.as_ref() != Some(declared) {
        steps.push(Step::Declaration);
    }
    Ok(steps)
}

fn apply(desk: &Desk, declared: &Declared) -> anyhow::Result<()> {
    let tenant = &declared.name;
    let steps = desk.govern_site_for(Action::ManageTenants, tenant, || {
        let steps = plan(desk, declared)?;
        for step in &steps {
            match step {
                Step::Database => tenant_database(&desk.store, tenant)?,
                // It is in the declaration, which follows.
                Step::Captures { .. } | Step::Vault { .. } => {}
                Step::Collection(spec) => drop(desk.library(tenant)?.create(spec.clone())?),
                Step::Declaration => {
                    Declarations::open(&desk.store.fleet())?.put(tenant, &declared.text()?)?;
                }
            }
            say(&format!("done: {step}"));
        }
        let count = u64::try_from(steps.len()).unwrap_or(u64::MAX);
        let outcome = Outcome::done().with_code("applied").with_count("steps", count);
        let told =
            [("captures_raw", steps.iter().any(Step::turns_raw)), ("vault", steps.iter().any(Step::opens_vault))];
        let told = told.into_iter().filter(|(_, is)| *is);
        Ok((steps, told.fold(outcome, |outcome, (what, _)| outcome.with_count(what, 1))))
    })?;
    say(if steps.is_empty() { "nothing to do" } else { "a running server has it at its next start" });
    Ok(())
}

/// Forgets a tenant that is gone, and lets nobody in under its accounts: a later tenant of that name is another one, and
/// nobody of this one may find themselves in it.
///
/// # Errors
/// When the site's database fails.
pub(super) fn bar(desk: &Desk, tenant: &TenantId) -> anyhow::Result<()> {
    Declarations::open(&desk.store.fleet())?.remove(tenant)?;
    Guardrails::open(&desk.store.fleet())?.forget(tenant)?;
    let accounts = desk.accounts()?;
    for account in accounts.list()?.iter().filter(|account| account.principal.tenant.as_ref() == Some(tenant)) {
        accounts.disable(&account.principal.account)?;
    }
    Ok(())
}

fn list(desk: &Desk) -> anyhow::Result<()> {
    let (stored, declared) = desk.govern_site(Action::ManageTenants, || {
        let declared = declared(&Declarations::open(&desk.store.fleet())?)?;
        Ok(((desk.store.tenants()?, declared), Outcome::done().with_code("listed")))
    })?;
    let mut table = table::plain(["tenant", "title", "named in"]);
    let named: BTreeMap<&TenantId, (&Tenant, &str)> = declared
        .iter()
        .map(|(name, tenant)| (name, (tenant, "its own file")))
        .chain(desk.config.tenants.iter().map(|(name, tenant)| (name, (tenant, "the configuration"))))
        .collect();
    let all: std::collections::BTreeSet<&TenantId> = stored.iter().chain(named.keys().copied()).collect();
    for name in all {
        let (title, place) = match named.get(name) {
            Some((tenant, place)) => (tenant.title.clone().unwrap_or_default(), *place),
            None => (String::new(), "nothing: it is not served"),
        };
        table.add_row([name.to_string(), title, place.to_owned()]);
    }
    say(&table.to_string());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: Option<CaptureMode>, to: CaptureMode) -> Step {
        let of = |mode| Captures { mode, days: 9, required: false };
        Step::Captures { from: from.map(of), to: of(to) }
    }

    #[test]
    fn a_plan_says_loudly_that_captures_become_raw_or_a_vault_is_opened_and_only_then() {
        let (off, redacted, raw) = (CaptureMode::Off, CaptureMode::Redacted, CaptureMode::Raw);
        for from in [None, Some(off), Some(redacted)] {
            let said = step(from, raw).to_string();
            assert!(said.contains("RAW, WITH THE IDENTIFIERS OF PATIENTS") && said.contains("9 days"), "{said}");
        }
        for quiet in [step(None, redacted), step(Some(raw), redacted), step(Some(raw), off), step(Some(raw), raw)] {
            assert!(!quiet.turns_raw() && !quiet.to_string().contains("RAW"), "{quiet}");
        }
        let vault = |from, to| Step::Vault { from: Vault { days: from }, to: Vault { days: to } };
        let said = vault(0, 9).to_string();
        assert!(
            vault(0, 9).opens_vault() && said.contains("THE IDENTIFIERS OF PATIENTS, sealed, for 9 days"),
            "{said}"
        );
        assert!(!vault(9, 0).opens_vault() && vault(9, 0).to_string().contains("remove"), "{}", vault(9, 0));
        assert_eq!(step(Some(raw), off).to_string(), "keep captures of questions and answers off, not raw for 9 days");
    }
}
