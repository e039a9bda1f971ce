//! The workloads of a report, each a round at a time.

use crate::Failure;
use crate::report::Better;

pub mod embed;
pub mod generate;
pub mod shelf;

/// One figure of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub measure: &'static str,
    /// In what.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// The figure.
    pub value: f64,
}

impl Figure {
    /// A speed.
    #[must_use]
    pub const fn speed(measure: &'static str, unit: &'static str, value: f64) -> Self {
        Self { measure, unit, better: Better::Higher, value }
    }

    /// A time in milliseconds.
    #[must_use]
    pub const fn milliseconds(measure: &'static str, value: f64) -> Self {
        Self { measure, unit: "ms", better: Better::Lower, value }
    }
}

/// What a round does; it is told its number, so that no two rounds do the very same.
pub type Round = Box<dyn FnMut(usize) -> Result<Vec<Figure>, Failure>>;

/// Something that is measured, set up and ready.
pub struct Workload {
    /// Its name in reports.
    pub name: String,
    /// One round.
    pub round: Round,
}

impl Workload {
    /// A workload of that name.
    pub fn new(name: impl Into<String>, round: impl FnMut(usize) -> Result<Vec<Figure>, Failure> + 'static) -> Self {
        Self { name: name.into(), round: Box::new(round) }
    }
}
