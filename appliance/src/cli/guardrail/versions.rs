//! `cloister guardrail version publish`, `list`, `show`, `diff`, `activate` and `roll-back`: the versions of a tenant's guardrail.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use cloister_governance::{
    approvals::Approvals,
    audit::Outcome,
    guardrails::{Guardrails, Passed, Version},
};
use cloister_guardrails::document::Document;
use cloister_terms::{Action, TenantId};

use crate::{
    cli::{
        site::{self, Desk},
        table,
    },
    evaluation::{Named, Pass, Subject, pass, result::sha256},
    wiring::guardrail::published,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// The tenant; the only one there is, if none is named
    #[arg(long, global = true)]
    tenant: Option<TenantId>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Keep a guardrail as a numbered version, which never changes and does not hold yet
    Publish {
        /// The guardrail
        #[arg(value_name = "GUARDRAIL.toml")]
        file: PathBuf,
    },
    /// List the versions, and which of them holds
    List,
    /// Show a version, word for word
    Show {
        /// Its number
        version: u32,
    },
    /// Show what one version has and another has not, line by line; exit code 3 where they differ
    Diff {
        /// The number of one
        before: u32,
        /// The number of the other
        after: u32,
    },
    /// Put a version in force, if a gate holds for this site's own result about it
    ///
    /// Measure it first: `cloister eval run SUITE.toml --guardrail NUMBER`. A running server has it from its next start or reload on.
    Activate {
        /// Its number
        version: u32,
        /// What it must hold
        #[arg(long, value_name = "GATE.toml")]
        gate: PathBuf,
        /// What this site measured of it
        #[arg(long, value_name = "RESULT.json")]
        result: PathBuf,
    },
    /// Put the version in force again that was so before the one that is now
    RollBack,
}

/// Whether two versions differ, where that was asked.
pub(in crate::cli) fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let desk = Desk::open(&arguments.site)?;
    let tenant = desk.tenant(arguments.tenant)?;
    let keep = Keep { guardrails: Guardrails::open(&desk.store.fleet())?, desk, tenant };
    match arguments.verb {
        Verb::Publish { file } => keep.publish(&file)?,
        Verb::List => keep.list()?,
        Verb::Show { version } => say(keep.read(version)?.document.trim_end()),
        Verb::Diff { before, after } => {
            let lines = difference(&keep.read(before)?.document, &keep.read(after)?.document);
            lines.iter().for_each(|line| say(line));
            return Ok(!lines.is_empty());
        }
        Verb::Activate { version, gate, result } => keep.activate(version, &gate, &result)?,
        Verb::RollBack => keep.roll_back()?,
    }
    Ok(false)
}

/// A desk with one tenant's guardrail on it.
struct Keep {
    desk: Desk,
    guardrails: Guardrails,
    tenant: TenantId,
}

impl Keep {
    fn publish(&self, file: &Path) -> anyhow::Result<()> {
        let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        Document::read(&text).with_context(|| format!("{} is not as it must be", file.display()))?;
        let number = self.desk.govern_site_for(Action::ManageGuardrails, &self.tenant, || {
            let hash = sha256(text.as_bytes());
            let number = self.guardrails.publish(&self.tenant, &text, &hash, self.desk.clock.as_ref())?;
            Ok((number, Outcome::done().with_code("published").with_count("version", u64::from(number))))
        })?;
        say(&format!(
            "version {number}; it holds once it passed a gate: `cloister eval run SUITE.toml --guardrail {number}`, then \
             `cloister guardrail version activate {number} --gate GATE.toml --result RESULT.json`"
        ));
        Ok(())
    }

