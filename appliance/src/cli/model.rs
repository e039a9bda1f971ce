//! `cloister model`: the models of this machine.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use cloister_governance::audit::Outcome;
use cloister_models::{Import, Registry, cache_dir, catalogue, fetch};
use cloister_terms::Action;

use super::{
    progress,
    site::{self, Desk},
    table,
};
use crate::wiring;

mod promote;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// Another registry than the site's: a folder on a connected machine, where models are fetched to be carried over
    #[arg(long, global = true, value_name = "DIR")]
    registry: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Fetch a model of the catalogue on a connected machine; what is there is kept, what broke off is resumed
    Fetch {
        /// A name of the catalogue (see `model list --catalogue`), or `hf:OWNER/REPO[@REVISION]` through cloister-fetch
        model: String,
        /// One file of the hub's repository; for `hf:` only
        #[arg(long, value_name = "NAME")]
        file: Option<String>,
    },
    /// Take over a GGUF file, a directory (GGUF, or safetensors with config.json and tokenizer.json), or a bundle
    Import {
        /// The file or directory
        path: PathBuf,
        /// Its name in the registry; by default taken from the path
        #[arg(long)]
        name: Option<String>,
        /// The licence of the weights
        #[arg(long)]
        licence: Option<String>,
        /// Where the files came from, for the record
        #[arg(long)]
        source: Option<String>,
    },
    /// Write a verified model as one bundle, to carry to another machine
    Export {
        /// Its name
        model: String,
        /// The bundle to write
        bundle: PathBuf,
    },
    /// List the models
    List {
        /// Those that can be fetched, not those that are here
        #[arg(long)]
        catalogue: bool,
    },
    /// Show a model's manifest
    Show {
        /// Its name
        model: String,
    },
    /// Read every file of a model and compare it with its SHA-256
    Verify {
        /// Its name; all of them if none is given
        model: Option<String>,
    },
    /// Delete a model
    Remove {
        /// Its name
        model: String,
    },
    /// Let a model write answers: a result of this site's about it must hold at a gate
    Promote(promote::Promote),
    /// Let a model write no more answers
    Retire {
        /// Its name
        model: String,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(folder) = arguments.registry {
        return work(&Registry::open(folder)?, None, arguments.verb);
    }
    let loaded = arguments.site.load()?;
    if loaded.file().is_none() && arguments.site.sets.is_empty() {
        // No site on this machine: the folder that the demo and the tests share.
        return work(&Registry::open(cache_dir().join("models"))?, None, arguments.verb);
    }
    // A site's models are what answers its questions: who changes them is decided and recorded like everything else.
    let desk = Desk::of(loaded.config)?;
    desk.govern_site(Action::ManageModels, || {
        let word = arguments.verb.word();
        let done = work(&wiring::registry(&desk.config)?, Some(&desk), arguments.verb)?;
        Ok((done, Outcome::done().with_code(word)))
    })
}

impl Verb {
    /// What the audit log calls it.
    const fn word(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "fetched",
            Self::Import { .. } => "imported",
            Self::Export { .. } => "exported",
            Self::List { .. } => "listed",
            Self::Show { .. } => "shown",
            Self::Verify { .. } => "verified",
            Self::Remove { .. } => "removed",
            Self::Promote(_) => "promoted",
            Self::Retire { .. } => "retired",
        }
    }
}

fn work(registry: &Registry, desk: Option<&Desk>, verb: Verb) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Fetch { model, file } => match model.strip_prefix("hf:") {
            Some(reference) => return from_hub(registry, reference, file.as_deref()),
            None => ensure(registry, &model)?,
        },
        Verb::Import { path, name, licence, source } => {
            let manifest = registry.import(&path, &Import { name, licence, source })?;
            say(&format!("imported {} ({}, {})", manifest.name, manifest.task, manifest.architecture));
        }
        Verb::Export { model, bundle } => {
            registry.export(&model, &bundle)?;
            say(&format!("wrote {}", bundle.display()));
        }
        Verb::List { catalogue: true } => list_catalogue(),
        Verb::List { catalogue: false } => list(registry, desk)?,
        Verb::Show { model } => say(&registry.show(&model)?.to_toml()?),
        Verb::Verify { model } => return verify(registry, model),
        Verb::Remove { model } => {
            registry.remove(&model)?;
            say(&format!("removed {model}"));
        }
        Verb::Promote(wanted) => promote::promote(registry, desk, &wanted)?,
        Verb::Retire { model } => promote::retire(registry, desk, &model)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Fetches a model of the catalogue unless it is here, with a bar.
