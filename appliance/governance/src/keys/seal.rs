//! AES-256-GCM (NIST SP 800-38D) with what the bytes are bound to.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use cloister_terms::Random;
use zeroize::Zeroizing;

use super::Secret;

/// Bytes that do not open: another key, another place, or altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes do not open with this key, or are altered")]
pub(crate) struct Unsealable;

fn cipher(key: &Secret) -> Result<LessSafeKey, Unsealable> {
    UnboundKey::new(&AES_256_GCM, key.bytes()).map(LessSafeKey::new).map_err(|_| Unsealable)
}

/// `plain` sealed and bound to `context`: a random nonce of 12 bytes, the ciphertext, a tag of 16 bytes.
///
/// Random nonces are safe for up to 2^32 messages under one key (SP 800-38D, 8.3); a key here seals some thousands.
pub(crate) fn seal(key: &Secret, context: &[u8], plain: &[u8], random: &dyn Random) -> Result<Vec<u8>, Unsealable> {
    let mut nonce = [0; NONCE_LEN];
    random.fill(&mut nonce);
    let mut body = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
    body.extend_from_slice(plain);
    cipher(key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
        .map_err(|_| Unsealable)?;
    Ok([nonce.as_slice(), body.as_slice()].concat())
}

/// What [`seal`] sealed under the same key and context.
pub(crate) fn open(key: &Secret, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Unsealable)?;
    let mut body = Zeroizing::new(body.to_vec());
    let plain = cipher(key)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context), body.as_mut_slice())
        .map_err(|_| Unsealable)?
        .len();
    body.truncate(plain);
    Ok(body)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    proptest! {
        #[test]
        fn what_was_sealed_opens_in_its_place_and_nowhere_else(
            plain in proptest::collection::vec(any::<u8>(), 0..200), context in "[a-z/]{0,20}", seed: u64,
        ) {
            let random = Seeded::new(seed);
            let (key, other) = (Secret::random(&random), Secret::random(&random));
            let sealed = seal(&key, context.as_bytes(), &plain, &random).unwrap();
            let opened = open(&key, context.as_bytes(), &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
            prop_assert!(open(&other, context.as_bytes(), &sealed).is_err());
            let elsewhere = format!("{context}x");
            prop_assert!(open(&key, elsewhere.as_bytes(), &sealed).is_err());
        }

        #[test]
        fn no_flipped_bit_and_no_cut_is_overlooked(plain in proptest::collection::vec(any::<u8>(), 0..40), seed: u64) {
            let key = Secret::random(&Seeded::new(seed));
            let sealed = seal(&key, b"place", &plain, &Seeded::new(seed ^ 1)).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut altered = sealed.clone();
                altered[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(open(&key, b"place", &altered).is_err());
            }
            for length in 0..sealed.len() {
                prop_assert!(open(&key, b"place", &sealed[..length]).is_err());
            }
        }
    }
}
