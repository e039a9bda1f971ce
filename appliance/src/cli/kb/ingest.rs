//! Filling a collection: `kb ingest` and `kb sync`, with a bar, a line per file and a summary.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use cloister_governance::audit::Outcome;
use cloister_knowledge::{Content, FileReport, Outcome as Ingest, Progress, Report, Submission};
use cloister_terms::{Action, CollectionId, TenantId};
use indicatif::ProgressBar;
use serde_json::json;

use super::say;
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
    for path in paths {
        gather(path, metadata, &mut submissions)?;
    }
    let report = desk.govern(Action::ManageDocuments, tenant, Some(id), || {
        let library = desk.library(tenant)?;
        let bar = progress::count(submissions.len() as u64);
        bar.set_message(format!("ingesting into {id}"));
        let report = library.ingest_many(id, submissions, &desk.parser()?, &mut |step| show(&bar, json, step))?;
        bar.finish_and_clear();
        let outcome = outcome(&report);
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
        let report = desk.govern(Action::ManageDocuments, tenant, Some(id), || {
            let library = desk.library(tenant)?;
            let bar = progress::count(0);
            bar.set_message(format!("syncing {id}"));
            let report = library.sync(id, folder, &desk.parser()?, &mut |step| show(&bar, json, step))?;
            bar.finish_and_clear();
            let outcome = outcome(&report);
            Ok((report, outcome))
        })?;
        let code = summary(id, &report, json);
        match every {
            Some(seconds) => std::thread::sleep(Duration::from_secs(seconds.max(1))),
            None => return Ok(code),
        }
    }
}

/// One file under its own name, or all files of a folder under their paths within it. Hidden files are left out.
fn gather(path: &Path, metadata: &BTreeMap<String, String>, into: &mut Vec<Submission>) -> anyhow::Result<()> {
    let about = || format!("reading {}", path.display());
    if !std::fs::metadata(path).with_context(about)?.is_dir() {
        let name = path.file_name().with_context(|| format!("{} has no file name", path.display()))?;
        into.push(submission(name.to_string_lossy().into_owned(), path, metadata));
        return Ok(());
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let (kind, file) = (entry.file_type()?, entry.path());
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                folders.push(file);
            } else if kind.is_file() {
                let name = file.strip_prefix(path).unwrap_or(&file).to_string_lossy().into_owned();
                into.push(submission(name, &file, metadata));
            }
        }
    }
    into.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(())
}

fn submission(name: String, file: &Path, metadata: &BTreeMap<String, String>) -> Submission {
    Submission { name, content: Content::File(file.to_owned()), overrides: metadata.clone() }
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

fn outcome(report: &Report) -> Outcome {
    Outcome::done()
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
        for name in &report.removed {
            say(&format!("removed   {name}"));
        }
        for (name, reason) in &report.skipped {
            say(&format!("skipped   {name}: {reason}"));
        }
        say(&format!(
            "{id}: {} added, {} replaced, {} unchanged, {} removed, {} refused",
            report.count(Ingest::Added),
            report.count(Ingest::Replaced),
            report.count(Ingest::Unchanged),
            report.removed.len(),
            report.failed().count()
        ));
    }
    if report.failed().next().is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
