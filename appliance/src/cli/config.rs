//! `cloister config`: what is configured, and where each value came from.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{site, table};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Verb {
    /// Say whether the configuration is valid, and mark what is not
    Check,
    /// Print every value with its origin
    Show,
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.site.load()?;
    match arguments.verb {
        Verb::Check => println!("the configuration is valid"),
        Verb::Show => {
            let mut table = table::plain(["key", "value", "from"]);
            for setting in loaded.settings() {
                let value = setting.value.unwrap_or_else(|| "(derived)".to_owned());
                table.add_row([setting.key, value, setting.origin.to_string()]);
            }
            println!("{table}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
