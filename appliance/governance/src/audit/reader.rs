//! Reading the log: searching, verifying, proving, exporting. It writes nothing into the log, and needs no writer.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{
    LogError, Record, index,
    merkle::{Hash, Node, consistency, inclusion},
    note::SignedCheckpoint,
    proof::{ConsistencyProof, InclusionProof},
    search::{self, Filter, Found, SearchError},
    table,
    tile::TreeFolder,
    tree,
    verification::{self, Evidence, Verification},
};
use crate::{
    keys::MasterKey,
    store::{Database, Store, StoreError},
};

/// Why something could not be read out of the log.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The search.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// There is no such record.
    #[error("there is no record {0} in the audit log")]
    NoRecord(u64),
    /// No checkpoint covers it.
    #[error("no checkpoint of the audit log covers {0} records: see `cloister audit checkpoint`")]
    NoCheckpoint(u64),
    /// Neither the tiles nor the records add up to the checkpoint.
    #[error("the log does not add up to its checkpoint over {0} records: run `cloister audit verify`")]
    NoProof(u64),
    /// The log does not verify.
    #[error("the audit log does not verify, so nothing of it is removed: {0}")]
    Unsound(String),
    /// Writing out failed.
    #[error("the export cannot be written")]
    Io(#[from] std::io::Error),
}

/// The log, to read.
#[derive(Debug, Clone)]
pub struct Reader {
    database: Database,
    index: Option<Database>,
    tree: TreeFolder,
}

impl Reader {
    /// The log of a site.
    pub fn of(store: &Store) -> Self {
        let database = store.audit();
        Self { tree: tree(&database), database, index: Some(store.audit_index()) }
    }

    /// A copy of the files of a site's log in another folder: `audit.db` with what stands beside it, and `audit`.
    ///
    /// SQLite takes the newest records in from the file beside the database, so hand it a copy that may change.
    ///
    /// `keys` is the folder of the site's own store, whose keyring holds the key.
    ///
    /// # Errors
    /// When the keyring cannot be opened.
    pub fn of_copy(folder: &Path, keys: &Path, master: &MasterKey) -> Result<Self, StoreError> {
        let database = Store::copied_audit(folder, keys, master)?;
        Ok(Self { tree: tree(&database), database, index: None })
    }

    /// The same, with the published tree in another folder.
    #[must_use]
    pub fn with_tree(mut self, folder: &Path) -> Self {
        self.tree = TreeFolder::new(folder);
        self
    }

    /// The folder of the published tree.
    pub fn tree(&self) -> PathBuf {
        self.tree.path().to_owned()
    }

    /// Reads the whole log and says what is not as it was written.
    ///
    /// # Errors
    /// When the database cannot be opened at all.
    pub fn verify(&self, evidence: &Evidence) -> Result<Verification, LogError> {
        let verified = verification::verify(&self.database, &self.tree, evidence)?;
        let Some(index) = &self.index else { return Ok(verified) };
        verification::with_index(verified, index, &self.connect()?)
    }

    /// Entries that `filter` lets through, at most `limit`, oldest first. The index is brought up to date before.
    ///
    /// # Errors
    /// When log or index cannot be read.
    pub fn search(&self, filter: &Filter, limit: usize) -> Result<Found, ReadError> {
        Ok(search::filtered(&self.indexed()?, filter, limit)?)
    }

    /// What one SELECT on the view `audit` gives, at most `limit` rows. The index is brought up to date before.
    ///
    /// # Errors
    /// When log or index cannot be read, or the statement is another than that.
    pub fn query(&self, statement: &str, limit: usize) -> Result<Found, ReadError> {
        Ok(search::query(&self.indexed()?, statement, limit)?)
    }

    /// Forgets the index and makes it again.
    ///
    /// # Errors
    /// When log or index cannot be read.
    pub fn rebuild_index(&self) -> Result<(), ReadError> {
        if let Some(index) = &self.index {
            index::remove(index)?;
        }
        self.indexed().map(drop)
    }

    /// Calls `each` with every record numbered above `after`, in order: with the bytes that are hashed, and what they say.
    ///
    /// # Errors
    /// When a record cannot be read, or what `each` says.
    pub fn records(
        &self,
        after: u64,
        mut each: impl FnMut(&[u8], Record) -> std::io::Result<()>,
    ) -> Result<(), ReadError> {
        enum Stopped {
            Read(ReadError),
            Database(rusqlite::Error),
        }
        impl From<rusqlite::Error> for Stopped {
            fn from(error: rusqlite::Error) -> Self {
                Self::Database(error)
            }
        }
        let walked = table::scan(&self.connect()?, after, u64::MAX, |stored| {
            let damaged = LogError::Damaged { sequence: stored.sequence };
            let leaf = stored.leaf().ok_or(Stopped::Read(damaged.into()))?;
            let record = stored.read().map_err(|error| Stopped::Read(error.into()))?;
            each(&leaf, record).map_err(|error| Stopped::Read(error.into()))
        });
        walked.map_err(|stopped| match stopped {
            Stopped::Read(error) => error,
            Stopped::Database(error) => self.failed(error).into(),
        })
    }

