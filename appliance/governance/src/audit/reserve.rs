//! Room that is kept for the log when the disk is full.
//!
//! A file of some megabytes lies beside the database and holds nothing. When a record cannot be written because the disk is
//! full, the file goes and the record is written in its place: outcomes of what is being done find room, and new work is
//! refused until there is enough room again to put the file back.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cloister_terms::Clock;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{FallocateFlags, Mode, OFlags};

/// Room for the outcomes of all entries that may be open, several times over: a record is about a kilobyte, its page and
/// its frame in the write-ahead log four each.
const BYTES: u64 = 16 << 20;

/// How often at most it is tried to put the file back.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
const STEP: SignedDuration = SignedDuration::from_secs(1);

/// The file, and whether the disk is full.
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    full: AtomicBool,
    tried: Mutex<Option<Timestamp>>,
    clock: Arc<dyn Clock>,
}

impl Reserve {
    /// The reserve beside the database at `database`. The disk is full if it cannot be made.
    pub(super) fn beside(database: &Path, clock: Arc<dyn Clock>) -> Self {
        Self::of(database.with_extension("reserve"), BYTES, clock)
    }

    fn of(path: PathBuf, bytes: u64, clock: Arc<dyn Clock>) -> Self {
        let reserve = Self { path, bytes, full: AtomicBool::new(false), tried: Mutex::default(), clock };
        reserve.full.store(reserve.keep().is_err(), Ordering::Release);
        reserve
    }

    /// Whether new work is to be refused. Tries now and then to put the file back.
    pub(super) fn is_spent(&self) -> bool {
        if !self.full.load(Ordering::Acquire) {
            return false;
        }
        let now = self.clock.now();
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back must not keep work from being taken for as long.
        let due = |at: Timestamp| now < at || now.duration_since(at) >= STEP;
        if tried.is_none_or(due) {
            *tried = Some(now);
            if self.keep().is_ok() {
                self.full.store(false, Ordering::Release);
                tracing::info!("the disk has room again, and work is taken");
            }
        }
        self.full.load(Ordering::Acquire)
    }

    /// Gives the room to the log. Whether there was any.
    pub(super) fn release(&self) -> bool {
        self.full.store(true, Ordering::Release);
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clock.now());
        let released = std::fs::remove_file(&self.path).is_ok();
        if released {
            tracing::error!("the disk is full: what is being done is still recorded, and new work is refused");
        }
        released
    }

    fn keep(&self) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&self.path, flags, Mode::RUSR | Mode::WUSR)?);
        if file.metadata()?.len() >= self.bytes {
            return Ok(());
        }
        let kept = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.bytes);
        if kept.is_err() {
            // Part of a reserve would look like one.
            let _nothing_is_kept = std::fs::remove_file(&self.path);
        }
        Ok(kept?)
    }
}

/// Whether a write failed because the disk is full.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::clock;

    #[test]
    fn the_room_is_really_taken_and_given_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.reserve");
        let clock = clock();
        let reserve = Reserve::of(path.clone(), 1 << 20, clock.clone());
        assert!(!reserve.is_spent());
        let blocks = std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap());
        assert!(blocks * 512 >= 1 << 20, "a file with a hole keeps no room: {blocks} blocks");
        assert!(reserve.release());
        assert!(!path.exists());
        assert!(!reserve.release(), "what is spent is spent");
        clock.advance(STEP - SignedDuration::from_millis(1));
        assert!(reserve.is_spent(), "it is not put back at once");
        clock.advance(SignedDuration::from_millis(1));
        assert!(!reserve.is_spent(), "there is room, so it is put back");
        assert!(path.exists());
        assert!(reserve.release());
        clock.advance(SignedDuration::from_hours(-1));
        assert!(!reserve.is_spent(), "a clock that is put back does not keep it away");
    }

    #[test]
    fn a_disk_without_room_for_it_is_full_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(folder.path().join("audit.reserve"), u64::MAX >> 2, clock());
        assert!(reserve.is_spent());
        assert!(!folder.path().join("audit.reserve").exists());
    }
}
