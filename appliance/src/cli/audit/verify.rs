//! `cloister audit verify`.

use std::{fs, path::Path, process::ExitCode};

use anyhow::Context;
use cloister_governance::audit::{Evidence, LogError, Outcome, Reader, Verification, Verifier, checkpoints_in};
use cloister_terms::Action;

use super::{Verify, say};
use crate::{
    cli::{
        site::{self, Desk},
        table,
    },
    config::Config,
    wiring,
};

pub(super) fn run(site: &site::Arguments, verify: &Verify) -> anyhow::Result<ExitCode> {
    let evidence = evidence(verify)?;
    let config = site.load()?.config;
    let verified = match &verify.copy {
        Some(folder) => copied(&config, folder, &evidence)?,
        None => match Desk::of(config.clone()) {
            Ok(desk) => recorded(&desk, &evidence)?,
            Err(error) => {
                // A log that does not open is the one that most needs verifying.
                advise(&format!("this verification is not recorded, because the log cannot be written: {error:#}"));
                opened(&config, &config.store_folder())?.verify(&evidence)
            }
        },
    };
    let verified = match verified {
        Ok(verified) => verified,
        Err(error) => {
            advise(&format!("{:#}", anyhow::Error::from(error)));
            return Ok(ExitCode::from(3));
        }
    };
    if verify.json {
        say(&format!("{}\n", serde_json::to_string_pretty(&verified)?));
    } else {
        say(&shown(&verified));
    }
    Ok(if verified.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn recorded(desk: &Desk, evidence: &Evidence) -> anyhow::Result<Result<Verification, LogError>> {
    desk.govern_audit(Action::ReadAudit, || {
        let verified = Reader::of(&desk.store).verify(evidence);
        let outcome = match &verified {
            Ok(verified) => {
                let findings = u64::try_from(verified.findings.len()).unwrap_or(u64::MAX);
                let code = if findings == 0 { "verified" } else { "verification_found" };
                Outcome::done().with_code(code).with_count("records", verified.records).with_count("findings", findings)
            }
            Err(_) => Outcome::failed("verification"),
        };
        Ok((verified, outcome))
    })
}

/// A copy is read from a copy of its own: SQLite writes beside the files that it reads, and evidence is left as it is.
fn copied(config: &Config, folder: &Path, evidence: &Evidence) -> anyhow::Result<Result<Verification, LogError>> {
    let private = tempfile::tempdir().context("making a private folder for the copy")?;
    for name in ["audit.db", "audit.db-wal"] {
        let from = folder.join(name);
        if from.exists() {
            fs::copy(&from, private.path().join(name)).with_context(|| format!("copying {}", from.display()))?;
        } else if name == "audit.db" {
            anyhow::bail!("there is no {}: name the folder that holds the copy", from.display());
        }
    }
    let reader = Reader::of_copy(private.path(), &config.store_folder(), &wiring::master_key(config)?)?;
    Ok(reader.with_tree(&folder.join("audit")).verify(evidence))
}

fn opened(config: &Config, folder: &Path) -> anyhow::Result<Reader> {
    Ok(Reader::of_copy(folder, &config.store_folder(), &wiring::master_key(config)?)?)
}

fn evidence(verify: &Verify) -> anyhow::Result<Evidence> {
    let mut evidence = Evidence::default();
    for path in &verify.checkpoints {
        let shown = path.display().to_string();
        let text = fs::read(path).with_context(|| format!("reading {shown}"))?;
        let found = checkpoints_in(&String::from_utf8_lossy(&text));
        if found.is_empty() {
            anyhow::bail!(
                "{shown} holds no checkpoint: give a signed note, or log output with `audit.checkpoint` lines"
            );
        }
        evidence.checkpoints.extend(found.into_iter().map(|signed| (shown.clone(), signed)));
    }
    evidence.key = verify.key.as_deref().map(Verifier::parse).transpose()?;
    Ok(evidence)
}

fn shown(verified: &Verification) -> String {
    let mut facts = table::plain(["log", verified.origin.as_str()]);
    facts.add_row([
        "records".to_owned(),
        format!("{}, {} of them under a checkpoint", verified.records, verified.covered),
    ]);
    let elsewhere = verified.evidence;
    facts.add_row(["checkpoints".to_owned(), format!("{} hold, and {elsewhere} kept elsewhere", verified.checkpoints)]);
    facts.add_row(["published".to_owned(), format!("{} records", verified.published)]);
    let mut text = format!("{facts}\n");
    if verified.findings.is_empty() {
        text.push_str("\nnothing is missing and nothing was changed\n");
        return text;
    }
    let mut findings = table::plain(["PROBLEM", "where and what"]);
    for finding in &verified.findings {
        findings.add_row([finding.fault.as_str().to_owned(), finding.to_string()]);
    }
    text.push_str(&format!("\n{findings}\n"));
    text
}

#[expect(clippy::print_stderr, reason = "advice goes to standard error")]
fn advise(text: &str) {
    eprintln!("{text}");
}
