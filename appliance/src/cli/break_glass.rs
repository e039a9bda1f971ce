//! `cloister break-glass`: emergency access, begun for an account, ended, and reviewed at the machine.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use cloister_governance::{accounts::AccountId, audit::Outcome};
use cloister_terms::{Action, EmergencyId};

use super::{
    site::{self, Desk},
    table,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// End an account's emergency access now
    End {
        /// The account's id
        account: AccountId,
    },
    /// List what waits for its review, with the reasons
    List,
    /// Note that an emergency access was reviewed
    ///
    /// What was read under it: cloister audit search "SELECT * FROM audit WHERE emergency = 'ID'"
    Review {
        /// Its id, as `list` shows it
        id: EmergencyId,
    },
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let desk = Desk::open(&arguments.site)?;
    let register = desk.break_glass()?;
    match arguments.verb {
        Verb::End { account } => {
            let ended = desk.govern_audit(Action::ReviewBreakGlass, || {
                Ok((register.end(&account)?, Outcome::done().with_code("ended")))
            })?;
            say(&ended.map_or_else(|| format!("{account} has no emergency access"), |id| format!("{id}: ended")));
        }
        Verb::List => {
            let waiting = desk.govern_audit(Action::ReviewBreakGlass, || {
                Ok((register.unreviewed()?, Outcome::done().with_code("listed")))
            })?;
            let mut table = table::plain(["id", "account", "tenant", "from", "until", "reason"]);
            for one in waiting {
                let (account, tenant) = (one.account.to_string(), one.tenant.to_string());
                let times = (one.began.to_string(), one.until.to_string());
                // For the eyes of whoever reviews it, under the permit above.
                table.add_row([one.id.to_string(), account, tenant, times.0, times.1, one.reason.into_exposed()]);
            }
            say(&table.to_string());
        }
        Verb::Review { id } => {
            let by = AccountId::local();
            desk.govern_audit(Action::ReviewBreakGlass, || {
                Ok((register.review(id, &by)?, Outcome::done().with_code("reviewed")))
            })?;
            say(&format!("{id}: reviewed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "what a command was asked for goes to standard output")]
fn say(text: &str) {
    println!("{text}");
}
