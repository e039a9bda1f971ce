//! The recovery bundle: every data key of the site, sealed under a key that no machine holds.
//!
//! ```text
//! cloister recovery bundle 1
//! {"bundle":"9f...","generation":7,"threshold":3,"shares":5,"keys":["site/audit 1", ...]}
//! the sealed keys, in hexadecimal digits
//! ```
//!
//! The key is split into shares for as many people; some number of them together give it back. Neither master key nor TPM
//! takes part, so that a bundle and its shares bring a site back on another machine. Beside a backup it opens all that was
//! in it; without one it opens nothing. Where a data key is destroyed, bundles that hold it are to be shredded.

use std::collections::BTreeSet;

use aws_lc_rs::digest;
use cloister_terms::Random;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{KEY_BYTES, KeyName, Secret, seal, shamir};

const FIRST_LINE: &str = "cloister recovery bundle 1";
const SHARE: &str = "cloister-share-1";

/// Why a bundle or its shares could not be used. No variant holds any part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// The numbers make no sense.
    #[error(
        "of {shares} shares {threshold} are to be enough: name at least 2, and at most as many as there are, up to 255"
    )]
    Numbers {
        /// How many are to be enough.
        threshold: u8,
        /// How many there are.
        shares: u8,
    },
    /// The file is no bundle.
    #[error("this is no recovery bundle, or it was altered")]
    NoBundle,
    /// The text is no share.
    #[error("share {0} is not as it was written: look for a digit that was copied wrongly")]
    NoShare(usize),
    /// The share belongs to another bundle.
    #[error("share {number} belongs to the bundle {theirs}, and this is the bundle {ours}")]
    OtherBundle {
        /// Which one in the order given.
        number: usize,
        /// Its bundle.
        theirs: String,
        /// The bundle that is to be opened.
        ours: String,
    },
    /// There are too few different ones.
    #[error("{found} different shares were given, and {needed} are needed")]
    TooFew {
        /// How many were given.
        found: usize,
        /// How many are needed.
        needed: u8,
    },
    /// Enough shares, and still it does not open.
    #[error("the bundle does not open with these shares: one of them is wrong, or the bundle was altered")]
    DoesNotOpen,
}

/// What stands on a bundle in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleLabel {
    /// Names the bundle: 16 hexadecimal digits.
    pub bundle: String,
    /// How often the keyring had been changed when it was made.
    pub generation: u64,
    /// How many shares open it.
    pub threshold: u8,
    /// How many shares there are.
    pub shares: u8,
    /// The keys it holds, each with its version.
    pub keys: BTreeSet<String>,
}

/// A bundle that was just made: a file for wherever backups are kept, and a line for each holder of a share.
pub struct Bundle {
    /// What stands on it.
    pub label: BundleLabel,
    /// The file.
    pub file: String,
    /// The shares, one line each.
    pub shares: Vec<Zeroizing<String>>,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("label", &self.label).finish_non_exhaustive()
    }
}

/// A data key on its way into or out of a bundle.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Held {
    name: KeyName,
    version: u32,
    key: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// A data key with its name and version.
pub(crate) type Named = (KeyName, u32, Secret);

/// Whether `text` is a bundle or a share of one.
pub(super) fn kind_of(text: &[u8]) -> Option<&'static str> {
    if text.starts_with(FIRST_LINE.as_bytes()) {
        Some("a recovery bundle")
    } else {
        text.starts_with(SHARE.as_bytes()).then_some("a share of a recovery bundle")
    }
}

/// How a key of a bundle is listed.
pub(crate) fn listed(name: &KeyName, version: u32) -> String {
    format!("{name} {version}")
}

