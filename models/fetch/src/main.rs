//! `cloister-fetch`: brings a model from the Hugging Face Hub into a registry, on a connected machine.
//!
//! **What it is not**: part of the server. It is a program of its own because it links an HTTP client, which the server
//! must not. What it brings is imported like any file that a person hands over: hashed, parsed with suspicion, pickle refused.
//!
//! ```text
//! cloister-fetch hf OWNER/REPOSITORY[@REVISION] [--file FILE] --into REGISTRY [--name NAME]
//! ```
//!
//! # Why
//! `hf-hub` 0.5 with its blocking client: version 1 needs an asynchronous client and a storage protocol of its own, several minutes of
//! building for nothing that is used here. Address, token and cache are the ones of Hugging Face's own tools (`HF_ENDPOINT`,
//! `HF_TOKEN`, `HF_HOME`).

#![expect(clippy::print_stdout, reason = "a command line program says what it did")]

mod choice;
mod reference;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, Subcommand};
use cloister_models::{Import, Manifest, Registry};
use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Repo, RepoType};

use crate::choice::choose;
use crate::reference::Reference;

/// Brings models into a Cloister registry.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    /// From the Hugging Face Hub.
    Hf {
        /// OWNER/REPOSITORY, and @REVISION to pin one.
        reference: Reference,
        /// The file to take, where the repository holds several models.
        #[arg(long)]
        file: Option<String>,
        /// Directory of the registry.
        #[arg(long)]
        into: PathBuf,
        /// Name in the registry.
        #[arg(long)]
        name: Option<String>,
        /// Licence of the weights, for the record.
        #[arg(long)]
        licence: Option<String>,
    },
}

fn main() -> anyhow::Result<()> {
    let From::Hf { reference, file, into, name, licence } = Arguments::parse().from;
    let registry = Registry::open(into)?;
    let manifest = fetch(&registry, &reference, file.as_deref(), name, licence)?;
    println!("{} ({}, {}) is in the registry", manifest.name, manifest.task, manifest.architecture);
    Ok(())
}

fn fetch(
    registry: &Registry,
    reference: &Reference,
    file: Option<&str>,
    name: Option<String>,
    licence: Option<String>,
) -> anyhow::Result<Manifest> {
    let api = ApiBuilder::from_env().with_progress(true).build().context("the client cannot be set up")?;
    let wanted = reference.revision.clone().unwrap_or_else(|| "main".to_owned());
    let named =
        |revision: &str| Repo::with_revision(reference.repository.clone(), RepoType::Model, revision.to_owned());
    let info = api.repo(named(&wanted)).info();
    let info = info.with_context(|| format!("{reference} cannot be looked up; check the name and the network"))?;
    // From here on the exact revision, so that all files are of one state.
    let repository = api.repo(named(&info.sha));
    let there: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
    let chosen = choose(&there, file)?;
    let mut paths = Vec::new();
    for file in &chosen {
        paths.push(repository.get(file).with_context(|| format!("`{file}` cannot be downloaded; run the same again"))?);
    }
    let first = paths.first().context("nothing was chosen")?;
    let source =
        if chosen.len() == 1 { first.as_path() } else { first.parent().context("the cache has no directory")? };
    let name = name.or_else(|| (chosen.len() > 1).then(|| reference.name()));
    let from = format!("hf:{}@{}", reference.repository, info.sha);
    Ok(registry.import(source, &Import { name, licence, source: Some(from) })?)
}
