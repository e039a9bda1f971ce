//! Why a backup could not be made, read or brought back.

use std::{io, path::PathBuf};

use cloister_terms::TenantId;

use super::super::StoreError;

/// Why a backup could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recovery bundle.
    #[error(transparent)]
    Bundle(#[from] crate::keys::BundleError),
    /// It is there already.
    #[error("{path} is there already: name a new file, or another folder")]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("the backup {path} cannot be {doing}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The file is no backup, or was altered or cut.
    #[error("{path} is no backup, or is damaged: its {part} does not open")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part.
        part: String,
    },
    /// The file was written by a later release.
    #[error("the backup {path} has form {found}, which this program does not know: upgrade the program")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u32,
    },
    /// A file that was to be taken along is a key.
    #[error("{path} is {kind}, and no backup may hold one: move it elsewhere")]
    Key {
        /// The file.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A file that was to be taken along is no file of a site.
    #[error("{path} is larger than {limit} bytes, more than a site's own file may be: move it elsewhere")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What it may be.
        limit: u64,
    },
    /// A database does not open that cannot be done without.
    #[error("{part} of the backup {path} cannot be brought back, and it cannot be done without: {why}")]
    Needed {
        /// The file.
        path: PathBuf,
        /// The database.
        part: String,
        /// Why.
        why: Unreadable,
    },
    /// A tenant is not in it.
    #[error(
        "the tenant `{tenant}` was made after the backup {path}, and going back would lose it: destroy it first, or stay"
    )]
    NewerTenant {
        /// The file.
        path: PathBuf,
        /// The tenant.
        tenant: TenantId,
    },
    /// Its key is not at hand.
    #[error("the backup {path} is sealed under the key {key}, which is not among the keys at hand")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The key that it names.
        key: String,
    },
}

/// Why a database of a backup could not be read with the keys at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// They lack its key.
    #[error("its key is not among the keys at hand: its tenant was destroyed, or made after they were written down")]
    NoKey,
    /// They have another version of its key.
    #[error(
        "version {0} of its key, which is at hand, does not open it: the key was replaced between the two; a recovery bundle \
         from the time of the backup opens it"
    )]
    OtherKey(u32),
    /// It opens, and is not as it was written.
    #[error("it opens, and its pages do not check out: it is damaged")]
    Damaged,
}
