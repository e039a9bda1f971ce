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
use cloister_governance::{
    accounts::sign_in_name,
    audit::Outcome,
    keys::{Custody, KeyError, MasterKey},
    store::Store,
};
use cloister_terms::Action;

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
    /// Where to write the first administrator's one-time secret, mode 0600; by default `administrator.secret` in the data
    /// folder
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// What the first administrator signs in with, `a.lopez` for example; a name that nobody guesses is one that nobody can
    /// try passwords at
    #[arg(long, value_name = "NAME", default_value = "administrator", value_parser = sign_in_name)]
    administrator: String,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.site.load()?.config;
    let secret_file = arguments.secret_file.unwrap_or_else(|| config.data.folder.join("administrator.secret"));
    let authority = config.tls.certificate.is_none().then(|| config.tls_folder().join("ca.pem"));
    let desk = make(config)?;
    let tenants = desk.store.tenants()?;
    let issued = first_administrator(&desk, &arguments.administrator, &secret_file)?;
    say(&format!("the site is in {}", desk.config.data.folder.display()));
    say(&match wiring::master_key(&desk.config)?.custody() {
        Custody::Credential(path) => format!("master key: the credential {}", path.display()),
        Custody::File(path) => {
            format!("master key: {} (fit for trying; see systemd/README.md to seal it)", path.display())
        }
    });
    say("recovery: write a bundle with `cloister key export`; without master key and bundle nothing here can be read");
    if let Some(authority) = authority {
        say(&format!("certificate: clients trust {}", authority.display()));
    }
    match tenants.as_slice() {
        [] => say("tenants: none yet; name one in the configuration as [tenants.NAME] and run this again"),
        some => say(&format!("tenants: {}", some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))),
    }
    match issued {
        Some(path) => {
            say(&format!(
                "first administrator: the one-time secret of `{}` is in {}, good for three days; hand it over and delete the file",
                arguments.administrator,
                path.display()
            ));
        }
        None => say("administrator: there is one already (lost the way in? cloister account reset NAME)"),
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
    let random = wiring::random();
    let key = match wiring::master_key(&config) {
        Err(KeyError::Missing { path }) => MasterKey::load_or_create(&path, random.as_ref())?,
        found => found?,
    };
    let store = Store::open(&config.store_folder(), key, random)?;
    // Run again after an upgrade, it is the first to bring schemas up to date.
    store.taken_over_by(env!("CARGO_PKG_VERSION"), &config.data.folder.join("backups"), wiring::clock().now())?;
    let desk = Desk::on(store, config)?;
    for tenant in desk.config.tenants.keys() {
        wiring::tenant_database(&desk.store, tenant)?;
    }
    if desk.config.tls.certificate.is_none() {
        let names = names::of_this_host(&desk.config.tls.names);
        authority::ensure(&desk.config.tls_folder(), &names, desk.clock.now())?;
    }
    Ok(desk)
}

/// A folder that only its owner may enter. One that is there keeps its mode: the store refuses it where others may.
fn private_folder(folder: &Path) -> anyhow::Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("making the data folder {}", folder.display()))
}

/// One administrator, whose one-time secret is written to `path`, unless persons have accounts already.
fn first_administrator(desk: &Desk, name: &str, path: &Path) -> anyhow::Result<Option<PathBuf>> {
    desk.govern_site(Action::ManageAccounts, || {
        let accounts = desk.accounts()?;
        let Some((account, secret)) = accounts.first_administrator(name)? else {
            return Ok((None, Outcome::done().with_code("listed")));
        };
        write_secret(path, secret.expose()).with_context(|| {
            format!(
                "writing {}: the account is made, and `cloister account reset {account}` gives it a new secret",
                path.display()
            )
        })?;
        Ok((Some(path.to_owned()), Outcome::done().with_code("created")))
    })
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
