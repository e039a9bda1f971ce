//! `cloister guardrail`: applies one guardrail to texts of one's own, to see what it finds. One file per verb.

use std::{fs, io::Write, path::Path, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::{Serialize, de::DeserializeOwned};

mod attack;
mod detect;
mod ground;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Find identifiers of people in texts, in all 18 categories of the Safe Harbor rule
    Detect(detect::Arguments),
    /// Judge whether answers rest on their contexts, claim by claim
    Ground(ground::Arguments),
    /// Find prompt attacks in texts
    Attack(attack::Arguments),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Detect(arguments) => detect::run(arguments),
        Verb::Ground(arguments) => ground::run(arguments),
        Verb::Attack(arguments) => attack::run(arguments),
    }
}

/// Refuses to write over what is read.
fn apart(read: &Path, written: &Path) -> anyhow::Result<()> {
    let same = matches!((read.canonicalize(), written.canonicalize()), (Ok(one), Ok(two)) if one == two);
    if same || read == written {
        bail!("--in and --out name the same file: write to another");
    }
    Ok(())
}

/// The items of a file, one JSON object a line. An error names the file and the line, not what stands there.
fn items<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut items = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(item) => items.push(item),
            Err(error) => bail!(
                "{}, line {}, column {}: it is not an item as it must be ({:?})",
                path.display(),
                index + 1,
                error.column(),
                error.classify()
            ),
        }
    }
    if items.is_empty() {
        bail!("{} holds no item: write one JSON object a line", path.display());
    }
    Ok(items)
}

/// Writes `items` to a file, one JSON object a line. The file appears whole or not at all.
fn write<T: Serialize>(path: &Path, items: &[T]) -> anyhow::Result<()> {
    let unwritable = || format!("{} cannot be written", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(unwritable)?;
    for item in items {
        serde_json::to_writer(&mut file, item).with_context(unwritable)?;
        file.write_all(b"\n").with_context(unwritable)?;
    }
    file.persist(path).with_context(unwritable)?;
    Ok(())
}
