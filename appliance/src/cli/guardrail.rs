//! `cloister guardrail`: runs one guardrail over a file of texts, without a site and without a server, so that anybody can
//! measure it on texts of their own.

use std::process::ExitCode;

use clap::{Args, Subcommand};

mod attack;
mod ground;
mod lines;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Look for attacks on a model in texts
    Attack(attack::Arguments),
    /// Score how well contexts bear answers
    Ground(ground::Arguments),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.what {
        What::Attack(arguments) => attack::run(&arguments),
        What::Ground(arguments) => ground::run(&arguments),
    }
}
