//! The command line: one file per noun. Data goes to standard output, progress and advice to standard error.
//!
//! Exit codes: 0 done; 1 it did not succeed; 2 the command line or the configuration is wrong; 3 something checked is
//! unhealthy.

use std::{ffi::OsString, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};

use crate::{api, core_dump, cpu, edge::router::Routes, wiring::App};

mod account;
mod ask;
mod audit;
mod backup;
mod batch;
mod break_glass;
mod capture;
mod client;
mod config;
mod demo;
mod doctor;
mod eval;
mod export;
mod guardrail;
mod init;
mod kb;
mod key;
mod model;
mod plan;
mod policy;
mod progress;
mod serve;
mod site;
mod table;
mod tenant;
mod words;

/// Cloister answers from a site's own documents, cited and checked, and lets nothing leave the building.
#[derive(Debug, Parser)]
#[command(name = "cloister", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Run the server
    Serve(serve::Arguments),
    /// Set up a site with sample documents, ask three questions and go on serving
    Demo(demo::Arguments),
    /// Make a site: folder, master key, databases, certificate and the first administrator
    Init(init::Arguments),
    /// Ask a running server
    Ask(ask::Arguments),
    /// Hand a file of requests to a running server, and fetch what came of them
    Batch(batch::Arguments),
    /// Check this machine and site, and say what to mend
    Doctor(doctor::Arguments),
    /// Show or check the configuration
    Config(config::Arguments),
    /// Fetch, import, list, show, verify or remove models
    Model(model::Arguments),
    /// Say what models will do on this machine: memory, time to the first token, tokens a second, readers at once
    Plan(plan::Arguments),
    /// Create, fill, search, verify or rebuild collections
    Kb(kb::Arguments),
    /// Create, issue, list, reset, unlock, rotate, disable or revoke accounts
    Account(account::Arguments),
    /// Show, replace, export or destroy the keys of the site
    Key(key::Arguments),
    /// Plan, apply, list or destroy tenants
    Tenant(tenant::Arguments),
    /// Make, verify or restore backups of the site
    Backup(backup::Arguments),
    /// Search, verify, prove or export the audit log
    Audit(audit::Arguments),
    /// List, show or purge sealed captures of questions and answers
    Capture(capture::Arguments),
    /// List, show, sign off or end emergency accesses
    BreakGlass(break_glass::Arguments),
    /// Check, try and explain who may do what
    Policy(policy::Arguments),
    /// Measure quality on questions and documents of your own
    Eval(eval::Arguments),
    /// Write out texts from which identifiers were taken, with a statement of what may be left in them
    Export(export::Arguments),
    /// Apply a guardrail to texts of your own and see what it finds
    Guardrail(guardrail::Arguments),
    /// The parsing child: reads one document from standard input, with no files and no network
    #[command(hide = true)]
    ParseWorker,
}

/// Runs the program with `arguments`, the first of which is its name. What `main` calls.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    run_serving(arguments, api::every_route)
}

/// [`run`], with other routes than those of the program: for whoever adds one to see what the server makes of it.
pub fn run_serving(arguments: impl IntoIterator<Item = OsString>, routes: fn() -> Routes<Arc<App>>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _shown = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    if let Err(unsuitable) = cpu::check() {
        report(&unsuitable.into());
        return ExitCode::from(3);
    }
    if let Err(not_forbidden) = core_dump::forbid() {
        report(&not_forbidden.into());
        return ExitCode::from(3);
    }
    let done = match arguments.noun {
        Noun::Serve(arguments) => serve::run(arguments, routes),
        Noun::Demo(arguments) => demo::run(arguments),
        Noun::Init(arguments) => init::run(arguments),
        Noun::Ask(arguments) => ask::run(arguments),
        Noun::Batch(arguments) => batch::run(arguments),
        Noun::Doctor(arguments) => doctor::run(arguments),
        Noun::Config(arguments) => config::run(arguments),
        Noun::Model(arguments) => model::run(arguments),
        Noun::Plan(arguments) => plan::run(arguments),
        Noun::Kb(arguments) => kb::run(arguments),
        Noun::Account(arguments) => account::run(arguments),
        Noun::Key(arguments) => key::run(arguments),
        Noun::Backup(arguments) => backup::run(arguments),
        Noun::Tenant(arguments) => tenant::run(arguments),
        Noun::Audit(arguments) => audit::run(arguments),
        Noun::Capture(arguments) => capture::run(arguments),
        Noun::BreakGlass(arguments) => break_glass::run(arguments),
        Noun::Policy(arguments) => policy::run(arguments),
        Noun::Eval(arguments) => eval::run(arguments),
        Noun::Export(arguments) => export::run(arguments),
        Noun::Guardrail(arguments) => guardrail::run(arguments),
        Noun::ParseWorker => return cloister_knowledge::parse::child::main(std::io::stdin(), std::io::stdout()),
    };
    done.unwrap_or_else(|error| {
        report(&error);
        if error.is::<site::Misconfigured>() { ExitCode::from(2) } else { ExitCode::FAILURE }
    })
}

/// The whole chain of causes, one line each: what, where, what to do.
#[expect(clippy::print_stderr, reason = "this is where a command tells its user what went wrong")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
