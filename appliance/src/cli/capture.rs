//! `cloister capture`: sealed captures of questions and answers, listed, read and removed by the person at the machine.
//! Policy decides and the audit log records, as it does for a request.

use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use cloister_governance::{
    audit::{Outcome, OutcomeKind},
    captures::{CaptureError, Captures, Filter, Form},
    declarations::Declarations,
    policy::{Permit, Resource},
    vault::Vault,
};
use cloister_terms::{Action, CaptureId, RequestId, SessionId, TenantId};
use jiff::Timestamp;

use super::{
    site::{self, Desk},
    table,
};
use crate::{api::native::captures::CaptureReply, wiring::declared};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// The tenant; the only one there is if none is named
    #[arg(long, global = true)]
    tenant: Option<TenantId>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List captures: when, in which session, how it ended; no text
    List(List),
    /// Show one capture as JSON: what was asked, the evidence that was found, what was answered
    Show {
        /// The capture's id, as a list or an audit record names it
        capture: CaptureId,
        /// Read one that was made raw, identifiers and all: a policy of the site's own says who may
        #[arg(long)]
        raw: bool,
    },
    /// Remove the captures, and what placeholders stand for, that are older than the tenant keeps them; a running server does so every hour
    Purge,
}

#[derive(Debug, Args)]
struct List {
    /// Made at this time or later, as in 2026-01-31T00:00:00Z
    #[arg(long)]
    since: Option<Timestamp>,
    /// Made before this time
    #[arg(long)]
    until: Option<Timestamp>,
    /// The interaction's id
    #[arg(long)]
    session: Option<SessionId>,
    /// The request's id, as in the audit log
    #[arg(long)]
    request: Option<RequestId>,
    /// How it ended: done, blocked or failed
    #[arg(long, value_parser = outcome)]
    outcome: Option<OutcomeKind>,
    /// Which way: the lane of an answer, the code of a refusal
    #[arg(long)]
    code: Option<String>,
    /// redacted or raw
    #[arg(long)]
    form: Option<Form>,
    /// At most so many, the newest first
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

impl List {
    fn filter(&self) -> Filter {
        Filter {
            since: self.since,
            until: self.until,
            session: self.session,
            request: self.request,
            outcome: self.outcome,
            code: self.code.clone(),
            form: self.form,
            ..Filter::default()
        }
    }
}

fn outcome(word: &str) -> Result<OutcomeKind, String> {
    let parsed = serde_json::from_value(serde_json::Value::String(word.to_owned()));
    parsed.map_err(|_| "use done, denied, blocked, held, failed, abandoned or interrupted".to_owned())
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    let tenant = desk.tenant(arguments.tenant)?;
    let (captures, vault) = kept(&desk, &tenant)?;
    match arguments.verb {
        Verb::List(wanted) => list(&desk, &captures, &wanted)?,
        Verb::Show { capture, raw } => show(&desk, &captures, capture, raw)?,
        Verb::Purge => purge(&desk, &captures, &vault)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The captures and the vault of a tenant, kept for as long as its file or the configuration says.
pub(super) fn kept(desk: &Desk, tenant: &TenantId) -> anyhow::Result<(Captures, Vault)> {
    let of_its_file = declared(&Declarations::open(&desk.store.fleet())?)?.remove(tenant);
    let settings = desk.config.tenants.get(tenant).or(of_its_file.as_ref());
    let days = settings.map_or_else(Default::default, |tenant| (tenant.captures, tenant.vault));
    let captures = Captures::of(&desk.store, tenant, days.0.days, desk.clock.clone());
    let vault = Vault::beside(&captures, days.1.days);
    Ok((captures, vault))
}

fn list(desk: &Desk, captures: &Captures, wanted: &List) -> anyhow::Result<()> {
    let resource = Resource::Tenant(captures.tenant().clone());
    let listed = desk.govern_captures(Action::ListCaptures, resource, |permit| {
        let listed = captures.list(&permit, &wanted.filter(), wanted.limit)?;
        let count = u64::try_from(listed.captures.len()).unwrap_or(u64::MAX);
        Ok((listed, Outcome::done().with_code("listed").with_count("rows", count)))
    })?;
    let mut table = table::plain(["capture", "at", "session", "request", "action", "outcome", "form"]);
    for label in listed.captures {
        let ended = label.code.map_or_else(String::new, |code| format!(" ({code})"));
        table.add_row([
            label.id.to_string(),
            label.at.to_string(),
            label.session.map(|session| session.to_string()).unwrap_or_default(),
            label.request.to_string(),
            label.action.to_string(),
            format!("{}{ended}", label.outcome.as_str()),
            label.form.to_string(),
        ]);
    }
    say(&table.to_string());
    if listed.next.is_some() {
        say("there are more: raise --limit, or narrow with --until");
    }
    Ok(())
}

fn show(desk: &Desk, captures: &Captures, capture: CaptureId, raw: bool) -> anyhow::Result<()> {
    let action = if raw { Action::ReadRawCapture } else { Action::ReadCapture };
    let resource = Resource::Capture(captures.tenant().clone(), capture);
    let read = |permit: Permit| match captures.read(&permit) {
        Ok(Some(capture)) => {
            let outcome = Outcome::done().with_code(capture.label.form.as_str());
            Ok((capture, outcome))
        }
        Ok(None) => bail!("there is no such capture of `{}`, or its time is over", captures.tenant()),
        Err(CaptureError::Raw) => {
            Err(anyhow!("this capture was made raw: --raw reads it, where a policy of the site's own permits it"))
        }
        Err(error) => Err(error.into()),
    };
    let capture = desk.govern_captures(action, resource, read)?;
    let shown = CaptureReply::of(capture, captures.days());
    say(&serde_json::to_string_pretty(&shown).context("writing the capture as JSON")?);
    Ok(())
}

fn purge(desk: &Desk, captures: &Captures, vault: &Vault) -> anyhow::Result<()> {
    let resource = Resource::Tenant(captures.tenant().clone());
    let (removed, placeholders) = desk.govern_captures(Action::ManageCaptures, resource, |_| {
        let placeholders = if vault.expired()? > 0 { vault.purge()? } else { 0 };
        let removed = captures.purge()?;
        let outcome = Outcome::done().with_code("purged").with_count("captures", removed);
        Ok(((removed, placeholders), outcome.with_count("placeholders", placeholders)))
    })?;
    if placeholders > 0 {
        say(&format!("what {placeholders} placeholders stood for, whose time is over, was removed"));
    }
    let days = captures.days();
    say(&match removed {
        0 => format!("no capture is older than {days} days: nothing was removed"),
        removed => format!("{removed} captures that were older than {days} days were removed"),
    });
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
