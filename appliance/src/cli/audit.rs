//! `cloister audit`: the log of every decision, searched, verified, proven and exported. Each of these is recorded itself.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use cloister_governance::audit::{Filter, Outcome, OutcomeKind, Reader};
use cloister_terms::{Action, EmergencyId, SessionId, TenantId};
use jiff::Timestamp;

use super::{
    site::{self, Desk},
    words,
};

mod export;
mod search;
mod verify;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Find entries by plain filters, or by one SELECT on the view `audit`
    ///
    /// A statement can read the view and nothing else. Times are RFC 3339 in UTC. `--columns` explains the view.
    Search(Search),
    /// Read the whole log and say what is not as it was written, and where
    ///
    /// Exit code 3 if anything is. Checkpoints that were kept elsewhere also show a cut tail and a log written anew.
    Verify(Verify),
    /// Prove to others that a record is in the log, or that the log only grew
    Prove(Prove),
    /// Write the records out
    Export(Export),
    /// Make a checkpoint now, and print it
    Checkpoint,
    /// Replace the key that signs checkpoints; the old one vouches for the new
    RotateKey,
    /// Make the search index again from the log
    RebuildIndex,
    /// Remove the records that are older than `audit.retention_years`, in whole bundles; their hashes stay
    Purge,
}

#[derive(Debug, Args)]
struct Search {
    /// One SELECT on the view `audit`, instead of filters
    #[arg(conflicts_with_all = ["since", "until", "who", "action", "session", "emergency", "tenant", "outcome"])]
    statement: Option<String>,
    /// Opened at this time or later, as in 2026-01-31T00:00:00Z
    #[arg(long)]
    since: Option<Timestamp>,
    /// Opened before this time
    #[arg(long)]
    until: Option<Timestamp>,
    /// The account's id or name
    #[arg(long)]
    who: Option<String>,
    /// What was done, `ask` for example
    #[arg(long, value_parser = words::action)]
    action: Option<Action>,
    /// The interaction's id
    #[arg(long)]
    session: Option<SessionId>,
    /// The emergency access under which it was done
    #[arg(long)]
    emergency: Option<EmergencyId>,
    /// The tenant
    #[arg(long)]
    tenant: Option<TenantId>,
    /// How it ended: done, denied, blocked, held, failed, abandoned or interrupted
    #[arg(long, value_parser = outcome)]
    outcome: Option<OutcomeKind>,
    /// At most so many rows
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// One JSON object a row
    #[arg(long)]
    json: bool,
    /// List the view's columns and what they hold
    #[arg(long)]
    columns: bool,
}

impl Search {
    fn filter(&self) -> Filter {
        Filter {
            since: self.since,
            until: self.until,
            who: self.who.clone(),
            action: self.action,
            session: self.session,
            emergency: self.emergency,
            tenant: self.tenant.clone(),
            outcome: self.outcome,
            after: 0,
        }
    }
}

#[derive(Debug, Args)]
struct Verify {
    /// Checkpoints kept elsewhere: a signed note, or the server's log output with checkpoints in it; may be given again
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// A checkpoint key of this log that was written down, NAME+HASH+KEY
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Verify a copy: a folder with `audit.db`, what stands beside it, and `audit`; read under this site's master key
    #[arg(long, value_name = "FOLDER")]
    copy: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Prove {
    #[command(subcommand)]
    what: Proven,
}

#[derive(Debug, Subcommand)]
enum Proven {
    /// That a record is in the log: a C2SP `tlog-proof`
    Record {
        /// The record's number
        sequence: u64,
        /// In the tree of the checkpoint over so many records; the newest otherwise
        #[arg(long, value_name = "RECORDS")]
        checkpoint: Option<u64>,
        /// Write the record's bytes, which the proof is about, to this file
        #[arg(long, value_name = "FILE")]
        leaf: Option<PathBuf>,
    },
    /// That a later checkpoint's log begins with an earlier one's: the request of C2SP's `tlog-witness`
    Consistency {
        /// Records that the earlier checkpoint covers
        earlier: u64,
        /// Records that the later one covers; the newest otherwise
        later: Option<u64>,
    },
}

#[derive(Debug, Args)]
struct Export {
    /// The form
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,
    /// Only records numbered above this
    #[arg(long, default_value_t = 0, value_name = "RECORD")]
    after: u64,
    /// Write to this new file, mode 0600, instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The records' own bytes, one a line, as they are hashed
    Ndjson,
    /// FHIR R4 AuditEvent resources, one a line
    Fhir,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Verify(verify) => return verify::run(&arguments.site, &verify),
        Verb::Search(search) if search.columns => search::columns(),
        Verb::Search(search) => search::run(&Desk::open(&arguments.site)?, &search)?,
        Verb::Prove(prove) => export::prove(&Desk::open(&arguments.site)?, &prove.what)?,
        Verb::Export(export) => export::run(&Desk::open(&arguments.site)?, &export)?,
        Verb::Checkpoint => checkpoint(&Desk::open(&arguments.site)?)?,
        Verb::RotateKey => rotate_key(&Desk::open(&arguments.site)?)?,
        Verb::RebuildIndex => {
            let desk = Desk::open(&arguments.site)?;
            desk.govern_audit(Action::ManageAudit, || {
                Reader::of(&desk.store).rebuild_index()?;
                Ok(((), Outcome::done().with_code("index_rebuilt")))
            })?;
            say("the search index was made again from the log\n");
        }
        Verb::Purge => purge(&Desk::open(&arguments.site)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn purge(desk: &Desk) -> anyhow::Result<()> {
    let reader = Reader::of(&desk.store);
    let years = desk.config.audit.retention_years;
    let purged = desk.govern_audit(Action::ManageAudit, || {
        let purged = desk.audit().purge_blocking(years, &reader)?;
        Ok((purged, Outcome::done().with_code("purged").with_count("records", purged.removed)))
    })?;
    match purged.removed {
        0 => say(&format!("no bundle of records is {years} years old: nothing was removed\n")),
        removed => say(&format!("{removed} records were removed, those up to {}; their hashes stay\n", purged.through)),
    }
    Ok(())
}

fn checkpoint(desk: &Desk) -> anyhow::Result<()> {
    let made = || Ok(((), Outcome::done().with_code("checkpoint")));
    desk.govern_audit(Action::ManageAudit, made)?;
    // After the outcome, so that it is covered too.
    desk.audit().checkpoint_blocking()?;
    say(Reader::of(&desk.store).checkpoint(None)?.note());
    Ok(())
}

fn rotate_key(desk: &Desk) -> anyhow::Result<()> {
    let key = desk.govern_audit(Action::ManageAudit, || {
        let key = desk.audit().next_key()?;
        Ok((key.verifier().to_string(), Outcome::done().with_code("key_rotated").announcing(key)))
    })?;
    say(&format!("{key}\n"));
    Ok(())
}

fn outcome(word: &str) -> Result<OutcomeKind, String> {
    let parsed = serde_json::from_value(serde_json::Value::String(word.to_owned()));
    parsed.map_err(|_| "use done, denied, blocked, held, failed, abandoned or interrupted".to_owned())
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    print!("{text}");
}
