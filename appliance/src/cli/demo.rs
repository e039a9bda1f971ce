//! `cloister demo`: a site with sample documents in one command. Weights are fetched once, all else is made here; a
//! second start finds all of it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use clap::Args;
use cloister_models::{Registry, cache_dir};

use super::{ask, model, serve, site};
use crate::api;

mod questions;
mod set_up;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of the demo's site
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// The port; 0 takes a free one
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Stop after the three questions; exit code 1 unless two were answered with a citation and the third declined
    #[arg(long)]
    exit: bool,
    /// Stop before the server starts
    #[arg(long, hide = true, conflicts_with = "exit")]
    set_up_only: bool,
}

/// The models that the demo runs.
const MODELS: [&str; 2] = ["all-minilm-l6-v2", "smollm2-135m-instruct"];

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    // Warnings and worse only: the answers are what the demo is there to show.
    serve::log("warn")?;
    let folder = match arguments.dir {
        Some(folder) => folder,
        None => cache_dir().join("demo"),
    };
    let models = cache_dir().join("models");
    let registry = Registry::open(&models)?;
    for name in MODELS {
        model::ensure(&registry, name)?;
    }
    let site = set_up::site(&folder, &models)?;
    if arguments.set_up_only {
        return Ok(ExitCode::SUCCESS);
    }
    let config =
        site::Arguments { config: Some(site.config.clone()), sets: vec![format!("server.port={}", arguments.port)] };
    serve::with(config.load()?.config, api::every_route, async |server| {
        let well = questions::ask(&site, server.address(), began).await?;
        say(&instructions(&site, &folder, server.address().port()));
        Ok(match (arguments.exit, well) {
            (false, _) => None,
            (true, true) => Some(ExitCode::SUCCESS),
            (true, false) => Some(ExitCode::FAILURE),
        })
    })
}

fn instructions(site: &set_up::Site, folder: &Path, port: u16) -> String {
    let (authority, key) = (site.authority.display(), site.key("agent"));
    let key = key.display();
    format!(
        "Signed in is whoever presents an account's key. The demo's accounts, a file each, are in {accounts}\n\
         (agent, service, knowledge_manager, operator). Clients trust {authority}.\n\n\
         curl --cacert {authority} https://localhost:{port}/api/ask \\\n     \
         -H \"Authorization: Bearer $(cat {key})\" -H 'Content-Type: application/json' \\\n     \
         -d '{{\"question\": \"How do I transfer a prescription to another pharmacy?\"}}'\n\n\
         The API is described at https://localhost:{port}/api/docs; the site's configuration is {config}.",
        accounts = folder.join("accounts").display(),
        config = site.config.display(),
    )
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
