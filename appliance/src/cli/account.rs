//! `cloister account`: who may call. A key is shown once, when it is made.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Subcommand};
use cloister_governance::{
    accounts::{AccountId, NewAccount},
    audit::Outcome,
};
use cloister_terms::{AccessLabel, Action, CollectionId, Role, TenantId};
use jiff::Timestamp;

use super::{
    site::{self, Desk},
    table,
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
    /// Make an account and its API key
    Issue {
        /// A name for lists and records; never a patient's
        name: String,
        /// agent, reviewer, knowledge_manager, compliance, operator, administrator or service
        #[arg(long)]
        role: Role,
        /// Its tenant; needed for every role that reads or changes content
        #[arg(long)]
        tenant: Option<TenantId>,
        /// A collection it may read; all of the tenant's if none is named
        #[arg(long = "collection")]
        collections: Vec<CollectionId>,
        /// An access label it holds
        #[arg(long = "label", default_values = ["all", "staff"])]
        labels: Vec<AccessLabel>,
        /// When the key stops working, as in 2027-01-31T00:00:00Z
        #[arg(long)]
        expires: Option<Timestamp>,
        /// Write the key to this file, mode 0600, instead of printing it
        #[arg(long)]
        key_file: Option<PathBuf>,
    },
    /// List the accounts
    List,
    /// Make an account's key stop working, at once
    Revoke {
        /// The account's id, as `list` shows it
        account: AccountId,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    match arguments.verb {
        Verb::Issue { name, role, tenant, collections, labels, expires, key_file } => {
            let collections = (!collections.is_empty()).then_some(collections);
            let new = NewAccount { name, role, tenant, collections, labels, expires };
            let (account, secret) = desk.govern_site(Action::ManageAccounts, || {
                Ok((desk.accounts()?.issue(new)?, Outcome::done().with_code("issued")))
            })?;
            match key_file {
                Some(path) => {
                    site::write_secret(&path, secret.expose())
                        .with_context(|| format!("writing {}", path.display()))?;
                    say(&format!("{account}: the key is in {}", path.display()));
                }
                None => say(&format!("{account}: {}\nThis is the only time the key is shown.", secret.expose())),
            }
        }
        Verb::List => list(&desk)?,
        Verb::Revoke { account } => {
            desk.govern_site(Action::ManageAccounts, || {
                Ok((desk.accounts()?.revoke(&account)?, Outcome::done().with_code("revoked")))
            })?;
            say(&format!("{account}: revoked"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(desk: &Desk) -> anyhow::Result<()> {
    let accounts = desk
        .govern_site(Action::ManageAccounts, || Ok((desk.accounts()?.list()?, Outcome::done().with_code("listed"))))?;
    let mut table = table::plain(["account", "name", "role", "tenant", "state", "last used"]);
    let now = desk.clock.now();
    for account in accounts {
        let state = match (account.revoked, account.expires) {
            (Some(_), _) => "revoked",
            (None, Some(expires)) if expires <= now => "expired",
            _ => "active",
        };
        let principal = account.principal;
        let tenant = principal.tenant.map_or_else(|| "-".to_owned(), |tenant| tenant.to_string());
        let used = account.last_used.map_or_else(|| "never".to_owned(), |used| used.to_string());
        table.add_row([
            principal.account.to_string(),
            principal.name,
            principal.role.to_string(),
            tenant,
            state.to_owned(),
            used,
        ]);
    }
    say(&table.to_string());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
