//! `cloister eval run`: a suite on a site.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::Args;
use cloister_terms::{AccessLabel, TenantId};

use super::say;
use crate::{
    cli::{progress, serve, site},
    config::{Config, Loaded},
    evaluation::{self, Gate, Options, Site, Suite},
    wiring::{App, Trial, Writers},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The suite
    #[arg(value_name = "SUITE.toml")]
    suite: PathBuf,
    /// The folder of a site, with its cloister.toml; does for --config
    #[arg(long = "site", value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Where the result goes: a new folder, or that of a run to go on with
    #[arg(long, value_name = "FOLDER", default_value = "evaluation")]
    out: PathBuf,
    /// Go on with a run that was interrupted
    #[arg(long)]
    resume: bool,
    /// The seed of samples and intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The tenant; the only one there is, if none is named
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Access labels of whoever asks
    #[arg(long = "label", default_values = ["all", "staff"])]
    labels: Vec<AccessLabel>,
    /// A model of the registry that is to write answers in this run, approved or not; nobody is served meanwhile
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A published version of the tenant's guardrail that is to hold in this run, in force or not
    #[arg(long, value_name = "NUMBER")]
    guardrail: Option<u32>,
    /// A gate that the report holds the figures against, in place of the suite's own
    #[arg(long, value_name = "GATE.toml")]
    gate: Option<PathBuf>,
}

pub(super) fn run(site: &site::Arguments, wanted: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { suite, folder, out, resume, seed, tenant: named, labels, model, guardrail, gate } = wanted;
    let suite = Suite::read(&suite, seed)?;
    let gate = gate.as_ref().or(suite.gate.as_ref()).map(|path| Gate::read(path)).transpose()?;
    let (config, writers) = configured(&loaded(site, folder.as_deref())?, model.as_deref());
    serve::log("warn")?;
    let options = Options { out, resume, seed };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let run = runtime.block_on(async {
        let trial = Trial { writers, guardrail };
        let app = Arc::new(tokio::task::block_in_place(|| App::start_for(config, trial))?);
        let site = Site::new(Arc::clone(&app), tenant(&app, named)?, labels)?;
        site.is_held_to(guardrail)?;
        let bar = progress::count(suite.parts.iter().map(|part| part.items.len() as u64).sum());
        bar.set_message(suite.name.clone());
        let run = evaluation::run(&site, &suite, gate.as_ref(), &options, &mut || bar.inc(1)).await;
        bar.finish_and_clear();
        app.gate.audit.flush().await?;
        run
    })?;
    for figure in &run.metrics {
        let interval = figure.interval;
        say(&format!(
            "{:34} {:9.3}  {:9.3} to {:.3}  n {}",
            figure.name, interval.value, interval.low, interval.high, figure.items
        ));
    }
    say(&format!("\n{:.0} s; the report is {}", run.seconds, options.out.join("report.html").display()));
    Ok(match gate.map(|gate| gate.judge(&run)) {
        Some(ruling) => super::gate::told(&ruling),
        None => ExitCode::SUCCESS,
    })
}

/// The configuration: of the folder that was named, else as every command finds it.
pub(super) fn loaded(site: &site::Arguments, folder: Option<&Path>) -> anyhow::Result<Loaded> {
    match folder {
        Some(_) if site.config.is_some() => bail!("--site and --config name a site each: give one of them"),
        Some(folder) => {
            let file = folder.join("cloister.toml");
            if !file.exists() {
                bail!("{} holds no cloister.toml: name the folder of a site", folder.display());
            }
            site::Arguments { config: Some(file), sets: site.sets.clone() }.load()
        }
        None => site.load(),
    }
}

/// The configuration to start with: a model that was named writes, though it has not earned it yet.
fn configured(loaded: &Loaded, model: Option<&str>) -> (Config, Writers) {
    let mut config = loaded.config.clone();
    let Some(model) = model else { return (config, Writers::Approved) };
    model.clone_into(&mut config.models.generate);
    config.models.engine = None;
    config.answer.composed = true;
    (config, Writers::UnderEvaluation)
}

pub(super) fn tenant(app: &App, named: Option<TenantId>) -> anyhow::Result<TenantId> {
    let mut tenants = app.tenants.keys();
    match (named, tenants.next(), tenants.next()) {
        (Some(named), _, _) => Ok(named),
        (None, Some(only), None) => Ok(only.clone()),
        (None, None, _) => {
            bail!("there is no tenant yet: name one in the configuration as [tenants.NAME] and run `cloister init`")
        }
        (None, Some(_), Some(_)) => bail!("there are several tenants: name one with --tenant"),
    }
}
