//! The walk over the records: each is hashed into the tree, and the tree is held against every checkpoint that it passes.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{
    super::{
        LogError,
        chain::CHECKPOINT_RECORDS,
        merkle::{Frontier, Hash},
        note::SignedCheckpoint,
        table,
        tile::{TILE_WIDTH, Tile, TreeFolder},
    },
    Fault, Findings, Keys,
    hashing::{Hashed, Hashing},
};
use crate::store::Database;

/// Missing records that are walked over one by one, to hold the tree against the checkpoints on the way.
const LONGEST_GAP: u64 = 1 << 24;

/// A checkpoint from elsewhere, whose signature holds.
pub(super) struct Claim {
    source: String,
    root: Hash,
}

impl Claim {
    pub(super) fn new(source: String, signed: &SignedCheckpoint) -> Self {
        Self { source, root: signed.checkpoint.root }
    }
}

/// How much was read, and how much of it is proven.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Read {
    pub(super) records: u64,
    pub(super) purged: u64,
    pub(super) covered: u64,
    pub(super) checkpoints: u64,
    pub(super) evidence: u64,
}

pub(super) struct Walk<'a> {
    database: &'a Database,
    tree: &'a TreeFolder,
    keys: &'a Keys,
    claims: BTreeMap<u64, Vec<Claim>>,
    /// Records that the published tree covers.
    published: u64,
    /// The published hashes of the tile that the walk is in; none where they cannot be read.
    tile: Option<(u64, Option<Vec<Hash>>)>,
    /// The tree over the records so far; none after one that is missing or cannot be hashed.
    frontier: Option<Frontier>,
    /// The same at the last checkpoint; none where nothing there could be relied on.
    settled: Option<Frontier>,
    /// Records since then whose hash is not the published one.
    suspects: Vec<u64>,
    /// The size of the checkpoint row that comes next; none after the last.
    upcoming: Option<u64>,
    /// Whether the checkpoints from here on stand on damaged pages.
    checkpoints_lost: bool,
    /// The records that the log's own newest checkpoint covers, as of the moment that the records are read from.
    promised: u64,
    read: Read,
    found: Findings,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        database: &'a Database,
        tree: &'a TreeFolder,
        keys: &'a Keys,
        claims: BTreeMap<u64, Vec<Claim>>,
        published: u64,
        found: Findings,
    ) -> Self {
        let (frontier, settled) = (Some(Frontier::default()), Some(Frontier::default()));
        let (tile, suspects, upcoming, checkpoints_lost) = (None, Vec::new(), None, false);
        let (promised, read) = (0, Read::default());
        Self {
            database,
            tree,
            keys,
            claims,
            published,
            tile,
            frontier,
            settled,
            suspects,
            upcoming,
            checkpoints_lost,
            promised,
            read,
            found,
        }
    }

    /// Reads every record, as of one moment: that of the transaction which `connection` is in. Damaged pages are passed by.
    pub(super) fn run(&mut self, mut connection: Connection, hashing: &mut Hashing) -> Result<(), LogError> {
        loop {
            let lost = self.checkpoints_lost;
            let begin = if connection.is_autocommit() { "BEGIN" } else { "" };
            let begun = connection.execute_batch(begin).and_then(|()| {
                self.look_ahead(&connection);
                self.bundles(&connection)
            });
            let from = self.read.records;
            let walked = begun.and_then(|()| {
                table::scan(&connection, from, u64::MAX, |stored| {
                    hashing.hand_over(stored, |hashed| self.record(&connection, hashed));
                    Ok::<_, rusqlite::Error>(())
                })
            });
            if walked.is_err() {
                // SQLCipher gives a connection up after a page that fails its check.
                connection = self.database.open().map_err(LogError::Store)?;
            }
            hashing.rest(|hashed| self.record(&connection, hashed));
            if walked.is_ok() {
                self.promised = table::checkpointed(&connection).unwrap_or(0);
                return Ok(());
            }
            let other = self.read.records > from || self.checkpoints_lost != lost;
            let from = self.read.records + 1;
            if other && self.probe(from) == Some(from) {
                // It was not this record that could not be read.
                continue;
            }
            let resume = self.first_readable(from);
            let end =
                resume.map_or_else(|| self.claims.keys().next_back().copied().unwrap_or(from).max(from), |at| at - 1);
            self.found.add(Fault::Unreadable, Some((from, end)), || "they stand on damaged pages".to_owned());
            if resume.is_none() {
                let row = self.database.connect().and_then(|connection| table::checkpointed(&connection));
                self.promised = row.unwrap_or(0);
                return Ok(());
            }
            let connection = self.database.open().map_err(LogError::Store)?;
            while self.read.records < end {
                self.advance(&connection, None);
            }
        }
    }

    /// What is left to say at the end of the records.
    pub(super) fn end(mut self) -> (Read, Findings) {
        let last = self.read.records;
        if !self.suspects.is_empty() {
            // Records that no checkpoint row reaches, but the published tree: it is right if it is whole.
            let whole = self.claims.get(&self.published).is_some_and(|claims| {
                self.tree.root(self.published).is_ok_and(|root| claims.iter().any(|claim| claim.root == root))
            });
            self.blame(if whole { Fault::Altered } else { Fault::Unproven });
        }
        let beyond = self.claims.split_off(&(last + 1)).into_iter().next_back();
        let beyond = beyond.and_then(|(size, claims)| Some((size, claims.into_iter().next()?.source)));
        let row = self.promised;
        let furthest = [beyond, (row > last).then(|| (row, "the log's own newest checkpoint".to_owned()))];
        if let Some((size, source)) = furthest.into_iter().flatten().max() {
            self.found.add(Fault::Cut, Some((last + 1, size)), || {
                format!("they are gone from the end; {source} covers them")
            });
        }
        self.read.covered = self.read.covered.min(last);
        (self.read, self.found)
    }

    fn look_ahead(&mut self, connection: &Connection) {
        if self.checkpoints_lost {
            return;
        }
        match table::checkpoint_from(connection, self.read.records + 1) {
            Ok(checkpoint) => self.upcoming = checkpoint.map(|checkpoint| checkpoint.size),
            Err(_) => {
                (self.upcoming, self.checkpoints_lost) = (None, true);
                self.found.add(Fault::Checkpoint, None, || {
                    format!("the checkpoints after record {} cannot be read", self.read.records)
                });
            }
        }
    }

    /// Of what was purged in whole bundles the hashes are left, and stand in the tree as before.
    fn bundles(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        while self.read.records.is_multiple_of(TILE_WIDTH)
            && let Some(hashes) = table::bundle(connection, self.read.records / TILE_WIDTH)?
        {
            let whole = hashes.len() as u64 == TILE_WIDTH;
            let hashes = hashes.into_iter().map(Some).chain(std::iter::repeat(None));
            for hash in hashes.take(usize::try_from(TILE_WIDTH).unwrap_or(0)) {
                self.advance(connection, hash);
            }
            if !whole {
                let (from, to) = (self.read.records - TILE_WIDTH + 1, self.read.records);
                let lacking = || "the hashes that were kept of purged records are not complete".to_owned();
                self.found.add(Fault::Altered, Some((from, to)), lacking);
            }
            self.read.purged = self.read.records;
        }
        Ok(())
    }

    fn record(&mut self, connection: &Connection, hashed: Hashed) {
        if hashed.sequence - self.read.records > LONGEST_GAP {
            let gap = (self.read.records + 1, hashed.sequence - 1);
            self.found.add(Fault::Missing, Some(gap), || "not there, though later ones are".to_owned());
            (self.frontier, self.settled, self.read.records) = (None, None, gap.1);
            self.look_ahead(connection);
        }
        while self.read.records + 1 < hashed.sequence {
            let missing = self.read.records + 1;
            self.found.add(Fault::Missing, Some((missing, missing)), || "not there, though later ones are".to_owned());
            self.advance(connection, None);
        }
        if hashed.hash.is_none() {
            let here = Some((hashed.sequence, hashed.sequence));
            self.found.add(Fault::Malformed, here, || "it does not read as a record".to_owned());
        }
        self.advance(connection, hashed.hash);
    }

    /// Takes the next record's hash, or its absence, into the tree.
    fn advance(&mut self, connection: &Connection, hash: Option<Hash>) {
        self.read.records += 1;
        let sequence = self.read.records;
        if let (Some(hash), Some(published)) = (hash, self.published(sequence))
            && hash != published
        {
            self.suspects.push(sequence);
        }
        match (hash, self.frontier.as_mut()) {
            (Some(hash), Some(frontier)) => frontier.push(hash),
            _ => self.frontier = None,
        }
        if self.upcoming == Some(sequence) || self.claims.contains_key(&sequence) {
            self.settle(connection, sequence);
        }
    }

    /// The published hash of a record.
    fn published(&mut self, sequence: u64) -> Option<Hash> {
        let leaf = sequence - 1;
        if sequence > self.published {
            return None;
        }
        let index = leaf / TILE_WIDTH;
        if self.tile.as_ref().is_none_or(|(held, _)| *held != index) {
            let tile = Tile::of_tree(0, index, self.published)?;
            let hashes = self.tree.hashes(tile).ok();
            if hashes.is_none() {
                let records = Some((index * TILE_WIDTH + 1, index * TILE_WIDTH + tile.width));
                let path = tile.path();
                self.found.add(Fault::Tile, records, || format!("the tile {} is missing or cut", path.display()));
            }
            self.tile = Some((index, hashes));
        }
        let (_, hashes) = self.tile.as_ref()?;
        hashes.as_ref()?.get(usize::try_from(leaf % TILE_WIDTH).ok()?).copied()
    }

    /// Holds the tree against the checkpoints over exactly `size` records.
    fn settle(&mut self, connection: &Connection, size: u64) {
        // One that cannot be read was reported when the walk looked ahead for it.
        let row =
            if self.upcoming == Some(size) { table::checkpoint_from(connection, size).ok().flatten() } else { None };
        let is_row = row.is_some();
        let row = row.and_then(|row| row.read()).filter(|(_, signed)| self.keys.accept(signed).is_ok());
        if is_row && row.is_none() {
            self.found.add(Fault::Checkpoint, Some((size, size)), || {
                "the checkpoint over the records up to here was altered, or is not signed by the key in force"
                    .to_owned()
            });
        }
        let claims = self.claims.remove(&size).unwrap_or_default();
        let own = self.frontier.as_ref().map(Frontier::root);
        let root = row.as_ref().map(|(_, signed)| signed.checkpoint.root);
        let holds = |root: Hash| own == Some(root);
        if is_row {
            if self.read.covered > 0 && size - self.read.covered > CHECKPOINT_RECORDS {
                let gap = Some((self.read.covered + 1, size));
                self.found.add(Fault::Checkpoint, gap, || "a checkpoint between these is missing".to_owned());
            }
            self.read.covered = size;
            self.look_ahead(connection);
        }
        self.read.checkpoints += u64::from(root.is_some_and(holds));
        self.read.evidence += claims.iter().filter(|claim| holds(claim.root)).count() as u64;
        let truths: Vec<Hash> = root.into_iter().chain(claims.iter().map(|claim| claim.root)).collect();
        if truths.is_empty() {
            return;
        }
        if truths.iter().all(|truth| holds(*truth)) {
            self.blame_tiles();
            self.settled = self.frontier.clone();
            return;
        }
        self.locate(size, own, &truths);
        if let Some(claim) = claims.iter().find(|claim| root.is_some_and(|root| root != claim.root)) {
            let from = self.settled.as_ref().map_or(1, |settled| settled.size() + 1);
            self.found.add(Fault::Unproven, Some((from, size)), || {
                format!("the log was signed again after {} was: the two do not agree on these", claim.source)
            });
        }
        self.frontier = row.map(|(frontier, _)| frontier).or(self.frontier.take());
        self.settled = self.frontier.clone().filter(|frontier| truths.contains(&frontier.root()));
    }

    /// The records since the last checkpoint do not add up to this one: which of them?
    fn locate(&mut self, size: u64, own: Option<Hash>, truths: &[Hash]) {
        let published = self.published_since_settled(size);
        let is_true = |tree: &Frontier| truths.contains(&tree.root());
        if published.as_ref().is_some_and(is_true) {
            // The tiles are right, and say of each record whether it is.
            return self.blame(Fault::Altered);
        }
        if own.is_some_and(|own| truths.contains(&own)) {
            return self.blame_tiles();
        }
        let from = self.settled.as_ref().map_or(self.suspects.first().copied().unwrap_or(size), |s| s.size() + 1);
        self.blame(Fault::Altered);
        self.found
            .add(Fault::Unproven, Some((from, size)), || "they do not add up to the checkpoint over them".to_owned());
    }

    /// The tree at `size` as the published leaves since the last checkpoint make it.
    fn published_since_settled(&self, size: u64) -> Option<Frontier> {
        let mut tree = self.settled.clone()?;
        while tree.size() < size {
            let index = tree.size() / TILE_WIDTH;
            let tile = Tile::of_tree(0, index, self.published).filter(|_| size <= self.published)?;
            let hashes = self.tree.hashes(tile).ok()?;
            let skip = usize::try_from(tree.size() % TILE_WIDTH).ok()?;
            let take = usize::try_from(size - tree.size()).ok()?;
            hashes.iter().skip(skip).take(take).for_each(|hash| tree.push(*hash));
        }
        Some(tree)
    }

    fn blame(&mut self, fault: Fault) {
        for sequence in std::mem::take(&mut self.suspects) {
            self.found.add(fault, Some((sequence, sequence)), || "not as it was when it was signed".to_owned());
        }
    }

    fn blame_tiles(&mut self) {
        for sequence in std::mem::take(&mut self.suspects) {
            let path =
                Tile::of_tree(0, (sequence - 1) / TILE_WIDTH, self.published).map(Tile::path).unwrap_or_default();
            self.found.add(Fault::Tile, Some((sequence, sequence)), || {
                format!("the record is as it was signed, its hash in the tile {} is not", path.display())
            });
        }
    }

    /// The first record from `at` on, if it can be read.
    fn probe(&self, at: u64) -> Option<u64> {
        let connection = self.database.connect().ok()?;
        let statement = "SELECT sequence, body FROM records WHERE sequence >= ?1 ORDER BY sequence LIMIT 1";
        let found = connection.query_row(statement, [table::signed(at)], |row| {
            row.get::<_, Vec<u8>>(1)?;
            row.get::<_, i64>(0)
        });
        u64::try_from(found.ok()?).ok()
    }

    /// The first record after `from` that can be read: found in doubling steps, then by halving.
    fn first_readable(&self, from: u64) -> Option<u64> {
        let (mut bad, mut step) = (from, 1);
        let (mut good, mut first) = loop {
            let at = bad.checked_add(step)?;
            match self.probe(at) {
                Some(found) => break (at, found),
                None if step > u64::from(u32::MAX) => return None,
                None => (bad, step) = (at, step * 2),
            }
        };
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            match self.probe(middle) {
                Some(found) => (good, first) = (middle, found),
                None => bad = middle,
            }
        }
        Some(first)
    }
}
