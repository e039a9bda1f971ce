//! `cloister guardrail same`: whether questions ask the same as a curated one in other words, and what tells it. What the same wording tells
//! is for the server's first gate, which is not asked here.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::{bail, ensure};
use clap::Args;
use cloister_guardrails::{ground::Entailment, same_question};
use cloister_knowledge::Embed;
use serde::{Deserialize, Serialize};

use super::Item;
use crate::{
    cli::site,
    pipeline::{cosine, together},
    wiring,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// Curated questions, one {"question", "also": [...]} a line; other keys are passed over
    #[arg(long, value_name = "FILE")]
    curated: PathBuf,
    /// Questions, one {"id", "text"} a line; other keys are passed over
    #[arg(long = "in", value_name = "FILE")]
    asked: PathBuf,
    /// Where the likest curated questions go, one {"id", "found": [{"at", "similarity", "next", "likely", "veto", "told", "features"}]} a line
    #[arg(long = "out", value_name = "FILE")]
    found: PathBuf,
    /// How many curated questions are told
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    top: usize,
}

/// A curated pair. It does not print.
#[derive(Deserialize)]
struct Pair {
    question: String,
    #[serde(default)]
    also: Vec<String>,
}

#[derive(Serialize)]
struct Judged {
    id: String,
    found: Vec<Likest>,
}

#[derive(Serialize)]
struct Likest {
    /// Which curated question, by its line, the first being 0.
    at: usize,
    /// Cosine of the two questions.
    similarity: f32,
    /// The same of the likest other curated question; -1 where there is none.
    next: f32,
    /// How likely it asks the same, 0 to 1.
    likely: f32,
    /// A detail that differs and changes the answer.
    veto: Option<&'static str>,
    /// Whether the asked question alone has such a detail.
    told: bool,
    features: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { site, curated, asked, found, top } = arguments;
    super::apart([("--in", Some(asked.as_path())), ("--curated", Some(curated.as_path()))], ("--out", found))?;
    let pairs: Vec<Pair> = super::items(curated)?;
    let items: Vec<Item> = super::items(asked)?;
    let embed = wiring::embedding(&site.load()?.config, wiring::INGEST_PATIENCE)?;
    if !embed.reads_pairs() {
        bail!("questions are read together by {}: configure that embedding model", Entailment::TRUNK);
    }
    let wordings = pairs.iter().enumerate().flat_map(|(at, pair)| {
        std::iter::once(&pair.question).chain(&pair.also).map(move |question| (at, question.clone()))
    });
    let (of, wordings): (Vec<usize>, Vec<String>) = wordings.unzip();
    let known = vectors(&embed, &wordings)?;
    let asked = vectors(&embed, &items.iter().map(|item| item.text.clone()).collect::<Vec<String>>())?;
    let mut judged = Vec::with_capacity(items.len());
    for (item, asked) in items.into_iter().zip(&asked) {
        let mut near: Vec<(usize, &String, f32)> = of
            .iter()
            .zip(&wordings)
            .zip(&known)
            .map(|((at, wording), known)| (*at, wording, cosine(asked, known)))
            .collect();
        near.sort_by(|a, b| b.2.total_cmp(&a.2));
        let mut seen = BTreeSet::new();
        near.retain(|(at, ..)| seen.insert(*at));
        let found = tell(&embed, &item.text, &near, *top)?;
        judged.push(Judged { found, id: item.id });
    }
    super::write(found, &judged)?;
    Ok(ExitCode::SUCCESS)
}

/// What is told of the first curated questions, the likest by vectors first.
fn tell(embed: &dyn Embed, asked: &str, near: &[(usize, &String, f32)], top: usize) -> anyhow::Result<Vec<Likest>> {
    let first = near.get(..top).unwrap_or(near);
    let read = together(embed, asked, first.iter().map(|(_, wording, _)| (*wording).clone()).collect())?;
    let worded: Vec<(&str, f32)> =
        near.iter().map(|(_, wording, similarity)| (wording.as_str(), *similarity)).collect();
    let known = same_question::beside(&worded, &read.iter().map(|read| read.same).collect::<Vec<f32>>());
    let told = first.iter().zip(&known).map(|((at, ..), known)| {
        let change = same_question::changed(asked, known.question);
        let named = same_question::NAMES.iter().zip(known.features());
        Likest {
            at: *at,
            similarity: known.similarity,
            next: known.next,
            likely: known.likely(),
            veto: change.map(|change| change.veto.as_str()),
            told: change.is_some_and(|change| change.told),
            features: named.map(|(name, value)| ((*name).to_owned(), value.into())).collect(),
        }
    });
    Ok(told.collect())
}

/// The vector of each text.
fn vectors(embed: &dyn Embed, texts: &[String]) -> anyhow::Result<Vec<Vec<f32>>> {
    let mut vectors = Vec::with_capacity(texts.len());
    for texts in texts.chunks(super::TOGETHER) {
        vectors.extend(embed.embed(texts)?);
    }
    ensure!(vectors.len() == texts.len(), "there is a vector too few");
    Ok(vectors)
}
