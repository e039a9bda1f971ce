//! RESULT.json: what was measured, on what, item by item.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
};

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::{
    metric::{Better, Metric, Unit},
    record::{Record, groups},
    statistics::{Dice, Interval, Point},
    suite::Kind,
};

/// The form that this build writes and reads.
pub const FORMAT: u32 = 1;

/// A run that came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// [`FORMAT`].
    pub format: u32,
    /// The suite.
    pub suite: Tried,
    /// What was measured.
    pub system: System,
    /// The seed of samples and intervals.
    pub seed: u64,
    /// When it began, RFC 3339.
    pub begun: String,
    /// Seconds that it took, interruptions left out.
    pub seconds: f64,
    /// The figures.
    pub metrics: Vec<Figure>,
    /// Item by item.
    pub records: Vec<Record>,
}

/// The suite that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// What is tried, and on which documents.
    pub about: String,
    /// SHA-256 over it and its items.
    pub sha256: String,
    /// Its parts.
    pub parts: Vec<TriedPart>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriedPart {
    /// Comes before the names of its metrics.
    pub id: String,
    /// What it measures.
    pub kind: Kind,
    /// How many items there were.
    pub items: usize,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The version of the program.
    pub program: String,
    /// The tenant.
    pub tenant: String,
    /// The model that embeds.
    pub embed: Named,
    /// The model that generates; none where no lane asked one.
    pub generate: Option<Named>,
    /// The guardrail that held, where the tenant has one.
    pub guardrail: Option<Named>,
    /// SHA-256 over the settings of `[answer]` that held.
    pub settings: String,
    /// The collections, with how much each holds.
    pub collections: Vec<Held>,
}

/// A thing by name and hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// Its name; of a guardrail with its version, as in `pharmacy:3`.
    pub name: String,
    /// SHA-256 over what it is.
    pub sha256: String,
}

/// A collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Documents in it.
    pub documents: u64,
    /// Passages of them.
    pub passages: u64,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The part and the metric: `answers/faithfulness`.
    pub name: String,
    /// Value and interval of 95 in 100.
    pub interval: Interval,
    /// Items that it comes from.
    pub items: usize,
    /// Which way is better.
    pub better: Better,
    /// In what it is counted.
    pub unit: Unit,
    /// The same by sort, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sorts: Vec<Sort>,
}

/// A figure of one sort of items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sort {
    /// Which.
    pub category: String,
    /// Value and interval of 95 in 100.
    pub interval: Interval,
    /// Items that it comes from.
    pub items: usize,
}

/// The figures of records.
pub(super) fn figures(parts: &[TriedPart], records: &[Record], seed: u64) -> Vec<Figure> {
    let mut figures = Vec::new();
    for part in parts {
        let records: Vec<&Record> = records.iter().filter(|record| record.part == part.id).collect();
        figures.extend(Metric::of_kind(part.kind).filter_map(|metric| figure(&part.id, metric, &records, seed)));
    }
    figures
}

fn figure(part: &str, metric: &Metric, records: &[&Record], seed: u64) -> Option<Figure> {
    let of = |category: Option<&str>| {
        let groups: Vec<Vec<Point>> = groups(records, metric.name, category).into_values().collect();
        // Each figure has dice of its own, so that one more metric leaves the intervals of the others as they were.
        let interval = metric.statistic.interval(&groups, &mut Dice::new(seed))?;
        Some((interval, groups.iter().map(Vec::len).sum::<usize>()))
    };
    let (interval, items) = of(None)?;
    let points = records.iter().flat_map(|record| &record.points).filter(|seen| seen.metric == metric.name);
    let categories: BTreeSet<&str> = points.filter_map(|seen| seen.category.as_deref()).collect();
    let mut sorts: Vec<Sort> = categories
        .into_iter()
        .filter_map(|category| {
            let (interval, items) = of(Some(category))?;
            Some(Sort { category: category.to_owned(), interval, items })
        })
        .collect();
    let worst_first = |one: &Sort, other: &Sort| match metric.better {
        Better::Higher => one.interval.value.total_cmp(&other.interval.value),
        Better::Lower => other.interval.value.total_cmp(&one.interval.value),
    };
    sorts.sort_by(worst_first);
    let name = format!("{part}/{}", metric.name);
    Some(Figure { name, interval, items, better: metric.better, unit: metric.unit, sorts })
}

impl Run {
    /// Reads a result.
    ///
    /// # Errors
    /// Where the file is not one, or of another form.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        Self::of_bytes(&bytes(path)?)
            .with_context(|| format!("{} is not a result of `cloister eval run`", path.display()))
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> anyhow::Result<Self> {
        let run: Self = match serde_json::from_slice(bytes) {
            Ok(run) => run,
            // What stands in it is not repeated: it holds questions.
            Err(error) => {
                bail!("line {}, column {}: it has another form ({:?})", error.line(), error.column(), error.classify())
            }
        };
        if run.format != FORMAT {
            bail!("it has form {}, and this build reads form {FORMAT}", run.format);
        }
        Ok(run)
    }

