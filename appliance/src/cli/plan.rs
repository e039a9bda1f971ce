//! `cloister plan`: what models will do on this machine, before one is bought or fetched.
//!
//! The machine is measured through the engine's own kernels; how figures come of that is described in [`cloister_models::plan`].

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Args;
use cloister_models::{
    Registry, cache_dir, catalogue,
    fit::{Bytes, Machine},
    measure::{Crew, Format},
    plan::{Demand, Forecast, Outlook, Rates, Subject},
};
use serde_json::json;

use super::{site, table};
use crate::wiring;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// One model of the registry or the catalogue; all of them if none is named
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "parameters"])]
    model: Option<String>,
    /// A GGUF file that is not imported; its header alone is read
    #[arg(long, value_name = "FILE", conflicts_with = "parameters")]
    file: Option<PathBuf>,
    /// A model by its number of parameters, as in 8B or 360M
    #[arg(long, value_name = "NUMBER", requires = "quant")]
    parameters: Option<String>,
    /// Its quantisation, as in Q4_K_M
    #[arg(long, value_name = "NAME", requires = "parameters")]
    quant: Option<String>,
    /// Longest sequence that there is to be room for, in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = Demand::default().context_tokens, value_parser = context_tokens)]
    context: usize,
    /// Readers at once
    #[arg(long, value_name = "NUMBER", default_value_t = Demand::default().users, value_parser = users)]
    users: usize,
    /// Threads that compute; 0 takes one per core
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    threads: usize,
    /// JSON instead of tables
    #[arg(long)]
    json: bool,
}

fn context_tokens(text: &str) -> Result<usize, String> {
    within(text, 64, 1 << 20)
}

fn users(text: &str) -> Result<usize, String> {
    within(text, 1, 10_000)
}

