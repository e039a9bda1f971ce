//! `cloister eval calibrate`: the threshold from which a sentence is quoted.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::Args;
use cloister_terms::{AccessLabel, TenantId};

use super::{run as evaluating, say};
use crate::{
    cli::{guardrail, progress, serve, site},
    evaluation::{
        Site, Suite,
        calibrate::{choose, effects, key, questions, weigh},
    },
    wiring::App,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The suite; its lanes hold the questions
    #[arg(value_name = "SUITE.toml")]
    suite: PathBuf,
    /// The folder of a site, with its cloister.toml; does for --config
    #[arg(long = "site", value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The share of answerable questions that may be declined
    #[arg(long, value_name = "SHARE", default_value_t = 0.08)]
    false_abstention: f64,
    /// The seed of intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The tenant; the only one there is, if none is named
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Access labels of whoever asks
    #[arg(long = "label", default_values = ["all", "staff"])]
    labels: Vec<AccessLabel>,
    /// Where to write what every sentence weighed, one question a line; it holds no text
    #[arg(long, value_name = "FILE.jsonl")]
    weighings: Option<PathBuf>,
}

pub(super) fn run(site: &site::Arguments, wanted: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { suite, folder, false_abstention, seed, tenant, labels, weighings: written } = wanted;
    anyhow::ensure!((0.0..1.0).contains(&false_abstention), "--false-abstention is a share: at least 0 and below 1");
    let suite = Suite::read(&suite, seed)?;
    let config = evaluating::loaded(site, folder.as_deref())?.config;
    let least = config.answer.evidence;
    serve::log("warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let weighings = runtime.block_on(async {
        let app = Arc::new(tokio::task::block_in_place(|| App::start(config))?);
        let site = Site::new(Arc::clone(&app), evaluating::tenant(&app, tenant)?, labels)?;
        let bar = progress::count(questions(&suite).count() as u64);
        let weighings = weigh(&site, &suite, &mut || bar.inc(1)).await;
        bar.finish_and_clear();
        app.gate.audit.flush().await?;
        weighings
    })?;
    if let Some(path) = &written {
        guardrail::write(path, &weighings)?;
    }
    let effects = effects(&weighings, least, seed)?;
    let chosen = choose(&effects, false_abstention).context("no threshold was tried")?;
    say("threshold  unanswerable declined      answerable declined        first sentence right");
    let shown = effects.iter().filter(|effect| *effect == chosen || (effect.threshold * 100.0).round() % 10.0 == 0.0);
    for effect in shown {
        let of = |interval: crate::evaluation::statistics::Interval| {
            format!("{:.3} ({:.3} to {:.3})", interval.value, interval.low, interval.high)
        };
        let mark = if effect == chosen { "*" } else { " " };
        say(&format!(
            "{mark} {:.2}     {}    {}    {}",
            effect.threshold,
            of(effect.abstention),
            of(effect.false_abstention),
            of(effect.right)
        ));
    }
    if chosen.false_abstention.value > false_abstention {
        say(&format!(
            "\nNo threshold declines as little as {false_abstention} of the answerable: the lowest is marked."
        ));
    }
    say(&format!("\nFor the configuration:\n\n[answer]\n{} = {:.2}", key(&weighings), chosen.threshold));
    Ok(ExitCode::SUCCESS)
}
