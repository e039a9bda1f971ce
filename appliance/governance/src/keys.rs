//! Keys: the master key, the keyring of data keys that it wraps, and what may be done with both.
//!
//! ```text
//! credential, or file     the master key            wraps; never encrypts data itself
//! store/keyring           data keys, wrapped        one per tenant and purpose; versioned, under a MAC
//! recovery bundle         data keys, sealed         under a key that only some holders of shares have together
//! ```
//!
//! A data key is random, is unwrapped when its database is first opened, stays on a locked page while it is in use, and is
//! zeroed after. Each unwrap, and each change of the keyring, is a record of the audit log (`use_key`, `manage_keys`).
//!
//! # Why
//! - **Wrapped keys, not derived ones**: a key that can be worked out from the master key cannot be destroyed.
//! - **Rotating the master key wraps the data keys anew** and touches no database, so that it takes a moment and works
//!   beside a running server. A tenant's data key changes only when asked for by name; its database is then encrypted
//!   anew, which needs the server stopped.
//! - **While the master key changes, the keyring opens with both**, the old and the new one. Whichever of the two a crash
//!   leaves in place, it opens.
//! - **A number counts the keyring's changes, and the accounts' database holds the newest**: a keyring of an earlier day,
//!   in which a destroyed tenant still had its key, is refused.
//! - **PKCS#11 has its seam at [`MasterKey`]**: nothing else holds the secret, and what is asked of it is to wrap, to
//!   unwrap and to authenticate, which a token does inside (`CKM_AES_GCM`, `CKM_SHA256_HMAC`).

use std::path::PathBuf;

mod bundle;
mod file;
mod master;
mod name;
mod ring;
mod seal;
mod secret;
mod shamir;

pub(crate) use bundle::open as open_bundle;
pub use bundle::{Bundle, BundleError, BundleLabel, label_of};
pub(crate) use bundle::{Named, listed};
pub(crate) use file::{beside, locked, put_in_place, sync_folder_of};
pub(crate) use master::derive_salted;
pub use master::{CREDENTIAL, Custody, MasterKey};
pub use name::{KeyName, KeyPurpose, NotAKeyName};
pub use ring::{BundleState, KeyState, KeyringError, KeyringState};
pub(crate) use ring::{Keyring, RingFile};
pub(crate) use secret::{DataKey, Secret};

/// Length of the master key and of every data key, in bytes.
pub const KEY_BYTES: usize = 32;

/// What kind of key `bytes` are, if they are one as this program writes them: nothing that may lie in a backup.
pub(crate) fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii();
    if text.len() == 2 * KEY_BYTES && text.iter().all(u8::is_ascii_hexdigit) {
        Some("a master key")
    } else {
        bundle::kind_of(text).or_else(|| ring::is_keyring(text).then_some("a keyring"))
    }
}

/// Why a master key could not be had. No variant holds any part of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no key file.
    #[error(
        "there is no master key at {path}: make a new site with `cloister init`, or restore it from your recovery copy"
    )]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file is readable by more than its owner.
    #[error(
        "the master key at {path} has mode {mode:04o}, so that others may read it: run `chmod 0600` on it, and replace it if anyone else could have"
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to someone else.
    #[error(
        "the master key at {path} belongs to user {owner}, not to the user {me} that runs this program: run `chown` on it"
    )]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
        /// The user id of this process.
        me: u32,
    },
    /// The file is not a key.
    #[error("{path} does not hold a master key (64 hexadecimal digits): restore it from your recovery copy")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("the master key at {path} cannot be {doing}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}
