//! Upkeep of the certificate while the server runs: the local authority renews its own in time, and how long the one in
//! use lasts is a metric, so that nobody learns of its end from a browser.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cloister_terms::Clock;

use super::{authority, metrics::Metrics, names, tls::Certificate};

/// How often it is looked at. A certificate is renewed a month before its end.
const ROUND: Duration = Duration::from_secs(12 * 60 * 60);

/// Seconds since the epoch at which the certificate in use ends; alert on it as on any server's.
const ENDS: &str = "cloister_certificate_not_after_seconds";

/// What to look after.
pub struct Renewal {
    /// The certificate in use.
    pub certificate: Arc<Certificate>,
    /// The folder of the local authority and the names that were configured; none where the site brings its own
    /// certificate, which then is watched and not renewed.
    pub local: Option<(PathBuf, Vec<String>)>,
    /// Where its end is shown.
    pub metrics: Metrics,
    /// What day it is.
    pub clock: Arc<dyn Clock>,
}

impl Renewal {
    /// Looks at once and then twice a day, for ever.
    pub async fn keep(self) {
        let this = Arc::new(self);
        let mut round = tokio::time::interval(ROUND);
        loop {
            round.tick().await;
            let this = Arc::clone(&this);
            // Files are read and written, and the host is asked for its names.
            let _panic_is_logged_by_the_hook = tokio::task::spawn_blocking(move || this.look()).await;
        }
    }

    /// Renews what is near its end. What fails leaves the certificate in use as it is.
    fn look(&self) {
        if let Some((folder, configured)) = &self.local {
            match authority::ensure(folder, &names::of_this_host(configured), self.clock.now()) {
                Ok(issued) if issued.renewed => self.reload(),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the certificate was not renewed");
                }
            }
        }
        if let Some(ends) = authority::ends(self.certificate.chain()) {
            #[expect(clippy::cast_precision_loss, reason = "seconds of this century are exact")]
            self.metrics.level(ENDS, ends.as_second() as f64, &[]);
        }
    }

    fn reload(&self) {
        match self.certificate.reload() {
            Ok(()) => tracing::info!("the local authority renewed the certificate"),
            Err(error) => tracing::error!(%error, "the certificate in use stays"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jiff::Timestamp;

    use super::*;

    struct Day(Mutex<Timestamp>);

    impl Clock for Day {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn a_certificate_near_its_end_is_renewed_while_the_server_runs_and_its_end_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let day = Arc::new(Day(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())));
        let issued = authority::ensure(folder.path(), &names::of_this_host(&[]), day.now()).unwrap();
        let certificate = Certificate::load(&issued.server, &issued.server).unwrap();
        let metrics = Metrics::new();
        let local = Some((folder.path().to_owned(), Vec::new()));
        let clock: Arc<dyn Clock> = day.clone();
        let renewal = Renewal { certificate, local, metrics: metrics.clone(), clock };
        let shown = || {
            let text = metrics.render();
            let line = text.lines().find(|line| line.starts_with(ENDS)).unwrap().to_owned();
            line.split_whitespace().last().unwrap().parse::<f64>().unwrap()
        };
        renewal.look();
        let first = shown();
        *day.0.lock().unwrap() = "2027-01-15T00:00:00Z".parse().unwrap();
        renewal.look();
        assert!(shown() > first + 300.0 * 86_400.0, "{first} {}", shown());
    }
}
