//! `cloister export`: texts of a tenant from which identifiers were taken out, with a statement of what may be left in them.
//! Policy decides and the audit log records which documents and which captures were read.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use clap::Args;
use cloister_governance::{
    approvals::Approvals,
    audit::{Document, Outcome},
    captures::{Content, Filter, Form, Turn},
    guardrails::Guardrails,
    policy::Resource,
};
use cloister_knowledge::Scope;
use cloister_terms::{AccessLabel, Action, CaptureId, CollectionId, Phi, TenantId};

use super::{
    capture,
    site::{self, Desk},
};
use crate::{
    evaluation::{
        Named,
        result::{self, Run, sha256},
    },
    export::{About, Export, Kind, measures_identifiers},
    pipeline::{Identifiers, guardrail::BUILT_IN},
    wiring::{self, guardrail::Held},
};

/// Captures that are listed at a time.
const LISTED: usize = 1000;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// The tenant; the only one there is if none is named
    #[arg(long)]
    tenant: Option<TenantId>,
    /// A collection whose documents in force are exported; may be given again
    #[arg(long = "collection")]
    collections: Vec<CollectionId>,
    /// An access label of the documents to export; may be given again
    #[arg(long = "label", default_values = ["staff"])]
    labels: Vec<AccessLabel>,
    /// Export the redacted captures too; raw ones are left out
    #[arg(long)]
    captures: bool,
    /// What this site measured of how well identifiers are found, with the guardrail that holds: `cloister eval run`
    #[arg(long, value_name = "RESULT.json")]
    result: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { site, tenant, collections, labels, captures, result, out } = arguments;
    if collections.is_empty() && !captures {
        bail!("name a --collection, or --captures: there is nothing to export");
    }
    let desk = Desk::open(&site)?;
    let tenant = desk.tenant(tenant)?;
    let resource = Resource::Tenant(tenant.clone());
    let staged = desk.govern_captures(Action::ExportDeidentified, resource, |_| {
        let settings = desk.tenant_settings(&tenant)?;
        let held = wiring::guardrail::held(&Guardrails::open(&desk.store.fleet())?, &tenant, &settings, None)?;
        let identifiers = wiring::identifiers(&settings, &held.document)?;
        let (measured, hash) = measured(&desk, &result, (&tenant, &held))?;
        let mut export = Export::begin(&out)?;
        let mut outcome = Outcome::done().with_code("exported");
        for collection in &collections {
            outcome = documents(&desk, (&tenant, collection, &labels), &identifiers, &mut export, outcome)?;
        }
        if captures {
            of_captures(&desk, &tenant, &identifiers, &mut export)?;
        }
        let guardrail = format!("{tenant}:{}", held.version);
        let day = desk.clock.now().strftime("%Y-%m-%d").to_string();
        let about =
            About { tenant: tenant.as_str(), guardrail: &guardrail, day: &day, measured: &measured, result: &hash };
        let staged = export.finish(&about)?;
        let counts = staged.counts();
        let outcome = outcome
            .with_count("documents", counts.documents)
            .with_count("captures", counts.captures)
            .with_count("identifiers_masked", counts.identifiers());
        Ok((staged, outcome))
    })?;
    // Only now: that it was made is on record.
    let counts = staged.release()?;
    say(&format!(
        "{}: {} documents, {} captures, {} identifiers replaced; {} raw captures left out. Read STATEMENT.md before it goes to anyone",
        out.display(),
        counts.documents,
        counts.captures,
        counts.identifiers(),
        counts.raw,
    ));
    Ok(ExitCode::SUCCESS)
}

/// A result of this site's own about the detector and the guardrail that hold, and the hash of its file.
fn measured(desk: &Desk, path: &Path, (tenant, held): (&TenantId, &Held)) -> anyhow::Result<(Run, String)> {
    let bytes = result::bytes(path)?;
    let hash = sha256(&bytes);
    let run =
        Run::of_bytes(&bytes).with_context(|| format!("{} is not a result of `cloister eval run`", path.display()))?;
    let known = Approvals::open(&desk.store.fleet())?.evaluation(&hash)?.is_some();
    ensure!(known, "{} was not measured on this site, or was changed since: `cloister eval run`", path.display());
    let guardrail = (held.version != BUILT_IN)
        .then(|| Named { name: format!("{tenant}:{}", held.version), sha256: held.sha256.clone() });
    let same = run.system.tenant == tenant.as_str()
        && run.system.program == env!("CARGO_PKG_VERSION")
        && run.system.guardrail == guardrail;
    ensure!(
        same,
        "{} is about another tenant, release or guardrail than the ones that hold: measure again with `cloister eval run`",
        path.display()
    );
    measures_identifiers(&run)?;
    Ok((run, hash))
}

/// Adds the documents of a collection that are in force, and names each in the outcome.
fn documents(
    desk: &Desk,
    (tenant, collection, labels): (&TenantId, &CollectionId, &[AccessLabel]),
    identifiers: &Identifiers,
    export: &mut Export,
    mut outcome: Outcome,
) -> anyhow::Result<Outcome> {
    let library = desk.library(tenant)?;
    let scope = Scope::new(vec![collection.clone()], labels.to_vec(), desk.clock.now());
    for document in library.documents(collection)? {
        let Some(text) = library.document_text(&scope, document.id, None)? else { continue };
        let part = |role: &str, text: String| Turn { role: role.to_owned(), text: Phi::new(text) };
        // A document without a title has its file's name for one, which is not exported.
        let title = (text.title != text.name).then(|| part("title", text.title));
        let asked = title.into_iter().chain([part("text", text.text)]).collect();
        let content = Content { asked, ..Content::default() };
        export.add(Kind::Document, content, identifiers.detector(), desk.random.as_ref())?;
        let version = text.version;
        outcome = outcome.with_document(Document { collection: collection.clone(), document: document.id, version });
    }
    Ok(outcome)
}

/// Adds the redacted captures, each read under its own record.
fn of_captures(desk: &Desk, tenant: &TenantId, identifiers: &Identifiers, export: &mut Export) -> anyhow::Result<()> {
    let (captures, _) = capture::kept(desk, tenant)?;
    let (mut filter, mut redacted) = (Filter::default(), Vec::new());
    loop {
        let listed = desk.govern_captures(Action::ListCaptures, Resource::Tenant(tenant.clone()), |permit| {
            let listed = captures.list(&permit, &filter, LISTED)?;
            let count = u64::try_from(listed.captures.len()).unwrap_or(u64::MAX);
            Ok((listed, Outcome::done().with_code("listed").with_count("rows", count)))
        })?;
        let (kept, raw): (Vec<_>, Vec<_>) = listed.captures.iter().partition(|label| label.form == Form::Redacted);
        raw.iter().for_each(|_| export.leave_out());
        redacted.extend(kept.iter().map(|label| label.id));
        match listed.next {
            Some(next) => filter.before = Some(next),
            None => break,
        }
    }
    // Listed, they stand in the order of time.
    let any = |_: &CaptureId| {
        let mut bytes = [0; 8];
        desk.random.fill(&mut bytes);
        bytes
    };
    redacted.sort_by_cached_key(any);
    for id in redacted {
        let resource = Resource::Capture(tenant.clone(), id);
        let capture = desk.govern_captures(Action::ReadCapture, resource, |permit| {
            Ok((captures.read(&permit)?, Outcome::done().with_code("exported")))
        })?;
        let Some(capture) = capture else { continue };
        export.add(Kind::Capture, capture.content, identifiers.detector(), desk.random.as_ref())?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
