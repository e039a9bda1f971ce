//! `cloister doctor`: is this machine and this site as they must be? Every check has a code, what it found, and what
//! mends it. The checks themselves are in [`crate::doctor`].

use std::process::ExitCode;

use clap::Args;
use cloister_guardrails::cross;
use cloister_models::{Accelerator, Registry, fit};
use serde_json::json;

use super::{site, table};
use crate::{
    config::Config,
    doctor::{Finding, Machine, State, examine, processor, weigh, worst},
    edge::metrics::Metrics,
    pipeline::Settings,
    wiring,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let findings = match arguments.site.load() {
        Ok(loaded) => {
            let mut findings = vec![Finding::good("configuration", "valid")];
            findings.extend(examine(&loaded.config, &Machine::default(), wiring::clock().now(), &models));
            findings
        }
        Err(error) => vec![processor(), Finding::bad("configuration", error.to_string(), "mend what is marked")],
    };
    let healthy = worst(&findings) < State::Bad;
    if arguments.json {
        println!("{}", json!({ "healthy": healthy, "checks": findings }));
    } else {
        let mut shown = table::plain(["check", "state", "found", "what to do"]);
        for finding in findings {
            shown.add_row([finding.code, finding.state.as_str(), &finding.found, &finding.mend]);
        }
        println!("{shown}");
    }
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// The models that the configuration names: there, equal to their manifests, and small enough for this machine.
fn models(config: &Config) -> Vec<Finding> {
    const MEND: &str = "fetch or import it again: cloister model fetch|import";
    if !config.models_folder().exists() {
        let found = format!("{} is not there", config.models_folder().display());
        return vec![Finding::bad("models", found, MEND)];
    }
    let registry = match Registry::open(config.models_folder()) {
        Ok(registry) => registry,
        Err(error) => return vec![Finding::bad("models", error.to_string(), "check the folder")],
    };
    let (mut findings, mut estimates, mut ignored) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(engine) = &config.models.engine {
        findings.push(match wiring::Engine::new(engine, Metrics::new()).reachable() {
            Ok(()) => Finding::good("models", format!("{} at {}", engine.model, engine.socket.display())),
            Err(error) => Finding::bad("models", format!("{}: {error}", engine.model), "start the relay"),
        });
    }
    let generate = Some(&config.models.generate).filter(|_| config.models.engine.is_none());
    let wanted = [
        (Some(&config.models.embed), wiring::embedding_options(config)),
        (generate, wiring::generation_options(config)),
        (Some(&config.models.rerank), wiring::embedding_options(config)),
    ];
    let wanted = wanted.into_iter().filter_map(|(name, options)| Some((name?, options)));
    for (name, options) in wanted.filter(|(name, _)| !name.is_empty()) {
        let model = match registry.verify(name) {
            Ok(model) => model,
            Err(error) => {
                findings.push(Finding::bad("models", format!("{name}: {error}"), MEND));
                continue;
            }
        };
        findings.push(match fit::Estimate::of(&model, &options) {
            Ok(estimate) => {
                // What computes on a device takes the device's memory.
                let here = options.device == Accelerator::None;
                // An embedding model that an adapter belongs to is loaded once more with it.
                let adapted = *name == config.models.embed && cross::is_learned_beside(&model.identity().sha256);
                ignored.extend(
                    [passed_over, lenient].into_iter().filter(|_| adapted).filter_map(|told| told(&config.answer)),
                );
                let with = if adapted { ", reads two texts together" } else { "" };
                estimates.extend((adapted && here).then(|| estimate.clone()));
                estimates.extend(Some(estimate).filter(|_| here));
                Finding::good("models", format!("{name} {:.12}{with}", model.identity().sha256))
            }
            Err(error) => Finding::bad("models", format!("{name}: {error}"), MEND),
        });
    }
    findings.extend(ignored);
    if !estimates.is_empty() {
        findings.push(weigh(&estimates, &fit::Machine::here()));
    }
    findings
}

/// A threshold below the one that goes with the reader: it may stand in the file since an earlier reader, whose scale was another.
fn lenient(answer: &Settings) -> Option<Finding> {
    let (own, usual) = (answer.same_question.likely, Settings::default().same_question.likely);
    (own < usual).then(|| {
        let found =
            format!("`answer.same_question.likely` is {own}: below {usual}, answers to other questions are let in");
        Finding::warning("models", found, "take it out of the file, unless it was chosen for this release")
    })
}

/// What a site has set that counts for other models alone, while what counts in its place is as it comes.
fn passed_over(answer: &Settings) -> Option<Finding> {
    let usual = Settings::default();
    let own = answer.evidence != usual.evidence || answer.sentence != usual.sentence;
    (own && answer.answers == usual.answers).then(|| {
        let found = "`answer.evidence` and `answer.sentence` count little beside a model that reads two texts together";
        Finding::warning("models", found, "find `answer.answers` with `cloister eval calibrate`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_below_the_reader_s_own_is_told_and_none_other() {
        let with = |likely: f32| {
            let mut answer = Settings::default();
            answer.same_question.likely = likely;
            lenient(&answer).map(|finding| finding.state)
        };
        let usual = Settings::default().same_question.likely;
        assert_eq!((with(usual - 0.01), with(usual), with(1.0)), (Some(State::Warning), None, None));
    }
}
