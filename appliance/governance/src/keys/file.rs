//! Small files that must be whole: written beside, synced, put in place, and the folder synced after.
//!
//! An error of any of these steps goes to the caller and the step is not tried again: what a failed sync left on the disk
//! cannot be known.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
};

#[cfg(test)]
pub(crate) mod recorded;

/// Makes `path` hold `bytes`, mode 0600, whole or not at all. Where it is there already, it stays as it is.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = beside(path, &format!("{}.new", std::process::id()));
    let written = write(&fresh, bytes, OFlags::EXCL).and_then(|()| match rustix::fs::link(&fresh, path) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    });
    written.and(std::fs::remove_file(&fresh))?;
    sync_folder_of(path)
}

/// Makes `path` hold `bytes` in place of what it held, mode 0600. One writer at a time: the caller holds a lock.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = beside(path, "new");
    write(&fresh, bytes, OFlags::TRUNC)?;
    put_in_place(&fresh, path)
}

/// Renames a file that was synced over another, and syncs the folder.
pub(crate) fn put_in_place(fresh: &Path, path: &Path) -> io::Result<()> {
    #[cfg(test)]
    recorded::note(|| recorded::Step::Rename(fresh.to_owned(), path.to_owned()));
    std::fs::rename(fresh, path)?;
    sync_folder_of(path)
}

/// Writes and syncs a file of mode 0600.
pub(crate) fn write(path: &Path, bytes: &[u8], more: OFlags) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | more;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    #[cfg(test)]
    recorded::write(path, bytes);
    file.write_all(bytes)?;
    #[cfg(test)]
    recorded::note(|| recorded::Step::Sync(path.to_owned()));
    file.sync_all()
}

/// Reads a whole file of at most `limit` bytes through one descriptor: a file that is replaced meanwhile is read as it was.
/// None where there is none.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The lock file at `path`, locked as asked; it is made if it is not there. The lock goes with the file.
pub(crate) fn locked(path: &Path, operation: FlockOperation) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?);
    rustix::fs::flock(&file, operation)?;
    Ok(file)
}

/// Syncs the folder that holds `path`, so that its name is as durable as its content.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    #[cfg(test)]
    recorded::note(|| recorded::Step::SyncFolder(folder.to_owned()));
    File::open(folder)?.sync_all()
}

/// The path with one more ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
