//! A secret in shares, of which some number together give it back and fewer tell nothing of it.
//!
//! Shamir, "How to share a secret", CACM 22(11), 1979, byte by byte over GF(2^8) with the polynomial of AES,
//! x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2). No step branches on a secret or looks it up in a table.

use cloister_terms::Random;
use zeroize::Zeroizing;

use super::{KEY_BYTES, Secret};

/// One share: the place at which the polynomials were evaluated, 1 to 255, and their values there.
pub(super) struct Share {
    pub(super) place: u8,
    pub(super) values: Zeroizing<[u8; KEY_BYTES]>,
}

/// Multiplication in GF(2^8), the shift-and-add way without a branch.
const fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    let mut bit = 0;
    while bit < 8 {
        product ^= a & 0_u8.wrapping_sub(b & 1);
        let carry = 0_u8.wrapping_sub(a >> 7);
        a = (a << 1) ^ (carry & 0x1B);
        b >>= 1;
        bit += 1;
    }
    product
}

/// The inverse is the 254th power, because a^255 = 1 for every a but 0.
const fn invert(a: u8) -> u8 {
    let (mut power, mut result, mut step) = (a, 1, 0);
    while step < 7 {
        power = multiply(power, power);
        result = multiply(result, power);
        step += 1;
    }
    result
}

/// `secret` in `shares` shares, of which `threshold` give it back. None unless 1 <= threshold <= shares <= 255.
pub(super) fn split(secret: &Secret, threshold: u8, shares: u8, random: &dyn Random) -> Option<Vec<Share>> {
    if threshold == 0 || threshold > shares {
        return None;
    }
    let mut made: Vec<Share> =
        (1..=shares).map(|place| Share { place, values: Zeroizing::new([0; KEY_BYTES]) }).collect();
    // Horner's rule from the highest coefficient down to the secret, which is the value at 0.
    let mut coefficients = Zeroizing::new([0; KEY_BYTES]);
    for degree in (0..threshold).rev() {
        if degree == 0 {
            coefficients.copy_from_slice(secret.bytes());
        } else {
            random.fill(coefficients.as_mut_slice());
        }
        for share in &mut made {
            for (value, coefficient) in share.values.iter_mut().zip(coefficients.iter()) {
                *value = multiply(*value, share.place) ^ coefficient;
            }
        }
    }
    Some(made)
}

/// The secret that `shares` give, by Lagrange's interpolation at 0. None if a place is 0 or comes twice.
///
/// Fewer shares than the threshold, or a wrong one, give some other secret, which opens nothing.
pub(super) fn combine(shares: &[Share]) -> Option<Secret> {
    let twice = shares.iter().enumerate().any(|(i, a)| shares.iter().skip(i + 1).any(|b| a.place == b.place));
    if twice || shares.is_empty() || shares.iter().any(|share| share.place == 0) {
        return None;
    }
    let written = Secret::written(|secret| {
        for share in shares {
            let mut weight = 1;
            for other in shares.iter().filter(|other| other.place != share.place) {
                weight = multiply(weight, multiply(other.place, invert(other.place ^ share.place)));
            }
            for (byte, value) in secret.iter_mut().zip(share.values.iter()) {
                *byte ^= multiply(*value, weight);
            }
        }
        Ok::<(), ()>(())
    });
    written.ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    #[test]
    fn the_field_is_that_of_aes() {
        // FIPS 197, 4.2: {57} x {83} = {c1}, {57} x {13} = {fe}.
        assert_eq!((multiply(0x57, 0x83), multiply(0x57, 0x13)), (0xC1, 0xFE));
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
            for b in 0..=255 {
                assert_eq!(multiply(a, b), multiply(b, a));
                assert_eq!(multiply(a, b ^ 0x35), multiply(a, b) ^ multiply(a, 0x35));
            }
        }
    }

    fn copies(shares: &[Share], places: &[usize]) -> Vec<Share> {
        places.iter().map(|i| Share { place: shares[*i].place, values: shares[*i].values.clone() }).collect()
    }

    proptest! {
        #[test]
        fn any_enough_shares_give_the_secret_and_fewer_do_not(
            seed: u64, (threshold, shares) in (1_u8..=7).prop_flat_map(|t| (Just(t), t..=12)), order: u64,
        ) {
            let secret = Secret::random(&Seeded::new(seed));
            let made = split(&secret, threshold, shares, &Seeded::new(!seed)).unwrap();
            let mut places: Vec<usize> = (0..made.len()).collect();
            places.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(order | 1));
            let enough = &places[..usize::from(threshold)];
            let combined = combine(&copies(&made, enough)).unwrap();
            prop_assert_eq!(combined.bytes(), secret.bytes());
            let all = combine(&made).unwrap();
            prop_assert_eq!(all.bytes(), secret.bytes());
            if threshold > 1 {
                let fewer = combine(&copies(&made, &enough[1..])).unwrap();
                prop_assert_ne!(fewer.bytes(), secret.bytes());
            }
        }
    }

    /// With two of three, whatever one share says, every secret is still possible: there is a line through it and any point
    /// at 0, and exactly one for each.
    #[test]
    fn one_share_of_two_leaves_every_secret_equally_possible() {
        let (place, value) = (3, 0xA7);
        let mut slopes = std::collections::BTreeSet::new();
        for secret in 0..=255_u8 {
            let slope = multiply(value ^ secret, invert(place));
            assert_eq!(multiply(slope, place) ^ secret, value);
            slopes.insert(slope);
        }
        assert_eq!(slopes.len(), 256);
    }

    #[test]
    fn what_is_no_set_of_shares_is_refused() {
        let secret = Secret::random(&Seeded::new(1));
        for (threshold, shares) in [(0, 3), (4, 3), (0, 0)] {
            assert!(split(&secret, threshold, shares, &Seeded::new(2)).is_none());
        }
        let made = split(&secret, 2, 3, &Seeded::new(2)).unwrap();
        assert!(combine(&copies(&made, &[0, 0])).is_none(), "the same share twice");
        assert!(combine(&[]).is_none());
        let nowhere = Share { place: 0, values: Zeroizing::new([0; KEY_BYTES]) };
        assert!(combine(&[nowhere]).is_none());
    }
}
