//! `cloister key`: the keys of the site. No key is ever printed, only names and numbers.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand};
use cloister_governance::{
    audit::Outcome,
    keys::{self, BundleState, Custody, KeyringState, MasterKey},
};
use cloister_terms::{Action, TenantId};
use serde_json::json;

use super::{
    backup::AFTER_REPLACING,
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
    /// is shredded. They are named first; the new bundle in their place is written before anything is destroyed.
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
                export(&desk, &bundle, None)?;
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

/// Writes a bundle of every key, but for those of the tenant `without`, and its shares, each a new file of mode 0600. The
/// bundle counts when all of them are on the disk; where one cannot be written, those before it are removed.
fn export(desk: &Desk, wanted: &Bundle, without: Option<&TenantId>) -> anyhow::Result<()> {
    let folder = || format!("making {}", wanted.to.display());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&wanted.to).with_context(folder)?;
    let issuing = desk.store.issue_bundle((wanted.threshold, wanted.shares), without)?;
    let id = issuing.bundle().label.bundle.clone();
    let mut files = Vec::new();
    if let Err(error) = write(issuing.bundle(), &wanted.to, &mut files) {
        let removed = |path: &PathBuf| match fs::remove_file(path) {
            // What has a name that is too long for the system was never there.
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename),
            Ok(()) => true,
        };
        if files.iter().filter(|path| !removed(path)).count() > 0 {
            return Err(error.context(format!(
                "recovery bundle {id} does not count, and not all that was written of it can be removed: shred it, then \
                 run `cloister key shredded {id}`"
            )));
        }
        issuing.withdraw()?;
        return Err(error);
    }
    let label = issuing.written()?.label;
    say(&format!(
        "recovery bundle {id} with {} shares, of which {} open it, is in {}: hand each share to another person, keep the \
         bundle apart from the backups, and leave none of it here",
        label.shares,
        label.threshold,
        wanted.to.display()
    ));
    Ok(())
}

/// Writes the files of a bundle into `folder`, and names each in `files` before it is there.
fn write(bundle: &keys::Bundle, folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let id = &bundle.label.bundle;
    let mut put = |name: String, text: &str| {
        let path = folder.join(name);
        let written = site::write_secret(&path, text);
        if !matches!(&written, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
            files.push(path.clone());
        }
        written.with_context(|| format!("writing {}", path.display()))
    };
    put(format!("recovery-{id}.bundle"), bundle.file.trim_end())?;
    for (number, share) in (1..).zip(&bundle.shares) {
        put(format!("recovery-{id}.share-{number}"), share)?;
    }
    fs::File::open(folder).and_then(|folder| folder.sync_all()).with_context(|| format!("writing {}", folder.display()))
}

/// Destroys a tenant. The bundle that takes the place of those that hold its keys is written before, and these are named
/// first of all: whatever then fails, they are to be shredded.
pub(super) fn destroy(desk: &Desk, wanted: Destroy) -> anyhow::Result<()> {
    let Destroy { tenant, confirm, to, threshold, shares } = wanted;
    ensure!(tenant == confirm, "--confirm names another tenant: write `{tenant}` there to destroy it");
    let reissue = to.map(|to| Bundle { to, threshold, shares });
    let prefix = format!("tenant/{tenant}/");
    let before = desk.store.keys()?;
    let there = before.keys.iter().any(|key| key.name.of_tenant() == Some(&tenant));
    let holding: Vec<&str> = before
        .bundles
        .iter()
        .filter(|bundle| bundle.holds.iter().any(|key| key.starts_with(&prefix)))
        .map(|bundle| bundle.bundle.as_str())
        .collect();
    if there && !holding.is_empty() && reissue.is_none() {
        bail!("a recovery bundle holds this tenant's keys: name a folder for the one that takes its place with --to");
    }
    for bundle in &holding {
        say(&format!(
            "shred recovery bundle {bundle}, which holds keys of {tenant}, with every copy and share of it as soon as the \
             tenant is destroyed, then run `cloister key shredded {bundle}`"
        ));
    }
    let custody = desk.govern_site_for(Action::ManageKeys, &tenant, || {
        desk.store.destroy_tenant(&tenant, || match &reissue {
            Some(reissue) => export(desk, reissue, Some(&tenant)),
            None => Ok(()),
        })?;
        super::tenant::bar(desk, &tenant)?;
        Ok((desk.store.keys()?.custody, changed(desk, "tenant_destroyed")?))
    })?;
    say(&format!("{tenant}: its keys and its files are destroyed"));
    if matches!(custody, Custody::Credential(_)) {
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
        say(&format!("{tenant}: its database is encrypted under a new data key. {AFTER_REPLACING}"));
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
        .map(|bundle| {
            json!({ "bundle": bundle.bundle, "written": bundle.written, "lacks": bundle.lacks,
                "destroyed": bundle.destroyed, "replaced": bundle.replaced })
        })
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
        bundles.add_row([bundle.bundle.clone(), standing(bundle)]);
    }
    format!("{facts}\n\n{keys}\n\n{bundles}")
}

/// How a bundle stands, and what is to be done about it.
fn standing(bundle: &BundleState) -> String {
    let BundleState { written, lacks, destroyed, replaced, .. } = bundle;
    if !written {
        "its files were not all written: shred what there is of it".to_owned()
    } else if !destroyed.is_empty() {
        format!("holds what was destroyed ({}): shred it", destroyed.join(", "))
    } else if !replaced.is_empty() {
        format!("holds what was replaced ({}); {AFTER_REPLACING}", replaced.join(", "))
    } else if !lacks.is_empty() {
        format!("lacks {}: write a new one", lacks.join(", "))
    } else {
        "holds every key".to_owned()
    }
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
