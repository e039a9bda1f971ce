//! The system's clock and generator: the one place that reads them.

use cloister_terms::{Clock, Random};
use jiff::Timestamp;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "everything else takes the time from here")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's generator of random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::expect_used, reason = "a machine that has no randomness must make no keys, ids or seeds")]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}
