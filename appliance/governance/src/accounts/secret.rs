//! The form of an API key.

use std::fmt;

use cloister_terms::Random;
use zeroize::Zeroizing;

use super::AccountId;

/// Says at a glance, to people and to secret scanners, whose key it is.
const PREFIX: &str = "clk_";
/// Letters of the public part: 71 bits, so that two accounts never share one by chance.
pub(super) const ID_LENGTH: usize = 12;
/// Letters of the secret part: 62^43 is just above 2^256.
const PROOF_LENGTH: usize = 43;
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An API key in full. Zeroed when dropped; prints as `clk_[secret]`.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn random(id: &AccountId, random: &dyn Random) -> Self {
        let proof = random_letters(random, PROOF_LENGTH);
        Self(Zeroizing::new(format!("{PREFIX}{id}_{}", proof.as_str())))
    }

    /// The key itself: to show its owner, once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clk_[secret]")
    }
}

/// The id and the secret part of a key that has the right form.
pub(super) fn parse(key: &str) -> Option<(&str, &str)> {
    let (id, proof) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (id.len() == ID_LENGTH && proof.len() == PROOF_LENGTH && letters(id) && letters(proof)).then_some((id, proof))
}

/// Letters and digits that follow from a digest, one for each byte.
pub(super) fn letters_of(digest: &[u8]) -> impl Iterator<Item = char> + '_ {
    digest.iter().filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len())).map(|letter| char::from(*letter))
}

/// `count` letters and digits, each as likely as any other.
pub(super) fn random_letters(random: &dyn Random, count: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(count));
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while text.len() < count {
        random.fill(bytes.as_mut_slice());
        // Six bits of each byte; 62 and 63 are thrown away, because folding them in would favour two letters.
        let letters = bytes.iter().filter_map(|byte| LETTERS.get(usize::from(byte & 63)));
        let missing = count - text.len();
        text.extend(letters.take(missing).map(|letter| char::from(*letter)));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    proptest! {
        #[test]
        fn a_key_reads_back_as_its_two_parts(seed: u64) {
            let random = Seeded::new(seed);
            let id = AccountId(random_letters(&random, ID_LENGTH).to_string());
            let secret = Secret::random(&id, &random);
            let (found, proof) = parse(secret.expose()).unwrap();
            prop_assert_eq!(found, id.as_str());
            prop_assert_eq!(proof.len(), PROOF_LENGTH);
        }

        #[test]
        fn what_is_no_key_is_refused_and_never_panics(text: String) {
            prop_assert!(parse(&text).is_none());
            let given = format!("{PREFIX}{text}");
            prop_assert!(parse(&given).is_none());
        }
    }

    #[test]
    fn every_letter_is_drawn_about_equally_often() {
        let text = random_letters(&Seeded::new(1), 62_000);
        for letter in LETTERS {
            let count = text.bytes().filter(|byte| byte == letter).count();
            // 1000 expected, standard deviation 32: six of them.
            assert!((800..1200).contains(&count), "{}: {count}", char::from(*letter));
        }
    }
}
