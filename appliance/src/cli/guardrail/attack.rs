//! `cloister guardrail attack`: looks for attacks on a model in texts.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use cloister_guardrails::attack::{self, Strength, Where};
use serde::{Deserialize, Serialize};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Texts, one {"id", "text", "where"} a line; `where` is "user" (or left out) or "document"
    #[arg(long = "in", value_name = "TEXTS.jsonl")]
    from: PathBuf,
    /// Where the findings go, one {"id", "score", "confidence", "blocked", "rule"} a line
    #[arg(long = "out", value_name = "FOUND.jsonl")]
    to: PathBuf,
    /// How much is blocked: `low` blocks what is certain, `high` also what is only suspected
    #[arg(long, value_enum, default_value_t = By::Medium)]
    strength: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    None,
    Low,
    Medium,
    High,
}

impl From<By> for Strength {
    fn from(by: By) -> Self {
        match by {
            By::None => Self::None,
            By::Low => Self::Low,
            By::Medium => Self::Medium,
            By::High => Self::High,
        }
    }
}

/// A text to look at. It does not print.
#[derive(Deserialize)]
struct Item {
    id: String,
    #[serde(alias = "question")]
    text: String,
    #[serde(default, rename = "where")]
    place: Place,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    #[default]
    User,
    Document,
}

#[derive(Serialize)]
struct Found {
    id: String,
    score: f32,
    confidence: &'static str,
    blocked: bool,
    rule: Option<&'static str>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let strength = Strength::from(arguments.strength);
    let items: Vec<Item> = super::items(&arguments.from)?;
    let found = items.into_iter().map(|item| {
        let place = match item.place {
            Place::User => Where::User,
            Place::Document => Where::Document,
        };
        let found = attack::assess(&item.text, place);
        let blocked = strength.blocks(found.confidence);
        Found { id: item.id, score: found.score, confidence: found.confidence.as_str(), blocked, rule: found.rule }
    });
    super::write(&arguments.to, &found.collect::<Vec<_>>())?;
    Ok(ExitCode::SUCCESS)
}
