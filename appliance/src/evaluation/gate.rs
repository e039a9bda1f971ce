//! Gates: what a result must hold before what it is about is let in.
//!
//! ```toml
//! about = "What a model must hold to write answers here."
//! baseline = "baseline.json"         # a result to compare with, from this file's folder; may be left out
//!
//! [metrics."answers/faithfulness"]
//! least = 0.98                       # or `most`, where less is better
//! greatest_loss = 0.01               # against the baseline
//! surely = true                      # the worse end of the interval counts, not the value
//! ```
//!
//! One function, [`pass`], stands before whatever changes what the site says: a model that is to write answers, a guardrail that is to
//! be put in force.
//!
//! # Why
//! - **What cannot be judged does not hold.** A metric that the result lacks, a loss without a baseline, a baseline of another suite, a
//!   gate that asks for nothing: all of them keep the gate shut.
//! - **The result must be this site's own, and about the very thing.** Its hash is in the site's database, and it names the hash of the
//!   model or guardrail; a figure that somebody mends in the file is not known here any more.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use cloister_governance::{approvals::Approvals, store::StoreError};
use serde::Deserialize;

use super::{
    metric::{Better, Unit},
    result::{self, Figure, Named, Run, sha256},
};

/// A gate that was read.
#[derive(Debug, Clone)]
pub struct Gate {
    /// What it is for.
    pub about: String,
    /// What each metric must hold, by name.
    demands: BTreeMap<String, Demand>,
    /// The result to compare with.
    baseline: Option<Run>,
    /// SHA-256 of its file.
    pub sha256: String,
}

/// What one metric must hold.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// Least value, of a metric of which more is better.
    pub least: Option<f64>,
    /// Greatest value, of a metric of which less is better.
    pub most: Option<f64>,
    /// How much worse than the baseline it may be; of times, as a share of the baseline's.
    pub greatest_loss: Option<f64>,
    /// Whether the worse end of the interval counts and not the value.
    #[serde(default)]
    pub surely: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    about: String,
    baseline: Option<PathBuf>,
    metrics: BTreeMap<String, Demand>,
}

/// What a gate says of a result, demand by demand.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// In the order of the metrics' names.
    pub lines: Vec<Line>,
}

/// What it says of one demand.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The metric.
    pub metric: String,
    /// What is asked, in words.
    pub asked: String,
    /// What was found, in words.
    pub found: String,
    /// Whether that is enough.
    pub holds: bool,
}

/// What is to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A model that is to write answers.
    Model(Named),
    /// A version of a guardrail that is to be put in force.
    Guardrail(Named),
}

/// That a gate was passed: by what, and which gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// SHA-256 of the result's file.
    pub result: String,
    /// SHA-256 of the gate's file.
    pub gate: String,
}

/// Why nothing is let in.
#[derive(Debug, thiserror::Error)]
pub enum NotPassed {
    /// A demand does not hold.
    #[error("the gate does not hold: {}", .0.broken())]
    Broken(Ruling),
    /// The result is about something else.
    #[error("the result is about {found}, not about {wanted}: run the suite on the one that is to be let in")]
    OtherSubject {
        /// What it is about.
        found: String,
        /// What is to be let in.
        wanted: String,
    },
    /// The result was not made here, or was changed since.
    #[error(
        "this site did not make that result, or it was changed since: run the suite here, and leave RESULT.json as it is"
    )]
    Unknown,
    /// A file cannot be used.
    #[error("{0:#}")]
    File(anyhow::Error),
    /// The site's database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Gate {
    /// Reads a gate, and the baseline that it names.
    ///
    /// # Errors
    /// Where it is not one, asks for nothing, or its baseline is none.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let unfit = || format!("{} is not a gate", path.display());
        let written: Written = toml::from_str(&text).with_context(unfit)?;
        let asks = |demand: &Demand| [demand.least, demand.most, demand.greatest_loss].iter().any(Option::is_some);
        if let Some((name, _)) = written.metrics.iter().find(|(_, demand)| !asks(demand)) {
            anyhow::bail!("{}: `{name}` asks for nothing: give `least`, `most` or `greatest_loss`", path.display());
        }
        if written.metrics.is_empty() {
            anyhow::bail!("{} names no metric: a gate that asks for nothing lets everything in", path.display());
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let baseline = written.baseline.map(|file| Run::read(&folder.join(file))).transpose()?;
        Ok(Self { about: written.about, demands: written.metrics, baseline, sha256: sha256(text.as_bytes()) })
    }

    /// The same compared with another baseline.
    #[must_use]
    pub fn against(mut self, baseline: Run) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// What is asked of a metric, if anything.
    #[must_use]
    pub fn demand(&self, metric: &str) -> Option<&Demand> {
        self.demands.get(metric)
    }

    /// What it says of a result.
    #[must_use]
    pub fn judge(&self, run: &Run) -> Ruling {
        let mut lines = Vec::new();
        for (name, demand) in &self.demands {
            let figure = run.figure(name);
            let mut line = |asked: String, (found, holds): (String, bool)| {
                lines.push(Line { metric: name.clone(), asked, found, holds });
            };
            if let Some(least) = demand.least {
                line(
                    format!("at least {}", shown(least, figure)),
                    bound(figure, demand, Better::Higher, |value| value >= least),
                );
            }
            if let Some(most) = demand.most {
                line(
                    format!("at most {}", shown(most, figure)),
                    bound(figure, demand, Better::Lower, |value| value <= most),
                );
            }
            if let Some(loss) = demand.greatest_loss {
                let asked = format!("no more than {} worse than the baseline", shown(loss, None));
                line(asked, self.loss(run, figure, demand, loss));
            }
        }
        Ruling { lines }
    }

    fn loss(&self, run: &Run, figure: Option<&Figure>, demand: &Demand, greatest: f64) -> (String, bool) {
        let Some(figure) = figure else { return missing() };
        let Some(baseline) = &self.baseline else { return ("there is no baseline to compare with".to_owned(), false) };
        if baseline.suite.sha256 != run.suite.sha256 {
            return ("the baseline is of another suite".to_owned(), false);
        }
        let Some(before) = baseline.figure(&figure.name) else { return ("the baseline lacks it".to_owned(), false) };
        let value = if demand.surely { worse_end(figure) } else { figure.interval.value };
        let lost = match figure.better {
            Better::Higher => before.interval.value - value,
            Better::Lower => value - before.interval.value,
        };
        let lost = if figure.unit == Unit::Milliseconds { lost / before.interval.value.max(1e-9) } else { lost };
        let words = format!("{} after {}", shown(value, Some(figure)), shown(before.interval.value, Some(figure)));
        // A loss of the very size that is allowed is none too great, whatever the last bit says.
        (words, lost <= greatest + 1e-9)
    }
}

