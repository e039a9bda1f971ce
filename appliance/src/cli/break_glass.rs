//! `cloister break-glass`: emergency accesses, read and signed off by whoever keeps watch.
//!
//! Opening one is not for here: a person does it who has signed in, with `POST /api/break-glass`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use cloister_governance::{
    accounts::{EmergencyAccess, EmergencyError, EmergencyWords},
    audit::{Filter, Found, Outcome, Reader},
    store::StoreError,
};
use cloister_terms::{EmergencyId, EmergencyVerdict, Phi, TenantId};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    site::{self, Desk},
    table,
};

/// Records of what was done that are shown at most; `cloister audit search --emergency` has the rest.
const MOST: usize = 1000;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the emergency accesses that nobody has signed off
    List {
        /// Those that are signed off too
        #[arg(long)]
        all: bool,
        /// To this tenant only
        #[arg(long)]
        tenant: Option<TenantId>,
        /// One JSON object a row
        #[arg(long)]
        json: bool,
    },
    /// Show why one was opened and what was done under it
    Show {
        /// Its id, as `list` shows it
        id: EmergencyId,
    },
    /// Sign one off that is over
    Review {
        /// Its id, as `list` shows it
        id: EmergencyId,
        /// justified or not_justified
        #[arg(long, value_parser = verdict)]
        verdict: EmergencyVerdict,
        /// A note, of 10 to 500 characters
        #[arg(long)]
        note: Option<String>,
    },
    /// End one that lasts, at once
    End {
        /// Its id, as `list` shows it
        id: EmergencyId,
    },
}

fn verdict(word: &str) -> Result<EmergencyVerdict, String> {
    let known = EmergencyVerdict::ALL.iter().copied().find(|verdict| verdict.as_str() == word);
    known.ok_or_else(|| "use justified or not_justified".to_owned())
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    match arguments.verb {
        Verb::List { all, tenant, json } => list(&desk, all, tenant.as_ref(), json)?,
        Verb::Show { id } => show(&desk, id)?,
        Verb::Review { id, verdict, note } => {
            desk.govern_reviews(Some(id), |reviewer| {
                let accounts = desk.accounts()?;
                let access = accounts.emergency(id, None)?.ok_or(EmergencyError::Unknown)?;
                let database = note.as_ref().map(|_| desk.store.tenant(&access.tenant)).transpose()?;
                accounts.review_emergency(id, reviewer, verdict, note.map(Phi::new).zip(database.as_ref()))?;
                Ok(((), Outcome::done().with_code("emergency_reviewed").with_count(verdict.as_str(), 1)))
            })?;
            say(&format!("{id}: {verdict}"));
        }
        Verb::End { id } => {
            desk.govern_reviews(Some(id), |_| {
                let (accounts, now) = (desk.accounts()?, desk.clock.now());
                let access = accounts.emergency(id, None)?.ok_or(EmergencyError::Unknown)?;
                anyhow::ensure!(access.is_open(now), "the emergency access is over already");
                accounts.end_emergency(&access.account)?;
                Ok(((), Outcome::done().with_code("emergency_ended")))
            })?;
            say(&format!("{id}: ended"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(desk: &Desk, all: bool, tenant: Option<&TenantId>, as_json: bool) -> anyhow::Result<()> {
    let found = desk.govern_reviews(None, |_| {
        let found = desk.accounts()?.emergencies(tenant, all)?;
        let rows = u64::try_from(found.len()).unwrap_or(u64::MAX);
        Ok((found, Outcome::done().with_code("listed").with_count("rows", rows)))
    })?;
    let now = desk.clock.now();
    if as_json {
        for access in &found {
            say(&Value::Object(row(access, now)).to_string());
        }
        return Ok(());
    }
    let mut table = table::plain(["emergency", "opened", "until", "name", "role", "tenant", "ground", "state"]);
    for access in &found {
        table.add_row([
            access.id.to_string(),
            access.begun.to_string(),
            access.ended.unwrap_or(access.until).to_string(),
            access.name.clone(),
            access.role.to_string(),
            access.tenant.to_string(),
            access.ground.to_string(),
            state(access, now).to_owned(),
        ]);
    }
    say(&table.to_string());
    Ok(())
}

fn show(desk: &Desk, id: EmergencyId) -> anyhow::Result<()> {
    let (access, words, uses) = desk.govern_reviews(Some(id), |_| {
        let access = desk.accounts()?.emergency(id, None)?.ok_or(EmergencyError::Unknown)?;
        let filter = Filter { emergency: Some(id), ..Filter::default() };
        let uses = Reader::of(&desk.store).search(&filter, MOST)?;
        let rows = u64::try_from(uses.rows.len()).unwrap_or(u64::MAX);
        let words = match desk.store.tenant(&access.tenant) {
            Ok(database) => EmergencyWords::of(&database, id)?,
            // Gone with its tenant.
            Err(StoreError::UnknownTenant(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(((access, words, uses), Outcome::done().with_code("shown").with_count("rows", rows)))
    })?;
    let mut shown = row(&access, desk.clock.now());
    let recorded = words.as_ref().map(|words| as_recorded(&access.commitment(&words.reason), &uses));
    shown.insert("reason_as_recorded".to_owned(), recorded.into());
    shown.insert("reason".to_owned(), words.as_ref().map(|words| words.reason.expose().clone()).into());
    shown.insert("note".to_owned(), words.and_then(|words| words.note).map(Phi::into_exposed).into());
    let columns = uses.columns;
    let entries = uses.rows.into_iter().map(|row| columns.iter().cloned().zip(row).collect::<Map<_, _>>());
    shown.insert("uses".to_owned(), entries.map(Value::Object).collect());
    say(&serde_json::to_string_pretty(&shown)?);
    Ok(())
}

/// Whether the reason is the one that the audit log was told of.
fn as_recorded(commitment: &str, uses: &Found) -> bool {
    let column = uses.columns.iter().position(|name| name == "commitment");
    let told = |row: &Vec<Value>| column.and_then(|at| row.get(at)).and_then(Value::as_str) == Some(commitment);
    uses.rows.iter().any(told)
}

fn row(access: &EmergencyAccess, now: Timestamp) -> Map<String, Value> {
    let row = json!({
        "emergency": access.id,
        "account": access.account,
        "name": access.name,
        "role": access.role,
        "tenant": access.tenant,
        "ground": access.ground,
        "begun": access.begun,
        "until": access.ended.unwrap_or(access.until),
        "state": state(access, now),
        "reviewer": access.review.as_ref().map(|review| &review.reviewer),
    });
    match row {
        Value::Object(row) => row,
        _ => Map::new(),
    }
}

fn state(access: &EmergencyAccess, now: Timestamp) -> &'static str {
    match &access.review {
        Some(review) => review.verdict.as_str(),
        None if access.is_open(now) => "open",
        None => "to review",
    }
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
