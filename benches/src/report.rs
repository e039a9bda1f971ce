//! A report: what was measured, round by round, with the machine in every row. Written as JSON, Markdown and one page of HTML that
//! needs nothing else.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::statistics::{median, quantile};

mod html;
mod markdown;

pub use html::page;
pub use markdown::text;

/// Version of the JSON form.
pub const FORMAT: u32 = 1;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Speeds.
    Higher,
    /// Times and sizes.
    Lower,
}

/// One figure, round by round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What was done: `grounded-answer-8`.
    pub workload: String,
    /// What was measured of it: `first token, median`.
    pub measure: String,
    /// In what: `ms`, `tokens/s`.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// The figure of each round.
    pub rounds: Vec<f64>,
    /// Where it was measured.
    pub machine: Machine,
}

impl Row {
    /// The middle of the rounds.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.rounds)
    }

    /// Least and greatest round.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        (quantile(&self.rounds, 0.0), quantile(&self.rounds, 1.0))
    }
}

/// What was measured in one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this form; see [`FORMAT`].
    pub format: u32,
    /// When the run began, in RFC 3339.
    pub begun: String,
    /// The figures.
    pub rows: Vec<Row>,
}

/// Why a report cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system said no.
    #[error("{path} cannot be {doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not a report of this form.
    #[error("{path} is not a report of form {FORMAT}: {source}")]
    Form {
        /// The file.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Report {
    /// Reads a report's JSON.
    ///
    /// # Errors
    /// [`ReportError`] where there is none, or it is of another form.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let shown = || path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|source| ReportError::Io { doing: "read", path: shown(), source })?;
        let report: Self = serde_json::from_str(&text).map_err(|source| ReportError::Form { path: shown(), source })?;
        if report.format != FORMAT {
            let source = <serde_json::Error as serde::de::Error>::custom(format!("it has form {}", report.format));
            return Err(ReportError::Form { path: shown(), source });
        }
        Ok(report)
    }

    /// Writes `report.json`, `report.md` and `report.html` into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        let io = |doing, path: &Path| {
            let path = path.display().to_string();
            move |source| ReportError::Io { doing, path, source }
        };
        std::fs::create_dir_all(folder).map_err(io("made", folder))?;
        let json = serde_json::to_string_pretty(self)
            .map_err(|source| ReportError::Form { path: "report.json".to_owned(), source })?;
        for (name, text) in [("report.json", json), ("report.md", text(self)), ("report.html", page(self))] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(io("written", &path))?;
        }
        Ok(())
    }

    /// The workloads in the order of their first rows.
    #[must_use]
    pub fn workloads(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.workload.as_str()) {
                names.push(&row.workload);
            }
        }
        names
    }
}

/// A figure with three digits that matter.
pub(crate) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let digits = 2 - value.abs().max(1e-9).log10().floor() as i32;
    format!("{value:.*}", digits.clamp(0, 6) as usize)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn row(workload: &str, measure: &str, better: Better, rounds: &[f64]) -> Row {
        Row {
            workload: workload.to_owned(),
            measure: measure.to_owned(),
            unit: if better == Better::Higher { "tokens/s" } else { "ms" }.to_owned(),
            better,
            rounds: rounds.to_vec(),
            machine: Machine::here(2),
        }
    }

    pub(crate) fn sample() -> Report {
        Report {
            format: FORMAT,
            begun: "2026-01-01T00:00:00Z".to_owned(),
            rows: vec![
                row("prompt", "speed", Better::Higher, &[500.0, 510.0, 490.0]),
                row("grounded-answer-8", "first token, median", Better::Lower, &[900.0, 1100.0, 1000.0]),
                row("grounded-answer-8", "all clients <together>", Better::Higher, &[80.0, 90.0, 85.0]),
            ],
        }
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample();
        report.write(&folder.path().join("new")).unwrap();
        assert_eq!(Report::read(&folder.path().join("new/report.json")).unwrap(), report);
        std::fs::write(folder.path().join("other.json"), "{}").unwrap();
        let refusal = Report::read(&folder.path().join("other.json")).unwrap_err().to_string();
        assert!(refusal.contains("other.json is not a report of form 1"), "{refusal}");
    }

    #[test]
    fn figures_keep_three_digits() {
        for (value, shown) in
            [(0.012_34, "0.0123"), (1.234, "1.23"), (56.78, "56.8"), (12_345.6, "12346"), (0.0, "0.000000")]
        {
            assert_eq!(figure(value), shown);
        }
        assert_eq!(figure(f64::NAN), "-");
    }
}
