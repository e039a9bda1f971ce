//! `cloister eval`: measures on questions and documents of one's own. One file per verb.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::site;

mod calibrate;
mod compare;
mod figures;
mod gate;
mod retrieval;
mod run;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Try a suite on a site and write RESULT.json, junit.xml and a report to read
    Run(run::Arguments),
    /// Find the threshold from which a sentence is quoted, by questions whose answers are known
    Calibrate(calibrate::Arguments),
    /// Hold two results against each other; exit code 3 where the second is worse
    Compare(compare::Arguments),
    /// Hold a result against a gate; exit code 3 where it does not hold
    Gate(gate::Arguments),
    /// Rank documents for questions whose answers are known, in a collection that is thrown away afterwards
    Retrieval(retrieval::Arguments),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.what {
        What::Run(wanted) => run::run(&arguments.site, wanted),
        What::Calibrate(wanted) => calibrate::run(&arguments.site, wanted),
        What::Compare(wanted) => compare::run(&wanted),
        What::Gate(wanted) => gate::run(&wanted),
        What::Retrieval(wanted) => retrieval::run(&arguments.site, &wanted),
    }
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
