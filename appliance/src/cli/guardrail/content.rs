//! `cloister guardrail content`: what a text holds of the categories that content filters are set for.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use cloister_guardrails::{content::Heads, document::FilterKind};
use cloister_knowledge::Embed;
use serde::{Deserialize, Serialize};

use crate::{
    cli::site,
    pipeline::guardrail::{Parts, windowed},
    wiring,
};

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

/// A text to look at. It does not print.
#[derive(Deserialize)]
struct Item {
    id: String,
    text: String,
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

/// Texts that are embedded together.
const TOGETHER: usize = 64;

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::apart([("--in", Some(arguments.texts.as_path()))], &arguments.scored)?;
    let items: Vec<Item> = super::items(&arguments.texts)?;
    let embed = wiring::embedding(&arguments.site.load()?.config, wiring::INGEST_PATIENCE)?;
    let heads = Heads::of(&embed.identity().sha256).with_context(|| {
        format!("content is told from vectors of {}; the configured embedding model is another", Heads::TRUNK)
    })?;
    let (mut scored, mut kept) = (Vec::with_capacity(items.len()), Vec::new());
    for items in items.chunks(TOGETHER) {
        let texts: Vec<String> = items.iter().map(|item| item.text.clone()).collect();
        for (item, windows) in items.iter().zip(windowed(&embed, &texts, Parts::Whole)?) {
            let judged = FilterKind::ALL.map(|kind| windows.judged(heads, kind));
            let name = |kind: FilterKind| kind.as_str().to_owned();
            scored.push(Scored {
                id: item.id.clone(),
                scores: judged.iter().map(|found| (name(found.kind), found.score.into())).collect(),
                confidences: judged.iter().map(|found| (name(found.kind), found.confidence.as_str().into())).collect(),
            });
            if arguments.vectors.is_some() {
                kept.push(Vectors { id: item.id.clone(), vectors: windows.whole });
            }
        }
    }
    super::write(&arguments.scored, &scored)?;
    if let Some(path) = &arguments.vectors {
        super::write(path, &kept)?;
    }
    Ok(ExitCode::SUCCESS)
}
