//! How long the stages of a question take: names of stages and seconds for the metrics, nothing of the question.
//!
//! What holds text against the guardrail has names of its own, so that its share of a request can be read: `screen`, `quarantine` and `verify`.

use std::time::{Duration, Instant};

use super::Ports;

/// The timing of a stage that was gone through.
const STAGE: &str = "cloister_pipeline_stage_duration_seconds";

/// A part of a question's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Screen,
    Retrieve,
    Quarantine,
    Prompt,
    Generate,
    Verify,
    Release,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Retrieve => "retrieve",
            Self::Quarantine => "quarantine",
            Self::Prompt => "prompt",
            Self::Generate => "generate",
            Self::Verify => "verify",
            Self::Release => "release",
        }
    }
}

/// Times one stage after the other.
pub(super) struct Watch<'a> {
    ports: &'a Ports,
    since: Instant,
}

impl<'a> Watch<'a> {
    pub(super) fn start(ports: &'a Ports) -> Self {
        Self { ports, since: Instant::now() }
    }

    /// The stage is over, and the next begins. What of it was another stage's, `within` it, counts as that one's.
    pub(super) fn over(&mut self, stage: Stage, within: Option<(Stage, Duration)>) {
        let now = Instant::now();
        let mut took = now.duration_since(self.since);
        if let Some((other, part)) = within {
            took = took.saturating_sub(part);
            self.tell(other, part);
        }
        self.tell(stage, took);
        self.since = now;
    }

    fn tell(&self, stage: Stage, took: Duration) {
        self.ports.metrics.time(STAGE, took, &[("stage", stage.as_str())]);
    }
}
