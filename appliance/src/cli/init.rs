//! `cloister init`: everything that a site needs before its first start, made once: data folder, master key, databases,
//! local certificate, and one administrator. What is there already is left alone, so that it can be run again.
//!
//! It is a command of its own, and `serve` never makes a key: a server that started on an empty folder, because a disk was
//! not mounted for example, would otherwise begin a second site and look healthy.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use cloister_governance::{accounts::NewAccount, audit::Outcome, keys::MasterKey, store::Store};
use cloister_terms::{Action, Role};

use super::site::{self, Desk, write_secret};
use crate::{
    config::Config,
    edge::{authority, names},
    wiring,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// Where to write the first administrator's key, mode 0600; by default `administrator.key` in the data folder
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.site.load()?.config;
    let key_file = arguments.key_file.unwrap_or_else(|| config.data.folder.join("administrator.key"));
    let authority = config.tls.certificate.is_none().then(|| config.tls_folder().join("ca.pem"));
    let desk = make(config)?;
    let tenants = desk.store.tenants()?;
    let issued = first_administrator(&desk, &key_file)?;
    say(&format!("the site is in {}", desk.config.data.folder.display()));
    say(&format!(
        "master key: {} (copy it to a safe place: without it nothing here can be read)",
        desk.config.master_key().display()
    ));
    if let Some(authority) = authority {
        say(&format!("certificate: clients trust {}", authority.display()));
    }
    match tenants.as_slice() {
        [] => say("tenants: none yet; name one in the configuration as [tenants.NAME] and run this again"),
        some => say(&format!("tenants: {}", some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))),
    }
    match issued {
        Some(path) => {
            say(&format!("first administrator: the key is in {}; hand it over and delete the file", path.display()))
        }
        None => say("administrator: there is one already"),
    }
    say("next: cloister model fetch|import, cloister doctor, cloister serve");
    Ok(ExitCode::SUCCESS)
}

/// Sees to it that the site of `config` has its folder, key, databases and certificate, and opens it.
///
/// # Errors
/// When one of them cannot be made, or is there and is not as it must be.
pub(super) fn make(config: Config) -> anyhow::Result<Desk> {
    private_folder(&config.data.folder)?;
    let key = MasterKey::load_or_create(&config.master_key(), wiring::random().as_ref())?;
    let store = Store::open(&config.store_folder(), key)?;
    for tenant in config.tenants.keys() {
        wiring::tenant_database(&store, tenant)?;
    }
    if config.tls.certificate.is_none() {
        authority::ensure(&config.tls_folder(), &names::of_this_host(&config.tls.names), wiring::clock().now())?;
    }
    Desk::of(config)
}

/// A folder that only its owner may enter. One that is there keeps its mode: the store refuses it where others may.
fn private_folder(folder: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("making the data folder {}", folder.display()))
}

/// One administrator, whose key is written to `path`, unless there is an administrator that can still sign in.
fn first_administrator(desk: &Desk, path: &Path) -> anyhow::Result<Option<PathBuf>> {
    let now = desk.clock.now();
    desk.govern_site(Action::ManageAccounts, || {
        let accounts = desk.accounts()?;
        let one = accounts.list()?.into_iter().any(|account| {
            account.principal.role == Role::Administrator
                && account.revoked.is_none()
                && account.expires.is_none_or(|expires| expires > now)
        });
        if one {
            return Ok((None, Outcome::done().with_code("listed")));
        }
        let (account, secret) = accounts.issue(NewAccount::of("first administrator", Role::Administrator))?;
        if let Err(error) = write_secret(path, secret.expose()) {
            // A key that nobody holds must not stay good.
            accounts.revoke(&account)?;
            return Err(error).with_context(|| format!("writing the administrator's key to {}", path.display()));
        }
        Ok((Some(path.to_owned()), Outcome::done().with_code("issued")))
    })
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
