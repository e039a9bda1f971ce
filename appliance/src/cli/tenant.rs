//! `cloister tenant`: tenants, each stood up from one file of its own.
//!
//! ```toml
//! name = "clinic"
//! title = "Infusion clinic"
//! assistant = "clinic"
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

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use cloister_governance::{audit::Outcome, declarations::Declarations};
use cloister_knowledge::CollectionSpec;
use cloister_terms::{Action, TenantId};

use super::{
    key,
    site::{self, Desk},
    table,
};
use crate::{
    config::Tenant,
    wiring::{Declared, declared},
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
    Declaration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database => f.write_str("make the tenant, with a data key and a database of its own"),
            Self::Collection(spec) => write!(f, "make the collection `{}`", spec.id),
            Self::Declaration => f.write_str("note its title, its assistant and its collections"),
        }
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
    if noted.as_deref().and_then(|noted| Declared::parse(noted).ok()).as_ref() != Some(declared) {
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
                Step::Database => drop(desk.store.create_tenant(tenant)?),
                Step::Collection(spec) => drop(desk.library(tenant)?.create(spec.clone())?),
                Step::Declaration => {
                    Declarations::open(&desk.store.fleet())?.put(tenant, &declared.text()?)?;
                }
            }
            say(&format!("done: {step}"));
        }
        let count = u64::try_from(steps.len()).unwrap_or(u64::MAX);
        Ok((steps, Outcome::done().with_code("applied").with_count("steps", count)))
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
