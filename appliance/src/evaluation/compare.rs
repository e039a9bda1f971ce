//! Two results beside each other, and what may be said of them.
//!
//! A system compared with itself must not come out better or worse, though dozens of figures are looked at. So:
//!
//! - items are compared in pairs, the same in both runs, and only those that both have;
//! - a difference has to lie [`SURE`] standard errors beyond the [margin](Margin): at five, one of 1.7 million figures without a
//!   difference is told as having one (both tails of the normal distribution), margin left out;
//! - what is smaller than the margin is none, however sure it is.
//!
//! What is shown is the interval of 95 in 100 of each figure by itself; the verdict does not rest on it, since one of twenty such
//! intervals is wrong.

use std::fmt::Write as _;

use serde::Serialize;

use super::{
    metric::{Better, Unit},
    result::{Figure, Run},
    statistics::{Dice, Interval, Point, RESAMPLES},
};

/// Standard errors by which a difference has to lie beyond the margin.
pub const SURE: f64 = 5.0;

/// Groups that both runs must have for anything to be said: the error of fewer is not known well enough.
const FEWEST: usize = 20;

/// What is too small to count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// Of shares.
    pub share: f64,
    /// Of times, as a factor: a shared machine drifts that much between two runs, which nothing within one run shows.
    pub times: f64,
}

impl Default for Margin {
    fn default() -> Self {
        Self { share: 0.02, times: 1.5 }
    }
}

/// What may be said of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The second run is better.
    Better,
    /// The second run is worse.
    Worse,
    /// No difference is shown.
    NoDifferenceShown,
    /// There is too little that both runs have.
    TooFewItems,
}

impl Verdict {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::NoDifferenceShown => "no difference shown",
            Self::TooFewItems => "too few items",
        }
    }
}

/// One figure of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The part and the metric.
    pub name: String,
    /// In what it is counted.
    pub unit: Unit,
    /// Value in the first run.
    pub first: f64,
    /// Value in the second.
    pub second: f64,
    /// Second minus first on the items of both; of times, the factor. None where too few are there.
    pub difference: Option<Interval>,
    /// What may be said.
    pub verdict: Verdict,
}

/// Two runs side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The figures that both have.
    pub lines: Vec<Line>,
    /// Figures that one of them lacks.
    pub missing: Vec<String>,
    /// In what the runs differ besides what is compared.
    pub apart: Vec<&'static str>,
}

/// Holds the second run against the first.
#[must_use]
pub fn compare(first: &Run, second: &Run, margin: Margin, seed: u64) -> Comparison {
    resampled(first, second, margin, (seed, RESAMPLES))
}

fn resampled(first: &Run, second: &Run, margin: Margin, draws: (u64, usize)) -> Comparison {
    let lines = first.metrics.iter().filter_map(|figure| line(first, second, figure, margin, draws)).collect();
    let lacks = |run: &Run, other: &Run, which: &str| -> Vec<String> {
        let alone = run.metrics.iter().filter(|figure| other.figure(&figure.name).is_none());
        alone.map(|figure| format!("{} ({which} only)", figure.name)).collect()
    };
    let mut missing = lacks(first, second, "first");
    missing.extend(lacks(second, first, "second"));
    let (one, other) = (&first.system, &second.system);
    let apart = [
        ("suite", first.suite.sha256 != second.suite.sha256),
        ("seed", first.seed != second.seed),
        ("program", one.program != other.program),
        ("embedding model", one.embed != other.embed),
        ("generation model", one.generate != other.generate),
        ("guardrail", one.guardrail != other.guardrail),
        ("settings", one.settings != other.settings),
        ("collections", one.collections != other.collections),
    ];
    let apart = apart.into_iter().filter(|(_, differ)| *differ).map(|(what, _)| what).collect();
    Comparison { lines, missing, apart }
}

fn line(first: &Run, second: &Run, figure: &Figure, margin: Margin, (seed, resamples): (u64, usize)) -> Option<Line> {
    let (other, metric) = (second.figure(&figure.name)?, first.metric(figure)?);
    let (one, mut two) = (first.groups(figure), second.groups(other));
    let pairs: Vec<(Vec<Point>, Vec<Point>)> =
        one.into_iter().filter_map(|(group, points)| Some((points, two.remove(&group)?))).collect();
    let found =
        (pairs.len() >= FEWEST).then(|| metric.statistic.difference(&pairs, resamples, &mut Dice::new(seed))).flatten();
    let times = figure.unit == Unit::Milliseconds;
    let verdict = found.map_or(Verdict::TooFewItems, |found| {
        let margin = if times { margin.times.ln() } else { margin.share };
        let reach = SURE * found.error;
        let (larger, smaller) = match figure.better {
            Better::Higher => (Verdict::Better, Verdict::Worse),
            Better::Lower => (Verdict::Worse, Verdict::Better),
        };
        if found.interval.value - reach > margin {
            larger
        } else if found.interval.value + reach < -margin {
            smaller
        } else {
            Verdict::NoDifferenceShown
        }
    });
    let told = |interval: Interval| {
        let of = |value: f64| if times { value.exp() } else { value };
        Interval { value: of(interval.value), low: of(interval.low), high: of(interval.high) }
    };
    Some(Line {
        name: figure.name.clone(),
        unit: figure.unit,
        first: figure.interval.value,
        second: other.interval.value,
        difference: found.map(|found| told(found.interval)),
        verdict,
    })
}

