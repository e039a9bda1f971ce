//! `cloister guardrail tokens`: what the embedding model makes of each token of some texts, to train on.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use cloister_knowledge::Embed;
use serde::Serialize;

use super::{Item, Written};
use crate::{cli::site, wiring};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// Texts, one {"id", "text"} a line; other keys are passed over
    #[arg(long = "in", value_name = "FILE")]
    texts: PathBuf,
    /// Where the vectors go: 32-bit little-endian numbers, two vectors a token, text after text
    #[arg(long, value_name = "FILE")]
    vectors: PathBuf,
    /// Where it goes how many tokens each text has, one {"id", "tokens"} a line
    #[arg(long = "out", value_name = "FILE")]
    counts: PathBuf,
}

#[derive(Serialize)]
struct Count {
    id: String,
    tokens: usize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { site, texts, vectors, counts } = arguments;
    super::apart([("--in", Some(texts.as_path()))], ("--vectors", vectors))?;
    super::apart([("--in", Some(texts.as_path())), ("--vectors", Some(vectors.as_path()))], ("--out", counts))?;
    let items: Vec<Item> = super::items(texts)?;
    let embed = wiring::embedding(&site.load()?.config, wiring::INGEST_PATIENCE)?;
    let counted = write_all(&embed, items, vectors)?;
    super::write(counts, &counted)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the vectors; returns how many tokens there are by text.
fn write_all(embed: &dyn Embed, items: Vec<Item>, path: &Path) -> anyhow::Result<Vec<Count>> {
    let width = 2 * embed.identity().dimensions.max(1);
    let mut file = Written::begin(path)?;
    let (ids, read): (Vec<String>, Vec<String>) = items.into_iter().map(|item| (item.id, item.text)).unzip();
    let mut counted = Vec::with_capacity(ids.len());
    let mut ids = ids.into_iter();
    for texts in read.chunks(super::TOGETHER) {
        for (vectors, id) in embed.embed_tokens(texts)?.into_iter().zip(ids.by_ref()) {
            let bytes: Vec<u8> = vectors.iter().flat_map(|number| number.to_le_bytes()).collect();
            file.add(&bytes)?;
            counted.push(Count { id, tokens: vectors.len() / width });
        }
    }
    file.finish()?;
    Ok(counted)
}
