//! The end of captures, and of what placeholders stand for: what is older than its tenant keeps it is removed, on record, while the
//! server runs.

use std::{sync::Arc, time::Duration};

use cloister_governance::{audit::Outcome, captures::Captures, policy::Resource, vault::Vault};
use cloister_terms::{Action, RequestId, Role, TenantId};

use crate::{
    governed::{Call, governed_blocking},
    identity::Caller,
    wiring::App,
};

/// How often it is looked. What is over is not shown even before it is removed.
const ROUND: Duration = Duration::from_secs(60 * 60);

/// Looks at once and then every hour, for ever.
pub async fn keep(app: Arc<App>) {
    let mut round = tokio::time::interval(ROUND);
    loop {
        round.tick().await;
        let app = Arc::clone(&app);
        let _panic_is_logged_by_the_hook = tokio::task::spawn_blocking(move || purge(&app)).await;
    }
}

/// Removes what is over in every tenant. What fails is logged and tried again the next time. Blocks.
pub fn purge(app: &App) {
    for tenant in app.tenants.values() {
        if let Err(error) = purge_of(app, &tenant.captures) {
            let tenant = tenant.captures.tenant();
            tracing::error!(%tenant, error = %error, "captures whose time is over were not removed");
        }
        if let Err(error) = empty(app, &tenant.vault) {
            let tenant = tenant.vault.tenant();
            tracing::error!(%tenant, error = %error, "what placeholders stand for was not removed, though its time is over");
        }
    }
}

/// Nothing is recorded where nothing is over.
fn purge_of(app: &App, captures: &Captures) -> anyhow::Result<()> {
    if captures.expired()? == 0 {
        return Ok(());
    }
    removed(app, captures.tenant(), "captures", || Ok(captures.purge()?))
}

/// The same of what placeholders stand for.
fn empty(app: &App, vault: &Vault) -> anyhow::Result<()> {
    if vault.expired()? == 0 {
        return Ok(());
    }
    removed(app, vault.tenant(), "placeholders", || Ok(vault.purge()?))
}

fn removed(
    app: &App,
    tenant: &TenantId,
    what: &'static str,
    purge: impl FnOnce() -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let caller = Caller::local(Role::Compliance, None, RequestId::random(app.random.as_ref()));
    let call = Call::new(Action::ManageCaptures, Resource::Tenant(tenant.clone()));
    governed_blocking(&app.gate, &caller, call, |_| {
        let removed = purge()?;
        Ok(((), Outcome::done().with_code("purged").with_count(what, removed)))
    })
}
