//! `cloister eval compare`: two results beside each other.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;

use super::say;
use crate::evaluation::{
    Run,
    compare::{Margin, compare},
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The result to compare with
    #[arg(value_name = "A.json")]
    first: PathBuf,
    /// The result that is judged
    #[arg(value_name = "B.json")]
    second: PathBuf,
    /// What is too small to count: of shares
    #[arg(long, value_name = "0..1", default_value_t = Margin::default().share)]
    margin: f64,
    /// The same of times, as a factor
    #[arg(long, value_name = "FACTOR", default_value_t = Margin::default().times)]
    time_margin: f64,
    /// The seed of the intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn run(wanted: &Arguments) -> anyhow::Result<ExitCode> {
    if !(0.0..=1.0).contains(&wanted.margin) || !(1.0..=100.0).contains(&wanted.time_margin) {
        bail!("--margin must lie between 0 and 1, --time-margin between 1 and 100");
    }
    let (first, second) = (Run::read(&wanted.first)?, Run::read(&wanted.second)?);
    let found = compare(&first, &second, Margin { share: wanted.margin, times: wanted.time_margin }, wanted.seed);
    if wanted.json {
        say(&serde_json::to_string_pretty(&found)?);
    } else {
        say(found.text().trim_end());
    }
    Ok(if found.worse() { ExitCode::from(3) } else { ExitCode::SUCCESS })
}
