//! `cloister guardrail same`: whether questions ask the same as a curated one in other words, and what tells it. What the same wording tells
//! is for the server's first gate, which is not asked here.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::{bail, ensure};
use clap::Args;
use cloister_guardrails::{
    ground::Entailment,
    same_question::{self, Features, Known, least_found},
};
use cloister_knowledge::Embed;
use serde::{Deserialize, Serialize};

use super::Item;
use crate::{cli::site, pipeline::cosine, wiring};

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
    /// Where the likest curated questions go, one {"id", "found": [{"at", "similarity", "next", "likely", "veto", "features"}]} a line
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
    features: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { site, curated, asked, found, top } = arguments;
    super::apart([("--in", Some(asked.as_path())), ("--curated", Some(curated.as_path()))], ("--out", found))?;
    let pairs: Vec<Pair> = super::items(curated)?;
    let items: Vec<Item> = super::items(asked)?;
    let embed = wiring::embedding(&site.load()?.config, wiring::INGEST_PATIENCE)?;
    if !same_question::is_learned_beside(&embed.identity().sha256) {
        bail!("questions are compared by vectors of {}: configure that embedding model", Entailment::TRUNK);
    }
    let wordings = pairs.iter().enumerate().flat_map(|(at, pair)| {
        std::iter::once(&pair.question).chain(&pair.also).map(move |question| (at, question.clone()))
    });
    let (of, wordings): (Vec<usize>, Vec<String>) = wordings.unzip();
    let known = Texts::of(&embed, wordings)?;
    let asked = Texts::of(&embed, items.iter().map(|item| item.text.clone()).collect())?;
    let judged = items.into_iter().zip(asked.all()).map(|(item, asked)| {
        let mut near: Vec<(usize, Text<'_>, f32)> =
            of.iter().zip(known.all()).map(|(at, known)| (*at, known, cosine(asked.whole, known.whole))).collect();
        near.sort_by(|a, b| b.2.total_cmp(&a.2));
        let mut seen = BTreeSet::new();
        near.retain(|(at, ..)| seen.insert(*at));
        let likest = near.iter().take(*top).map(|(at, text, similarity)| {
            let next = near.iter().find(|(other, ..)| other != at).map_or(-1.0, |(.., next)| *next);
            let least = least_found(asked.tokens, text.tokens, asked.whole.len());
            let known = Known { question: text.text, similarity: *similarity, next, least };
            let features = Features::of(&item.text, &known);
            let named = same_question::NAMES.iter().zip(features.0);
            Likest {
                at: *at,
                similarity: *similarity,
                next,
                likely: features.likely(),
                veto: same_question::changed(&item.text, text.text).map(same_question::Veto::as_str),
                features: named.map(|(name, value)| ((*name).to_owned(), value.into())).collect(),
            }
        });
        Judged { found: likest.collect(), id: item.id }
    });
    super::write(found, &judged.collect::<Vec<Judged>>())?;
    Ok(ExitCode::SUCCESS)
}

/// Some texts and what the embedding model makes of them.
struct Texts {
    texts: Vec<String>,
    whole: Vec<Vec<f32>>,
    tokens: Vec<Vec<f32>>,
}

/// One of them.
#[derive(Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    whole: &'a [f32],
    tokens: &'a [f32],
}

impl Texts {
    fn of(embed: &dyn Embed, texts: Vec<String>) -> anyhow::Result<Self> {
        let (mut whole, mut tokens) = (Vec::new(), Vec::new());
        for texts in texts.chunks(super::TOGETHER) {
            whole.extend(embed.embed(texts)?);
            tokens.extend(embed.embed_tokens(texts)?);
        }
        ensure!(whole.len() == texts.len() && tokens.len() == texts.len(), "there is a vector too few");
        Ok(Self { texts, whole, tokens })
    }

    fn all(&self) -> impl Iterator<Item = Text<'_>> {
        let vectors = self.whole.iter().zip(&self.tokens);
        self.texts.iter().zip(vectors).map(|(text, (whole, tokens))| Text { text, whole, tokens })
    }
}