/// Seals `keys` under a new key, and splits it.
pub(crate) fn make(
    keys: &[Named],
    generation: u64,
    (threshold, shares): (u8, u8),
    random: &dyn Random,
) -> Result<Bundle, BundleError> {
    let numbers = || BundleError::Numbers { threshold, shares };
    if threshold < 2 {
        return Err(numbers());
    }
    let recovery = Secret::random(random);
    let split = shamir::split(&recovery, threshold, shares, random).ok_or_else(numbers)?;
    let mut id = [0; 8];
    random.fill(&mut id);
    let keys_listed = keys.iter().map(|(name, version, _)| listed(name, *version)).collect();
    let label = BundleLabel { bundle: hex::encode(id), generation, threshold, shares, keys: keys_listed };
    let held: Vec<Held> = keys
        .iter()
        .map(|(name, version, key)| Held { name: name.clone(), version: *version, key: hex::encode(key.bytes()) })
        .collect();
    let plain = Zeroizing::new(serde_json::to_vec(&held).map_err(|_| BundleError::NoBundle)?);
    let head = format!("{FIRST_LINE}\n{}\n", serde_json::to_string(&label).map_err(|_| BundleError::NoBundle)?);
    let sealed = seal::seal(&recovery, head.as_bytes(), &plain, random).map_err(|_| BundleError::NoBundle)?;
    let shares = split.iter().map(|share| written(share, &label)).collect();
    Ok(Bundle { file: format!("{head}{}\n", hex::encode(sealed)), label, shares })
}

/// What stands on the bundle in `file`.
pub fn label_of(file: &str) -> Result<BundleLabel, BundleError> {
    let rest = file.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix('\n')).ok_or(BundleError::NoBundle)?;
    let (label, _) = rest.split_once('\n').ok_or(BundleError::NoBundle)?;
    serde_json::from_str(label).map_err(|_| BundleError::NoBundle)
}

/// The keys in the bundle `file`, which `shares` open.
pub(crate) fn open(file: &str, shares: &[Zeroizing<String>]) -> Result<(BundleLabel, Vec<Named>), BundleError> {
    let label = label_of(file)?;
    let (head, sealed) = file.trim_end().rsplit_once('\n').ok_or(BundleError::NoBundle)?;
    let mut read: Vec<shamir::Share> = Vec::new();
    for (number, text) in (1..).zip(shares) {
        let share = parsed(text, number, &label)?;
        if read.iter().all(|other| other.place != share.place) {
            read.push(share);
        }
    }
    if read.len() < usize::from(label.threshold) {
        return Err(BundleError::TooFew { found: read.len(), needed: label.threshold });
    }
    let recovery = shamir::combine(&read).ok_or(BundleError::DoesNotOpen)?;
    let sealed = hex::decode(sealed).map_err(|_| BundleError::NoBundle)?;
    let context = format!("{head}\n");
    let plain = seal::open(&recovery, context.as_bytes(), &sealed).map_err(|_| BundleError::DoesNotOpen)?;
    let held: Vec<Held> = serde_json::from_slice(&plain).map_err(|_| BundleError::DoesNotOpen)?;
    let keys = held.iter().map(|held| {
        let key = Secret::written(|key| hex::decode_to_slice(&held.key, key.as_mut_slice()));
        key.map(|key| (held.name.clone(), held.version, key)).map_err(|_| BundleError::DoesNotOpen)
    });
    Ok((label.clone(), keys.collect::<Result<_, _>>()?))
}

/// `cloister-share-1:BUNDLE:PLACE:VALUES:CHECK`. The check finds a digit that was copied wrongly; it is no secret's.
fn written(share: &shamir::Share, label: &BundleLabel) -> Zeroizing<String> {
    let values = Zeroizing::new(hex::encode(share.values.as_slice()));
    let mut text = Zeroizing::new(String::with_capacity(160));
    text.push_str(&format!("{SHARE}:{}:{}:", label.bundle, share.place));
    text.push_str(&values);
    let check = check(&text);
    text.push(':');
    text.push_str(&check);
    text
}

