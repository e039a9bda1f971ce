//! The records of a run, line by line as they come about, so that one that was interrupted goes on where it stopped.
//!
//! # Why
//! - **A run goes on only as itself.** The first line says what is measured: suite, seed, program, models, settings. Where one of them has
//!   changed, half of the records would be of one thing and half of another, so that the run is refused.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::record::Record;

/// Its file in the run's folder.
const NAME: &str = "records.jsonl";

/// The records so far, and where the next one goes.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    records: Vec<Record>,
}

impl Journal {
    /// Begins one in `folder`, or with `resume` goes on with the one that is there. `head` is one line that says what is measured.
    ///
    /// # Errors
    /// When there is a run already and none is to be resumed, when it is of something else, or when the folder cannot be written.
    pub(super) fn open(folder: &Path, head: &str, resume: bool) -> anyhow::Result<Self> {
        let unwritable = || format!("{} cannot be written", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(unwritable)?;
        let path = folder.join(NAME);
        if path.exists() && !resume {
            bail!(
                "{} holds a run that was interrupted: go on with it by --resume, or name another folder by --out",
                folder.display()
            );
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(unwritable)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("{} cannot be read", path.display()))?;
        // A last line without its end is one that was being written when the run stopped.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut lines = text.get(..whole).unwrap_or_default().lines();
        let records = match lines.next() {
            None => Vec::new(),
            Some(known) if known == head => lines
                .map(|line| serde_json::from_str(line).with_context(|| format!("{} is damaged", path.display())))
                .collect::<anyhow::Result<Vec<Record>>>()?,
            Some(_) => bail!(
                "{} is of another run: suite, seed, program, models or settings have changed since; begin anew in another folder",
                path.display()
            ),
        };
        file.set_len(whole as u64).with_context(unwritable)?;
        file.seek(SeekFrom::End(0)).with_context(unwritable)?;
        if whole == 0 {
            writeln!(file, "{head}").with_context(unwritable)?;
        }
        Ok(Self { file, path, records })
    }

    /// Whether an item is done.
    pub(super) fn holds(&self, part: &str, id: &str) -> bool {
        self.records.iter().any(|record| record.part == part && record.id == id)
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn add(&mut self, record: Record) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        self.file.write_all(&line).with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.records.push(record);
        Ok(())
    }

    /// The records, in the order of parts and ids: a run that was interrupted has them as one that was not.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = self.records.clone();
        records.sort_by(|one, other| (&one.part, &one.id).cmp(&(&other.part, &other.id)));
        records
    }

    /// Removes the journal in `folder`: what it held is in the result.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub(super) fn forget(folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(NAME);
        std::fs::remove_file(&path).with_context(|| format!("{} cannot be removed", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn record(id: &str) -> Record {
        let mut record = Record::of("answers", id, None);
        record.share("abstention", true);
        record
    }

    #[test]
    fn a_run_goes_on_where_it_stopped_and_a_half_written_line_is_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), "head", false).unwrap();
        journal.add(record("b")).unwrap();
        journal.add(record("a")).unwrap();
        drop(journal);
        let path = folder.path().join(NAME);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"part\":\"answ");
        fs::write(&path, text).unwrap();

        let mut journal = Journal::open(folder.path(), "head", true).unwrap();
        assert!(journal.holds("answers", "a") && journal.holds("answers", "b") && !journal.holds("answers", "c"));
        assert!(!journal.holds("others", "a"));
        journal.add(record("c")).unwrap();
        let again = Journal::open(folder.path(), "head", true).unwrap();
        assert_eq!(again.records(), [record("a"), record("b"), record("c")]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        Journal::forget(folder.path()).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_run_goes_on_only_if_told_to_and_only_as_itself() {
        let folder = tempfile::tempdir().unwrap();
        drop(Journal::open(folder.path(), "head", false).unwrap());
        assert!(Journal::open(folder.path(), "head", false).unwrap_err().to_string().contains("--resume"));
        assert!(Journal::open(folder.path(), "other", true).unwrap_err().to_string().contains("another run"));
        assert!(Journal::open(folder.path(), "head", true).is_ok());
    }
}
