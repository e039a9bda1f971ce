//! The files that make a site beside its store: gathered for a backup, and put back where the configuration says.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use cloister_governance::store::SiteFiles;

use crate::config::Loaded;

/// The configuration file's name in a backup.
pub(super) const CONFIGURATION: &str = "cloister.toml";

/// What goes into a backup, by name, and what the configuration names and is not there.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) files: BTreeMap<String, PathBuf>,
    pub(super) missing: Vec<String>,
}

/// Gathers the site's own files: the configuration that holds, and all that it names.
///
/// # Errors
/// When a folder cannot be read.
pub(super) fn gather(loaded: &Loaded) -> anyhow::Result<Gathered> {
    let mut gathered = Gathered::default();
    gathered.files.extend(loaded.file().map(|file| (CONFIGURATION.to_owned(), file.to_owned())));
    for belonging in loaded.config.belongings() {
        let files = belonging.files().with_context(|| format!("reading {}", belonging.path.display()))?;
        // The local authority is made at the first start, or never where the certificate is the site's own.
        if files.is_empty() && belonging.key != "tls" {
            gathered.missing.push(format!("{}: {}", belonging.key, belonging.path.display()));
        }
        gathered.files.extend(files);
    }
    Ok(gathered)
}

/// A file that is not in its place.
#[derive(Debug)]
pub(super) struct Aside {
    /// Its name in the backup.
    name: String,
    /// Where it lies instead.
    kept: PathBuf,
    /// Why.
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// The configuration names no place for it.
    NoPlace,
    /// Another file is there, and stays.
    Differs(PathBuf),
    /// Its place cannot be written.
    Refused(PathBuf, io::Error),
}

impl std::fmt::Display for Aside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, kept, why } = self;
        let kept = kept.display();
        match why {
            Why::NoPlace if name == CONFIGURATION => {
                write!(
                    f,
                    "the configuration of the backup is in {kept}, and none was named here: serve the site with it"
                )
            }
            Why::NoPlace => write!(f, "{name} is in {kept}: the configuration in force names no place for it"),
            Why::Differs(there) => {
                let there = there.display();
                write!(f, "{there} is another than the backup's, and stays: compare it with {kept}")
            }
            Why::Refused(place, error) => {
                let place = place.display();
                write!(f, "{place} cannot be written ({error}): copy {kept} there")
            }
        }
    }
}

/// Puts each file in its place, if nothing is there. What cannot be goes into the folder `aside`, so that nothing is lost.
///
/// # Errors
/// When that folder cannot be written.
pub(super) fn put_back(files: &SiteFiles, loaded: &Loaded, aside: &Path) -> anyhow::Result<Vec<Aside>> {
    let mut left = Vec::new();
    for (name, bytes) in files.iter() {
        let place = match name {
            CONFIGURATION => loaded.file().map(Path::to_owned),
            name => loaded.config.place_of(name),
        };
        let Some(why) = put(place, name, bytes) else { continue };
        let kept = aside.join(name);
        let kept_there = match fs::remove_file(&kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => write(&kept, name, bytes),
        };
        kept_there.with_context(|| format!("writing {}", kept.display()))?;
        left.push(Aside { name: name.to_owned(), kept, why });
    }
    Ok(left)
}

/// Why the file is not in its place; none where it is.
fn put(place: Option<PathBuf>, name: &str, bytes: &[u8]) -> Option<Why> {
    let Some(place) = place else { return Some(Why::NoPlace) };
    match fs::read(&place) {
        Ok(there) if there == bytes => None,
        Ok(_) => Some(Why::Differs(place)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write(&place, name, bytes).err().map(|error| Why::Refused(place, error))
        }
        Err(error) => Some(Why::Refused(place, error)),
    }
}

/// Writes a new file for its owner alone, but for the authority's certificate, which everyone is to trust.
pub(super) fn write(path: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = if name == "tls/ca.pem" { 0o644 } else { 0o600 };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| File::open(folder)?.sync_all());
    if written.is_err() {
        let _half_of_it = fs::remove_file(path);
    }
    written
}
