//! `cloister backup rollback`: the site as this release left it, after a newer one took it over.

use std::process::ExitCode;

use anyhow::bail;
use cloister_governance::audit::Outcome;
use cloister_terms::Action;

use super::{
    super::site::{self, Desk},
    advise, say,
};
use crate::wiring;

pub(super) fn run(site: &site::Arguments) -> anyhow::Result<ExitCode> {
    let config = site.load()?.config;
    let (release, backups) = (env!("CARGO_PKG_VERSION"), config.data.folder.join("backups"));
    // Not as other commands open it: what is there now is kept whole, and no backup of it is needed.
    let store = wiring::store(&config)?;
    let Some((backup, label)) = store.left_by(release, &backups)? else {
        bail!(
            "there is nothing to go back to: {} holds no backup that a newer release made when it took the site over from \
             {release}. Install the release that is to hold first",
            backups.display()
        );
    };
    let desk = Desk::on(store, config.clone())?;
    desk.govern_site(Action::ManageBackups, || Ok(((), Outcome::done().with_code("rollback_begun"))))?;
    // The log is part of what changes places.
    drop(desk);
    let store = wiring::store(&config)?;
    let done = store.roll_back(&backup, wiring::clock().now());
    let again = wiring::store(&config)?;
    store.leave_key_uses_to(&again);
    drop(store);
    let desk = Desk::on(again, config)?;
    let back = desk.govern_site(Action::ManageBackups, || Ok((done?, Outcome::done().with_code("rolled_back"))))?;
    say(&format!("documents and accounts are as release {release} left them at {}", label.at));
    say(&format!("what was there until now is kept in {}: remove it when nobody needs it", back.kept.display()));
    for tenant in &back.destroyed {
        advise(&format!("{tenant} was destroyed since, and stays destroyed"));
    }
    advise(
        "who was disabled since then, or whose key was revoked, may sign in again: look at \
         `cloister audit search --action manage_accounts`, and disable them anew",
    );
    Ok(ExitCode::SUCCESS)
}
