//! Keeps a collection equal to a folder.

use std::collections::BTreeSet;
use std::path::Path;

use cloister_terms::CollectionId;
use rusqlite::Connection;

use super::folder::{self, Folder, FolderError};
use super::{IngestError, Library, Progress, Report, Skipped, Submission};
use crate::parse::Parse;
use crate::store::{Doing, StoreError, versions};

/// Why a document stays although its file is gone.
const KEPT: &str = "no longer in the folder; kept, because a file there could not be read and may be this one renamed";

/// Why a collection could not be brought in line with a folder.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The folder, or a folder in it, could not be read. Nothing was deleted.
    #[error("the folder could not be read: check that it is there and that this program may read it")]
    Folder(#[source] std::io::Error),
    /// The folder's `metadata.toml` cannot be used. Nothing was changed.
    #[error("metadata.toml cannot be used: {why}")]
    Metadata {
        /// What is wrong with it, and where.
        why: String,
    },
    /// A folder without files would empty the collection; more often it is a drive that is not mounted.
    #[error("the folder holds no files: mount it, or delete the collection's documents by `cloister kb delete`")]
    NoFiles,
    /// The ingest could not go on.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SyncError {
    /// Whether the same call may succeed later without anybody mending anything here: a drive that is away for a
    /// minute, a busy engine. Not where the collection, the model or `metadata.toml` is wrong.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Folder(_) | Self::NoFiles | Self::Store(_) => true,
            Self::Metadata { .. } => false,
            Self::Ingest(error) => error.may_pass(),
        }
    }
}

impl From<FolderError> for SyncError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Read(source) => Self::Folder(source),
            FolderError::Metadata(source) => Self::Metadata { why: source.to_string() },
            FolderError::MetadataFile => Self::Metadata { why: FolderError::MetadataFile.to_string() },
            other @ FolderError::Value { .. } => Self::Metadata { why: other.to_string() },
        }
    }
}

/// What a folder holds, with what its `metadata.toml` says about each file, and what in it was passed over and why.
///
/// # Errors
/// A folder, or its `metadata.toml`, that cannot be read or used.
pub fn folder(path: &Path) -> Result<(Vec<Submission>, Skipped), SyncError> {
    let Folder { submissions, skipped } = folder::walk(path)?;
    Ok((submissions, skipped))
}

impl Library {
    /// Makes the collection hold what the folder holds: new files are added, changed ones replaced, and then documents
    /// whose file is gone are deleted, so that a file under a new name is never missing. A file that fails keeps what was
    /// ingested under its name before; where one could not be read, nothing is deleted this time.
    ///
    /// `metadata.toml` in the folder says what files do not say themselves, under `[files."procedures/x.pdf"]` for one
    /// file and `[defaults]` for all.
    ///
    /// # Errors
    /// A folder that cannot be read whole, or that holds nothing, deletes nothing.
    pub fn sync(
        &self,
        collection: &CollectionId,
        folder: &Path,
        parser: &dyn Parse,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, SyncError> {
        let Folder { submissions, skipped } = folder::walk(folder)?;
        if submissions.is_empty() {
            return Err(SyncError::NoFiles);
        }
        let present: BTreeSet<String> = submissions.iter().map(|submission| submission.name.clone()).collect();
        let mut report = self.ingest_many(collection, submissions, parser, progress)?;
        report.skipped.extend(skipped);
        let target = self.target(collection)?;
        // A file that could not be read may be a document under a new name: its old one is the only one there is.
        let unread = report.failed().any(|(_, error)| error.may_pass());
        let (removed, kept) = self.store.write(|db| {
            let gone = names(db, target.collection)?.into_iter().filter(|name| !present.contains(name));
            if unread {
                return Ok((Vec::new(), gone.collect()));
            }
            let mut removed = Vec::new();
            for name in gone {
                removed.extend(versions::remove_name(db, target.collection, &name)?);
            }
            Ok::<_, StoreError>((removed, Vec::new()))
        })?;
        report.removed = removed;
        report.skipped.extend(kept.into_iter().map(|name| (name, KEPT)));
        Ok(report)
    }
}

fn names(db: &Connection, collection: i64) -> Result<Vec<String>, StoreError> {
    db.prepare_cached("SELECT DISTINCT name FROM versions WHERE collection = ?1")
        .and_then(|mut statement| statement.query_map([collection], |row| row.get(0))?.collect())
        .doing("list the files of a collection")
}