    /// The figure of that name.
    #[must_use]
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.metrics.iter().find(|figure| figure.name == name)
    }

    /// The metric that a figure is of.
    #[must_use]
    pub fn metric(&self, figure: &Figure) -> Option<&'static Metric> {
        let (part, name) = figure.name.split_once('/')?;
        let part = self.suite.parts.iter().find(|known| known.id == part)?;
        Metric::find(part.kind, name)
    }

    /// Points of a metric by group.
    pub(super) fn groups(&self, figure: &Figure) -> BTreeMap<String, Vec<Point>> {
        let Some((part, name)) = figure.name.split_once('/') else { return BTreeMap::new() };
        let records: Vec<&Record> = self.records.iter().filter(|record| record.part == part).collect();
        groups(&records, name, None)
    }
}

/// A file's bytes.
pub(crate) fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Writes a file that its owner alone can read. It appears whole or not at all.
pub(super) fn put(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let unwritable = || format!("{} cannot be written", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Such a file has mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).with_context(unwritable)?;
    file.write_all(text).with_context(unwritable)?;
    file.as_file().sync_all().with_context(unwritable)?;
    file.persist(path).with_context(unwritable)?;
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A run of 50 questions of which the first so many were answered with the right facts, and 20 answers of which all were judged.
    pub(in crate::evaluation) fn run(right: usize) -> Run {
        let parts = vec![
            TriedPart { id: "answers".to_owned(), kind: Kind::Lanes, items: 50 },
            TriedPart { id: "checks".to_owned(), kind: Kind::Grounding, items: 20 },
        ];
        let mut records = Vec::new();
        for at in 0..50 {
            let mut record = Record::of("answers", &format!("q{at:02}"), None);
            record.share("string_presence", at < right);
            record.share("false_abstention", at >= right);
            if at >= right {
                record.wrong(0.5, || super::super::record::Shown {
                    wrong: "It was declined.".to_owned(),
                    asked: format!("Question <{at}>?"),
                    expected: "refills.md".to_owned(),
                    ..super::super::record::Shown::default()
                });
            }
            records.push(record);
        }
        for at in 0..20 {
            let mut record = Record::of("checks", &format!("c{at:02}"), Some(&format!("template {}", at / 2)));
            record.sorted(
                "error_recall",
                Some(if at < 10 { "route" } else { "dose" }),
                f64::from(u8::from(at != 3)),
                1.0,
            );
            records.push(record);
        }
        Run {
            format: FORMAT,
            suite: Tried {
                name: "Sample".to_owned(),
                about: String::new(),
                sha256: "aa".repeat(32),
                parts: parts.clone(),
            },
            system: System {
                program: "0.1.0".to_owned(),
                tenant: "pharmacy".to_owned(),
                embed: Named { name: "minilm".to_owned(), sha256: "bb".repeat(32) },
                generate: Some(Named { name: "small".to_owned(), sha256: "cc".repeat(32) }),
                guardrail: None,
                settings: "dd".repeat(32),
                collections: vec![Held { name: "procedures".to_owned(), documents: 2, passages: 9 }],
            },
            seed: 1,
            begun: "2026-01-01T00:00:00Z".to_owned(),
            seconds: 12.5,
            metrics: figures(&parts, &records, 1),
            records,
        }
    }

    #[test]
    fn figures_come_from_the_records_with_their_sorts_worst_first() {
        let run = run(45);
        let figure = run.figure("answers/string_presence").unwrap();
        assert!((figure.interval.value - 0.9).abs() < 1e-9 && figure.items == 50, "{figure:?}");
        assert!(figure.interval.low < 0.9 && figure.interval.high > 0.9 && figure.interval.high <= 1.0);
        let figure = run.figure("checks/error_recall").unwrap();
        let sorts: Vec<&str> = figure.sorts.iter().map(|sort| sort.category.as_str()).collect();
        assert_eq!((sorts, figure.items), (vec!["route", "dose"], 20));
        assert_eq!(run.metric(figure).unwrap().title, "Wrong answers caught");
        assert!(run.figure("answers/faithfulness").is_none(), "nothing was observed of it");
        assert_eq!(run.groups(figure).len(), 10);
    }

    #[test]
    fn a_result_is_read_as_it_was_written_and_another_form_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("RESULT.json");
        let run = run(45);
        put(&path, &serde_json::to_vec(&run).unwrap()).unwrap();
        assert_eq!(Run::read(&path).unwrap(), run);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let newer = Run { format: 2, ..run };
        fs::write(&path, serde_json::to_vec(&newer).unwrap()).unwrap();
        assert!(format!("{:#}", Run::read(&path).unwrap_err()).contains("form 2"));
        fs::write(&path, "{\"question\": \"Ana Cruz\"}").unwrap();
        let error = format!("{:#}", Run::read(&path).unwrap_err());
        assert!(error.contains("RESULT.json") && !error.contains("Ana"), "{error}");
    }
}
