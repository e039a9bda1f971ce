//! `cloister account`: who may call. A key or a one-time secret is shown once, when it is made.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use cloister_governance::{
    accounts::{Account, AccountError, AccountId, Accounts, ListedAccessKey, NewAccount},
    audit::Outcome,
};
use cloister_terms::{AccessLabel, Action, CollectionId, Role, TenantId};
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use super::{
    site::{self, Desk},
    table, words,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    #[command(subcommand)]
    verb: Verb,
}

/// What a key may be limited to.
#[derive(Debug, Args)]
struct Limited {
    /// An action that the key is limited to, `ask` for example; whatever its account may do if none is named
    #[arg(long = "action", value_name = "ACTION", value_parser = words::action)]
    actions: Vec<Action>,
}

impl Limited {
    fn actions(self) -> Option<BTreeSet<Action>> {
        (!self.actions.is_empty()).then(|| self.actions.into_iter().collect())
    }
}

/// What an account may be told to be.
#[derive(Debug, Args)]
struct Described {
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
}

impl Described {
    fn named(self, name: String) -> NewAccount {
        let Self { role, tenant, collections, labels } = self;
        let collections = (!collections.is_empty()).then_some(collections);
        NewAccount { name, role, tenant, collections, labels, expires: None, actions: None }
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a person's account, signed in to with a password
    Create {
        /// What they sign in with: lower-case letters, digits, `.`, `-`, `_`, `@`. One person each; never a patient's
        name: String,
        #[command(flatten)]
        described: Described,
        /// Write the one-time secret to this file, mode 0600, instead of printing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Make a program's account and its API key
    Issue {
        /// A name for lists and records; never a patient's
        name: String,
        #[command(flatten)]
        described: Described,
        #[command(flatten)]
        limited: Limited,
        /// When the key stops working, as in 2027-01-31T00:00:00Z
        #[arg(long)]
        expires: Option<Timestamp>,
        /// Write the key to this file, mode 0600, instead of printing it
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// List the accounts, with the access keys that work and what the keys are limited to
    List,
    /// Make a new API key, limited as the old one is, and let the old one work for a while yet
    Rotate {
        /// The account's id, as `list` shows it
        account: String,
        /// Hours that the old key goes on working
        #[arg(long, default_value_t = 24)]
        overlap_hours: u32,
        /// When the new key stops working, as in 2027-01-31T00:00:00Z
        #[arg(long)]
        expires: Option<Timestamp>,
        /// Write the key to this file, mode 0600, instead of printing it
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Make an access key, with which clients of AWS sign their requests
    AccessKey {
        /// The account's id or the name that they sign in with
        account: String,
        #[command(flatten)]
        limited: Limited,
        /// When the key stops working, as in 2027-01-31T00:00:00Z
        #[arg(long)]
        expires: Option<Timestamp>,
        /// Write the key to this file, mode 0600, in the form of AWS's credentials file, instead of printing it
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Make an access key stop working, at once and for good
    RevokeAccessKey {
        /// The access key's id: `CLOISTER...`
        id: String,
    },
    /// Make an account's API keys stop working, at once and for good
    Revoke {
        /// The account's id, as `list` shows it
        account: String,
    },
    /// Give a person a new one-time secret; password and second factor are set up anew, their keys stop working, a lock is
    /// lifted
    Reset {
        /// The account's id or the name that they sign in with
        account: String,
        /// Write the one-time secret to this file, mode 0600, instead of printing it
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Lift a lock: a person's wrong tries to sign in count no more, from wherever they came
    Unlock {
        /// The account's id or the name that they sign in with
        account: String,
    },
    /// Sign a person out wherever they are signed in, at once
    SignOut {
        /// The account's id or the name that they sign in with
        account: String,
    },
    /// Let nobody in under an account, at once
    Disable {
        /// The account's id or the name that they sign in with; with --vouched, the id that the audit log shows
        account: String,
        /// It is an id of somebody whom a provider or a certificate vouches for, which no account here has
        #[arg(long)]
        vouched: bool,
    },
    /// Let people in under a disabled account again
    Enable {
        /// The account's id or the name that they sign in with, or an id that was disabled with --vouched
        account: String,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    match arguments.verb {
        Verb::Create { name, described, secret_file } => {
            let new = described.named(name);
            let (account, secret) = changed(&desk, "created", |accounts| Ok(accounts.create(new)?))?;
            hand_over(&account, "one-time secret", secret.expose(), secret_file.as_deref())?;
        }
        Verb::Issue { name, described, limited, expires, key_file } => {
            let new = NewAccount { expires, actions: limited.actions(), ..described.named(name) };
            let (account, secret) = changed(&desk, "issued", |accounts| Ok(accounts.issue(new)?))?;
            hand_over(&account, "key", secret.expose(), key_file.as_deref())?;
        }
        Verb::List => list(&desk)?,
        Verb::Rotate { account, overlap_hours, expires, key_file } => {
            let overlap = SignedDuration::from_hours(i64::from(overlap_hours));
            let (account, secret) = changed(&desk, "rotated", |accounts| {
                let account = accounts.named(&account)?;
                let secret = accounts.rotate(&account, overlap, expires)?;
                Ok((account, secret))
            })?;
            hand_over(&account, "new key", secret.expose(), key_file.as_deref())?;
        }
        Verb::AccessKey { account, limited, expires, key_file } => {
            access_key(&desk, &account, limited, expires, key_file.as_deref())?;
        }
        Verb::RevokeAccessKey { id } => {
            changed(&desk, "access_key_revoked", |accounts| Ok(accounts.revoke_access_key(&id)?))?;
            say(&format!("{id}: revoked"));
        }
        Verb::Revoke { account } => {
            on(&desk, &account, "revoked", |accounts, account| Ok(accounts.revoke(account)?))?;
        }
        Verb::Reset { account, secret_file } => {
            let (account, secret) = changed(&desk, "reset", |accounts| {
                let account = accounts.named(&account)?;
                let secret = accounts.reset(&account)?;
                Ok((account, secret))
            })?;
            hand_over(&account, "one-time secret", secret.expose(), secret_file.as_deref())?;
        }
        Verb::Unlock { account } => {
            on(&desk, &account, "unlocked", |accounts, account| Ok(accounts.unlock(account)?))?;
        }
        Verb::SignOut { account } => {
            on(&desk, &account, "signed_out", |accounts, account| {
                Ok(accounts.sign_out_everywhere(account).map(drop)?)
            })?;
        }
        Verb::Disable { account, vouched } => disable(&desk, &account, vouched)?,
        Verb::Enable { account } => {
            let account = changed(&desk, "enabled", |accounts| {
                let account = accounts.named(&account).or_else(|error| account.parse().map_err(|_| error))?;
                accounts.enable(&account)?;
                Ok(account)
            })?;
            say(&format!("{account}: enabled"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn access_key(
    desk: &Desk,
    account: &str,
    limited: Limited,
    expires: Option<Timestamp>,
    key_file: Option<&Path>,
) -> anyhow::Result<()> {
    let actions = limited.actions();
    let (account, key) = changed(desk, "access_key_issued", |accounts| {
        let account = accounts.named(account)?;
        let key = accounts.issue_access_key(&account, expires, actions.as_ref())?;
        Ok((account, key))
    })?;
    let secret = Zeroizing::new(format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}",
        key.id(),
        key.secret()
    ));
    hand_over(&account, "access key", &secret, key_file)
}

/// An id that no account has is barred only where it is said that none has: a slip would else look like a success.
fn disable(desk: &Desk, named: &str, vouched: bool) -> anyhow::Result<()> {
    let account = changed(desk, "disabled", |accounts| match accounts.named(named) {
        Ok(account) => {
            accounts.disable(&account)?;
            Ok(account)
        }
        Err(AccountError::UnknownName) if vouched => {
            let account: AccountId = named.parse()?;
            accounts.bar(&account)?;
            Ok(account)
        }
        Err(unknown @ AccountError::UnknownName) => Err(anyhow::Error::new(unknown).context(
            "nobody was disabled: for an id of somebody whom a provider or a certificate vouches for add --vouched",
        )),
        Err(error) => Err(error.into()),
    })?;
    say(&format!("{account}: disabled"));
    Ok(())
}

/// Does `work` on the register, decided and recorded.
fn changed<T>(desk: &Desk, code: &'static str, work: impl FnOnce(&Accounts) -> anyhow::Result<T>) -> anyhow::Result<T> {
    desk.govern_site(Action::ManageAccounts, || Ok((work(&desk.accounts()?)?, Outcome::done().with_code(code))))
}

/// Does `work` on one account and says that it is done.
fn on(
    desk: &Desk,
    named: &str,
    code: &'static str,
    work: impl FnOnce(&Accounts, &AccountId) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let account = changed(desk, code, |accounts| {
        let account = accounts.named(named)?;
        work(accounts, &account)?;
        Ok(account)
    })?;
    say(&format!("{account}: {code}"));
    Ok(())
}

fn hand_over(account: &AccountId, what: &str, secret: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        Some(path) => {
            site::write_secret(path, secret).with_context(|| format!("writing {}", path.display()))?;
            say(&format!("{account}: the {what} is in {}", path.display()));
        }
        None => say(&format!("{account}: the {what}, shown this once:\n{secret}")),
    }
    Ok(())
}

fn list(desk: &Desk) -> anyhow::Result<()> {
    let accounts = changed(desk, "listed", |accounts| Ok(accounts.list()?))?;
    let mut table =
        table::plain(["account", "name", "role", "tenant", "shows", "limited to", "state", "last used", "access keys"]);
    let now = desk.clock.now();
    for account in accounts {
        let state = state(&account, now);
        let keys: Vec<String> = account.access_keys.iter().filter_map(|key| working(key, now)).collect();
        let principal = account.principal;
        let tenant = principal.tenant.map_or_else(|| "-".to_owned(), |tenant| tenant.to_string());
        let used = account.last_used.map_or_else(|| "never".to_owned(), |used| used.to_string());
        let shows = if account.sign_in.is_some() { "password" } else { "key" };
        table.add_row([
            principal.account.to_string(),
            principal.name,
            principal.role.to_string(),
            tenant,
            shows.to_owned(),
            principal.actions.as_ref().map_or_else(|| "-".to_owned(), words::joined),
            state.to_owned(),
            used,
            if keys.is_empty() { "-".to_owned() } else { keys.join(" ") },
        ]);
    }
    say(&table.to_string());
    Ok(())
}

/// An access key that works: its id, and what it is limited to.
fn working(key: &ListedAccessKey, now: Timestamp) -> Option<String> {
    let works = key.revoked.is_none() && key.expires.is_none_or(|expires| expires > now);
    let limit = key.actions.as_ref().map(|actions| format!("({})", words::joined(actions))).unwrap_or_default();
    works.then(|| format!("{}{limit}", key.id))
}

fn state(account: &Account, now: Timestamp) -> &'static str {
    match (account.disabled, account.revoked, account.expires) {
        (Some(_), _, _) => "disabled",
        (None, Some(_), _) => "revoked",
        (None, None, Some(expires)) if expires <= now => "expired",
        _ => "active",
    }
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
