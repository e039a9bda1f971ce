//! Counters and timings in Prometheus's text form, rendered on request and sent nowhere.
//!
//! Names and labels are `&'static str`: a path template, a status class, a lane. No patient text, account or tenant can
//! become one.

use std::{sync::Arc, time::Duration};

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Upper bounds of the timing buckets, in seconds: from a health check to the longest answer.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

const METADATA: Metadata<'static> = Metadata::new("cloister", Level::INFO, None);

/// A label: its name and its value.
pub type Tag = (&'static str, &'static str);

/// The metrics of this process. Cheap to clone. Names read `cloister_*_seconds`, `_bytes` or `_total`.
#[derive(Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    handle: PrometheusHandle,
}

impl Metrics {
    /// With nothing counted yet.
    pub fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // Refused only for an empty list.
        let recorder = builder.set_buckets(&BUCKETS).unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        Self { recorder: Arc::new(recorder), handle }
    }

    /// Adds to a counter.
    pub fn count(&self, name: &'static str, by: u64, tags: &[Tag]) {
        self.recorder.register_counter(&key(name, tags), &METADATA).increment(by);
    }

    /// Records a duration.
    pub fn time(&self, name: &'static str, took: Duration, tags: &[Tag]) {
        self.recorder.register_histogram(&key(name, tags), &METADATA).record(took.as_secs_f64());
    }

    /// Sets a level.
    pub fn level(&self, name: &'static str, value: f64, tags: &[Tag]) {
        self.recorder.register_gauge(&key(name, tags), &METADATA).set(value);
    }

    /// Everything, in Prometheus's text form.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds recorded timings into their buckets. Call it every few seconds, or memory grows until the next scrape.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

fn key(name: &'static str, tags: &[Tag]) -> Key {
    let labels: Vec<Label> = tags.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect();
    Key::from_parts(name, labels)
}
