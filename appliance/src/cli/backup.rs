//! `cloister backup`: all of a site but its master key, its data keys and its models in one sealed file, and back.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use cloister_governance::{
    audit::Outcome,
    keys::BundleState,
    store::{Contents, Unreadable},
};
use cloister_terms::Action;
use serde_json::json;

use super::{
    site::{self, Desk},
    table,
};

mod restore;
mod rollback;
mod site_files;

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
    /// It holds every database, the audit log, the configuration, and what that names: policies, certificates with their
    /// keys, the identity provider's keys. It holds neither the master key nor a data key: those are in a recovery bundle, see
    /// `cloister key export`. Models are fetched or imported anew.
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
    /// The data folder of the configuration must hold no store. The master key is the credential, or a new file. Where
    /// --config names a file that is not there, the backup's is put there. The site's other files go where the configuration
    /// says, unless another file is there: then into `restored` in the data folder. Exit code 3: the site is back, but not all
    /// of it; each line says what, and why.
    Restore(restore::Arguments),
    /// Go back to how this release left the site, once a newer one took it over; the server must be stopped
    ///
    /// A release that takes a site over makes a backup before it changes anything. Install the release before it again, and
    /// run this: documents and accounts are then as in that backup. The audit log and the keys stay as they are now, a
    /// destroyed tenant stays destroyed, and what was there until now is kept beside.
    Rollback,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Create { file } => {
            let loaded = arguments.site.load()?;
            let gathered = site_files::gather(&loaded)?;
            let desk = Desk::of(loaded.config)?;
            let made = desk.govern_site(Action::ManageBackups, || {
                let made = desk.store.back_up(&file, &gathered.files, desk.clock.now())?;
                let bytes = made.bytes();
                Ok((made, Outcome::done().with_code("created").with_count("bytes", bytes)))
            })?;
            say(&shown(&file, &made, arguments.json));
            for missing in &gathered.missing {
                advise(&format!(
                    "{missing} is not there, and not in the backup: put it there, or take it out of the configuration"
                ));
            }
            if !desk.store.keys()?.bundles.iter().any(BundleState::is_complete) {
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
            for (part, why) in &read.unreadable {
                advise(&format!("{part} does not open with the keys of this site: {why}"));
            }
            if read.unreadable.values().any(|why| matches!(why, Unreadable::OtherKey(_))) {
                advise(AFTER_REPLACING);
            }
            if !read.unreadable.is_empty() {
                return Ok(ExitCode::from(3));
            }
        }
        Verb::Restore(wanted) => return restore::run(&arguments.site, &wanted),
        Verb::Rollback => return rollback::run(&arguments.site),
    }
    Ok(ExitCode::SUCCESS)
}

/// What to do once a data key was replaced.
pub(super) const AFTER_REPLACING: &str = "older backups open with the older recovery bundles alone: make a new backup first \
    (`cloister backup create`) and a new bundle (`cloister key export`), then shred the old bundles";

fn shown(file: &Path, contents: &Contents, json: bool) -> String {
    let (label, file) = (&contents.label, file.display().to_string());
    if json {
        let (key, at, parts) = (&label.key, label.at, &contents.parts);
        let unreadable: BTreeMap<&String, String> =
            contents.unreadable.iter().map(|(part, why)| (part, why.to_string())).collect();
        return json!({ "file": file, "key": key, "at": at, "generation": label.generation, "parts": parts,
            "unreadable": unreadable })
        .to_string();
    }
    let mut table = table::plain(["backup", file.as_str()]);
    table.add_row(["as of".to_owned(), label.at.to_string()]);
    table.add_row(["key".to_owned(), label.key.clone()]);
    let databases = contents.parts.keys().filter(|part| part.ends_with(".db")).count();
    let of_site = contents.parts.keys().filter(|part| !part.starts_with("store/")).cloned().collect::<Vec<_>>();
    table.add_row(["databases".to_owned(), databases.to_string()]);
    table.add_row(["the site's files".to_owned(), of_site.join("\n")]);
    table.add_row(["in all".to_owned(), format!("{} parts, {} bytes", contents.parts.len(), contents.bytes())]);
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