    /// The checkpoint over exactly `size` records, or the newest.
    ///
    /// # Errors
    /// When there is none, or it does not read back.
    pub fn checkpoint(&self, size: Option<u64>) -> Result<SignedCheckpoint, ReadError> {
        let connection = self.connect()?;
        let row = match size {
            Some(size) => table::checkpoint_from(&connection, size).map(|row| row.filter(|row| row.size == size)),
            None => table::newest_checkpoint(&connection),
        };
        let row = row.map_err(|error| self.failed(error))?.ok_or(ReadError::NoCheckpoint(size.unwrap_or(0)))?;
        let (_, signed) = row.read().ok_or(LogError::Damaged { sequence: row.size })?;
        Ok(signed)
    }

    /// The proof that record `sequence` is in the tree of the checkpoint over `size` records, or of the newest.
    ///
    /// # Errors
    /// When there is no such record or checkpoint, or the log does not add up.
    pub fn prove_record(&self, sequence: u64, size: Option<u64>) -> Result<InclusionProof, ReadError> {
        let mut leaf = None;
        let before = sequence.checked_sub(1).ok_or(ReadError::NoRecord(sequence))?;
        table::scan(&self.connect()?, before, sequence, |stored| {
            leaf = stored.leaf();
            Ok::<_, rusqlite::Error>(())
        })
        .map_err(|error| self.failed(error))?;
        let leaf = leaf.ok_or(ReadError::NoRecord(sequence))?;
        let signed = self.checkpoint(size)?;
        let tree = signed.checkpoint.size;
        if sequence > tree {
            return Err(ReadError::NoCheckpoint(sequence));
        }
        let mut proof = InclusionProof { leaf, index: before, hashes: Vec::new(), signed };
        for mut nodes in [Nodes::Tiles(&self.tree, tree), Nodes::Leaves(self, tree, Vec::new())] {
            if let Ok(hashes) = inclusion(before, tree, &mut |node| nodes.node(node)) {
                proof.hashes = hashes;
                if proof.holds() {
                    return Ok(proof);
                }
            }
        }
        Err(ReadError::NoProof(tree))
    }

    /// The proof that the log of the checkpoint over `size` records, or of the newest, begins with that over `earlier`.
    ///
    /// # Errors
    /// When there is no such checkpoint, or the log does not add up.
    pub fn prove_consistency(&self, earlier: u64, size: Option<u64>) -> Result<ConsistencyProof, ReadError> {
        let (earlier, signed) = (self.checkpoint(Some(earlier))?, self.checkpoint(size)?);
        let (past, tree) = (earlier.checkpoint.size, signed.checkpoint.size);
        if past > tree {
            return Err(ReadError::NoCheckpoint(past));
        }
        let mut proof = ConsistencyProof { earlier, hashes: Vec::new(), signed };
        for mut nodes in [Nodes::Tiles(&self.tree, tree), Nodes::Leaves(self, tree, Vec::new())] {
            if let Ok(hashes) = consistency(past, tree, &mut |node| nodes.node(node)) {
                proof.hashes = hashes;
                if proof.holds() {
                    return Ok(proof);
                }
            }
        }
        Err(ReadError::NoProof(tree))
    }

    fn indexed(&self) -> Result<Connection, ReadError> {
        let index = self.index.as_ref().ok_or_else(|| SearchError::Statement("a copy has no index".to_owned()))?;
        Ok(index::open(&self.connect()?, index)?)
    }

    fn connect(&self) -> Result<Connection, LogError> {
        self.database.open().map_err(LogError::Store)
    }

    fn failed(&self, error: rusqlite::Error) -> LogError {
        LogError::Store(self.database.error(error))
    }
}

/// Where the nodes of a proof come from: the tiles, or where these lag or were altered, all the records.
enum Nodes<'a> {
    Tiles(&'a TreeFolder, u64),
    Leaves(&'a Reader, u64, Vec<Hash>),
}

impl Nodes<'_> {
    fn node(&mut self, node: Node) -> std::io::Result<Hash> {
        match self {
            Self::Tiles(tree, size) => tree.node(node, *size),
            Self::Leaves(reader, size, hashes) => {
                if hashes.is_empty() {
                    let connection = reader.connect().map_err(std::io::Error::other)?;
                    let mut bundle = 0;
                    while let Some(kept) = table::bundle(&connection, bundle).map_err(std::io::Error::other)? {
                        hashes.extend(kept);
                        bundle += 1;
                    }
                    table::scan(&connection, 0, *size, |stored| {
                        hashes.extend(stored.leaf().map(|leaf| Hash::of_leaf(&leaf)));
                        Ok::<_, rusqlite::Error>(())
                    })
                    .map_err(std::io::Error::other)?;
                }
                super::tile::within(hashes, node)
            }
        }
    }
}
