//! What the service manager is told. Without one (no `NOTIFY_SOCKET`) all of it does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

/// Requests are served.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// No new requests are taken; running ones end.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says "alive" twice in each watchdog period, for as long as it is polled: a runtime that is stuck falls silent and is
/// started again. Never returns; without a watchdog it only waits.
pub async fn watchdog() -> std::convert::Infallible {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| !period.is_zero()) else {
        return std::future::pending().await;
    };
    let mut beat = tokio::time::interval(period / 2);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

/// How often timings are folded into their buckets.
pub(super) const FOLD: Duration = Duration::from_secs(5);

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
