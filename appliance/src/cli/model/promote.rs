//! `cloister model promote` and `retire`: which models may write answers.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use cloister_governance::approvals::{Approval, Approvals, State};
use cloister_models::{ModelIdentity, Registry};

use super::say;
use crate::{
    cli::site::Desk,
    evaluation::{Named, Pass, Subject, pass},
    wiring::ENGINE,
};

#[derive(Debug, Args)]
pub(super) struct Promote {
    /// Its name in the registry, or that of the configured engine's model
    model: String,
    /// What it must hold
    #[arg(long, value_name = "GATE.toml")]
    gate: PathBuf,
    /// What this site measured of it: `cloister eval run --model`
    #[arg(long, value_name = "RESULT.json")]
    result: PathBuf,
}

/// Lets a model write answers, if the gate holds for this site's own result about its very files.
pub(super) fn promote(registry: &Registry, desk: Option<&Desk>, wanted: &Promote) -> anyhow::Result<()> {
    let desk = at_a_site(desk)?;
    let ModelIdentity { name, sha256 } = identity(registry, desk, &wanted.model)?;
    let approvals = Approvals::open(&desk.store.fleet())?;
    let subject = Subject::Model(Named { name: name.clone(), sha256: sha256.clone() });
    let Pass { result, gate } = pass(&approvals, &wanted.gate, &wanted.result, &subject)
        .with_context(|| format!("`{name}` is not promoted"))?;
    approvals.approve(&Approval { model: name.clone(), sha256, result, gate }, desk.clock.as_ref())?;
    say(&format!(
        "{name} may write answers here: switch `answer.composed` on if it is not, name the model in `models.generate`, and restart the server"
    ));
    Ok(())
}

/// Lets a model write no more answers.
pub(super) fn retire(registry: &Registry, desk: Option<&Desk>, model: &str) -> anyhow::Result<()> {
    let desk = at_a_site(desk)?;
    let ModelIdentity { name, sha256 } = identity(registry, desk, model)?;
    if !Approvals::open(&desk.store.fleet())?.retire(&name, &sha256, desk.clock.as_ref())? {
        bail!("`{name}` is not approved: see `cloister model list`");
    }
    say(&format!("{name} may write no more answers: restart the server"));
    Ok(())
}

/// How far a model has come; without a site it is there, and no more is known.
pub(super) fn state(desk: Option<&Desk>, model: &ModelIdentity) -> anyhow::Result<&'static str> {
    let Some(desk) = desk else { return Ok(State::Imported.as_str()) };
    Ok(Approvals::open(&desk.store.fleet())?.state(&model.name, &model.sha256)?.as_str())
}

fn at_a_site(desk: Option<&Desk>) -> anyhow::Result<&Desk> {
    desk.context("a model is approved for a site: name its configuration by --config")
}

/// The model's name and hash, each file of it read. Of an engine elsewhere its name is all that can be known.
fn identity(registry: &Registry, desk: &Desk, model: &str) -> anyhow::Result<ModelIdentity> {
    if desk.config.models.engine.as_ref().is_some_and(|engine| engine.model == model) {
        return Ok(ModelIdentity { name: model.to_owned(), sha256: ENGINE.to_owned() });
    }
    Ok(registry.verify(model)?.identity())
}
