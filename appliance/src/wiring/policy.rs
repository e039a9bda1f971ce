//! The site's policies: read at start, read again on reload, and what is said where a set on trial differs.

use anyhow::Context as _;
use cloister_governance::{
    audit::Outcome,
    policy::{Difference, FolderError, Policy, Resource, Rules},
};
use cloister_terms::{Action, RequestId, Role};

use super::{App, reload::NotReloaded};
use crate::{
    config,
    edge::metrics::Metrics,
    governed::{Call, governed},
    identity::Caller,
};

/// The policies that the configuration names. Without a valid set there is no start: what is missing might be what
/// forbids. A set on trial that is not valid is left out, and said so.
///
/// # Errors
/// Everything that is wrong in the set that is to hold.
pub fn policy(config: &config::Policy, metrics: Option<&Metrics>) -> anyhow::Result<Policy> {
    let rules = Rules::load(config.folder.as_deref())
        .context("the site's policies cannot be used; `cloister policy check` says the same, once they are mended")?;
    let metrics = metrics.cloned();
    let policy = Policy::built_in().telling(move |difference| differs(difference, metrics.as_ref()));
    policy.replace(rules, shadow(config));
    Ok(policy)
}

fn shadow(config: &config::Policy) -> Option<Rules> {
    let folder = config.shadow.as_deref()?;
    match Rules::load(Some(folder)) {
        Ok(rules) => Some(rules),
        Err(error) => {
            say(&error, "nothing is on trial: the set in `policy.shadow` is not valid");
            None
        }
    }
}

/// One line per mistake: its place, what it is, what to do. Policies hold no patient text.
fn say(error: &FolderError, what: &'static str) {
    match error {
        FolderError::Invalid(invalid) => {
            for fault in &invalid.0 {
                tracing::error!(file = fault.file, line = fault.line, fault = fault.what, mend = fault.mend, "{what}");
            }
        }
        FolderError::Unreadable { source, .. } => {
            tracing::error!(error = %error, cause = %source, "{what}");
        }
    }
}

fn differs(difference: &Difference<'_>, metrics: Option<&Metrics>) {
    let change = if difference.allowed { "would_deny" } else { "would_permit" };
    if let Some(metrics) = metrics {
        metrics.count("cloister_policy_shadow_differences_total", 1, &[("change", change)]);
    }
    tracing::info!(
        target: "policy_shadow",
        change,
        account = %difference.principal.account,
        role = %difference.principal.role,
        action = %difference.action,
        by = difference.policies.join(" "),
        shadow = difference.shadow.join(" "),
        "the set on trial decides otherwise"
    );
}

impl App {
    /// Reads the site's policies again. A set that is not valid changes nothing: the one in force stays, and the log says
    /// what is wrong, where, and what to do. Recorded as what it is, an administrator's act at the machine.
    pub async fn reload_policy(&self) {
        let caller = Caller::local(Role::Administrator, None, RequestId::random(self.random.as_ref()));
        let call = Call::new(Action::ManagePolicy, Resource::Appliance);
        let unusable = |error| NotReloaded::Unusable("policies_invalid", error);
        let read = async |_| {
            let settings = self.config.policy.clone();
            let rules =
                tokio::task::spawn_blocking(move || Ok((Rules::load(settings.folder.as_deref())?, shadow(&settings))));
            let (rules, shadow) = rules.await.unwrap_or_else(|_| Err(gone())).map_err(unusable)?;
            let version = rules.version().to_owned();
            self.gate.policy.replace(rules, shadow);
            Ok((version, Outcome::done().with_code("reloaded")))
        };
        let result = match governed(&self.gate, &caller, call, read).await {
            Ok(version) => {
                tracing::info!(version, "the policies were read again");
                "reloaded"
            }
            Err(NotReloaded::Unusable(_, error)) => {
                say(&error, "the policies in force stay: the new set is not valid");
                "invalid"
            }
            Err(NotReloaded::Refused(refusal)) => {
                tracing::error!(error = %refusal, "the policies in force stay: reading them again was refused");
                "refused"
            }
        };
        self.metrics.count("cloister_policy_reloads_total", 1, &[("result", result)]);
    }
}

/// The thread that read the policies ended badly.
fn gone() -> FolderError {
    FolderError::Unreadable { path: "policy.folder".into(), source: std::io::Error::other("reading them ended badly") }
}