fn check(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn parsed(text: &str, number: usize, label: &BundleLabel) -> Result<shamir::Share, BundleError> {
    let no_share = || BundleError::NoShare(number);
    let (said, sum) = text.trim().rsplit_once(':').ok_or_else(no_share)?;
    let mut parts = said.split(':');
    let (Some(SHARE), Some(bundle), Some(place), Some(values), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(no_share());
    };
    if check(said) != sum {
        return Err(no_share());
    }
    if bundle != label.bundle {
        return Err(BundleError::OtherBundle { number, theirs: bundle.to_owned(), ours: label.bundle.clone() });
    }
    let place = place.parse().ok().filter(|place| *place > 0).ok_or_else(no_share)?;
    let mut share = shamir::Share { place, values: Zeroizing::new([0; KEY_BYTES]) };
    hex::decode_to_slice(values, share.values.as_mut_slice()).map_err(|_| no_share())?;
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::KeyPurpose, testing::Seeded};

    fn keys() -> Vec<Named> {
        let tenant = KeyName::tenant("larkfield".parse().unwrap(), KeyPurpose::Database);
        vec![
            (KeyName::site(KeyPurpose::Audit), 1, Secret::random(&Seeded::new(1))),
            (tenant, 4, Secret::random(&Seeded::new(2))),
        ]
    }

    fn bundle() -> Bundle {
        make(&keys(), 9, (3, 5), &Seeded::new(5)).unwrap()
    }

    #[test]
    fn any_three_of_five_open_it_and_two_do_not() {
        let bundle = bundle();
        for skipped in 0..5 {
            let mut shares = bundle.shares.clone();
            shares.remove(skipped);
            shares.remove(skipped % 4);
            let (label, opened) = open(&bundle.file, &shares).unwrap();
            assert_eq!(label, label_of(&bundle.file).unwrap());
            let expected = keys();
            for ((name, version, key), (n, v, k)) in opened.iter().zip(&expected) {
                assert_eq!((name, version, key.bytes()), (n, v, k.bytes()));
            }
            let twice = [shares[0].clone(), shares[1].clone(), shares[1].clone()];
            assert_eq!(open(&bundle.file, &twice).unwrap_err(), BundleError::TooFew { found: 2, needed: 3 });
        }
    }

    #[test]
    fn no_altered_character_of_the_file_is_overlooked_and_no_key_stands_in_it() {
        let bundle = bundle();
        let whole = bundle.file.trim_end();
        for place in 0..whole.len() {
            let mut altered = whole.as_bytes().to_vec();
            altered[place] ^= 1;
            let altered = String::from_utf8(altered).unwrap();
            // Hexadecimal digits in the other case are the same digits.
            assert!(open(&altered, &bundle.shares).is_err() || altered.eq_ignore_ascii_case(whole), "{place}");
        }
        for length in 0..whole.len() {
            assert!(open(&whole[..length], &bundle.shares).is_err(), "cut to {length}");
        }
        assert!(keys().iter().all(|(_, _, key)| !bundle.file.contains(&hex::encode(key.bytes()))));
    }

    #[test]
    fn a_share_that_was_copied_wrongly_or_belongs_elsewhere_is_named() {
        let (bundle, other) = (bundle(), make(&keys(), 9, (3, 5), &Seeded::new(6)).unwrap());
        let share = bundle.shares[1].as_str();
        for place in 0..share.len() {
            let mut wrong = share.as_bytes().to_vec();
            wrong[place] = if wrong[place] == b'0' { b'1' } else { b'0' };
            let wrong = Zeroizing::new(String::from_utf8(wrong).unwrap());
            let shares = [bundle.shares[0].clone(), wrong, bundle.shares[2].clone()];
            assert_eq!(open(&bundle.file, &shares).unwrap_err(), BundleError::NoShare(2), "{place}");
        }
        let shares = [bundle.shares[0].clone(), bundle.shares[1].clone(), other.shares[2].clone()];
        assert!(matches!(open(&bundle.file, &shares), Err(BundleError::OtherBundle { number: 3, .. })));
        assert!(!format!("{bundle:?}").contains(share));
    }

    #[test]
    fn a_single_share_is_never_enough() {
        for numbers in [(0, 3), (1, 3), (4, 3)] {
            assert!(matches!(make(&keys(), 1, numbers, &Seeded::new(1)), Err(BundleError::Numbers { .. })));
        }
    }
}
