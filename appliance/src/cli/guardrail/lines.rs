//! Files of one JSON object a line, in and out.

use std::{
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::{Context, anyhow};
use serde::{Serialize, de::DeserializeOwned};

/// Reads each line of `from`, works on it and writes the result as a line of `to`. What `to` held before stays until all
/// lines are done: a run that fails loses nothing. Returns how many lines there were.
///
/// # Errors
/// When a file cannot be read or written, or a line is not as it must be. The error names the line and the place in it and
/// repeats nothing of it: it may hold a patient's words.
pub(super) fn each<T: DeserializeOwned, R: Serialize>(
    from: &Path,
    to: &Path,
    mut work: impl FnMut(T) -> R,
) -> anyhow::Result<usize> {
    let unreadable = || format!("{} cannot be read", from.display());
    let unwritable = || format!("{} cannot be written", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let input = BufReader::new(std::fs::File::open(from).with_context(unreadable)?);
    let mut output = BufWriter::new(tempfile::NamedTempFile::new_in(folder).with_context(unwritable)?);
    let mut count = 0;
    for (index, line) in input.lines().enumerate() {
        let line = line.with_context(unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let item: T = serde_json::from_str(&line).map_err(|error| wrong(from, index + 1, &error))?;
        serde_json::to_writer(&mut output, &work(item)).with_context(unwritable)?;
        output.write_all(b"\n").with_context(unwritable)?;
        count += 1;
    }
    let file = output.into_inner().map_err(|error| error.into_error()).with_context(unwritable)?;
    file.persist(to).with_context(unwritable)?;
    Ok(count)
}

fn wrong(path: &Path, line: usize, error: &serde_json::Error) -> anyhow::Error {
    let what = if error.is_data() { "a field is missing or of another type" } else { "this is no JSON object" };
    anyhow!("{}, line {line}, column {}: {what}; see `--help` for the fields", path.display(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_wrong_is_named_and_not_repeated_and_the_old_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("in.jsonl"), folder.path().join("out.jsonl"));
        std::fs::write(&from, "{\"n\": 1}\n\n{\"n\": \"CANARY\"}\n").unwrap();
        std::fs::write(&to, "kept").unwrap();
        let run = each(&from, &to, |item: std::collections::BTreeMap<String, u32>| item);
        let told = format!("{:#}", run.unwrap_err());
        assert!(told.contains("line 3") && !told.contains("CANARY"), "{told}");
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "kept");
        std::fs::write(&from, "{\"n\": 1}\n").unwrap();
        assert_eq!(each(&from, &to, |item: std::collections::BTreeMap<String, u32>| item).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "{\"n\":1}\n");
    }
}
