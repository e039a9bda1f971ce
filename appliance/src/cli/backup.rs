//! `cloister backup`: all of a site but its keys and models in one sealed file, and back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use cloister_governance::{
    audit::Outcome,
    keys::{KeyError, MasterKey},
    store::{self, Contents},
};
use cloister_terms::Action;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    site::{self, Desk},
    table,
};
use crate::{config::Config, wiring};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a backup, beside a running server or without one, and read it back
    ///
    /// It holds every database, the audit log, the site's certificates and its configuration. It holds no key: those are
    /// in a recovery bundle, see `cloister key export`.
    Create {
        /// The new file
        file: PathBuf,
    },
    /// Read a backup through, and open every database in it
    Verify {
        /// The backup
        file: PathBuf,
    },
    /// Bring a site back onto an empty machine
    ///
    /// The data folder of the configuration must hold no store. The master key is the credential, or a new file.
    Restore {
        /// The backup
        file: PathBuf,
        /// The recovery bundle
        #[arg(long, value_name = "FILE")]
        bundle: PathBuf,
        /// A file with a share of the bundle's key; as many as the bundle needs
        #[arg(long = "share", value_name = "FILE", required = true)]
        shares: Vec<PathBuf>,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Create { file } => {
            let desk = Desk::open(&arguments.site)?;
            let beside = beside(&desk.config, arguments.site.config.as_deref())?;
            let made = desk.govern_site(Action::ManageBackups, || {
                let made = desk.store.back_up(&file, &beside, desk.clock.now())?;
                let bytes = made.bytes();
                Ok((made, Outcome::done().with_code("created").with_count("bytes", bytes)))
            })?;
            say(&shown(&file, &made, arguments.json));
            if desk.store.keys()?.bundles.iter().all(|bundle| !bundle.lacks.is_empty()) {
                advise("no recovery bundle holds every key of it: write one with `cloister key export`");
            }
        }
        Verb::Verify { file } => {
            let desk = Desk::open(&arguments.site)?;
            let read = desk.govern_site(Action::ManageBackups, || {
                let read = desk.store.verify_backup(&file)?;
                let unreadable = u64::try_from(read.unreadable.len()).unwrap_or(u64::MAX);
                Ok((read, Outcome::done().with_code("verified").with_count("unreadable", unreadable)))
            })?;
            say(&shown(&file, &read, arguments.json));
            for part in &read.unreadable {
                advise(&format!(
                    "{part} does not open with the keys of this site: its tenant was destroyed, or it is damaged"
                ));
            }
            if !read.unreadable.is_empty() {
                return Ok(ExitCode::from(3));
            }
        }
        Verb::Restore { file, bundle, shares } => restore(&arguments.site, &file, &bundle, &shares)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn restore(site: &site::Arguments, file: &Path, bundle: &Path, shares: &[PathBuf]) -> anyhow::Result<()> {
    let config = site.load()?.config;
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let bundle = read(bundle)?;
    let shares = shares.iter().map(|path| read(path).map(Zeroizing::new)).collect::<Result<Vec<_>, _>>()?;
    if config.store_folder().exists() {
        bail!("{} holds a store already: restore onto an empty machine", config.data.folder.display());
    }
    fs::create_dir_all(&config.data.folder).with_context(|| format!("making {}", config.data.folder.display()))?;
    let random = wiring::random();
    let master = match wiring::master_key(&config) {
        Err(KeyError::Missing { path }) => MasterKey::load_or_create(&path, random.as_ref())?,
        found => found?,
    };
    let folders = (config.store_folder(), config.data.folder.clone());
    let restored = store::restore(file, (&bundle, &shares), (&folders.0, &folders.1), &master, random.as_ref())?;
    let desk = Desk::of(config)?;
    desk.govern_site(Action::ManageBackups, || {
        let files = u64::try_from(restored.files).unwrap_or(u64::MAX);
        Ok(((), Outcome::done().with_code("restored").with_count("files", files)))
    })?;
    say(&format!("{} files as of {} are back in {}", restored.files, restored.label.at, folders.1.display()));
    for part in &restored.unreadable {
        advise(&format!("{part} was left out: the recovery bundle does not hold its key"));
    }
    Ok(())
}

/// What is taken along from beside the store: certificates, and the configuration file that was named.
fn beside(config: &Config, file: Option<&Path>) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut files = BTreeMap::new();
    let folder = config.tls_folder();
    if folder.exists() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.insert(format!("tls/{}", entry.file_name().to_string_lossy()), entry.path());
            }
        }
    }
    files.extend(file.map(|file| ("cloister.toml".to_owned(), file.to_owned())));
    Ok(files)
}

fn shown(file: &Path, contents: &Contents, json: bool) -> String {
    let (label, file) = (&contents.label, file.display().to_string());
    if json {
        let (key, at, parts) = (&label.key, label.at, &contents.parts);
        return json!({ "file": file, "key": key, "at": at, "generation": label.generation, "parts": parts,
            "unreadable": contents.unreadable })
        .to_string();
    }
    let mut table = table::plain(["backup", file.as_str()]);
    table.add_row(["as of".to_owned(), label.at.to_string()]);
    table.add_row(["key".to_owned(), label.key.clone()]);
    table.add_row(["parts".to_owned(), format!("{}, {} bytes", contents.parts.len(), contents.bytes())]);
    table.to_string()
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "advice goes to standard error")]
fn advise(text: &str) {
    eprintln!("{text}");
}