///
/// # Errors
/// When the catalogue lacks it, or it cannot be fetched or does not match its hash.
pub(super) fn ensure(registry: &Registry, model: &str) -> anyhow::Result<()> {
    let Some(entry) = catalogue::find(model) else {
        let known: Vec<&str> = catalogue::builtin().iter().map(|entry| entry.name.as_str()).collect();
        bail!("the catalogue has no model `{model}`; it has {}", known.join(", "));
    };
    let bar = progress::bytes(entry.download_bytes());
    bar.set_message(entry.name.clone());
    let fetched = fetch::ensure(entry, registry, &mut |step| {
        if let fetch::FetchProgress::Downloading { done, .. } = step {
            bar.set_position(done);
        }
    });
    bar.finish_and_clear();
    fetched.map(drop).with_context(|| format!("fetching `{model}`"))
}

/// A hub is reached by a program of its own, so that this one holds no HTTP client.
fn from_hub(registry: &Registry, reference: &str, file: Option<&str>) -> anyhow::Result<ExitCode> {
    let beside = std::env::current_exe()?.with_file_name("cloister-fetch");
    if !beside.exists() {
        bail!(
            "`cloister-fetch` is not installed beside this program; on a connected machine build it with \
             `cargo build --release -p cloister-fetch`, fetch there, and carry the model here with `model export` and `model import`"
        );
    }
    let mut command = std::process::Command::new(beside);
    command.args(["hf", reference, "--into"]).arg(registry.root());
    if let Some(file) = file {
        command.args(["--file", file]);
    }
    let status = command.status().context("starting cloister-fetch")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list(registry: &Registry, desk: Option<&Desk>) -> anyhow::Result<()> {
    let mut table = table::plain(["name", "task", "architecture", "licence", "MB", "state"]);
    for listed in registry.list()? {
        match listed.manifest {
            Ok(manifest) => {
                let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
                let state = promote::state(desk, &manifest.identity())?;
                let cells = [manifest.name, manifest.task.to_string(), manifest.architecture, manifest.licence];
                table.add_row(cells.into_iter().chain([(bytes / 1_000_000).to_string(), state.to_owned()]));
            }
            Err(error) => {
                table.add_row([
                    listed.name,
                    String::new(),
                    String::new(),
                    String::new(),
                    String::new(),
                    error.to_string(),
                ]);
            }
        }
    }
    say(&table.to_string());
    Ok(())
}

fn list_catalogue() {
    let mut table = table::plain(["name", "task", "licence", "MB to fetch", "about"]);
    for entry in catalogue::builtin() {
        let megabytes = (entry.download_bytes() / 1_000_000).to_string();
        table.add_row([
            entry.name.clone(),
            entry.task.to_string(),
            entry.licence.clone(),
            megabytes,
            entry.about.clone(),
        ]);
    }
    say(&table.to_string());
}

fn verify(registry: &Registry, model: Option<String>) -> anyhow::Result<ExitCode> {
    let names = match model {
        Some(name) => vec![name],
        None => registry.list()?.into_iter().map(|listed| listed.name).collect(),
    };
    let mut all_well = true;
    for name in names {
        match registry.verify(&name) {
            Ok(verified) => say(&format!("ok      {name} {}", verified.identity().sha256)),
            Err(error) => {
                all_well = false;
                say(&format!("REFUSED {name}: {:#}", anyhow::Error::from(error)));
            }
        }
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