fn missing() -> (String, bool) {
    ("the result does not have it".to_owned(), false)
}

/// Whether a figure keeps within a bound that is meant for metrics which are better that way.
fn bound(figure: Option<&Figure>, demand: &Demand, meant: Better, keeps: impl Fn(f64) -> bool) -> (String, bool) {
    let Some(figure) = figure else { return missing() };
    if figure.better != meant {
        let word = if meant == Better::Higher { "less is better: give `most`" } else { "more is better: give `least`" };
        return (word.to_owned(), false);
    }
    let value = if demand.surely { worse_end(figure) } else { figure.interval.value };
    let words = shown(value, Some(figure));
    let words = if demand.surely { format!("{words} at the worse end") } else { words };
    (words, keeps(value))
}

const fn worse_end(figure: &Figure) -> f64 {
    match figure.better {
        Better::Higher => figure.interval.low,
        Better::Lower => figure.interval.high,
    }
}

/// A value as a figure of its unit is told.
fn shown(value: f64, figure: Option<&Figure>) -> String {
    match figure.map(|figure| figure.unit) {
        Some(Unit::Milliseconds) => format!("{value:.0} ms"),
        _ => format!("{value:.3}"),
    }
}

impl Ruling {
    /// Whether every demand holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.holds)
    }

    /// What does not hold, in a sentence.
    fn broken(&self) -> String {
        let broken = self.lines.iter().filter(|line| !line.holds);
        broken
            .map(|line| format!("{} must be {}: {}", line.metric, line.asked, line.found))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

impl Subject {
    const fn named(&self) -> &Named {
        match self {
            Self::Model(named) | Self::Guardrail(named) => named,
        }
    }

    /// What a result says of this kind of thing.
    const fn of<'a>(&self, run: &'a Run) -> Option<&'a Named> {
        match self {
            Self::Model(_) => run.system.generate.as_ref(),
            Self::Guardrail(_) => run.system.guardrail.as_ref(),
        }
    }
}

/// Lets something in, or says why not: the gate must hold for a result that this site made and that is about the very thing.
///
/// # Errors
/// [`NotPassed`].
pub fn pass(approvals: &Approvals, gate: &Path, result: &Path, subject: &Subject) -> Result<Pass, NotPassed> {
    let bytes = result::bytes(result).map_err(NotPassed::File)?;
    let hash = sha256(&bytes);
    let run = Run::of_bytes(&bytes)
        .with_context(|| format!("{} is not a result of `cloister eval run`", result.display()))
        .map_err(NotPassed::File)?;
    let gate = Gate::read(gate).map_err(NotPassed::File)?;
    if approvals.evaluation(&hash)?.is_none() {
        return Err(NotPassed::Unknown);
    }
    let (wanted, found) = (subject.named(), subject.of(&run));
    if found != Some(wanted) {
        let words = |named: &Named| format!("`{}` ({})", named.name, named.sha256.get(..12).unwrap_or(&named.sha256));
        let found = found.map_or_else(|| "none".to_owned(), words);
        return Err(NotPassed::OtherSubject { found, wanted: words(wanted) });
    }
    let ruling = gate.judge(&run);
    if ruling.holds() { Ok(Pass { result: hash, gate: gate.sha256 }) } else { Err(NotPassed::Broken(ruling)) }
}

#[cfg(test)]
mod tests;
