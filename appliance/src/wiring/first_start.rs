//! What the first start of a site makes: an administrator, whose one-time secret its file holds.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use cloister_governance::{audit::Outcome, policy::Resource};
use cloister_terms::{Action, RequestId, Role};

use super::App;
use crate::{
    governed::{Call, governed},
    identity::Caller,
};

/// Makes the first administrator of a site on which nobody signs in yet. Where the secret is; none where there was
/// nothing to do. The secret itself stands in no log and on no terminal.
pub(crate) async fn first_administrator(app: &App) -> anyhow::Result<Option<PathBuf>> {
    let accounts = app.identity.accounts();
    if accounts.list()?.iter().any(|account| account.sign_in.is_some()) {
        return Ok(None);
    }
    let path = app.config.first_secret();
    let caller = Caller::local(Role::Administrator, None, RequestId::random(app.random.as_ref()));
    let call = Call::new(Action::ManageAccounts, Resource::Appliance);
    governed(&app.gate, &caller, call, async |_permit| {
        let Some((account, secret)) = accounts.first_administrator()? else {
            return Ok((None, Outcome::done().with_code("there_is_one")));
        };
        // A file that is there belongs to a start that did not get this far.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        write_secret(&path, secret.expose()).with_context(|| {
            format!(
                "writing {}: the account is made, `cloister account reset {account}` gives it a new secret",
                path.display()
            )
        })?;
        Ok((Some(path), Outcome::done().with_code("created")))
    })
    .await
}

/// Writes a secret to a new file that its owner alone can read. An existing file is not touched.
///
/// # Errors
/// When it is there already or cannot be written.
pub(crate) fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}