fn within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("give a number from {least} to {most}"))
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let subjects = subjects(&arguments)?;
    let machine = Machine::here();
    let alone = Rates::measure(1)?;
    let together = Rates::measure(arguments.threads)?;
    let demand = Demand {
        context_tokens: arguments.context,
        users: arguments.users,
        prompt_tokens: Demand::default().prompt_tokens.min(arguments.context - arguments.context / 8),
        ..Demand::default()
    };
    let forecasts: Vec<Forecast> =
        subjects.iter().map(|subject| Forecast::of(subject, &together, &machine, &demand)).collect();
    if arguments.json {
        say(&as_json(&machine, [&alone, &together], &demand, &forecasts).to_string());
    } else {
        say(&measured(&machine, &alone, &together));
        say(&told(&forecasts, &demand));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is planned: what was named, else the models of the registry and those of the catalogue that are not in it.
fn subjects(arguments: &Arguments) -> anyhow::Result<Vec<Subject>> {
    if let Some(file) = &arguments.file {
        return Ok(vec![Subject::of_file(file)?]);
    }
    if let (Some(parameters), Some(quant)) = (&arguments.parameters, &arguments.quant) {
        return Ok(vec![Subject::named(parameters, quant)?]);
    }
    let registry = registry(&arguments.site)?;
    let here: Vec<String> = match &registry {
        Some(registry) => registry.list()?.into_iter().map(|listed| listed.name).collect(),
        None => Vec::new(),
    };
    let wanted = |name: &str| arguments.model.as_deref().is_none_or(|model| model == name);
    let mut subjects = Vec::new();
    for name in here.iter().filter(|name| wanted(name)) {
        let Some(registry) = &registry else { continue };
        let model = registry.verify(name).with_context(|| format!("reading the model `{name}`"))?;
        subjects.push(Subject::of(&model).with_context(|| format!("planning the model `{name}`"))?);
    }
    let listed = catalogue::builtin().iter().filter(|entry| wanted(&entry.name) && !here.contains(&entry.name));
    subjects.extend(listed.filter_map(Subject::listed));
    if subjects.is_empty() {
        let name = arguments.model.as_deref().unwrap_or_default();
        anyhow::bail!(
            "neither registry nor catalogue has a model `{name}`; `cloister model list` and `model list --catalogue` show them, \
             --file plans a GGUF file, --parameters with --quant any size"
        );
    }
    Ok(subjects)
}

/// The site's registry, or without a site the one that the demo and the tests share. `None` where there is none yet: planning
/// makes no folder.
fn registry(arguments: &site::Arguments) -> anyhow::Result<Option<Registry>> {
    let loaded = arguments.load()?;
    let no_site = loaded.file().is_none() && arguments.sets.is_empty();
    let folder = if no_site { cache_dir().join("models") } else { loaded.config.models_folder() };
    if !folder.exists() {
        return Ok(None);
    }
    Ok(Some(if no_site { Registry::open(folder)? } else { wiring::registry(&loaded.config)? }))
}

/// The machine in a table, with one thread and with all.
fn measured(machine: &Machine, alone: &Rates, together: &Rates) -> String {
    let (generation, embedding) = Crew::instructions();
    let threads = |rates: &Rates| format!("{} thread{}", rates.threads, if rates.threads == 1 { "" } else { "s" });
    let mut shown = table::plain(["measured here", &threads(alone), &threads(together)]);
    type Rate = fn(&Rates) -> f64;
    let rows: [(&str, Rate, f64); 6] = [
        ("reading memory, GB/s", |rates| rates.reading.0.last().map_or(0.0, |point| point.1), 1e9),
        ("8-bit products of embedding, G/s", |rates| rates.encoder.int8, 1e9),
        ("products with 4-bit weights (Q4_K), one row, G/s", |rates| rates.operations(Format::Q4K, 1), 1e9),
        ("the same, 128 rows, G/s", |rates| rates.operations(Format::Q4K, 128), 1e9),
        ("products with 32-bit floats, 128 rows, G/s", |rates| rates.operations(Format::F32, 128), 1e9),
        ("products with bfloat16, 128 rows, G/s", |rates| rates.operations(Format::Bf16, 128), 1e9),
    ];
    for (name, of, unit) in rows {
        let cell = |rates| format!("{:.1}", of(rates) / unit);
        shown.add_row([name.to_owned(), cell(alone), cell(together)]);
    }
    format!(
        "instructions: {generation} to generate, {embedding} to embed; memory: {} of {} free\n(G/s: thousand millions of \
         multiplications with additions a second)\n\n{shown}\n",
        Bytes(machine.available_bytes),
        Bytes(machine.total_bytes)
    )
}

/// The models in a table.
fn told(forecasts: &[Forecast], demand: &Demand) -> String {
    let many = format!("tokens/s, {} readers", demand.users);
    let first = format!("s to first token of {}", demand.prompt_tokens);
    let mut shown = table::plain(["model", "memory", &first, "tokens/s", &many, "readers at once", "verdict"]);
    let mut notes = String::new();
    for forecast in forecasts {
        let cells = match forecast.outlook {
            Outlook::Generates { first_token_seconds, tokens_per_second, all_tokens_per_second, users_at_once } => [
                format!("{first_token_seconds:.2}"),
                format!("{tokens_per_second:.1}"),
                format!("{all_tokens_per_second:.1}"),
                users_at_once.to_string(),
            ],
            Outlook::Embeds { question_seconds, passages_per_second } => {
                notes.push_str(&format!(
                    "{}: a question in {:.1} ms, {passages_per_second:.0} passages of 128 tokens a second\n",
                    forecast.model,
                    question_seconds * 1e3
                ));
                ["-", "-", "-", "-"].map(str::to_owned)
            }
        };
        if forecast.widened_bytes > 0 {
            notes.push_str(&format!(
                "{}: {} of its memory are there since its layout has no kernel and becomes 16-bit floats; Q4_K_M takes less\n",
                forecast.model,
                Bytes(forecast.widened_bytes)
            ));
        }
        let names = [forecast.model.clone(), Bytes(forecast.memory_bytes).to_string()];
        shown.add_row(names.into_iter().chain(cells).chain([forecast.verdict.to_string()]));
    }
    format!("{shown}\n{notes}")
}

fn as_json(machine: &Machine, rates: [&Rates; 2], demand: &Demand, forecasts: &[Forecast]) -> serde_json::Value {
    let (generation, embedding) = Crew::instructions();
    json!({
        "machine": {
            "available_bytes": machine.available_bytes,
            "total_bytes": machine.total_bytes,
            "instructions": { "generation": generation, "embedding": embedding },
            "rates": rates,
        },
        "demand": demand,
        "models": forecasts,
    })
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use cloister_models::plan::Verdict;

    use super::*;

    fn forecast(model: &str, widened_bytes: u64, outlook: Outlook) -> Forecast {
        Forecast { model: model.to_owned(), memory_bytes: 5 << 30, widened_bytes, outlook, verdict: Verdict::Carries }
    }

    #[test]
    fn every_model_has_its_line_and_what_is_special_its_note() {
        let generates = Outlook::Generates {
            first_token_seconds: 1.234,
            tokens_per_second: 56.78,
            all_tokens_per_second: 123.4,
            users_at_once: 7,
        };
        let embeds = Outlook::Embeds { question_seconds: 0.0045, passages_per_second: 89.6 };
        let shown = told(
            &[forecast("writer", 0, generates.clone()), forecast("wide", 3 << 30, generates), forecast("e", 0, embeds)],
            &Demand::default(),
        );
        let line = shown.lines().find(|line| line.contains("writer")).unwrap_or_default();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(cells, ["writer", "5.0", "GiB", "1.23", "56.8", "123.4", "7", "carries"], "{shown}");
        assert!(shown.contains("wide: 3.0 GiB of its memory are there since"), "{shown}");
        assert!(shown.contains("e: a question in 4.5 ms, 90 passages of 128 tokens a second"), "{shown}");
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_range() {
        assert_eq!(context_tokens("8192"), Ok(8192));
        assert_eq!(context_tokens("8"), Err("give a number from 64 to 1048576".to_owned()));
        assert_eq!(users("0"), Err("give a number from 1 to 10000".to_owned()));
    }
}
