//! `cloister eval gate`: a result held against a gate.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::say;
use crate::evaluation::{Gate, Run, gate::Ruling};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The gate
    #[arg(value_name = "GATE.toml")]
    gate: PathBuf,
    /// The result
    #[arg(value_name = "RESULT.json")]
    result: PathBuf,
    /// A result to compare with, in place of the one that the gate names
    #[arg(long, value_name = "RESULT.json")]
    baseline: Option<PathBuf>,
}

pub(super) fn run(wanted: &Arguments) -> anyhow::Result<ExitCode> {
    let gate = Gate::read(&wanted.gate)?;
    let gate = match &wanted.baseline {
        Some(baseline) => gate.against(Run::read(baseline)?),
        None => gate,
    };
    Ok(told(&gate.judge(&Run::read(&wanted.result)?)))
}

/// Says what holds and what does not.
pub(super) fn told(ruling: &Ruling) -> ExitCode {
    for line in &ruling.lines {
        let word = if line.holds { "holds " } else { "BROKEN" };
        say(&format!("{word} {}: asked {}, found {}", line.metric, line.asked, line.found));
    }
    if ruling.holds() { ExitCode::SUCCESS } else { ExitCode::from(3) }
}
