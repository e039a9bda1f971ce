//! What holds for a tenant now: its guardrail, and what was made from it and from its roster. Read again on reload.
//!
//! # Why
//! - **Replaced whole.** A request takes what holds once, at its beginning, and is held to that one version to its end.
//! - **What cannot be used changes nothing.** The ruling in force stays, and the log says which tenant's is not read and why.
//! - **Each tenant by itself:** a fault in one tenant's file keeps no other tenant from its new version.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use cloister_governance::{
    audit::Outcome, captures::Captures, declarations::Declarations, guardrails::Guardrails, policy::Resource,
};
use cloister_knowledge::Embed;
use cloister_terms::{Action, RequestId, Role, TenantId};

use super::{App, declared, guardrail, identifiers};
use crate::{
    capture::{Means, Recorder, redaction::redacted},
    config,
    governed::{Call, End, Refusal, governed},
    identity::Caller,
    pipeline::{Guardrail, Identifiers, Settings},
};

/// What a tenant's guardrail makes of everything that is applied to a text.
#[derive(Clone)]
pub struct Ruling {
    /// How questions are answered.
    pub settings: Arc<Settings>,
    /// What finds identifiers, by its guardrail and its roster.
    pub identifiers: Arc<Identifiers>,
    /// The guardrail.
    pub guardrail: Arc<Guardrail>,
    /// What seals captures, which takes identifiers out of them.
    pub recorder: Recorder,
}

/// The ruling in force. Cheap to clone; all clones change together.
#[derive(Clone)]
pub struct InForce(Arc<RwLock<Ruling>>);

impl InForce {
    fn new(ruling: Ruling) -> Self {
        Self(Arc::new(RwLock::new(ruling)))
    }

    /// What holds now.
    pub fn now(&self) -> Ruling {
        // A panic while the lock is held leaves the old ruling or the new one, never half of either.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, ruling: Ruling) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ruling;
    }
}

/// Why a ruling was not read again.
enum NotReloaded {
    Refused(Refusal),
    Unusable(anyhow::Error),
}

impl From<Refusal> for NotReloaded {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl End for NotReloaded {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(refusal) => refusal.outcome(),
            Self::Unusable(_) => Outcome::failed("guardrail_invalid"),
        }
    }
}

impl App {
    /// What is to hold for a tenant, by what lies in the store and in its files; with `on_trial` that version, where it has it. Blocks.
    pub(super) fn rule(
        &self,
        name: &TenantId,
        tenant: &config::Tenant,
        (captures, embed): (&Captures, &dyn Embed),
        on_trial: Option<u32>,
    ) -> anyhow::Result<Ruling> {
        let guardrails = Guardrails::open(&self.store.fleet())?;
        let held = guardrail::held(&guardrails, name, tenant, on_trial)?;
        let settings = Arc::new(guardrail::settings(&self.config.answer, &held.document));
        let identifiers = Arc::new(identifiers(tenant, &held.document)?);
        let told = (name.to_string(), held.version, held.sha256);
        let guardrail = Arc::new(Guardrail::new(told, held.document, embed).context("its guardrail cannot be used")?);
        let recorder = Recorder::of(captures, tenant.captures, self.means(&identifiers))
            .context("it requires captures, and they cannot be written")?;
        Ok(Ruling { settings, identifiers, guardrail, recorder })
    }

    /// The same, in force.
    pub(super) fn put_in_force(
        &self,
        name: &TenantId,
        tenant: &config::Tenant,
        with: (&Captures, &dyn Embed),
        on_trial: Option<u32>,
    ) -> anyhow::Result<InForce> {
        let ruling = self.rule(name, tenant, with, on_trial).with_context(|| format!("tenant `{name}`"))?;
        Ok(InForce::new(ruling))
    }

    /// What seals captures, with a tenant's own roster and patterns.
    fn means(&self, identifiers: &Arc<Identifiers>) -> Means {
        let identifiers = Arc::clone(identifiers);
        Means {
            redact: Arc::new(move |content, random| redacted(content, identifiers.detector(), random)),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            metrics: self.metrics.clone(),
        }
    }

    /// Reads the guardrail and the roster of every tenant again, and the version in force. Recorded for each as what it is, an
    /// administrator's act at the machine.
    pub async fn reload_guardrails(self: &Arc<Self>) {
        for name in self.tenants.keys() {
            let result = match self.reload_guardrail(name).await {
                Ok(version) => {
                    tracing::info!(tenant = %name, version, "the guardrail and the roster were read again");
                    "reloaded"
                }
                Err(NotReloaded::Unusable(error)) => {
                    let error: &(dyn std::error::Error + 'static) = error.as_ref();
                    tracing::error!(tenant = %name, error, "the guardrail in force stays: the new one cannot be used");
                    "invalid"
                }
                Err(NotReloaded::Refused(refusal)) => {
                    tracing::error!(tenant = %name, error = %refusal, "the guardrail in force stays: reading it again was refused");
                    "refused"
                }
            };
            self.metrics.count("cloister_guardrail_reloads_total", 1, &[("result", result)]);
        }
    }

    async fn reload_guardrail(self: &Arc<Self>, name: &TenantId) -> Result<String, NotReloaded> {
        let caller = Caller::local(Role::Administrator, None, RequestId::random(self.random.as_ref()));
        let call = Call::new(Action::ManageGuardrails, Resource::Tenant(name.clone()));
        let read = async |_| {
            let (app, of) = (Arc::clone(self), name.clone());
            let read = tokio::task::spawn_blocking(move || app.read_again(&of)).await;
            let ruling = read.unwrap_or_else(|_| Err(anyhow::anyhow!("reading it ended badly")));
            let applied = ruling.map_err(NotReloaded::Unusable)?.guardrail.applied();
            let version = applied.version.clone();
            Ok((version, Outcome::done().with_code("reloaded").with_guardrail(applied)))
        };
        governed(&self.gate, &caller, call, read).await
    }

    /// Puts what is to hold now in force.
    fn read_again(&self, name: &TenantId) -> anyhow::Result<Ruling> {
        let tenant = self.tenants.get(name).context("the tenant is gone")?;
        let ruling = self.rule(name, &self.configured(name)?, (&tenant.captures, tenant.embed.as_ref()), None)?;
        tenant.in_force.replace(ruling.clone());
        Ok(ruling)
    }

    /// What the configuration, or the tenant's own file, says of a tenant.
    pub(super) fn configured(&self, name: &TenantId) -> anyhow::Result<config::Tenant> {
        if let Some(tenant) = self.config.tenants.get(name) {
            return Ok(tenant.clone());
        }
        Ok(declared(&Declarations::open(&self.store.fleet())?)?.remove(name).unwrap_or_default())
    }
}
