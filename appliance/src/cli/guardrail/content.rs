//! `cloister guardrail content`: what a text holds of the categories that content filters are set for.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use cloister_guardrails::{content::Content, document::FilterKind};
use serde::Serialize;

use super::{Item, likeness::Likeness};
use crate::cli::site;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// Texts, one {"id", "text"} a line; other keys are passed over
    #[arg(long = "in", value_name = "FILE")]
    texts: PathBuf,
    /// Where the scores go, one {"id", "scores": {"HATE": ...}, "confidences": {"HATE": "NONE", ...}} a line
    #[arg(long = "out", value_name = "FILE")]
    scored: PathBuf,
    /// Write what the heads are trained on too, one {"id", "vectors"} a line, a vector for each stretch that the model sees whole
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
}

#[derive(Serialize)]
struct Scored {
    id: String,
    scores: serde_json::Map<String, serde_json::Value>,
    confidences: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct Vectors {
    id: String,
    vectors: Vec<Vec<f32>>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { site, texts, scored, vectors } = arguments;
    super::apart([("--in", Some(texts.as_path()))], ("--out", scored))?;
    if let Some(vectors) = vectors {
        super::apart([("--in", Some(texts.as_path())), ("--out", Some(scored.as_path()))], ("--vectors", vectors))?;
    }
    let items: Vec<Item> = super::items(texts)?;
    let likeness = Likeness::load(site)?;
    let (ids, read): (Vec<String>, Vec<String>) = items.into_iter().map(|item| (item.id, item.text)).unzip();
    let windows = likeness.windows(&read)?;
    let judged = ids.iter().zip(&windows).map(|(id, windows)| {
        let judged = FilterKind::ALL.map(|kind| windows.judged(likeness.heads, kind));
        let name = |found: &Content| found.kind.as_str().to_owned();
        Scored {
            id: id.clone(),
            scores: judged.iter().map(|found| (name(found), found.score.into())).collect(),
            confidences: judged.iter().map(|found| (name(found), found.confidence.as_str().into())).collect(),
        }
    });
    super::write(scored, &judged.collect::<Vec<Scored>>())?;
    if let Some(path) = vectors {
        let kept = ids.into_iter().zip(windows).map(|(id, windows)| Vectors { id, vectors: windows.whole });
        super::write(path, &kept.collect::<Vec<Vectors>>())?;
    }
    Ok(ExitCode::SUCCESS)
}
