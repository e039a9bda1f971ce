//! Publishing: the tiles and the newest checkpoint, written to the folder beside the database.
//!
//! # Why
//! - **On a thread of its own**, because files are synced here, and a request that waits for its record should not wait
//!   for those.
//! - **Behind the database, never ahead of it.** What is published was committed before; if publishing fails, the next
//!   checkpoint tries again from what is there, with new files, and `cloister audit verify` says how far it lags.
//! - **A tile appears whole or not at all, and the checkpoint last**: written under another name, synced, then moved.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use rusqlite::Connection;

use super::{
    merkle::{HASH_BYTES, Hash, Node},
    note::SignedCheckpoint,
    table,
    tile::{TILE_WIDTH, Tile, TreeFolder, within},
    writer::causes,
};
use crate::store::Database;

/// Why the tree could not be published.
#[derive(Debug, thiserror::Error)]
pub(super) enum PublishError {
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    #[error("the folder of the tree failed")]
    Io(#[from] io::Error),
    #[error("record {sequence} is not as it was written")]
    Damaged { sequence: u64 },
    #[error("the newest checkpoint does not read back")]
    Checkpoint,
    #[error("the tiles do not add up to the checkpoint over {size} records")]
    Disagreement { size: u64 },
}

/// The thread that publishes. Dropping it waits until it has published what it was told of.
pub(super) struct Publisher {
    due: Option<Sender<()>>,
    running: Option<JoinHandle<()>>,
}

impl Publisher {
    pub(super) fn start(database: Database, folder: TreeFolder) -> io::Result<Self> {
        let (due, receiver) = channel();
        let run = move || run(&database, &folder, &receiver);
        let running = std::thread::Builder::new().name("audit-publisher".to_owned()).spawn(run)?;
        Ok(Self { due: Some(due), running: Some(running) })
    }

    /// There is a new checkpoint.
    pub(super) fn publish(&self) {
        if let Some(due) = &self.due {
            // It ends only with this value.
            let _heard = due.send(());
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.due = None;
        if self.running.take().is_some_and(|running| running.join().is_err()) {
            tracing::error!("the audit tree's publisher ended badly");
        }
    }
}

fn run(database: &Database, folder: &TreeFolder, due: &Receiver<()>) {
    while due.recv().is_ok() {
        while due.try_recv().is_ok() {}
        let published =
            database.connect().map_err(PublishError::from).and_then(|connection| publish(&connection, folder));
        if let Err(error) = published {
            tracing::error!(error = causes(&error), "the audit tree was not published");
        }
    }
}

/// Publishes up to the newest checkpoint. What was published before is built upon, or all is made anew where that does
/// not add up.
pub(super) fn publish(connection: &Connection, folder: &TreeFolder) -> Result<(), PublishError> {
    let Some(newest) = table::newest_checkpoint(connection)? else { return Ok(()) };
    let (_, signed) = newest.read().ok_or(PublishError::Checkpoint)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder.path())?;
    crate::keys::sync_folder_of(folder.path())?;
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(folder.path().join("lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(io::Error::from)?;
    let from = folder.checkpoint().ok().flatten().map_or(0, |published| published.checkpoint.size);
    if from >= signed.checkpoint.size {
        return Ok(());
    }
    Publication { connection, folder, folders: BTreeSet::new() }.extend(from, &signed).or_else(|error| match error {
        PublishError::Io(_) | PublishError::Disagreement { .. } if from > 0 => {
            Publication { connection, folder, folders: BTreeSet::new() }.extend(0, &signed)
        }
        error => Err(error),
    })
}

struct Publication<'a> {
    connection: &'a Connection,
    folder: &'a TreeFolder,
    /// Folders in which files appeared, to be synced before the checkpoint speaks of them.
    folders: BTreeSet<PathBuf>,
}

impl Publication<'_> {
    /// From a published tree of `from` leaves to that of the checkpoint.
    fn extend(mut self, from: u64, signed: &SignedCheckpoint) -> Result<(), PublishError> {
        let size = signed.checkpoint.size;
        let mut ended = self.leaves(from, size)?;
        let mut level = 1;
        while size >> (8 * u32::from(level)) > 0 {
            ended = self.level(level, from, size, ended)?;
            level += 1;
        }
        if self.folder.root(size)? != signed.checkpoint.root {
            return Err(PublishError::Disagreement { size });
        }
        let keys: String = table::keys(self.connection)?.into_iter().map(|key| key.verifier + "\n").collect();
        self.write(Path::new("keys"), keys.as_bytes())?;
        self.sync()?;
        self.write(Path::new("checkpoint"), signed.note().as_bytes())?;
        self.sync()?;
        self.tidy(from, size);
        Ok(())
    }

