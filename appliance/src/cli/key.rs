//! `cloister key`: the keys of the site. No key is ever printed, only names and numbers.

use std::{fs, os::unix::fs::DirBuilderExt as _, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use cloister_governance::{
    audit::Outcome,
    declarations::Declarations,
    keys::{Custody, KeyringState, MasterKey},
};
use cloister_terms::{Action, TenantId};
use serde_json::json;

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
    /// Show the master key's id, where it is kept, and which data keys it wraps
    Status {
        /// JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Replace the master key by a new one, beside a running server or without one
    ///
    /// Every data key is wrapped anew; no database is touched. A master key in a file is replaced there. One that is a
    /// credential only the system can replace: --to wraps for the new one as well, then put it in place and start the
    /// server again; until then the old one works too.
    Rotate(Rotate),
    /// Write a recovery bundle: every data key, sealed under a key that only enough holders of its shares have together
    ///
    /// With a backup it brings the site back on another machine, without the master key and without a TPM. Hand each share
    /// to another person, keep the bundle apart from the backups, and remove the files from here.
    Export(Bundle),
    /// Note that a recovery bundle and its copies were shredded
    Shredded {
        /// The bundle's id, as `status` shows it
        bundle: String,
    },
    /// Destroy a tenant's keys and files, for ever; the server must be stopped
    ///
    /// Backups hold no keys, so that the tenant is unreadable in them too, once every recovery bundle that holds its keys
    /// is shredded. They are named, and a new bundle is written in their place.
    Destroy(Destroy),
}

#[derive(Debug, Args)]
pub(super) struct Destroy {
    /// The tenant
    tenant: TenantId,
    /// The tenant's name once more
    #[arg(long, value_name = "TENANT")]
    confirm: TenantId,
    /// The folder for the new recovery bundle; needed where there is one that holds the keys
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// How many shares open the new bundle
    #[arg(long, default_value_t = 3)]
    threshold: u8,
    /// How many shares it has
    #[arg(long, default_value_t = 5)]
    shares: u8,
}

#[derive(Debug, Args)]
struct Bundle {
    /// The folder for the bundle and its shares
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// How many shares open it
    #[arg(long, default_value_t = 3)]
    threshold: u8,
    /// How many shares there are
    #[arg(long, default_value_t = 5)]
    shares: u8,
}

#[derive(Debug, Args)]
struct Rotate {
    /// The file, mode 0600, of a new master key that you will put in place yourself: 64 hexadecimal digits
    #[arg(long, value_name = "FILE", conflicts_with_all = ["abandon", "tenant"])]
    to: Option<PathBuf>,
    /// Give up a new master key that was named with --to and not put in place
    #[arg(long, conflicts_with = "tenant")]
    abandon: bool,
    /// Replace this tenant's data key instead, and encrypt its database anew; the server must be stopped
    #[arg(long)]
    tenant: Option<TenantId>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    match arguments.verb {
        Verb::Status { json } => {
            let state =
                desk.govern_site(Action::ManageKeys, || Ok((desk.store.keys()?, Outcome::done().with_code("shown"))))?;
            say(&if json { machine(&state) } else { shown(&state) });
        }
        Verb::Rotate(rotate) => self::rotate(&desk, rotate)?,
        Verb::Export(bundle) => {
            desk.govern_site(Action::ManageKeys, || {
                export(&desk, &bundle)?;
                Ok(((), changed(&desk, "bundle_issued")?))
            })?;
        }
        Verb::Shredded { bundle } => {
            let known = desk.govern_site(Action::ManageKeys, || {
                let known = desk.store.bundle_shredded(&bundle)?;
                Ok((known, changed(&desk, if known { "bundle_shredded" } else { "bundle_unknown" })?))
            })?;
            ensure!(known, "no recovery bundle `{bundle}` is known: `cloister key status` lists them");
        }
        Verb::Destroy(wanted) => destroy(&desk, wanted)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a bundle and its shares, each a new file of mode 0600.
fn export(desk: &Desk, wanted: &Bundle) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&wanted.to)
        .with_context(|| format!("making {}", wanted.to.display()))?;
    let made = desk.store.export_bundle(wanted.threshold, wanted.shares)?;
    let id = &made.label.bundle;
    let written = |name: String, text: &str| {
        let path = wanted.to.join(name);
        site::write_secret(&path, text).with_context(|| format!("writing {}", path.display()))
    };
    written(format!("recovery-{id}.bundle"), made.file.trim_end())?;
    for (number, share) in (1..).zip(&made.shares) {
        written(format!("recovery-{id}.share-{number}"), share)?;
    }
    say(&format!(
        "recovery bundle {id} with {} shares, of which {} open it, is in {}: hand each share to another person, keep the \
         bundle apart from the backups, and leave none of it here",
        made.label.shares,
        made.label.threshold,
        wanted.to.display()
    ));
    Ok(())
}

/// Destroys a tenant, and writes the bundle that takes the place of those that hold its keys.
pub(super) fn destroy(desk: &Desk, wanted: Destroy) -> anyhow::Result<()> {
    let Destroy { tenant, confirm, to, threshold, shares } = wanted;
    ensure!(tenant == confirm, "--confirm names another tenant: write `{tenant}` there to destroy it");
    let reissue = to.map(|to| Bundle { to, threshold, shares });
    let prefix = format!("tenant/{tenant}/");
    let holds = |keys: &[String]| keys.iter().any(|key| key.starts_with(&prefix));
    let before = desk.store.keys()?;
    let held = before.keys.iter().map(|key| format!("{} {}", key.name, key.version)).collect::<Vec<_>>();
    let in_a_bundle = holds(&held) && before.bundles.iter().any(|bundle| !holds(&bundle.lacks));
    if in_a_bundle && reissue.is_none() {
        bail!("a recovery bundle holds this tenant's keys: name a folder for the one that takes its place with --to");
    }
    let after = desk.govern_site_for(Action::ManageKeys, &tenant, || {
        desk.store.destroy_tenant(&tenant)?;
        Declarations::open(&desk.store.fleet())?.remove(&tenant)?;
        // A later tenant of that name is another one: nobody of this one may find themselves in it.
        let accounts = desk.accounts()?;
        for account in accounts.list()?.iter().filter(|account| account.principal.tenant.as_ref() == Some(&tenant)) {
            accounts.disable(&account.principal.account)?;
        }
        if let Some(reissue) = &reissue {
            export(desk, reissue)?;
        }
        Ok((desk.store.keys()?, changed(desk, "tenant_destroyed")?))
    })?;
    say(&format!("{tenant}: its keys and its files are destroyed"));
    for bundle in after.bundles.iter().filter(|bundle| holds(&bundle.outlived)) {
        say(&format!(
            "shred recovery bundle {0} with every copy and share of it, then run `cloister key shredded {0}`",
            bundle.bundle
        ));
    }
    if matches!(after.custody, Custody::Credential(_)) {
        say("copies of an earlier keyring open with this master key: replace it with `cloister key rotate --to FILE`");
    }
    if desk.config.tenants.contains_key(&tenant) {
        say("the configuration still names the tenant: the next start of the server makes it anew, and empty");
    }
    Ok(())
}

fn rotate(desk: &Desk, rotate: Rotate) -> anyhow::Result<()> {
    if let Some(tenant) = rotate.tenant {
        desk.govern_site_for(Action::ManageKeys, &tenant, || {
            desk.store.replace_tenant_key(&tenant)?;
            Ok(((), changed(desk, "data_key_replaced")?))
        })?;
        say(&format!("{tenant}: its database is encrypted under a new data key"));
    } else if let Some(file) = rotate.to {
        let next = MasterKey::load(&file)?;
        desk.govern_site(Action::ManageKeys, || {
            desk.store.prepare_master(&next)?;
            Ok(((), changed(desk, "master_key_prepared")?))
        })?;
        say(&format!(
            "both master keys open the site now; put {} in place as the credential and restart the server, which then \
             forgets the old one",
            next.id()
        ));
    } else if rotate.abandon {
        let abandoned = desk.govern_site(Action::ManageKeys, || {
            let abandoned = desk.store.abandon_master()?;
            Ok((abandoned, changed(desk, "master_key_abandoned")?))
        })?;
        say(if abandoned { "the new master key is forgotten" } else { "no new master key was waiting" });
    } else {
        let id = desk.govern_site(Action::ManageKeys, || {
            let id = desk.store.rotate_master()?;
            Ok((id, changed(desk, "master_key_replaced")?))
        })?;
        say(&format!("{id} is the master key now; every data key is wrapped anew. Keep no copy of the old one."));
    }
    Ok(())
}

/// What is recorded of a change of the keyring.
fn changed(desk: &Desk, code: &'static str) -> anyhow::Result<Outcome> {
    Ok(Outcome::done().with_code(code).with_count("generation", desk.store.keys()?.generation))
}

fn machine(state: &KeyringState) -> String {
    let keys: Vec<_> = state
        .keys
        .iter()
        .map(|key| json!({ "name": key.name.to_string(), "version": key.version, "replacing": key.replacing }))
        .collect();
    let bundles: Vec<_> = state
        .bundles
        .iter()
        .map(|bundle| json!({ "bundle": bundle.bundle, "lacks": bundle.lacks, "outlived": bundle.outlived }))
        .collect();
    json!({
        "master": state.master, "custody": state.custody.as_str(), "locked": state.locked,
        "generation": state.generation, "next": state.next, "keys": keys, "bundles": bundles,
    })
    .to_string()
}

fn shown(state: &KeyringState) -> String {
    let mut facts = table::plain(["master key", state.master.as_str()]);
    let kept = match &state.custody {
        Custody::Credential(path) => format!("as a credential, {}", path.display()),
        Custody::File(path) => format!("in the file {}: fit for trying, not for patients' data", path.display()),
    };
    facts.add_row(["kept", kept.as_str()]);
    facts.add_row(["memory", if state.locked { "locked" } else { "not locked: raise LimitMEMLOCK" }]);
    facts.add_row(["changes", &state.generation.to_string()]);
    if let Some(next) = &state.next {
        facts.add_row(["to come", &format!("{next}: put it in place, or give it up with --abandon")]);
    }
    let mut keys = table::plain(["data key", "version"]);
    for key in &state.keys {
        keys.add_row([key.name.to_string(), key.version.to_string()]);
    }
    if state.bundles.is_empty() {
        return format!("{facts}\n\n{keys}\n\nthere is no recovery bundle: `cloister key export` writes one");
    }
    let mut bundles = table::plain(["recovery bundle", "state"]);
    for bundle in &state.bundles {
        let stands = match (bundle.outlived.as_slice(), bundle.lacks.as_slice()) {
            ([], []) => "holds every key".to_owned(),
            ([], lacks) => format!("lacks {}: write a new one", lacks.join(", ")),
            (outlived, _) => format!("holds what was destroyed or replaced ({}): shred it", outlived.join(", ")),
        };
        bundles.add_row([bundle.bundle.clone(), stands]);
    }
    format!("{facts}\n\n{keys}\n\n{bundles}")
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
