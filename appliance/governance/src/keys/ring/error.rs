//! Why the keyring could not be used.

use std::path::PathBuf;

use super::super::{BundleError, KeyError, KeyName};

/// Why the keyring could not be used. No variant holds any part of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The master key.
    #[error(transparent)]
    Master(#[from] KeyError),
    /// There are databases and no keyring.
    #[error(
        "the keyring {path} is missing, and the databases beside it do not open without it: restore it from a recovery bundle"
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is not as it was written.
    #[error("the keyring {path} is damaged or was altered: restore it from a recovery bundle")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Another master key wraps its keys.
    #[error(
        "the keyring {path} is under the master key {theirs}, and this is the master key {mine}: bring the other one"
    )]
    OtherMaster {
        /// The file.
        path: PathBuf,
        /// The key that was brought.
        mine: String,
        /// The keys that would open it.
        theirs: String,
    },
    /// It was written by a later release.
    #[error("the keyring {path} has form {found}, and this program knows {known}: upgrade the program")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its form.
        found: u32,
        /// The form that this program knows.
        known: u32,
    },
    /// An earlier keyring was put in place of the newest.
    #[error(
        "the keyring {path} is of an earlier day (change {found}; the accounts' database knows of change {known}): put the newest one back"
    )]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// Its number.
        found: u64,
        /// The number it should at least have.
        known: u64,
    },
    /// A recovery bundle.
    #[error(transparent)]
    Bundle(BundleError),
    /// It holds no such key.
    #[error("the keyring holds no key {0}: it was destroyed, or the keyring is of another site")]
    NoKey(KeyName),
    /// A new master key waits to be put in place.
    #[error(
        "the master key {next} waits to be put in place of {mine}: put it there and start again, or run `cloister key rotate --abandon`"
    )]
    Waiting {
        /// The key that is to come.
        next: String,
        /// The key in use.
        mine: String,
    },
    /// The master key is not ours to write.
    #[error("the master key is a credential, which only the system can replace: name the new one with --to FILE")]
    NotOurs,
    /// The file could not be read or written.
    #[error("the keyring {path} cannot be {doing}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `written`, `locked`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