    fn list(&self) -> anyhow::Result<()> {
        let (versions, active) = self.desk.govern_site_for(Action::ReadGuardrails, &self.tenant, || {
            let versions = self.guardrails.versions(&self.tenant)?;
            Ok(((versions, self.guardrails.active(&self.tenant)?), Outcome::done().with_code("listed")))
        })?;
        let mut table = table::plain(["version", "published", "sha256", "in force"]);
        for version in &versions {
            let holds = active.as_ref().is_some_and(|active| active.number == version.number);
            let holds = if holds { "yes" } else { "" };
            table.add_row([version.number.to_string(), version.at.clone(), version.sha256.clone(), holds.to_owned()]);
        }
        say(&table.to_string());
        if active.is_none() {
            say("no version is in force: what the configuration names holds, or what is built in");
        }
        Ok(())
    }

    fn read(&self, number: u32) -> anyhow::Result<Version> {
        self.desk.govern_site_for(Action::ReadGuardrails, &self.tenant, || {
            Ok((self.version(number)?, Outcome::done().with_code("read").with_count("version", u64::from(number))))
        })
    }

    fn version(&self, number: u32) -> anyhow::Result<Version> {
        let found = self.guardrails.version(&self.tenant, number)?;
        found.with_context(|| {
            format!("`{}` has no version {number}: see `cloister guardrail version list`", self.tenant)
        })
    }

    fn activate(&self, number: u32, gate: &Path, result: &Path) -> anyhow::Result<()> {
        self.desk.govern_site_for(Action::ManageGuardrails, &self.tenant, || {
            let held = published(self.version(number)?)?;
            let name = format!("{}:{number}", self.tenant);
            let subject = Subject::Guardrail(Named { name, sha256: held.sha256 });
            let approvals = Approvals::open(&self.desk.store.fleet())?;
            let Pass { result, gate } = pass(&approvals, gate, result, &subject)
                .with_context(|| format!("version {number} is not put in force"))?;
            let passed = Passed { result, gate };
            self.guardrails.activate(&self.tenant, number, &passed, self.desk.clock.as_ref())?;
            Ok(((), Outcome::done().with_code("activated").with_count("version", u64::from(number))))
        })?;
        say(&format!("version {number} is in force: `systemctl reload cloister` has a running server read it"));
        Ok(())
    }

    fn roll_back(&self) -> anyhow::Result<()> {
        let number = self.desk.govern_site_for(Action::ManageGuardrails, &self.tenant, || {
            let Some(number) = self.guardrails.roll_back(&self.tenant, self.desk.clock.as_ref())? else {
                bail!("no other version was in force before: see `cloister guardrail version list`");
            };
            Ok((number, Outcome::done().with_code("rolled_back").with_count("version", u64::from(number))))
        })?;
        say(&format!("version {number} is in force again: `systemctl reload cloister` has a running server read it"));
        Ok(())
    }
}

/// The lines of either that are not in the other's, in order, each with `-` or `+` before it.
fn difference(before: &str, after: &str) -> Vec<String> {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // The length of what the rests of both have in common, for each pair of places.
    let mut common = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            let next = |i: usize, j: usize| common.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default();
            let longest =
                if a.get(i) == b.get(j) { next(i + 1, j + 1) + 1 } else { next(i + 1, j).max(next(i, j + 1)) };
            if let Some(cell) = common.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = longest;
            }
        }
    }
    let at = |i: usize, j: usize| common.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default();
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        match (a.get(i), b.get(j)) {
            (Some(one), Some(other)) if one == other => (i, j) = (i + 1, j + 1),
            (Some(one), other) if other.is_none() || at(i + 1, j) >= at(i, j + 1) => {
                lines.push(format!("- {one}"));
                i += 1;
            }
            (_, other) => {
                lines.extend(other.map(|other| format!("+ {other}")));
                j += 1;
            }
        }
    }
    lines
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_lines_that_one_side_lacks() {
        assert_eq!(difference("a\nb\nc\n", "a\nc\nd\n"), ["- b", "+ d"]);
        assert!(difference("a\nb", "a\nb\n").is_empty());
        assert_eq!(difference("", "a"), ["+ a"]);
        assert_eq!(difference("a", ""), ["- a"]);
    }
}
