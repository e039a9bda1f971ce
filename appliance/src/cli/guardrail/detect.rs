//! `cloister guardrail detect`: identifiers in texts, with their places in code points.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use cloister_guardrails::{
    detect::{Detector, Patterns, Roster, code_points},
    redact::Policy,
};
use serde::Serialize;

use super::Item;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Texts, one {"id", "text"} a line; other keys are passed over
    #[arg(long = "in", value_name = "FILE")]
    texts: PathBuf,
    /// Where the findings go, one {"id", "spans": [{"start", "end", "label", "confidence"}]} a line
    #[arg(long = "out", value_name = "FILE")]
    found: PathBuf,
    /// A guardrail's identifier policy (TOML): its patterns and its least confidence are applied, its actions are not
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The site's roster, one {"kind", "text"} a line
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
}

#[derive(Serialize)]
struct Found {
    id: String,
    spans: Vec<Span>,
}

#[derive(Serialize)]
struct Span {
    start: usize,
    end: usize,
    label: &'static str,
    confidence: f32,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let inputs = [
        ("--in", Some(arguments.texts.as_path())),
        ("--policy", arguments.policy.as_deref()),
        ("--roster", arguments.roster.as_deref()),
    ];
    super::apart(inputs, ("--out", &arguments.found))?;
    let policy = match &arguments.policy {
        Some(path) => Policy::read(&read(path)?).with_context(|| format!("{} is not as it must be", path.display()))?,
        None => Policy::default(),
    };
    let roster = match &arguments.roster {
        Some(path) => {
            Some(Roster::read(&read(path)?).with_context(|| format!("{} is not as it must be", path.display()))?)
        }
        None => None,
    };
    let detector = Detector::new(roster, Patterns::of(&policy.regexes)?);
    let items: Vec<Item> = super::items(&arguments.texts)?;
    let found: Vec<Found> = items.into_iter().map(|item| look(&detector, &policy, item)).collect();
    super::write(&arguments.found, &found)?;
    Ok(ExitCode::SUCCESS)
}

fn look(detector: &Detector, policy: &Policy, item: Item) -> Found {
    let mut findings = detector.detect(&item.text);
    findings.retain(|finding| finding.confidence >= policy.least_confidence);
    let places = code_points(&item.text, &findings);
    let spans = findings.iter().zip(places).map(|(finding, (start, end))| Span {
        start,
        end,
        label: finding.kind.word(),
        confidence: finding.confidence,
    });
    Found { id: item.id, spans: spans.collect() }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(texts: &str) -> (anyhow::Result<ExitCode>, String) {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("texts.jsonl"), folder.path().join("found.jsonl"));
        fs::write(&input, texts).unwrap();
        let done = run(Arguments { texts: input, found: output.clone(), policy: None, roster: None });
        (done, fs::read_to_string(output).unwrap_or_default())
    }

    #[test]
    fn places_are_counted_in_code_points() {
        let (done, found) = detect("{\"id\": \"a\", \"text\": \"caf\\u00e9, MRN 4471902\"}\n");
        done.unwrap();
        let found: serde_json::Value = serde_json::from_str(&found).unwrap();
        let span = &found["spans"][0];
        assert_eq!((span["start"].as_u64(), span["end"].as_u64()), (Some(10), Some(17)));
        assert_eq!(span["label"], "MEDICAL_RECORD_NUMBER");
    }

    #[test]
    fn a_faulty_line_is_named_its_text_is_not_and_nothing_is_written() {
        let (done, found) = detect("{\"id\": \"a\", \"text\": \"one\"}\n{\"id\": \"b\", \"text\": 4471902}\n");
        let error = format!("{:?}", done.unwrap_err());
        assert!(error.contains("line 2") && !error.contains("4471902"), "{error}");
        assert!(found.is_empty());
    }

    #[test]
    fn neither_roster_nor_policy_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("texts"), "{\"id\": \"a\", \"text\": \"one\"}\n").unwrap();
        for (name, held) in [("roster", "{\"kind\": \"ward\", \"text\": \"Larch\"}\n"), ("policy", "")] {
            fs::write(at(name), held).unwrap();
            let (policy, roster) =
                (Some(at("policy")).filter(|_| name == "policy"), Some(at("roster")).filter(|_| name == "roster"));
            let refused = run(Arguments { texts: at("texts"), found: at(name), policy, roster }).unwrap_err();
            assert!(refused.to_string().contains(&format!("--{name}")), "{refused}");
            assert_eq!(fs::read_to_string(at(name)).unwrap(), held);
        }
    }
}
