//! Keeps a collection equal to a folder.

use std::collections::BTreeSet;
use std::path::Path;

use cloister_terms::CollectionId;
use rusqlite::Connection;

use super::folder::{self, Folder, FolderError};
use super::{IngestError, Library, Progress, Report};
use crate::parse::Parse;
use crate::store::{Doing, StoreError, versions};

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

impl From<FolderError> for SyncError {
    fn from(error: FolderError) -> Self {
        match error {
            FolderError::Read(source) => Self::Folder(source),
            FolderError::Metadata(source) => Self::Metadata { why: source.to_string() },
            other @ FolderError::Value { .. } => Self::Metadata { why: other.to_string() },
        }
    }
}

impl Library {
    /// Makes the collection hold what the folder holds: new files are added, changed ones replaced, and documents
    /// whose file is gone are deleted. A file that fails keeps what was ingested under its name before.
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
        let target = self.target(collection)?;
        let removed = self.store.write(|db| {
            let gone: Vec<String> =
                names(db, target.collection)?.into_iter().filter(|name| !present.contains(name)).collect();
            for name in &gone {
                versions::remove_name(db, target.collection, name)?;
            }
            Ok::<_, StoreError>(gone)
        })?;
        let report = self.ingest_many(collection, submissions, parser, progress)?;
        Ok(Report { removed, skipped, ..report })
    }
}

fn names(db: &Connection, collection: i64) -> Result<Vec<String>, StoreError> {
    db.prepare_cached("SELECT DISTINCT name FROM versions WHERE collection = ?1")
        .and_then(|mut statement| statement.query_map([collection], |row| row.get(0))?.collect())
        .doing("list the files of a collection")
}
