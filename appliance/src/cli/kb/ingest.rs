//! Filling a collection: `kb ingest` and `kb sync`, with a bar, a line per file and a summary.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use cloister_governance::audit::{Document, Outcome};
use cloister_knowledge::{Content, FileReport, Outcome as Ingest, Progress, Report, Submission, SyncError};
use cloister_terms::{Action, CollectionId, TenantId};
use indicatif::ProgressBar;
use serde_json::json;

use super::{complain, say};
use crate::cli::{progress, site::Desk};

/// Adds files and folders.
pub(super) fn files(
    desk: &Desk,
    tenant: &TenantId,
    id: &CollectionId,
    paths: &[PathBuf],
    metadata: &BTreeMap<String, String>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let mut submissions = Vec::new();
    let mut skipped = Vec::new();
    for path in paths {
        gather(path, metadata, &mut submissions, &mut skipped)?;
    }
    unequal(&submissions)?;
    let report = desk.govern(Action::ManageDocuments, tenant, Some(id), || {
        let library = desk.library(tenant)?;
        let bar = progress::count(submissions.len() as u64);
        bar.set_message(format!("ingesting into {id}"));
        let mut report = library.ingest_many(id, submissions, &desk.parser()?, &mut |step| show(&bar, json, step))?;
        bar.finish_and_clear();
        report.skipped.extend(skipped);
        let outcome = outcome(id, &report);
        Ok((report, outcome))
    })?;
    Ok(summary(id, &report, json))
}

/// Makes a collection equal to a folder, once or again and again.
pub(super) fn folder(
    desk: &Desk,
    tenant: &TenantId,
    id: &CollectionId,
    folder: &Path,
    every: Option<u64>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    loop {
        let done = desk.govern(Action::ManageDocuments, tenant, Some(id), || {
            let library = desk.library(tenant)?;
            let bar = progress::count(0);
            bar.set_message(format!("syncing {id}"));
            let report = library.sync(id, folder, &desk.parser()?, &mut |step| show(&bar, json, step))?;
            bar.finish_and_clear();
            let outcome = outcome(id, &report);
            Ok((report, outcome))
        });
        let Some(seconds) = every else { return Ok(summary(id, &done?, json)) };
        match done {
            Ok(report) => {
                summary(id, &report, json);
            }
            // A drive that is away for a minute must not end what is meant to go on for years.
            Err(error) if error.downcast_ref::<SyncError>().is_some_and(SyncError::may_pass) => {
                complain(&format!("{id}: {error:#}; again in {seconds} s"));
            }
            Err(error) => return Err(error),
        }
        std::thread::sleep(Duration::from_secs(seconds.max(1)));
    }
}

/// One file under its own name, or what a folder holds, as a sync would take it: under paths within it, with what its
/// `metadata.toml` says. What the command line says outranks that.
fn gather(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    into: &mut Vec<Submission>,
    skipped: &mut Vec<(String, &'static str)>,
) -> anyhow::Result<()> {
    let about = || format!("reading {}", path.display());
    if std::fs::metadata(path).with_context(about)?.is_dir() {
        let (found, passed_over) = cloister_knowledge::folder(path).with_context(about)?;
        into.extend(found.into_iter().map(|mut submission| {
            submission.overrides.extend(metadata.clone());
            submission
        }));
        skipped.extend(passed_over);
        return Ok(());
    }
    let name = path.file_name().with_context(|| format!("{} has no file name", path.display()))?;
    let name = name.to_string_lossy().into_owned();
    into.push(Submission { name, content: Content::File(path.to_owned()), overrides: metadata.clone() });
    Ok(())
}

/// Refuses two files that would go by one name: the second would replace the first.
fn unequal(submissions: &[Submission]) -> anyhow::Result<()> {
    let mut places: BTreeMap<&str, &Content> = BTreeMap::new();
    for Submission { name, content, .. } in submissions {
        if let (Some(Content::File(first)), Content::File(second)) = (places.insert(name, content), content) {
            bail!(
                "{} and {} would both be called `{name}`, and one would replace the other: ingest the folder that holds both, or rename one",
                first.display(),
                second.display()
            );
        }
    }
    Ok(())
}

fn show(bar: &ProgressBar, json: bool, step: Progress<'_>) {
    if let Progress::File { done, total, report } = step {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        // A line means that the document is durably stored: whoever reads it may rely on that.
        if json {
            say(&line(report).to_string());
        }
    }
}

fn line(report: &FileReport) -> serde_json::Value {
    match &report.result {
        Ok(done) => json!({
            "name": report.name, "outcome": word(done.outcome), "document": done.document, "version": done.version,
            "passages": done.chunks, "warnings": done.warnings,
        }),
        Err(error) => json!({ "name": report.name, "outcome": "refused", "reason": error.to_string() }),
    }
}

const fn word(outcome: Ingest) -> &'static str {
    match outcome {
        Ingest::Added => "added",
        Ingest::Replaced => "replaced",
        Ingest::Unchanged => "unchanged",
    }
}

fn outcome(collection: &CollectionId, report: &Report) -> Outcome {
    let changed = report.files.iter().filter_map(|file| file.result.as_ref().ok());
    let changed = changed.filter(|done| done.outcome != Ingest::Unchanged);
    let changed = changed.map(|done| (done.document, &done.version));
    let removed = report.removed.iter().map(|gone| (gone.document, &gone.version));
    let named = changed.chain(removed).map(|(document, version)| Document {
        collection: collection.clone(),
        document,
        version: version.clone(),
    });
    named
        .fold(Outcome::done(), Outcome::with_document)
        .with_count("added", report.count(Ingest::Added) as u64)
        .with_count("replaced", report.count(Ingest::Replaced) as u64)
        .with_count("unchanged", report.count(Ingest::Unchanged) as u64)
        .with_count("removed", report.removed.len() as u64)
        .with_count("refused", report.failed().count() as u64)
}

/// What became of the files. Exit code 1 where one was refused: the others are in.
fn summary(id: &CollectionId, report: &Report, json: bool) -> ExitCode {
    if !json {
        for file in &report.files {
            match &file.result {
                Ok(done) if done.outcome == Ingest::Unchanged => {}
                Ok(done) => say(&format!("{:9} {} ({} passages)", word(done.outcome), file.name, done.chunks)),
                Err(error) => say(&format!("refused   {}: {error}", file.name)),
            }
            for warning in file.result.iter().flat_map(|done| &done.warnings) {
                say(&format!("          {}: {warning}", file.name));
            }
        }
        for gone in &report.removed {
            say(&format!("removed   {} (version {})", gone.name, gone.version));
        }
        for (name, reason) in &report.skipped {
            say(&format!("skipped   {name}: {reason}"));
        }
        for (name, advice) in &report.advice {
            say(&format!("note      {name}: {advice}"));
        }
        say(&format!(
            "{id}: {} added, {} replaced, {} unchanged, {} removed, {} refused",
            report.count(Ingest::Added),
            report.count(Ingest::Replaced),
            report.count(Ingest::Unchanged),
            report.removed.len(),
            report.failed().count()
        ));
    } else {
        for gone in &report.removed {
            say(
                &json!({ "name": gone.name, "outcome": "removed", "document": gone.document, "version": gone.version })
                    .to_string(),
            );
        }
        for (name, reason) in &report.skipped {
            say(&json!({ "name": name, "outcome": "skipped", "reason": reason }).to_string());
        }
        for (name, advice) in &report.advice {
            say(&json!({ "name": name, "outcome": "note", "reason": advice }).to_string());
        }
    }
    if report.failed().next().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
