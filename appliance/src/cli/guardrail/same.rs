//! `cloister guardrail same`: whether questions ask the same as a curated one, and what tells it.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use cloister_guardrails::same_question::{self, Features, Known, least_found};
use cloister_knowledge::Embed;
use serde::{Deserialize, Serialize};

use crate::{cli::site, pipeline::cosine, wiring};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// Curated questions, one {"question"} a line; other keys are passed over
    #[arg(long, value_name = "FILE")]
    curated: PathBuf,
    /// Questions, one {"id", "text"} a line; other keys are passed over
    #[arg(long = "in", value_name = "FILE")]
    asked: PathBuf,
    /// Where it goes what the likest curated questions are to each, one {"id", "found": [{"at", "likely", "veto", "features"}]} a line
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
}

/// A question that is asked. It does not print.
#[derive(Deserialize)]
struct Item {
    id: String,
    text: String,
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
    /// How likely it asks the same, 0 to 1.
    likely: f32,
    /// A detail that differs and changes the answer.
    veto: Option<&'static str>,
    features: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { site, curated, asked, found, top } = arguments;
    super::apart([("--in", Some(asked.as_path())), ("--curated", Some(curated.as_path()))], ("--out", found))?;
    let pairs: Vec<Pair> = super::items(curated)?;
    let items: Vec<Item> = super::items(asked)?;
    let embed = wiring::embedding(&site.load()?.config, wiring::INGEST_PATIENCE)?;
    let known = Texts::of(&embed, pairs.iter().map(|pair| pair.question.clone()).collect())?;
    let texts = Texts::of(&embed, items.iter().map(|item| item.text.clone()).collect())?;
    let width = embed.identity().dimensions;
    let judged = items.into_iter().enumerate().map(|(at, item)| {
        let mut near: Vec<(usize, f32)> =
            known.whole.iter().map(|other| cosine(&texts.whole[at], other)).enumerate().collect();
        near.sort_by(|a, b| b.1.total_cmp(&a.1));
        let likest = near.iter().take(*top).map(|(other, similarity)| {
            let pair = &pairs[*other];
            let next = near.iter().find(|(at, _)| at != other).map_or(-1.0, |(_, next)| *next);
            let least = least_found(&texts.tokens[at], &known.tokens[*other], width);
            let known = Known { question: &pair.question, similarity: *similarity, next, least };
            let features = Features::of(&item.text, &known);
            let named = same_question::NAMES.iter().zip(features.0);
            Likest {
                at: *other,
                likely: features.likely(),
                veto: same_question::changed(&item.text, &pair.question).map(same_question::Veto::as_str),
                features: named.map(|(name, value)| ((*name).to_owned(), value.into())).collect(),
            }
        });
        Judged { found: likest.collect(), id: item.id }
    });
    super::write(found, &judged.collect::<Vec<Judged>>())?;
    Ok(ExitCode::SUCCESS)
}

/// What the embedding model makes of some texts.
struct Texts {
    whole: Vec<Vec<f32>>,
    tokens: Vec<Vec<f32>>,
}

impl Texts {
    fn of(embed: &dyn Embed, texts: Vec<String>) -> anyhow::Result<Self> {
        let (mut whole, mut tokens) = (Vec::new(), Vec::new());
        for texts in texts.chunks(64) {
            whole.extend(embed.embed(texts)?);
            tokens.extend(embed.embed_tokens(texts)?);
        }
        anyhow::ensure!(whole.len() == texts.len() && tokens.len() == texts.len(), "there is a vector too few");
        Ok(Self { whole, tokens })
    }
}
