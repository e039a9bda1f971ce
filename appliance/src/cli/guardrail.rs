//! `cloister guardrail`: applies one guardrail to texts of one's own, to see what it finds, and keeps the versions of a tenant's.
//! One file per verb.

use std::{
    fs,
    io::{BufWriter, IntoInnerError, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tempfile::NamedTempFile;

mod attack;
mod content;
mod detect;
mod ground;
mod likeness;
mod same;
mod tokens;
mod versions;

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
    /// Tell how much texts hold of what content filters are set for
    Content(content::Arguments),
    /// Tell whether questions ask the same as curated ones
    Same(same::Arguments),
    /// Write the vectors of texts' tokens, of which the scorer of entailment is trained
    Tokens(tokens::Arguments),
    /// Keep the versions of a tenant's guardrail
    #[command(flatten_help = true)]
    Version(versions::Arguments),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Detect(arguments) => detect::run(arguments),
        Verb::Ground(arguments) => ground::run(arguments),
        Verb::Attack(arguments) => attack::run(arguments),
        Verb::Content(arguments) => content::run(&arguments),
        Verb::Same(arguments) => same::run(&arguments),
        Verb::Tokens(arguments) => tokens::run(&arguments),
        Verb::Version(arguments) => {
            let differ = versions::run(arguments)?;
            Ok(if differ { ExitCode::from(3) } else { ExitCode::SUCCESS })
        }
    }
}

/// A text to look at. It does not print.
#[derive(Deserialize)]
struct Item {
    id: String,
    text: String,
}

/// Texts that are embedded together.
const TOGETHER: usize = 64;

/// Refuses to write over a file that the command reads, or writes otherwise, under whatever name: a link to it is the file itself.
fn apart<'a>(
    others: impl IntoIterator<Item = (&'static str, Option<&'a Path>)>,
    (written, to): (&str, &Path),
) -> anyhow::Result<()> {
    for (option, path) in others {
        if path.is_some_and(|path| is_same_file(path, to)) {
            bail!("{option} and {written} name the same file: write to another");
        }
    }
    Ok(())
}

/// Whether two paths lead to one file. One that is not there yet is another's equal by name alone.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => one == other,
    }
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
pub(super) fn write<T: Serialize>(path: &Path, items: &[T]) -> anyhow::Result<()> {
    let mut file = Written::begin(path)?;
    for item in items {
        let mut line = serde_json::to_vec(item).with_context(|| unwritable(path))?;
        line.push(b'\n');
        file.add(&line)?;
    }
    file.finish()
}

/// A file that appears under its name once it is whole.
struct Written<'a> {
    path: &'a Path,
    file: BufWriter<NamedTempFile>,
}

impl<'a> Written<'a> {
    fn begin(path: &'a Path) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).with_context(|| unwritable(path))?;
        Ok(Self { path, file: BufWriter::new(file) })
    }

    fn add(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| unwritable(self.path))
    }

    fn finish(self) -> anyhow::Result<()> {
        let file = self.file.into_inner().map_err(IntoInnerError::into_error).with_context(|| unwritable(self.path))?;
        file.persist(self.path).with_context(|| unwritable(self.path))?;
        Ok(())
    }
}

fn unwritable(path: &Path) -> String {
    format!("{} cannot be written", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_that_is_read_is_written_to_under_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("texts"), "a").unwrap();
        fs::write(at("roster"), "b").unwrap();
        fs::create_dir(at("below")).unwrap();
        std::os::unix::fs::symlink(at("roster"), at("symbolic")).unwrap();
        fs::hard_link(at("roster"), at("hard")).unwrap();
        let (texts, roster) = (at("texts"), at("roster"));
        let check = |out: &str| {
            apart([("--in", Some(texts.as_path())), ("--roster", Some(roster.as_path()))], ("--out", &at(out)))
        };
        for out in ["roster", "symbolic", "hard", "below/../roster"] {
            let refused = check(out).unwrap_err().to_string();
            assert!(refused.contains("--roster") && !refused.contains("--in "), "{out}: {refused}");
        }
        assert!(check("texts").unwrap_err().to_string().contains("--in"));
        assert!(check("new").is_ok() && check("below/roster").is_ok());
        assert!(apart([("--policy", None)], ("--out", &at("roster"))).is_ok());
    }

    #[test]
    fn a_name_that_no_file_has_yet_is_equal_to_itself_alone() {
        assert!(is_same_file(Path::new("nowhere/a"), Path::new("nowhere/a")));
        assert!(!is_same_file(Path::new("nowhere/a"), Path::new("nowhere/b")));
    }
}
