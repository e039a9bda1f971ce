//! For tests: what was asked of the disk, in order, so that a power loss at any moment of it can be played.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

/// One thing that was asked of the disk.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A file was made, or cut to nothing, and written.
    Write(PathBuf, Vec<u8>),
    /// A file's content was synced.
    Sync(PathBuf),
    /// A file took another's name.
    Rename(PathBuf, PathBuf),
    /// The names in a folder were synced.
    SyncFolder(PathBuf),
}

thread_local! {
    static STEPS: RefCell<Option<Vec<Step>>> = const { RefCell::new(None) };
}

pub(super) fn note(step: impl FnOnce() -> Step) {
    STEPS.with_borrow_mut(|steps| {
        if let Some(steps) = steps {
            steps.push(step());
        }
    });
}

pub(super) fn write(path: &Path, bytes: &[u8]) {
    note(|| Step::Write(path.to_owned(), bytes.to_vec()));
}

/// What `work` asks of the disk on this thread.
pub(crate) fn during(work: impl FnOnce()) -> Vec<Step> {
    STEPS.set(Some(Vec::new()));
    work();
    STEPS.take().unwrap_or_default()
}
