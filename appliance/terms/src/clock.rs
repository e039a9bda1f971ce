//! Time and randomness as things passed in.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// Where the time comes from. The program passes the system's clock; tests pass [`FixedClock`].
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// Where random bytes come from. The program passes the operating system's generator.
pub trait Random: Send + Sync {
    /// Fills `bytes` with random bytes fit for keys and ids.
    fn fill(&self, bytes: &mut [u8]);
}

/// A clock that stands still until told to move.
///
/// ```
/// # use cloister_terms::{Clock, FixedClock};
/// let clock = FixedClock::at("2026-01-01T00:00:00Z".parse()?);
/// clock.advance(jiff::SignedDuration::from_secs(60));
/// assert_eq!(clock.now().to_string(), "2026-01-01T00:01:00Z");
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Debug)]
pub struct FixedClock(Mutex<Timestamp>);

impl FixedClock {
    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock by `by`, backwards if it is negative. Beyond the calendar's ends it stays at the end.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.saturating_add(by).unwrap_or(*now);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
