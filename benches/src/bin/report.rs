//! Measures the end-to-end workloads and writes a report, or holds two reports against each other.
//!
//! ```sh
//! report run --out FOLDER [--rounds 5] [--threads 0] [--model smollm2-135m-instruct] [--clients 1,4,8] [--search 10000,100000]
//!            [--only prompt,generation,grounded-answer,embed,search,ingest]
//! report compare FIRST.json SECOND.json [--json]
//! ```
//!
//! `run` writes `report.json`, `report.md` and `report.html`. Rounds go over all workloads before the next begins, so that what
//! slows the machine for a while is spread over rounds and shows as noise. Everything is measured in this process: no network is in it,
//! and the raw model answers, so retrieval and checks are not. A million passages to search are an option: `--search 1000000`.
//!
//! `compare` says faster, slower, or that no difference is shown, and ends with 3 where anything is slower.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for measuring says what it found")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cloister_benches::Failure;
use cloister_benches::ask::{model, pool};
use cloister_benches::compare::compare;
use cloister_benches::machine::Machine;
use cloister_benches::report::{FORMAT, Report, Row};
use cloister_benches::workload::{Workload, embed, generate, shelf};
use cloister_models::{EmbedPool, PoolOptions};

/// What is measured, and how often.
struct Settings {
    out: PathBuf,
    rounds: usize,
    threads: usize,
    model: String,
    clients: Vec<usize>,
    search: Vec<usize>,
    only: Vec<String>,
}

impl Settings {
    fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut settings = Self {
            out: PathBuf::from("report"),
            rounds: 5,
            threads: 0,
            model: "smollm2-135m-instruct".to_owned(),
            clients: vec![1, 4, 8],
            search: vec![10_000, 100_000],
            only: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} is unknown or lacks its value"))?;
            let numbers = || value.split(',').map(str::parse::<usize>).collect::<Result<Vec<_>, _>>();
            match name.as_str() {
                "--out" => settings.out = value.into(),
                "--rounds" => settings.rounds = value.parse::<usize>()?.max(1),
                "--threads" => settings.threads = value.parse()?,
                "--model" => settings.model.clone_from(value),
                "--clients" => settings.clients = numbers()?,
                "--search" => settings.search = numbers()?,
                "--only" => settings.only = value.split(',').map(ToOwned::to_owned).collect(),
                _ => {
                    return Err(
                        format!("there is no {name}; the head of this program's source names what there is").into()
                    );
                }
            }
        }
        Ok(settings)
    }

    /// Whether workloads whose names begin so are wanted.
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str()))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((verb, rest)) if verb == "run" => Settings::read(rest).and_then(|settings| run(&settings)),
        Some((verb, rest)) if verb == "compare" => beside(rest),
        _ => Err("give `run` or `compare`; the head of this program's source says what they take".into()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let machine = Machine::here(settings.threads);
    println!("{}, load {:.2}", machine.line(), machine.load);
    #[expect(clippy::disallowed_methods, reason = "a bench is the outermost program: nobody passes it the time")]
    let begun = jiff::Timestamp::now();
    let mut workloads = workloads(settings)?;
    let mut report = Report { format: FORMAT, begun: format!("{begun:.0}"), rows: Vec::new() };
    // Round 0 warms up and is not counted.
    for round in 0..=settings.rounds {
        for workload in &mut workloads {
            let machine = machine.now();
            let figures = (workload.round)(round)?;
            if round == 0 {
                continue;
            }
            for figure in figures {
                println!("round {round}: {} {}: {:.2} {}", workload.name, figure.measure, figure.value, figure.unit);
                let known =
                    report.rows.iter_mut().find(|row| row.workload == workload.name && row.measure == figure.measure);
                if let Some(row) = known {
                    row.rounds.push(figure.value);
                    continue;
                }
                report.rows.push(Row {
                    workload: workload.name.clone(),
                    measure: figure.measure.to_owned(),
                    unit: figure.unit.to_owned(),
                    better: figure.better,
                    rounds: vec![figure.value],
                    machine: machine.clone(),
                });
            }
        }
    }
    report.write(&settings.out)?;
    println!("wrote {}", settings.out.join("report.{json,md,html}").display());
    Ok(ExitCode::SUCCESS)
}

/// Sets up what is wanted.
fn workloads(settings: &Settings) -> Result<Vec<Workload>, Failure> {
    let mut workloads = Vec::new();
    if ["prompt", "generation", "grounded-answer"].into_iter().any(|name| settings.wants(name)) {
        let most = settings.clients.iter().copied().max().unwrap_or(1).max(1);
        let (threads, sequences) = (settings.threads, most);
        let options = PoolOptions { threads, sequences, context_tokens: 2048, ..PoolOptions::default() };
        let pool = pool(&settings.model, &options)?;
        if settings.wants("prompt") {
            workloads.push(generate::prompt(pool.clone()));
        }
        if settings.wants("generation") {
            workloads.push(generate::generation(pool.clone()));
        }
        for clients in settings.clients.iter().filter(|_| settings.wants("grounded-answer")) {
            workloads.push(generate::grounded(pool.clone(), *clients));
        }
    }
    if settings.wants("embed") || settings.wants("ingest") {
        let options = PoolOptions { threads: settings.threads, ..PoolOptions::default() };
        let pool = EmbedPool::start(model("all-minilm-l6-v2")?, &options)?;
        if settings.wants("embed") {
            workloads.extend([embed::short(pool.clone()), embed::long(pool.clone()), embed::mixed(pool.clone())]);
        }
        if settings.wants("ingest") {
            workloads.push(shelf::ingest(pool));
        }
    }
    for passages in settings.search.iter().filter(|_| settings.wants("search")) {
        println!("filling a collection of {passages} passages");
        workloads.push(shelf::search(*passages)?);
    }
    Ok(workloads)
}

fn beside(arguments: &[String]) -> Result<ExitCode, Failure> {
    let (json, files): (Vec<&String>, Vec<&String>) = arguments.iter().partition(|argument| *argument == "--json");
    let [first, second] = files.as_slice() else {
        return Err("compare takes two reports: FIRST.json SECOND.json".into());
    };
    let comparison = compare(&Report::read(Path::new(first))?, &Report::read(Path::new(second))?);
    if json.is_empty() {
        println!("{}", comparison.text());
    } else {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    }
    Ok(if comparison.slower() { ExitCode::from(3) } else { ExitCode::SUCCESS })
}
