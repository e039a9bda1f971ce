//! Verifying: the whole log is read and hashed again and held against every checkpoint there is, here or kept elsewhere.
//!
//! What a finding says is where: the records, the tile, the key or the page that is not as it was. Records are told apart
//! one by one where the published tiles have their hashes, and otherwise down to the stretch between two checkpoints.
//!
//! # Why
//! - **Damage does not end the walk.** Each checkpoint row keeps the tree's right edge; where that agrees with the
//!   signature, the tree goes on from there, and what is damaged later is found too.
//! - **A tile that was altered is told from a record that was**: the signed root says which of the two is right.
//! - **Everything is read as of one moment**, so that a log that goes on growing meanwhile is not called cut.
//! - **Three threads**: one reads and decrypts the records, one hashes them, one checks the pages of the file. Six years of
//!   records are to be verified while somebody waits.
//!
//! # What stays undetectable
//! - Records after the newest checkpoint, a minute or 1,000 records at most, are guarded by the encryption of the file and
//!   by their numbers. Whoever has the master key can forge these few, and nobody could tell.
//! - Whoever has the master key and every copy of every checkpoint (the folder, the log output, what was handed out) can
//!   write another log. Whoever rolls the whole disk back to an earlier moment cuts the log's tail. Both show as soon as one
//!   checkpoint from after that moment is kept elsewhere: within one checkpoint of the present nothing is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    LogError,
    note::{SignedCheckpoint, Verifier},
    tile::TreeFolder,
};
use crate::store::{Database, StoreError};

mod evidence;
mod finding;
mod hashing;
mod index;
mod keys;
mod tail;
mod tiles;
mod walk;

pub use evidence::checkpoints_in;
use finding::Findings;
pub use finding::{Fault, Finding};
use hashing::Hashing;
use keys::Keys;
use walk::{Claim, Walk};

/// What a verification goes by besides the log itself.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Checkpoints that were kept elsewhere, each with a word on where it is from.
    pub checkpoints: Vec<(String, SignedCheckpoint)>,
    /// A checkpoint key of this log that was written down elsewhere.
    pub key: Option<Verifier>,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The log's name.
    pub origin: String,
    /// Records in the tree.
    pub records: u64,
    /// Of these, records that were purged when they were old enough. Their hashes were read.
    pub purged: u64,
    /// Records that the log's newest checkpoint covers.
    pub covered: u64,
    /// Checkpoints of the log itself that the records add up to.
    pub checkpoints: u64,
    /// Checkpoints from elsewhere, the published one among them, that the records add up to.
    pub evidence: u64,
    /// Records that the published tree covers.
    pub published: u64,
    /// Everything that is not as it should be, in the order of the records.
    pub findings: Vec<Finding>,
}

/// Reads the whole log and says what is not as it was written.
///
/// # Errors
/// When the database cannot be opened at all.
pub(super) fn verify(database: &Database, tree: &TreeFolder, evidence: &Evidence) -> Result<Verification, LogError> {
    let mut found = Findings::default();
    // Before the moment that the records are read as of: what it covers was there then.
    let newest = tiles::checkpoint(tree, &mut found);
    let connection = database.open().map_err(LogError::Store)?;
    connection.execute_batch("BEGIN").map_err(|error| LogError::Store(database.error(error)))?;
    let keys = Keys::read(&connection, &mut found);
    if let Some(key) = &evidence.key {
        keys.expect(key, &mut found);
    }
    let mut claims = BTreeMap::<u64, Vec<Claim>>::new();
    let from_tree = newest.iter().map(|signed| ("the published tree".to_owned(), signed.clone()));
    for (source, signed) in from_tree.chain(evidence.checkpoints.iter().cloned()) {
        match keys.accept(&signed) {
            Ok(()) => claims.entry(signed.checkpoint.size).or_default().push(Claim::new(source, &signed)),
            Err(error) => found.add(Fault::Checkpoint, Some((signed.checkpoint.size, signed.checkpoint.size)), || {
                format!("the checkpoint from {source}: {error}")
            }),
        }
    }
    if newest.is_some() {
        keys.published(tree, &mut found);
    }
    let published = newest.map_or(0, |signed| signed.checkpoint.size);
    let (walk, pages) = std::thread::scope(|scope| {
        let thread = |source| {
            let path = database.path().to_owned();
            LogError::Store(StoreError::Io { path, doing: "verified", source })
        };
        let pages = std::thread::Builder::new().name("audit-pages".to_owned());
        let pages = pages.spawn_scoped(scope, || finding::damaged_pages(database)).map_err(thread)?;
        let mut hashing = Hashing::start(scope).map_err(thread)?;
        let mut walk = Walk::new(database, tree, &keys, claims, published, found);
        walk.run(connection, &mut hashing)?;
        Ok::<_, LogError>((walk, pages.join().unwrap_or(None)))
    })?;
    let (read, mut found) = walk.end();
    finding::pages(pages.as_deref(), &mut found);
    let connection = database.open().map_err(LogError::Store)?;
    tail::check(&connection, read.covered, read.records, &mut found);
    tiles::levels(tree, published, &mut found);
    keys.announced(&connection, &mut found);
    finding::retention(&connection, &mut found);
    finding::guards(&connection, &mut found);
    Ok(Verification {
        origin: keys.origin().to_owned(),
        records: read.records,
        purged: read.purged,
        covered: read.covered,
        checkpoints: read.checkpoints,
        evidence: read.evidence,
        published,
        findings: found.sorted(),
    })
}

/// Adds whether the search index says what the log says. An index that lags is brought up to date by the next search.
pub(super) fn with_index(
    mut verified: Verification,
    index: &Database,
    log: &rusqlite::Connection,
) -> Result<Verification, LogError> {
    if let Some(finding) = index::differs(log, index)? {
        verified.findings.push(finding);
    }
    Ok(verified)
}

#[cfg(test)]
mod tests;