impl Comparison {
    /// Whether anything is worse.
    #[must_use]
    pub fn worse(&self) -> bool {
        self.lines.iter().any(|line| line.verdict == Verdict::Worse)
    }

    /// As lines for people.
    #[must_use]
    pub fn text(&self) -> String {
        let longest = self.lines.iter().map(|line| line.name.len()).max().unwrap_or(0);
        let mut out = String::new();
        for line in &self.lines {
            let digits = if line.unit == Unit::Milliseconds { 0 } else { 3 };
            let range = line.difference.map_or_else(String::new, |difference| {
                let times = if line.unit == Unit::Milliseconds { "times " } else { "" };
                format!("{times}{:+.3} ({:+.3} to {:+.3})", difference.value, difference.low, difference.high)
            });
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "{:longest$}  {:>8.digits$}  {:>8.digits$}  {range:32}  {}",
                line.name,
                line.first,
                line.second,
                line.verdict.words()
            );
        }
        for missing in &self.missing {
            let _ = writeln!(out, "not compared: {missing}");
        }
        if !self.apart.is_empty() {
            let _ = writeln!(out, "the runs differ in: {}", self.apart.join(", "));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{
        record::Record,
        result::{TriedPart, tests::run},
        suite::Kind,
    };

    /// A run in which each of so many questions goes right with this chance, thrown anew: two of them are the same system measured twice.
    fn thrown(base: &Run, questions: usize, (chance, slow): (f64, f64), dice: &mut Dice) -> Run {
        let mut unit = || (dice.number() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut records = Vec::new();
        for at in 0..questions {
            let mut record = Record::of("answers", &format!("q{at}"), None);
            record.share("string_presence", unit() < chance);
            record.share("false_abstention", unit() > chance);
            records.push(record);
        }
        for at in 0..40 {
            let mut record = Record::of("speed", &format!("s{at}"), None);
            record.point("p50", slow * (100.0 + 80.0 * unit()), 1.0);
            records.push(record);
        }
        Run { records, ..base.clone() }
    }

    /// A run of these parts and figures, whose values nobody looks at.
    fn base() -> Run {
        let mut base = run(25);
        let speed = TriedPart { id: "speed".to_owned(), kind: Kind::Latency, items: 40 };
        base.suite.parts.push(speed);
        base.metrics.retain(|figure| figure.name != "checks/error_recall");
        let slow = Figure {
            name: "speed/p50".to_owned(),
            unit: Unit::Milliseconds,
            better: Better::Lower,
            ..base.metrics[0].clone()
        };
        base.metrics.push(slow);
        base.records.clear();
        base
    }

    #[test]
    fn a_system_measured_twice_is_never_told_to_be_worse_or_better() {
        let (base, mut dice, mut alarms) = (base(), Dice::new(17), 0);
        let mut before = thrown(&base, 100, (0.9, 1.0), &mut dice);
        for seed in 0..1000 {
            let after = thrown(&base, 100, (0.9, 1.0), &mut dice);
            let found = resampled(&before, &after, Margin::default(), (seed, 200));
            assert_eq!(found.lines.len(), 3);
            alarms += found.lines.iter().filter(|line| line.verdict != Verdict::NoDifferenceShown).count();
            before = after;
        }
        assert_eq!(alarms, 0);
    }

    #[test]
    fn a_worse_system_is_seen_and_a_better_one() {
        let (base, mut dice) = (base(), Dice::new(5));
        for seed in 0..10 {
            let good = thrown(&base, 300, (0.95, 1.0), &mut dice);
            let bad = thrown(&base, 300, (0.7, 2.5), &mut dice);
            let found = compare(&good, &bad, Margin::default(), seed);
            assert!(found.worse());
            assert!(found.lines.iter().all(|line| line.verdict == Verdict::Worse), "{}", found.text());
            let found = compare(&bad, &good, Margin::default(), seed);
            assert!(found.lines.iter().all(|line| line.verdict == Verdict::Better), "{}", found.text());
        }
    }

    #[test]
    fn the_same_result_differs_by_nothing_and_what_is_apart_is_named() {
        let one = run(45);
        let found = compare(&one, &one, Margin::default(), 1);
        // The checks have ten groups: too few.
        let verdicts: Vec<_> = found.lines.iter().map(|line| line.verdict).collect();
        assert_eq!(verdicts, [Verdict::NoDifferenceShown, Verdict::NoDifferenceShown, Verdict::TooFewItems]);
        assert!(found.apart.is_empty() && found.missing.is_empty());
        let mut other = run(45);
        other.seed = 2;
        other.metrics.retain(|figure| figure.name != "checks/error_recall");
        let found = compare(&one, &other, Margin::default(), 1);
        assert_eq!((found.apart, found.missing), (vec!["seed"], vec!["checks/error_recall (first only)".to_owned()]));
    }
}
