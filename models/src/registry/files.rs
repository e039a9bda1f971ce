//! Files on disk: opened without following links, written so that they are there whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{RegistryError, UNFINISHED, io};

/// Opens a plain file for reading; a link or anything else but a file is an error.
pub(super) fn open_plain(path: &Path) -> std::io::Result<File> {
    // Opening a pipe would wait for a writer, so it is not even tried without NONBLOCK.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a plain file"));
    }
    Ok(file)
}

/// Reads a plain file of at most `limit` bytes.
pub(crate) fn read_small(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_plain(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Writes a file and waits until it is on disk.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(io("writing", path))
}

/// SHA-256 and length of what a reader gives, each block passed on to `sink`.
pub(crate) fn hash_reader(
    mut reader: impl Read,
    mut sink: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; 256 * 1024];
    let mut total = 0u64;
    loop {
        let count = match reader.read(&mut block) {
            Ok(0) => return Ok((hex::encode(hasher.finalize()), total)),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let read = block.get(..count).unwrap_or_default();
        hasher.update(read);
        sink(read)?;
        total += count as u64;
    }
}

/// A directory that is being written. Dropping it unpublished removes it.
pub(super) struct Draft {
    path: PathBuf,
}

impl Draft {
    pub(super) fn new(root: &Path, name: &str) -> Result<Self, RegistryError> {
        for attempt in 0u32..1000 {
            let path = root.join(format!("{UNFINISHED}{name}-{}-{attempt}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io("making the directory", &path)(error)),
            }
        }
        let full = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        Err(io("making a directory in", root)(full))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the directory to its place. Fails where something is there.
    pub(super) fn publish(self, place: &Path) -> Result<(), RegistryError> {
        // Its files are synced; their names must be too, or a power loss leaves a model without some of them.
        sync_folders(&self.path).map_err(io("syncing", &self.path))?;
        // Renaming over an empty directory would succeed, over a model it fails: both leave the model whole.
        std::fs::rename(&self.path, place).map_err(io("moving the model to", place))?;
        let parent = place.parent().unwrap_or(place);
        File::open(parent).and_then(|directory| directory.sync_all()).map_err(io("syncing", parent))
    }
}

/// Syncs the names in a directory and in those within it.
fn sync_folders(directory: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(directory)?.sync_all()
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After publishing there is nothing here any more; what cannot be removed is never listed.
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// Holds a lock file, so that two processes do not download the same model at once.
#[derive(Debug)]
pub(crate) struct FetchLock {
    file: File,
}

impl FetchLock {
    pub(crate) fn take(path: &Path) -> Result<Self, RegistryError> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(io("opening the lock", path))?;
        file.lock().map_err(io("locking", path))?;
        Ok(Self { file })
    }
}

impl Drop for FetchLock {
    fn drop(&mut self) {
        // Closing unlocks as well; this only makes it immediate.
        drop(self.file.unlock());
    }
}
