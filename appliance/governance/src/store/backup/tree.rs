//! The published tree of the audit log, as it goes into a backup.

use std::{collections::BTreeMap, fs, io, path::Path};

/// The published tree's files by their names, with the newest checkpoint that they belong to.
pub(super) fn files(folder: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    loop {
        let mut files = BTreeMap::new();
        let checkpoint = optional(&folder.join("checkpoint"))?;
        gather(folder, "", &mut files)?;
        // Tiles that are not full go when fuller ones come: what was gathered across that moment may lack one.
        if optional(&folder.join("checkpoint"))? == checkpoint {
            return Ok(files);
        }
    }
}

fn gather(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            gather(&entry.path(), &format!("{name}/"), files)?;
        } else if let Some(bytes) = optional(&entry.path())? {
            files.insert(name, bytes);
        }
    }
    Ok(())
}

fn optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