    /// The tiles of level 0, from the records. Returns the root of each tile that is full, by its index.
    fn leaves(&mut self, from: u64, size: u64) -> Result<Vec<(u64, Hash)>, PublishError> {
        let mut full = Vec::new();
        for index in from / TILE_WIDTH..size.div_ceil(TILE_WIDTH) {
            let Some(tile) = Tile::of_tree(0, index, size) else { break };
            let start = index * TILE_WIDTH;
            let mut hashes = table::bundle(self.connection, index)?.unwrap_or_default();
            let kept = start + hashes.len() as u64;
            table::scan(self.connection, kept, start + tile.width, |record| {
                let sequence = start + hashes.len() as u64 + 1;
                let leaf = record.leaf().filter(|_| record.sequence == sequence);
                hashes.push(Hash::of_leaf(&leaf.ok_or(PublishError::Damaged { sequence })?));
                Ok::<_, PublishError>(())
            })?;
            if hashes.len() as u64 != tile.width {
                return Err(PublishError::Damaged { sequence: start + hashes.len() as u64 + 1 });
            }
            full.extend(self.tile(tile, &hashes)?);
        }
        Ok(full)
    }

    /// The tiles of a level above, from the roots of the tiles that became full below.
    fn level(
        &mut self,
        level: u8,
        from: u64,
        size: u64,
        ended: Vec<(u64, Hash)>,
    ) -> Result<Vec<(u64, Hash)>, PublishError> {
        let shift = 8 * u32::from(level);
        let (old, new) = (from >> shift, size >> shift);
        let mut full = Vec::new();
        for index in old / TILE_WIDTH..new.div_ceil(TILE_WIDTH) {
            let Some(tile) = Tile::of_tree(level, index, size) else { break };
            let start = index * TILE_WIDTH;
            let mut hashes = match Tile::of_tree(level, index, from) {
                Some(published) => self.folder.hashes(published)?,
                None => Vec::new(),
            };
            for place in start + hashes.len() as u64..start + tile.width {
                let root = ended.iter().find(|(index, _)| *index == place).map(|(_, root)| *root);
                hashes.push(root.ok_or(PublishError::Disagreement { size })?);
            }
            full.extend(self.tile(tile, &hashes)?);
        }
        Ok(full)
    }

    /// Writes a tile. Returns its root with its index if it is full.
    fn tile(&mut self, tile: Tile, hashes: &[Hash]) -> Result<Option<(u64, Hash)>, PublishError> {
        let mut bytes = Vec::with_capacity(hashes.len() * HASH_BYTES);
        hashes.iter().for_each(|hash| bytes.extend_from_slice(hash.as_bytes()));
        self.write(&tile.path(), &bytes)?;
        if tile.width < TILE_WIDTH {
            return Ok(None);
        }
        Ok(Some((tile.index, within(hashes, Node { level: 8, index: 0 })?)))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let path = self.folder.path().join(path);
        let parent = path.parent().unwrap_or(self.folder.path());
        if !parent.is_dir() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
            // A new folder is itself a new name in the one above it.
            let above = parent.ancestors().skip(1).take_while(|above| above.starts_with(self.folder.path()));
            self.folders.extend(above.map(Path::to_owned));
        }
        let fresh = parent.join(format!(".{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        self.folders.insert(parent.to_owned());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        std::mem::take(&mut self.folders).iter().try_for_each(|folder| File::open(folder)?.sync_all())
    }

    /// Removes the narrower tiles in whose place there are wider ones. What cannot be removed does no harm.
    fn tidy(&self, from: u64, size: u64) {
        for level in 0..8 {
            let shift = 8 * u32::from(level);
            let Some(old) = Tile::of_tree(level, (from >> shift) / TILE_WIDTH, from) else { continue };
            let now = Tile::of_tree(level, old.index, size).map_or(0, |tile| tile.width);
            for width in self.folder.widths(old).into_iter().filter(|width| *width < now) {
                let path = self.folder.path().join(Tile { width, ..old }.path());
                let _left_alone = fs::remove_file(&path);
                let _not_empty = path.parent().map(fs::remove_dir);
            }
        }
    }
}
