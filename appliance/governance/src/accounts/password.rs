//! Passwords under Argon2id.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time;
use cloister_terms::Random;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::AccountError;

/// Characters that a password has at least: the minimum of NIST SP 800-63B-4 for one that may stand alone.
pub(super) const SHORTEST: usize = 15;
/// Characters that a password has at most, well above the 64 that the same source asks to allow.
pub(super) const LONGEST: usize = 256;

/// Length of salt and hash in bytes: 128 and 256 bits, as RFC 9106, section 4 recommends.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// What hashing a password costs. Kept beside each hash, so that it can be raised without locking anybody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// Memory in KiB.
    pub(super) memory: u32,
    /// Passes over it.
    pub(super) passes: u32,
    /// Lanes that fill it.
    pub(super) lanes: u32,
}

/// RFC 9106, section 4, second recommended option: 64 MiB, 3 passes, 4 lanes. The first needs 2 GiB for each try.
const RECOMMENDED: Cost = Cost { memory: 64 * 1024, passes: 3, lanes: 4 };
/// What is used. The tests of this crate hash a hundred times and are about everything but the cost.
const COST: Cost = if cfg!(test) { Cost { memory: 256, ..RECOMMENDED } } else { RECOMMENDED };

/// A password as it is stored.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) salt: Vec<u8>,
    pub(super) hash: Vec<u8>,
    pub(super) cost: Cost,
}

impl Stored {
    /// Hashes a password for storing, with a salt of its own.
    pub(super) fn of(password: &str, random: &dyn Random) -> Result<Self, AccountError> {
        let mut salt = vec![0; SALT_BYTES];
        random.fill(&mut salt);
        let hash = derive(password, &salt, COST)?.to_vec();
        Ok(Self { salt, hash, cost: COST })
    }

    /// What is compared where there is no password: a hash that no password has been found for, at the usual cost.
    pub(super) fn decoy(random: &dyn Random) -> Self {
        let (mut salt, mut hash) = (vec![0; SALT_BYTES], vec![0; HASH_BYTES]);
        random.fill(&mut salt);
        random.fill(&mut hash);
        Self { salt, hash, cost: COST }
    }

    /// Whether this is the password. Takes as long for a wrong one as for the right one.
    pub(super) fn matches(&self, password: &str) -> Result<bool, AccountError> {
        let given = derive(password, &self.salt, self.cost)?;
        Ok(constant_time::verify_slices_are_equal(given.as_slice(), &self.hash).is_ok())
    }
}

/// What is wrong with a password that somebody wants to have, if anything. There are no rules about kinds of characters:
/// the source above forbids them.
pub(super) fn unsuitable(password: &str, name: &str) -> Option<&'static str> {
    let count = password.nfc().count();
    if count < SHORTEST {
        Some("a password has at least 15 characters: a few words make a good one")
    } else if count > LONGEST {
        Some("a password has at most 256 characters")
    } else if name.len() > 3 && password.to_lowercase().contains(name) {
        Some("a password does not contain the name that it is for")
    } else if password.chars().all(|character| password.starts_with(character)) {
        Some("a password is more than one character over and over")
    } else {
        None
    }
}

fn derive(password: &str, salt: &[u8], cost: Cost) -> Result<Zeroizing<[u8; HASH_BYTES]>, AccountError> {
    let failed = |_| AccountError::Hash("its cost or the machine's memory does not allow it");
    // The same characters typed on another keyboard may be other code points.
    let normal = Zeroizing::new(password.nfc().take(4 * LONGEST).collect::<String>());
    let parameters = Params::new(cost.memory, cost.passes, cost.lanes, Some(HASH_BYTES)).map_err(failed)?;
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into(normal.as_bytes(), salt, hash.as_mut_slice())
        .map_err(failed)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn a_password_matches_itself_however_its_accents_were_typed_and_nothing_else() {
        let stored = Stored::of("ein ganz langes Gerät", &Seeded::new(1)).unwrap();
        assert!(stored.matches("ein ganz langes Gerät").unwrap());
        assert!(stored.matches("ein ganz langes Gera\u{308}t").unwrap());
        assert!(!stored.matches("ein ganz langes Gerat").unwrap());
        assert!(!Stored::decoy(&Seeded::new(1)).matches("ein ganz langes Gerät").unwrap());
        assert_ne!(stored.hash, Stored::of("ein ganz langes Gerät", &Seeded::new(2)).unwrap().hash, "its own salt");
    }

    /// Argon2id's test vector of RFC 9106, section 5.3 needs a secret and associated data; this one is the reference
    /// implementation's (`test.c` of the Argon2 repository: version 0x13, m = 2^16, t = 2, p = 1).
    #[test]
    fn the_hash_is_argon2id() {
        let cost = Cost { memory: 65536, passes: 2, lanes: 1 };
        let hash = derive("password", b"somesalt", cost).unwrap();
        assert_eq!(hex::encode(hash.as_slice()), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }

    #[test]
    fn what_is_too_short_too_long_or_the_name_itself_is_no_password() {
        assert!(unsuitable("fourteen chars", "a.lopez").is_some());
        assert!(unsuitable(&"ab".repeat(200), "a.lopez").is_some());
        assert!(unsuitable("A.Lopez and more words", "a.lopez").is_some());
        assert!(unsuitable(&"a".repeat(20), "a.lopez").is_some());
        assert_eq!(unsuitable("fifteen letters", "a.lopez"), None);
    }
}
