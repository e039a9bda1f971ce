//! What holds for a tenant now: its guardrail, and what was made from it and from its roster. Read again on reload.
//!
//! # Why
//! - **Replaced whole.** A question takes what holds once, at its beginning, and is held to that one version to its end.
//! - **What cannot be used changes nothing.** The ruling in force stays, and the log says which tenant's is not read and why.
//! - **Each tenant by itself:** a fault in one tenant's file keeps no other tenant from its new version.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use cloister_governance::{
    audit::Outcome,
    captures::{Captures, Content},
    guardrails::Guardrails,
    policy::Resource,
    vault::Vault,
};
use cloister_guardrails::redact::Placeholders;
use cloister_knowledge::Embed;
use cloister_terms::{Action, RequestId, Role, TenantId};

use super::{App, guardrail, identifiers, reload::NotReloaded};
use crate::{
    capture::{Means, Recorder, Redact, redaction::Read},
    config,
    governed::{Call, governed},
    identity::Caller,
    pipeline::{Guardrail, Identifiers, Settings, vault},
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

/// What a ruling is made with, besides what lies in the store and in the tenant's files.
pub(super) struct With<'a> {
    pub(super) captures: &'a Captures,
    pub(super) vault: &'a Vault,
    pub(super) embed: &'a dyn Embed,
}

impl App {
    /// What holds for a tenant from its start on; with `on_trial` that version of its guardrail, where it has it. Blocks.
    pub(super) fn put_in_force(
        &self,
        name: &TenantId,
        tenant: &config::Tenant,
        with: &With<'_>,
        on_trial: Option<u32>,
    ) -> anyhow::Result<InForce> {
        let ruling = || {
            let (settings, identifiers, guardrail) = self.rule(name, tenant, with.embed, on_trial)?;
            let means = Means {
                redact: redact(&identifiers, with.vault),
                clock: Arc::clone(&self.clock),
                random: Arc::clone(&self.random),
                metrics: self.metrics.clone(),
            };
            let recorder = Recorder::of(with.captures, tenant.captures, means)
                .context("it requires captures, and they cannot be written")?;
            Ok::<_, anyhow::Error>(Ruling { settings, identifiers, guardrail, recorder })
        };
        Ok(InForce::new(ruling().with_context(|| format!("tenant `{name}`"))?))
    }

    fn rule(
        &self,
        name: &TenantId,
        tenant: &config::Tenant,
        embed: &dyn Embed,
        on_trial: Option<u32>,
    ) -> anyhow::Result<(Arc<Settings>, Arc<Identifiers>, Arc<Guardrail>)> {
        let guardrails = Guardrails::open(&self.store.fleet())?;
        let held = guardrail::held(&guardrails, name, tenant, on_trial)?;
        let settings = Arc::new(guardrail::settings(&self.config.answer, &held.document));
        let identifiers = Arc::new(identifiers(tenant, &held.document)?);
        let told = (name.to_string(), held.version, held.sha256);
        let guardrail = Guardrail::new(told, held.document, embed).context("its guardrail cannot be used")?;
        Ok((settings, identifiers, Arc::new(guardrail)))
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
                Err(NotReloaded::Unusable(_, error)) => {
                    // With its causes: which file, which line. Neither guardrails nor what is said of a roster hold patients' words.
                    let error = format!("{error:#}");
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

    async fn reload_guardrail(self: &Arc<Self>, name: &TenantId) -> Result<String, NotReloaded<anyhow::Error>> {
        let caller = Caller::local(Role::Administrator, None, RequestId::random(self.random.as_ref()));
        let call = Call::new(Action::ManageGuardrails, Resource::Tenant(name.clone()));
        let unusable = |error| NotReloaded::Unusable("guardrail_invalid", error);
        let read = async |_| {
            let (app, of) = (Arc::clone(self), name.clone());
            let read = tokio::task::spawn_blocking(move || app.read_again(&of)).await;
            let ruling = read.unwrap_or_else(|_| Err(anyhow::anyhow!("reading it ended badly")));
            let applied = ruling.map_err(unusable)?.guardrail.applied();
            let version = applied.version.clone();
            Ok((version, Outcome::done().with_code("reloaded").with_guardrail(applied)))
        };
        governed(&self.gate, &caller, call, read).await
    }

    /// Puts what is to hold now in force. Captures are kept as they were: of them the configuration says, which is read at the start.
    fn read_again(&self, name: &TenantId) -> anyhow::Result<Ruling> {
        let tenant = self.tenants.get(name).context("the tenant is gone")?;
        let (settings, identifiers, guardrail) = self.rule(name, &tenant.settings, tenant.embed.as_ref(), None)?;
        let recorder = tenant.in_force.now().recorder.redacting(redact(&identifiers, &tenant.vault));
        let ruling = Ruling { settings, identifiers, guardrail, recorder };
        tenant.in_force.replace(ruling.clone());
        Ok(ruling)
    }
}

/// Takes identifiers out of a capture; with a vault their placeholders are the session's.
fn redact(identifiers: &Arc<Identifiers>, vault: &Vault) -> Redact {
    let (identifiers, vault) = (Arc::clone(identifiers), vault.clone());
    Arc::new(move |content: Content, session, random| {
        // Looked through before the vault is asked: questions of the tenant's others wait for it.
        let read = Read::of(content, identifiers.detector());
        let Some(session) = session.filter(|_| vault.is_on() && !read.is_clean()) else {
            return read.placed(&mut Placeholders::default(), random);
        };
        vault::keep(&vault, session, |placeholders| read.placed(placeholders, random)).unwrap_or_else(|stop| {
            let tenant = vault.tenant();
            tracing::error!(%tenant, error = &stop as &dyn std::error::Error, "a capture's placeholders cannot be kept");
            None
        })
    })
}
