//! Proofs as text, in the formats that others read.
//!
//! - [`InclusionProof`]: that one record is in the log, as C2SP's `tlog-proof`.
//! - [`ConsistencyProof`]: that a later checkpoint's log begins with an earlier one's, as the request that C2SP's
//!   `tlog-witness` takes, so that a witness can countersign it.

use std::fmt;

use super::{
    merkle::{self, Hash},
    note::SignedCheckpoint,
};

/// The first line of an inclusion proof.
const INCLUSION: &str = "c2sp.org/tlog-proof@v1";

/// That a record is in the tree of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The record's bytes, which are hashed into the tree: the line that the export writes, without its end.
    pub leaf: Vec<u8>,
    /// The leaf's number: the record's, less one.
    pub index: u64,
    /// The hashes beside the path from the leaf to the root, lowest first.
    pub hashes: Vec<Hash>,
    /// The checkpoint with the root.
    pub signed: SignedCheckpoint,
}

impl InclusionProof {
    /// Whether it proves what it says.
    pub fn holds(&self) -> bool {
        let tree = &self.signed.checkpoint;
        merkle::includes(self.index, tree.size, Hash::of_leaf(&self.leaf), tree.root, &self.hashes)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{INCLUSION}\nindex {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.signed.note())
    }
}

/// That the tree of a checkpoint begins with an earlier tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The earlier checkpoint.
    pub earlier: SignedCheckpoint,
    /// The hashes that join the two.
    pub hashes: Vec<Hash>,
    /// The later checkpoint.
    pub signed: SignedCheckpoint,
}

impl ConsistencyProof {
    /// Whether it proves what it says.
    pub fn holds(&self) -> bool {
        let (earlier, tree) = (&self.earlier.checkpoint, &self.signed.checkpoint);
        merkle::extends(earlier.size, tree.size, earlier.root, tree.root, &self.hashes)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.earlier.checkpoint.size)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.signed.note())
    }
}
