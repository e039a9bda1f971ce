//! Two reports beside each other, and what may be said of them.
//!
//! A run compared with itself must not come out faster or slower, though dozens of figures are looked at, rounds are few and
//! machines noisy. So:
//!
//! - the error that is allowed, 1 in 100, is for the whole comparison: each figure gets its share of it (Bonferroni);
//! - the interval of a figure comes from rounds, not from requests, since what disturbs one request disturbs its neighbours;
//! - a difference of less than [`MARGIN`] is none: a shared machine drifts that much between two runs, which no number of rounds
//!   within one run shows. The whole interval has to lie beyond it.
//!
//! What is compared is shown with a bootstrap interval of 95 in 100 for the figure by itself; the verdict does not rest on it, since one
//! of twenty such intervals is wrong.

use std::fmt::Write as _;

use serde::Serialize;

use crate::report::{Better, Report, Row, figure};
use crate::statistics::{Dice, Ratio, bootstrap, strict};

/// Share by which two runs of the same program on the same machine may differ.
pub const MARGIN: f64 = 0.05;
/// How often a whole comparison of a run with itself may name a difference.
pub const ERROR: f64 = 0.01;

/// What may be said of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The second run is better.
    Faster,
    /// The second run is worse.
    Slower,
    /// No difference is shown.
    NoDifferenceShown,
    /// There are fewer than three rounds on a side, or values without a ratio.
    TooFewRounds,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifferenceShown => "no difference shown",
            Self::TooFewRounds => "too few rounds",
        }
    }
}

/// One figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What was done.
    pub workload: String,
    /// What was measured of it.
    pub measure: String,
    /// In what.
    pub unit: String,
    /// Median of the first run.
    pub first: f64,
    /// Median of the second.
    pub second: f64,
    /// Second over first, with the interval of 95 in 100: value, lower, upper.
    pub ratio: Option<(f64, f64, f64)>,
    /// What may be said.
    pub verdict: Verdict,
}

/// Two runs side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The figures that both have.
    pub lines: Vec<Line>,
    /// Figures that one of them lacks.
    pub missing: Vec<String>,
    /// In what the machines differ: a verdict is then about machines and programs together.
    pub machines_differ: Vec<String>,
}

/// Holds the second report against the first.
#[must_use]
pub fn compare(first: &Report, second: &Report) -> Comparison {
    let same = |a: &Row, b: &Row| (&a.workload, &a.measure, &a.unit) == (&b.workload, &b.measure, &b.unit);
    let pairs: Vec<(&Row, &Row)> =
        first.rows.iter().filter_map(|row| Some((row, second.rows.iter().find(|other| same(row, other))?))).collect();
    let lacks = |rows: &[Row], others: &[Row], which: &str| -> Vec<String> {
        let alone = rows.iter().filter(|row| !others.iter().any(|other| same(row, other)));
        alone.map(|row| format!("{} {} ({which} only)", row.workload, row.measure)).collect()
    };
    let mut missing = lacks(&first.rows, &second.rows, "first");
    missing.extend(lacks(&second.rows, &first.rows, "second"));
    let mut differ: Vec<String> = Vec::new();
    for (row, other) in &pairs {
        for name in row.machine.differences(&other.machine) {
            if !differ.iter().any(|known| known == name) {
                differ.push(name.to_owned());
            }
        }
    }
    // The same reports give the same verdicts.
    let mut dice = Dice::new(0x00c0_ffee);
    let share = ERROR / pairs.len().max(1) as f64;
    let lines = pairs.into_iter().map(|(row, other)| line(row, other, share, &mut dice)).collect();
    Comparison { lines, missing, machines_differ: differ }
}

fn line(first: &Row, second: &Row, share: f64, dice: &mut Dice) -> Line {
    let usual = bootstrap(&first.rounds, &second.rounds, dice);
    Line {
        workload: first.workload.clone(),
        measure: first.measure.clone(),
        unit: first.unit.clone(),
        first: first.median(),
        second: second.median(),
        ratio: usual.map(|ratio| (ratio.value, ratio.low, ratio.high)),
        verdict: verdict(first, second, share),
    }
}

/// What may be said of a figure whose share of the allowed error is `share`.
fn verdict(first: &Row, second: &Row, share: f64) -> Verdict {
    let found = strict(&first.rounds, &second.rounds, share);
    found.map_or(Verdict::TooFewRounds, |ratio| judge(ratio, first.better))
}

/// The whole interval lies beyond the margin, or there is no difference to speak of.
fn judge(ratio: Ratio, better: Better) -> Verdict {
    let (larger, smaller) = match better {
        Better::Higher => (Verdict::Faster, Verdict::Slower),
        Better::Lower => (Verdict::Slower, Verdict::Faster),
    };
    if ratio.low > 1.0 + MARGIN {
        larger
    } else if ratio.high < 1.0 / (1.0 + MARGIN) {
        smaller
    } else {
        Verdict::NoDifferenceShown
    }
}

impl Comparison {
    /// Whether anything is slower: what a gate asks.
    #[must_use]
    pub fn slower(&self) -> bool {
        self.lines.iter().any(|line| line.verdict == Verdict::Slower)
    }

    /// As a table in Markdown.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out =
            String::from("| workload | measure | first | second | unit | second / first | 95 in 100 | verdict |\n");
        out.push_str("|---|---|---:|---:|---|---:|---|---|\n");
        for line in &self.lines {
            let (value, range) = line.ratio.map_or(("-".to_owned(), "-".to_owned()), |(value, low, high)| {
                (format!("{value:.3}"), format!("{low:.3} to {high:.3}"))
            });
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {value} | {range} | {} |",
                line.workload,
                line.measure,
                figure(line.first),
                figure(line.second),
                line.unit,
                line.verdict.words()
            );
        }
        for missing in &self.missing {
            let _ = writeln!(out, "\nnot compared: {missing}");
        }
        if !self.machines_differ.is_empty() {
            let _ = writeln!(
                out,
                "\nThe machines differ in {}: a verdict is about machine and program together.",
                self.machines_differ.join(", ")
            );
        }
        out
    }
}

#[cfg(test)]
mod tests;
