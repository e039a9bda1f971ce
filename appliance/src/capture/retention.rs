//! The end of captures: what is older than its tenant keeps it is removed, on record, while the server runs.

use std::{sync::Arc, time::Duration};

use cloister_governance::{audit::Outcome, captures::Captures, policy::Resource};
use cloister_terms::{Action, RequestId, Role};

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
    }
}

/// Nothing is recorded where nothing is over.
fn purge_of(app: &App, captures: &Captures) -> anyhow::Result<()> {
    if captures.expired()? == 0 {
        return Ok(());
    }
    let caller = Caller::local(Role::Compliance, None, RequestId::random(app.random.as_ref()));
    let call = Call::new(Action::ManageCaptures, Resource::Tenant(captures.tenant().clone()));
    governed_blocking(&app.gate, &caller, call, |_| {
        let removed = captures.purge()?;
        Ok::<_, anyhow::Error>(((), Outcome::done().with_code("purged").with_count("captures", removed)))
    })
}
