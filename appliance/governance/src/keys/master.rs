//! The master key.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::{hkdf, hmac};
use cloister_terms::Random;
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use zeroize::Zeroizing;

use super::{
    KEY_BYTES, KeyError, Secret, file,
    seal::{self, Unsealable},
};

/// The name of the systemd credential that holds the master key.
pub const CREDENTIAL: &str = "cloister.master-key";

/// Separates keys derived by this version of Cloister from any other use of the same master key.
const DERIVATION: &[u8] = b"cloister derived key, version 1";

/// Where a master key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Custody {
    /// In a credential that systemd unsealed for this service.
    Credential(PathBuf),
    /// In a file of mode 0600: for trying, not for patients' data.
    File(PathBuf),
}

impl Custody {
    /// The file it is read from.
    pub fn path(&self) -> &Path {
        match self {
            Self::Credential(path) | Self::File(path) => path,
        }
    }

    /// The word that lists and records use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Credential(_) => "credential",
            Self::File(_) => "file",
        }
    }
}

/// The key that wraps every data key of the site. Cheap to clone; locked and zeroed memory; never printed.
///
/// It is read from a systemd credential, or from a file of mode 0600: 64 hexadecimal digits, or in a credential 32 bytes.
#[derive(Clone)]
pub struct MasterKey(Arc<Inner>);

struct Inner {
    secret: Secret,
    wrapping: Secret,
    id: String,
    custody: Custody,
}

impl MasterKey {
    /// The key of the site: the credential [`CREDENTIAL`] in the folder `credentials`, which systemd names in
    /// `$CREDENTIALS_DIRECTORY`, or `file` where there is no such credential.
    pub fn of_site(credentials: Option<&Path>, file: &Path) -> Result<Self, KeyError> {
        match credentials.map(|folder| folder.join(CREDENTIAL)) {
            Some(credential) if credential.exists() => Self::read(Custody::Credential(credential)),
            _ => Self::load(file),
        }
    }

    /// Reads the key at `path`. Refuses a file that others may read, that another user owns, or that is a link.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::read(Custody::File(path.to_owned()))
    }

    /// Reads the key again from where it is kept: another process may have replaced it.
    pub(crate) fn reload(&self) -> Result<Self, KeyError> {
        Self::read(self.custody().clone())
    }

    fn read(custody: Custody) -> Result<Self, KeyError> {
        let path = custody.path().to_owned();
        let read = |source| KeyError::Io { path: path.clone(), doing: "read", source };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(KeyError::Missing { path }),
            Err(errno) => return Err(read(errno.into())),
        };
        let stat = rustix::fs::fstat(&fd).map_err(|errno| read(errno.into()))?;
        let me = rustix::process::geteuid().as_raw();
        let (mode, credential) = (stat.st_mode & 0o7777, matches!(custody, Custody::Credential(_)));
        // systemd gives a credential to the unit's user by ownership, or leaves it root's with an access list, whose mask
        // then shows as the group's bits.
        if stat.st_uid != me && !(credential && stat.st_uid == 0) {
            return Err(KeyError::OtherOwner { path, owner: stat.st_uid, me });
        }
        if mode & if credential { 0o137 } else { 0o177 } != 0 {
            return Err(KeyError::TooOpen { path, mode });
        }
        let mut text = Zeroizing::new(Vec::with_capacity(4096));
        File::from(fd).take(4096).read_to_end(&mut text).map_err(read)?;
        let secret = match Secret::of(&text) {
            Some(secret) if credential => secret,
            _ => Secret::written(|key| hex::decode_to_slice(text.trim_ascii(), key.as_mut_slice()))
                .map_err(|_| KeyError::Malformed { path })?,
        };
        Ok(Self::of(secret, custody))
    }

    /// Reads the key at `path`, or makes one there if there is none. The folder must exist.
    ///
    /// The file appears whole or not at all, and of two processes that create it at once both read the one that won.
    pub fn load_or_create(path: &Path, random: &dyn Random) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Missing { .. }) => {}
            other => return other,
        }
        let key = Self::of(Secret::random(random), Custody::File(path.to_owned()));
        file::create(path, key.text().as_bytes()).map_err(|source| KeyError::Io {
            path: path.to_owned(),
            doing: "written",
            source,
        })?;
        Self::load(path)
    }

    /// A new key that is to take the place of this one, not yet written anywhere.
    pub(crate) fn successor(&self, random: &dyn Random) -> Self {
        Self::of(Secret::random(random), self.custody().clone())
    }

    fn of(secret: Secret, custody: Custody) -> Self {
        let wrapping = derive(&secret, "wrap data keys");
        let id = derive(&secret, "key id").bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self(Arc::new(Inner { secret, wrapping, id, custody }))
    }

    /// Names the key in lists, records and backups: 16 hexadecimal digits, worked out from it and telling nothing of it.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Where it is kept.
    pub fn custody(&self) -> &Custody {
        &self.0.custody
    }

    /// Whether the system keeps it from being swapped out.
    pub fn is_locked(&self) -> bool {
        self.0.secret.is_locked() && self.0.wrapping.is_locked()
    }

    /// As it stands in its file.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        text.push_str(&Zeroizing::new(hex::encode(self.0.secret.bytes())));
        text.push('\n');
        text
    }

    /// A data key, wrapped and bound to `context`.
    pub(crate) fn wrap(&self, key: &Secret, context: &[u8], random: &dyn Random) -> Result<Vec<u8>, Unsealable> {
        seal::seal(&self.0.wrapping, context, key.bytes(), random)
    }

    /// The data key that was wrapped for the same context.
    pub(crate) fn unwrap(&self, wrapped: &[u8], context: &[u8]) -> Result<Secret, Unsealable> {
        Secret::of(&seal::open(&self.0.wrapping, context, wrapped)?).ok_or(Unsealable)
    }

    /// HMAC-SHA256 over `bytes`, as hexadecimal digits.
    pub(crate) fn authenticate(&self, bytes: &[u8]) -> String {
        hex::encode(hmac::sign(&self.authenticator(), bytes))
    }

    /// Whether `mac` is what [`MasterKey::authenticate`] gives for `bytes`.
    pub(crate) fn authentic(&self, bytes: &[u8], mac: &str) -> bool {
        // Digits of the other case would be another text that says the same.
        let digits = mac.bytes().all(|digit| digit.is_ascii_digit() || digit.is_ascii_lowercase());
        digits && hex::decode(mac).is_ok_and(|mac| hmac::verify(&self.authenticator(), bytes, &mac).is_ok())
    }

    fn authenticator(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, derive(&self.0.secret, "authenticate the keyring").bytes())
    }

    /// The key for a named purpose that earlier releases derived and kept nowhere.
    pub(crate) fn derive(&self, purpose: &str) -> Secret {
        derive(&self.0.secret, purpose)
    }

    #[cfg(test)]
    pub(crate) fn secret(&self) -> &Secret {
        &self.0.secret
    }
}

