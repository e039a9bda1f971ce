//! How much one caller may ask, and how much all may ask at once.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;

/// A request's place among those being worked on. Given back when dropped.
#[derive(Clone)]
pub(super) struct Room(#[allow(dead_code, reason = "held for its drop")] std::sync::Arc<OwnedSemaphorePermit>);

impl Room {
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(std::sync::Arc::new(permit))
    }
}

/// Keys remembered before the idle ones are forgotten, so that memory stays bounded whoever calls.
const REMEMBERED: usize = 10_000;

/// A token bucket for each key: `burst` at once, refilled at `per_minute`.
pub struct Buckets<K> {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

struct Bucket {
    tokens: f64,
    at: Instant,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Buckets that start full.
    pub fn new(per_minute: u32, burst: u32) -> Self {
        Self { per_second: f64::from(per_minute) / 60.0, burst: f64::from(burst), buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one token from the bucket of `key`, or says how long until there is one.
    pub fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| self.filled(bucket, now) < self.burst);
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: self.burst, at: now });
        bucket.tokens = self.filled(bucket, now);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            Ok(())
        } else {
            Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
        }
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        since.mul_add(self.per_second, bucket.tokens).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let buckets = Buckets::new(60, 3);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(buckets.take("a", start).is_ok());
        }
        assert_eq!(buckets.take("a", start), Err(Duration::from_secs(1)));
        assert!(buckets.take("b", start).is_ok(), "another caller has its own bucket");
        assert!(buckets.take("a", start + Duration::from_secs(1)).is_ok());
        assert!(buckets.take("a", start + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn waiting_as_long_as_told_is_enough() {
        let buckets = Buckets::new(7, 1);
        let start = Instant::now();
        assert!(buckets.take((), start).is_ok());
        let wait = buckets.take((), start).unwrap_err();
        assert!(buckets.take((), start + wait + Duration::from_nanos(1)).is_ok());
    }

    #[test]
    fn idle_callers_are_forgotten() {
        let buckets = Buckets::new(60, 1);
        let start = Instant::now();
        for key in 0..REMEMBERED {
            assert!(buckets.take(key, start).is_ok());
        }
        assert!(buckets.take(REMEMBERED, start + Duration::from_secs(2)).is_ok());
        assert_eq!(buckets.buckets.lock().unwrap().len(), 1);
    }
}
