//! The master key and what is derived from it.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use aws_lc_rs::hkdf;
use cloister_terms::Random;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use zeroize::Zeroizing;

/// Length of the master key and of every key derived from it, in bytes.
pub const KEY_BYTES: usize = 32;

/// Separates keys derived by this version of Cloister from any other use of the same master key.
const DERIVATION: &[u8] = b"cloister derived key, version 1";

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

/// The key from which every other key of the site is derived. Zeroed in memory when dropped; never printed.
///
/// It lives in a file of mode 0600 as 64 hexadecimal digits. Later key work replaces the file by a sealed credential and
/// the derived keys by wrapped ones; callers only ever see `DataKey`s by name.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// Reads the key at `path`. Refuses a file that others may read, that another user owns, or that is a link.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let read = |source| KeyError::Io { path: path.to_owned(), doing: "read", source };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(KeyError::Missing { path: path.to_owned() }),
            Err(errno) => return Err(read(errno.into())),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| read(errno.into()))?;
        let me = rustix::process::geteuid().as_raw();
        if stat.st_uid != me {
            return Err(KeyError::OtherOwner { path: path.to_owned(), owner: stat.st_uid, me });
        }
        let mode = stat.st_mode & 0o7777;
        if mode & 0o177 != 0 {
            return Err(KeyError::TooOpen { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + 2));
        File::from(fd).take(4096).read_to_end(&mut text).map_err(read)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text.trim_ascii(), key.as_mut_slice())
            .map_err(|_| KeyError::Malformed { path: path.to_owned() })?;
        Ok(Self(key))
    }

    /// Reads the key at `path`, or makes one there if there is none. The folder must exist.
    ///
    /// The file appears whole or not at all: it is written under another name, synced, then linked into place, and of two
    /// processes that create it at once both read the one that won.
    pub fn load_or_create(path: &Path, random: &dyn Random) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Missing { .. }) => {}
            other => return other,
        }
        let write = |source| KeyError::Io { path: path.to_owned(), doing: "written", source };
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random.fill(key.as_mut_slice());
        let mut text = Zeroizing::new([0; 2 * KEY_BYTES + 1]);
        if let Some((digits, end)) = text.split_at_mut_checked(2 * KEY_BYTES) {
            hex::encode_to_slice(key.as_slice(), digits).map_err(|e| write(std::io::Error::other(e)))?;
            end.fill(b'\n');
        }
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}.new", std::process::id()));
        let fresh = PathBuf::from(fresh);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let written = rustix::fs::open(&fresh, flags, Mode::RUSR | Mode::WUSR)
            .map_err(std::io::Error::from)
            .and_then(|fd| {
                let mut file = File::from(fd);
                file.write_all(text.as_slice())?;
                file.sync_all()
            })
            .and_then(|()| match rustix::fs::link(&fresh, path) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno.into()),
            });
        let removed = std::fs::remove_file(&fresh);
        written.and(removed).map_err(write)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(write)?;
        }
        Self::load(path)
    }

    /// The key for one named purpose, `database/fleet` for example. HKDF-SHA256 (RFC 5869), so that no derived key tells
    /// anything of another or of the master key.
    pub(crate) fn derive(&self, purpose: &str) -> DataKey {
        struct Length;
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                KEY_BYTES
            }
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, DERIVATION)
            .extract(self.0.as_slice())
            .expand(&[purpose.as_bytes()], Length)
            .and_then(|okm| okm.fill(key.as_mut_slice()));
        // INVARIANT (derivation cannot fail): HKDF fails only when asked for more than 255 digests of output or a buffer
        // of another length than asked; both lengths are KEY_BYTES. Were it to fail, an all-zero key must never be used.
        assert!(derived.is_ok(), "key derivation failed");
        DataKey(key)
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey([secret])")
    }
}

/// A key for one purpose, zeroed when dropped.
pub(crate) struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// The key as hexadecimal digits, as SQLCipher takes it.
    pub(crate) fn digits(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_new_key_is_readable_by_its_owner_alone_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = MasterKey::load_or_create(&path, &Seeded::new(1)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let again = MasterKey::load_or_create(&path, &Seeded::new(2)).unwrap();
        assert_eq!(made.0, again.0, "a second call must read, not replace");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no half-made file may stay behind");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::load_or_create(&path, &Seeded::new(1)).unwrap();
        for mode in [0o640, 0o604, 0o700, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(MasterKey::load(&path), Err(KeyError::TooOpen { .. })), "{mode:o}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert!(MasterKey::load(&path).is_ok(), "read-only for the owner is narrower, and fine");
    }

    #[test]
    fn a_link_to_a_key_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::load_or_create(&path, &Seeded::new(1)).unwrap();
        let link = folder.path().join("link.key");
        symlink(&path, &link).unwrap();
        assert!(matches!(MasterKey::load(&link), Err(KeyError::Io { .. })));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(&path, "hunter2").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let error = MasterKey::load(&path).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn each_purpose_has_its_own_key_and_none_prints() {
        let folder = tempfile::tempdir().unwrap();
        let key = MasterKey::load_or_create(&folder.path().join("k"), &Seeded::new(1)).unwrap();
        assert_eq!(*key.derive("database/a").digits(), *key.derive("database/a").digits());
        assert_ne!(*key.derive("database/a").digits(), *key.derive("database/b").digits());
        assert_eq!(format!("{key:?}"), "MasterKey([secret])");
    }
}
