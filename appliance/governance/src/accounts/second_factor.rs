//! The second factor: codes by the clock (RFC 6238), and recovery codes for when the phone is lost.

use std::fmt;

use cloister_terms::Random;
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::{hash, secret::random_letters};

/// Length of the secret in bytes: the 160 bits that RFC 4226, section 4 recommends.
pub(super) const SECRET_BYTES: usize = 20;
/// How many recovery codes a person gets.
pub(super) const RECOVERY_CODES: usize = 10;
/// Letters of a recovery code: 62^16 is 95 bits, so that a fast hash is enough to store it under.
const RECOVERY_LETTERS: usize = 16;
/// Seconds that a code lasts, and digits that it has: what every authenticator app takes.
const STEP_SECONDS: u64 = 30;
const DIGITS: usize = 6;

/// What a person puts into an authenticator app. Shown once; prints as `[secret]`.
pub struct Enrolment {
    secret: Zeroizing<String>,
    account: String,
}

impl Enrolment {
    pub(super) fn of(secret: &[u8], account: &str) -> Option<Self> {
        let secret = Zeroizing::new(totp(secret)?.secret().to_base32());
        Some(Self { secret, account: account.to_owned() })
    }

    /// The secret in base 32, to type.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The same as an address that authenticator apps read from a QR code.
    pub fn address(&self) -> Zeroizing<String> {
        // A sign-in name holds no character that an address would need to escape, but for `@`.
        let account = self.account.replace('@', "%40");
        Zeroizing::new(format!("otpauth://totp/Cloister:{account}?secret={}&issuer=Cloister", self.secret.as_str()))
    }
}

impl fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enrolment([secret])")
    }
}

/// Codes that each stand in for the second factor once. Shown once; prints as `[secret]`.
pub struct RecoveryCodes(Vec<Zeroizing<String>>);

impl RecoveryCodes {
    pub(super) fn random(random: &dyn Random) -> Self {
        Self((0..RECOVERY_CODES).map(|_| random_letters(random, RECOVERY_LETTERS)).collect())
    }

    /// The codes.
    pub fn expose(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|code| code.as_str())
    }

    pub(super) fn hashes(&self) -> impl Iterator<Item = Zeroizing<Vec<u8>>> + '_ {
        self.0.iter().map(|code| hash(code))
    }
}

impl fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCodes([secret])")
    }
}

/// What a given code could be.
pub(super) enum Code {
    /// The code of this step of the clock.
    Step(u64),
    /// A recovery code, if it is among the stored ones.
    Recovery(Zeroizing<Vec<u8>>),
    /// Neither.
    Wrong,
}

/// Reads a code against a secret. Half a minute of difference between the clocks is allowed, as RFC 6238, section 5.2
/// recommends. Does the same work whichever kind of code it is.
pub(super) fn read(code: &str, secret: &[u8], seconds: u64) -> Code {
    let code: Zeroizing<String> = Zeroizing::new(code.chars().filter(|c| !matches!(c, ' ' | '-')).take(64).collect());
    let step = totp(secret).and_then(|totp| totp.check(&code, seconds));
    let recovery = hash(&code);
    match step {
        Some(step) => Code::Step(step),
        None if code.len() == DIGITS => Code::Wrong,
        None => Code::Recovery(recovery),
    }
}

fn totp(secret: &[u8]) -> Option<Totp> {
    Builder::new().with_secret(secret).with_step_duration(STEP_SECONDS).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: the last six of the eight digits that it lists for SHA-1.
    #[test]
    fn the_codes_are_those_of_the_standard() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert!(matches!(read(code, secret, seconds), Code::Step(step) if step == seconds / 30), "{seconds}");
            assert!(matches!(read("000000", secret, seconds), Code::Wrong));
        }
        assert!(matches!(read("287 082", secret, 89), Code::Step(1)), "the step before, written with a space");
        assert!(matches!(read("287082", secret, 120), Code::Wrong), "two steps later");
    }

    #[test]
    fn an_enrolment_can_be_typed_or_scanned_and_does_not_print() {
        let enrolment = Enrolment::of(b"12345678901234567890", "a@b").unwrap();
        assert_eq!(enrolment.secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let address = "otpauth://totp/Cloister:a%40b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Cloister";
        assert_eq!(enrolment.address().as_str(), address);
        assert!(!format!("{enrolment:?}").contains("GEZ"));
    }
}
