//! Memory for one key.

use std::sync::Arc;

use cloister_terms::Random;
use zeroize::{Zeroize, Zeroizing};

use super::KEY_BYTES;

/// A key on a memory page of its own: locked, so that it is never swapped out, and zeroed when dropped. It never prints.
///
/// Where the system refuses the lock (`RLIMIT_MEMLOCK`), the key works all the same and [`Secret::is_locked`] says no: the
/// unit forbids swap as well, and `cloister key status` shows it.
pub(crate) struct Secret {
    page: Box<Page>,
    lock: Option<region::LockGuard>,
}

/// The alignment rounds its size up to one page, so that no lock of another key's covers it.
#[repr(align(4096))]
struct Page([u8; KEY_BYTES]);

impl Secret {
    /// A key that `write` fills in, in its final place.
    pub(crate) fn written<E>(write: impl FnOnce(&mut [u8; KEY_BYTES]) -> Result<(), E>) -> Result<Self, E> {
        let page = Box::new(Page([0; KEY_BYTES]));
        // The guard keeps the address: a box does not move what it holds.
        let lock = region::lock(std::ptr::from_ref(page.as_ref()).cast::<u8>(), size_of::<Page>()).ok();
        let mut secret = Self { page, lock };
        write(&mut secret.page.0)?;
        Ok(secret)
    }

    /// A new random key.
    pub(crate) fn random(random: &dyn Random) -> Self {
        let filled = Self::written(|bytes| {
            random.fill(bytes);
            Ok::<(), std::convert::Infallible>(())
        });
        match filled {
            Ok(secret) => secret,
            Err(never) => match never {},
        }
    }

    /// The key of these bytes. None if they are not [`KEY_BYTES`].
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let copied = Self::written(|key| {
            <[u8; KEY_BYTES]>::try_from(bytes).map(|mut bytes| {
                key.copy_from_slice(&bytes);
                bytes.zeroize();
            })
        });
        copied.ok()
    }

    pub(crate) const fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.page.0
    }

    /// Whether the system keeps its page in memory.
    pub(crate) const fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Before the lock goes.
        self.page.0.zeroize();
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// The key of one tenant for one purpose. Clones share its page.
#[derive(Clone, Debug)]
pub(crate) struct DataKey(Arc<Secret>);

impl DataKey {
    pub(crate) fn new(secret: Secret) -> Self {
        Self(Arc::new(secret))
    }

    pub(crate) fn secret(&self) -> &Secret {
        &self.0
    }

    /// The key as hexadecimal digits, as SQLCipher takes it.
    pub(crate) fn digits(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_key_lies_on_a_page_of_its_own_and_never_prints() {
        let (a, b) = (Secret::random(&Seeded::new(1)), Secret::random(&Seeded::new(2)));
        for secret in [&a, &b] {
            assert_eq!(std::ptr::from_ref(secret.bytes()) as usize % 4096, 0);
        }
        assert_eq!(size_of::<Page>(), 4096);
        assert_eq!(format!("{:?} {:?}", a, DataKey::new(b)), "[secret] DataKey([secret])");
    }

    #[test]
    fn only_bytes_of_a_keys_length_are_a_key() {
        assert_eq!(Secret::of(&[7; KEY_BYTES]).unwrap().bytes(), &[7; KEY_BYTES]);
        assert!(Secret::of(&[7; KEY_BYTES - 1]).is_none() && Secret::of(&[]).is_none());
    }
}
