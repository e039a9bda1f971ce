//! A site's own policies: the `.cedar` files of one folder.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{InvalidRules, Rules, Source};

/// Why a folder's policies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder or a file in it cannot be read.
    #[error("the policies in {path} cannot be read: check that it is there and who may read it")]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Something in them is wrong.
    #[error("{0}")]
    Invalid(#[from] InvalidRules),
}

impl Rules {
    /// The packaged policies and those of `folder`; only the packaged ones where none is named.
    ///
    /// # Errors
    /// When a file cannot be read, or with everything that is wrong in them. Half a set is never used: what is missing
    /// might be what forbids.
    pub fn load(folder: Option<&Path>) -> Result<Self, FolderError> {
        let sources = folder.map(read).transpose()?.unwrap_or_default();
        Ok(Self::with(&sources)?)
    }
}

/// The folder's `.cedar` files, by name.
fn read(folder: &Path) -> Result<Vec<Source>, FolderError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| FolderError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        let path = entry.map_err(unreadable(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        // A folder that lost its files, or is not mounted: what is missing might be what forbids.
        let none = std::io::Error::new(std::io::ErrorKind::NotFound, "it holds no .cedar file");
        return Err(unreadable(folder)(none));
    }
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
        Ok(Source { name: path.display().to_string(), text })
    };
    paths.into_iter().map(source).collect()
}
