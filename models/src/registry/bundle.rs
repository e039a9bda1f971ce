//! A model as one file to carry to a machine without a network: a tar archive that starts with `model.toml`.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use super::import::{copy_listed, write_stream};
use super::{Import, MANIFEST, Registry, RegistryError, Verified, io};
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest};

fn refused(path: &Path, what: impl Into<String>) -> RegistryError {
    RegistryError::Import { path: path.display().to_string(), what: what.into() }
}

fn parse(source: &Path, bytes: &[u8], import: &Import) -> Result<Manifest, RegistryError> {
    let name = source.display().to_string();
    let mut manifest = Manifest::parse(bytes).map_err(|source| RegistryError::Manifest { name, source })?;
    if let Some(name) = &import.name {
        manifest.name.clone_from(name);
    }
    Ok(manifest)
}

/// Takes over a directory that already is a model.
pub(super) fn import_directory(registry: &Registry, source: &Path, import: &Import) -> Result<Manifest, RegistryError> {
    let path = source.join(MANIFEST);
    let bytes = super::files::read_small(&path, MAX_MANIFEST_BYTES).map_err(io("reading", &path))?;
    let manifest = parse(source, &bytes, import)?;
    registry.publish(&manifest.name.clone(), |draft| copy_listed(&manifest, source, draft).map(|()| manifest))
}

/// Unpacks a bundle: only plain files, only what its manifest lists, only as long as it says.
pub(super) fn import(registry: &Registry, source: &Path, import: &Import) -> Result<Manifest, RegistryError> {
    let file = File::open(source).map_err(io("opening", source))?;
    let mut archive = tar::Archive::new(std::io::BufReader::new(file));
    let mut entries = archive.entries().map_err(io("reading", source))?;
    let damaged = |_| refused(source, "it is not a tar archive, or it is damaged; copy it again");
    let first = entries.next().ok_or_else(|| refused(source, "it is empty"))?.map_err(damaged)?;
    if first.path_bytes().as_ref() != MANIFEST.as_bytes() || !first.header().entry_type().is_file() {
        return Err(refused(source, "it does not start with model.toml; make it with `cloister model export`"));
    }
    let mut text = Vec::new();
    first.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut text).map_err(io("reading", source))?;
    let manifest = parse(source, &text, import)?;
    registry.publish(&manifest.name.clone(), |draft| {
        for entry in entries {
            let entry = entry.map_err(damaged)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let listed = manifest.files.iter().find(|file| file.path == path);
            let listed = listed.ok_or_else(|| refused(source, "it holds a file that its model.toml does not list"))?;
            if !entry.header().entry_type().is_file() {
                return Err(refused(source, format!("`{path}` is a link or no plain file")));
            }
            if entry.size() != listed.bytes {
                return Err(refused(source, format!("`{path}` is not as long as model.toml says")));
            }
            let to = draft.join(&listed.path);
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent).map_err(io("making the directory", parent))?;
            }
            write_stream(&to, entry.take(listed.bytes))?;
        }
        Ok(manifest)
    })
}

/// Writes a bundle: the same model always gives the same bytes.
pub(super) fn export(model: &Verified, target: &Path) -> Result<(), RegistryError> {
    let name = model.manifest().name.clone();
    let text = model.manifest().to_toml().map_err(|source| RegistryError::Manifest { name, source })?;
    let draft = target.with_extension("tar.unfinished");
    let write = || -> std::io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&draft)?;
        let mut archive = tar::Builder::new(file);
        append(&mut archive, MANIFEST, text.len() as u64, text.as_bytes())?;
        for file in model.files() {
            let (path, bytes) = (file.entry().path.clone(), file.entry().bytes);
            append(&mut archive, &path, bytes, file)?;
        }
        let mut file = archive.into_inner()?;
        file.flush()?;
        file.sync_all()?;
        std::fs::rename(&draft, target)
    };
    write().map_err(io("writing", target))
}

fn append(archive: &mut tar::Builder<File>, path: &str, bytes: u64, data: impl Read) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, path, data)
}