/// HKDF-SHA256 (RFC 5869), so that no derived key tells anything of another or of the master key.
fn derive(secret: &Secret, purpose: &str) -> Secret {
    derive_salted(secret, DERIVATION, purpose)
}

/// The same with a salt of the caller's, for one key per use.
pub(crate) fn derive_salted(secret: &Secret, salt: &[u8], purpose: &str) -> Secret {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            KEY_BYTES
        }
    }
    let derived = Secret::written(|key| {
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(secret.bytes())
            .expand(&[purpose.as_bytes()], Length)
            .and_then(|okm| okm.fill(key))
    });
    // INVARIANT (derivation cannot fail): HKDF fails only when asked for more than 255 digests of output or a buffer of
    // another length than asked; both lengths are KEY_BYTES. Were it to fail, no key at all must be used.
    let Ok(derived) = derived else { std::process::abort() };
    derived
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.0.id).finish_non_exhaustive()
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
        assert_eq!(made.secret().bytes(), again.secret().bytes(), "a second call must read, not replace");
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
        assert_eq!(key.derive("database/a").bytes(), key.derive("database/a").bytes());
        assert_ne!(key.derive("database/a").bytes(), key.derive("database/b").bytes());
        assert!(format!("{key:?}").starts_with("MasterKey { id: "), "{key:?}");
        assert!(!format!("{key:?}").contains(&hex::encode(key.secret().bytes())));
    }

    #[test]
    fn a_credential_is_read_as_digits_or_as_bytes_and_goes_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        MasterKey::load_or_create(&file, &Seeded::new(1)).unwrap();
        let credentials = folder.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        let found = MasterKey::of_site(Some(&credentials), &file).unwrap();
        assert_eq!(found.custody(), &Custody::File(file.clone()), "no credential of that name: the file");
        let credential = credentials.join(CREDENTIAL);
        std::fs::write(&credential, [9; KEY_BYTES]).unwrap();
        // With an access list, as systemd makes it for the user of a unit, the list's mask shows as the group's bits.
        std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o440)).unwrap();
        let raw = MasterKey::of_site(Some(&credentials), &file).unwrap();
        assert_eq!(raw.custody(), &Custody::Credential(credential.clone()));
        std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&credential, hex::encode([9; KEY_BYTES])).unwrap();
        let digits = MasterKey::of_site(Some(&credentials), &file).unwrap();
        assert_eq!(raw.id(), digits.id());
        std::fs::write(&credential, [9; KEY_BYTES - 1]).unwrap();
        assert!(matches!(MasterKey::of_site(Some(&credentials), &file), Err(KeyError::Malformed { .. })));
        std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(MasterKey::of_site(Some(&credentials), &file), Err(KeyError::TooOpen { .. })));
    }
}
