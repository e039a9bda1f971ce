//! The models of a machine: one directory each, described by a `model.toml` whose hashes are checked before anything is
//! parsed.

mod bundle;
mod files;
mod import;
mod sentence;
mod verified;

use std::path::{Path, PathBuf};

use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, ManifestError, check_name};

pub use import::Import;
pub use verified::{Verified, VerifiedFile};

pub(crate) use files::{FetchLock, hash_reader};

/// Name of the manifest in a model's directory.
pub const MANIFEST: &str = "model.toml";

/// Start of the names of directories that are being written; one that is left over after a crash is never listed.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// What the registry cannot do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No directory of that name.
    #[error(
        "there is no model `{name}` in the registry; `cloister model list` shows what there is, `model fetch` or `model import` adds one"
    )]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// There is one already.
    #[error("a model `{name}` with other files is there already; remove it first or choose another name")]
    Exists {
        /// The name asked for.
        name: String,
    },
    /// The manifest is not one.
    #[error("the manifest of `{name}` is refused")]
    Manifest {
        /// Directory of the model.
        name: String,
        /// Why.
        #[source]
        source: ManifestError,
    },
    /// A file is missing, or more than a plain file, or not listed.
    #[error("model `{name}`: `{path}` {what}; remove the model and fetch or import it again")]
    File {
        /// Name of the model.
        name: String,
        /// File in its directory.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file is not the one that the manifest describes.
    #[error(
        "model `{name}`: `{path}` does not have the SHA-256 that its manifest states; it was changed or damaged: remove the model and fetch or import it again"
    )]
    Hash {
        /// Name of the model.
        name: String,
        /// File in its directory.
        path: String,
    },
    /// What was to be imported is not a model.
    #[error("`{path}` cannot be imported: {what}")]
    Import {
        /// File or directory that was given.
        path: String,
        /// Why not, and what to do.
        what: String,
    },
    /// The file system said no.
    #[error("{doing} `{path}` failed")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Wraps an error of the file system with what was tried on what.
pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RegistryError {
    let path = path.display().to_string();
    move |source| RegistryError::Io { doing, path, source }
}

/// A directory of models.
#[derive(Clone, Debug)]
pub struct Registry {
    root: PathBuf,
}

/// One line of a listing.
#[derive(Debug)]
pub struct Listed {
    /// Name of the directory.
    pub name: String,
    /// Its manifest, or why it is refused. Files are not looked at.
    pub manifest: Result<Manifest, RegistryError>,
}

impl Registry {
    /// Opens the directory and makes it where it is missing.
    ///
    /// # Errors
    /// [`RegistryError::Io`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, RegistryError> {
        let root = root.into();
        std::fs::create_dir_all(&root).map_err(io("making the directory", &root))?;
        Ok(Self { root })
    }

    /// Where the models are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The models by name. One whose manifest is refused is listed with the reason.
    ///
    /// # Errors
    /// [`RegistryError::Io`].
    pub fn list(&self) -> Result<Vec<Listed>, RegistryError> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root).map_err(io("reading", &self.root))? {
            let entry = entry.map_err(io("reading", &self.root))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_name(&name).is_ok() && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names.into_iter().map(|name| Listed { manifest: self.show(&name), name }).collect())
    }

    /// The manifest of a model. Files are not looked at.
    ///
    /// # Errors
    /// [`RegistryError`] where there is none or it is refused.
    pub fn show(&self, name: &str) -> Result<Manifest, RegistryError> {
        let directory = self.directory(name)?;
        let path = directory.join(MANIFEST);
        let bytes = files::read_small(&path, MAX_MANIFEST_BYTES).map_err(io("reading", &path))?;
        let refused = |source| RegistryError::Manifest { name: name.to_owned(), source };
        let manifest = Manifest::parse(&bytes).map_err(refused)?;
        if manifest.name != name {
            let what = format!("the directory is `{name}`, the manifest says `{}`", manifest.name);
            return Err(refused(ManifestError::Invalid { what }));
        }
        Ok(manifest)
    }

    /// Reads every file of a model once, checks its hash, and gives back what alone can be loaded.
    ///
    /// # Errors
    /// [`RegistryError`] where a file is missing, changed, a link, or not listed.
    pub fn verify(&self, name: &str) -> Result<Verified, RegistryError> {
        let manifest = self.show(name)?;
        Verified::open(&self.directory(name)?, manifest)
    }

    /// Adds a model from a GGUF file, a directory, or a bundle. Nothing is there until all of it is.
    ///
    /// # Errors
    /// [`RegistryError`] with what is wrong with the source.
    pub fn import(&self, source: &Path, import: &Import) -> Result<Manifest, RegistryError> {
        import::import(self, source, import)
    }

    /// Writes a verified model as one file that [`Registry::import`] reads.
    ///
    /// # Errors
    /// [`RegistryError`] where the model does not verify or the file cannot be written.
    pub fn export(&self, name: &str, target: &Path) -> Result<(), RegistryError> {
        bundle::export(&self.verify(name)?, target)
    }

    /// Deletes a model.
    ///
    /// # Errors
    /// [`RegistryError`] where there is none or the file system refuses.
    pub fn remove(&self, name: &str) -> Result<(), RegistryError> {
        let directory = self.directory(name)?;
        // Renamed first, so that a removal cut short leaves no half model behind under its name.
        let doomed = self.root.join(format!("{UNFINISHED}remove-{name}-{}", std::process::id()));
        std::fs::rename(&directory, &doomed).map_err(io("removing", &directory))?;
        std::fs::remove_dir_all(&doomed).map_err(io("removing", &doomed))
    }

    fn directory(&self, name: &str) -> Result<PathBuf, RegistryError> {
        let unknown = || RegistryError::Unknown { name: name.to_owned() };
        check_name(name).map_err(|_| unknown())?;
        let directory = self.root.join(name);
        match std::fs::symlink_metadata(&directory) {
            Ok(found) if found.is_dir() => Ok(directory),
            _ => Err(unknown()),
        }
    }

    /// Writes a model's directory beside its place and moves it there in one step. Where the same model is there already
    /// that one stays.
    pub(crate) fn publish(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<Manifest, RegistryError>,
    ) -> Result<Manifest, RegistryError> {
        let draft = files::Draft::new(&self.root, name)?;
        let manifest = fill(draft.path())?;
        let invalid = |source| RegistryError::Manifest { name: name.to_owned(), source };
        let text = manifest.to_toml().map_err(invalid)?;
        files::write_durably(&draft.path().join(MANIFEST), text.as_bytes())?;
        Verified::open(draft.path(), manifest.clone())?;
        match draft.publish(&self.root.join(&manifest.name)) {
            Ok(()) => Ok(manifest),
            Err(error) => match self.show(&manifest.name) {
                Ok(there) if there.identity() == manifest.identity() => Ok(there),
                Ok(_) => Err(RegistryError::Exists { name: manifest.name }),
                Err(_) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests;
