//! What the tests of this crate share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use cloister_terms::{FixedClock, Random};

use crate::{keys::MasterKey, store::Store};

/// Repeatable random bytes (SplitMix64; Steele, Lea and Flood 2014).
pub(crate) struct Seeded(AtomicU64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = ((z ^ (z >> 31)) & 0xFF) as u8;
        }
    }
}

/// A store in a folder that goes when the value does.
pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let key = MasterKey::load_or_create(&folder.path().join("master.key"), &Seeded::new(7)).unwrap();
    let store = Store::open(&folder.path().join("data"), key, Arc::new(Seeded::new(8))).unwrap();
    (folder, store)
}

/// A clock at the start of 2026.
pub(crate) fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::at("2026-01-01T00:00:00Z".parse().unwrap()))
}
