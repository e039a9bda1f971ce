//! What commands share: which configuration, and a desk to work at on the site's own store.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::{Context, bail};
use clap::Args;
use cloister_governance::{
    accounts::Accounts,
    audit::{Log, Outcome},
    declarations::Declarations,
    guardrails::Guardrails,
    policy::{Permit, Principal, Resource},
    store::Store,
};
use cloister_knowledge::{Library, parse::Sandbox};
use cloister_terms::{Action, Clock, CollectionId, EmergencyId, Random, RequestId, Role, TenantId};

use crate::{
    config::{Config, Loaded, Tenant},
    governed::{Call, Gate, governed_blocking},
    identity::Caller,
    pipeline::Settings,
    wiring::{self, PoolEmbed},
};

/// Which configuration.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The configuration file; /etc/cloister/cloister.toml if it is there, else the defaults
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// One value over the file's, as in `server.port=9443`; may be given again
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
}

impl Arguments {
    /// Reads it.
    ///
    /// # Errors
    /// With the place marked, where something in it is wrong.
    pub(super) fn load(&self) -> anyhow::Result<Loaded> {
        let installed = Path::new(INSTALLED);
        let file = self.config.as_deref().or_else(|| installed.exists().then_some(installed));
        // The marked excerpt, not only the sentence.
        Config::load(file, &self.sets)
            .map_err(|error| Misconfigured(format!("{:?}", miette::Report::new(error))).into())
    }
}

/// Where a package puts the configuration. Read where no other is named, so that commands and service speak of one site.
const INSTALLED: &str = "/etc/cloister/cloister.toml";

/// The configuration is wrong: the excerpt, with the place marked. Ends a command with exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misconfigured(String);

/// The site's store, opened by the person at the machine. What is done here is decided and recorded like any request.
pub(super) struct Desk {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) store: Store,
    gate: Gate,
    embed: OnceLock<PoolEmbed>,
}

impl Desk {
    /// Opens the store that the configuration names.
    ///
    /// # Errors
    /// When it or its key cannot be opened.
    pub(super) fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        Self::of(arguments.load()?.config)
    }

    /// Opens the store of `config`.
    pub(super) fn of(config: Config) -> anyhow::Result<Self> {
        Self::on(wiring::store_to_change(&config)?, config)
    }

    /// A desk on a store that is open.
    pub(super) fn on(store: Store, config: Config) -> anyhow::Result<Self> {
        let clock = wiring::clock();
        let random = wiring::random();
        let audit = Log::open(&store.audit(), Arc::clone(&clock), Arc::clone(&random))?;
        let policy = wiring::policy(&config.policy, None)?;
        store.record_key_uses(&audit, policy.rules().version())?;
        let gate = Gate { policy, audit };
        Ok(Self { config, clock, random, store, gate, embed: OnceLock::new() })
    }

    /// The tenant that is meant: the one that is named, or the only one there is.
    pub(super) fn tenant(&self, named: Option<TenantId>) -> anyhow::Result<TenantId> {
        let tenants = self.store.tenants()?;
        match (named, tenants.as_slice()) {
            (Some(named), _) if tenants.contains(&named) => Ok(named),
            (Some(named), _) => {
                bail!(
                    "there is no tenant `{named}`: name it in the configuration as [tenants.{named}] and run `cloister init`"
                )
            }
            (None, [only]) => Ok(only.clone()),
            (None, []) => {
                bail!("there is no tenant yet: name one in the configuration as [tenants.NAME] and run `cloister init`")
            }
            (None, _) => bail!("there are several tenants: name one with --tenant"),
        }
    }

    /// The accounts.
    pub(super) fn accounts(&self) -> anyhow::Result<Accounts> {
        Ok(Accounts::open(&self.store.fleet(), Arc::clone(&self.clock), Arc::clone(&self.random))?)
    }

    /// The library of a tenant. The embedding model is loaded at the first call.
    pub(super) fn library(&self, tenant: &TenantId) -> anyhow::Result<Library> {
        if self.embed.get().is_none() {
            let _lost_a_race = self.embed.set(wiring::embedding(&self.config, wiring::INGEST_PATIENCE)?);
        }
        let embed = self.embed.get().context("the embedding model is not loaded")?.clone();
        let connect = wiring::connect(&self.store, tenant)?;
        let library = Library::open(connect, Arc::new(embed), Arc::clone(&self.clock), Arc::clone(&self.random))?;
        self.store.tenant(tenant)?.follow()?;
        let strength = self.settings(tenant)?.attack.document;
        let inspection = Arc::new(wiring::Inspection(move || strength));
        Ok(library.in_zone(self.config.site.time_zone()).inspected_by(inspection))
    }

    /// What the configuration, or the tenant's own file, says of it.
    pub(super) fn tenant_settings(&self, tenant: &TenantId) -> anyhow::Result<Tenant> {
        let declared = wiring::declared(&Declarations::open(&self.store.fleet())?)?;
        Ok(self.config.tenants.get(tenant).or_else(|| declared.get(tenant)).cloned().unwrap_or_default())
    }

    /// How a tenant's questions are answered, its guardrail counted in.
    fn settings(&self, tenant: &TenantId) -> anyhow::Result<Settings> {
        let configured = self.tenant_settings(tenant)?;
        let guardrails = Guardrails::open(&self.store.fleet())?;
        let held = wiring::guardrail::held(&guardrails, tenant, &configured, None)?;
        Ok(wiring::guardrail::settings(&self.config.answer, &held.document))
    }

    /// Parsers in a child process: this program again, as `parse-worker`.
    pub(super) fn parser(&self) -> anyhow::Result<Sandbox> {
        wiring::parser()
    }

    /// Does `work` on a tenant, or one of its collections, under policy and with a record of intent and outcome.
    ///
    /// # Errors
    /// What policy, the audit log or the work says.
    pub(super) fn govern<T>(
        &self,
        action: Action,
        tenant: &TenantId,
        collection: Option<&CollectionId>,
        work: impl FnOnce() -> anyhow::Result<(T, Outcome)>,
    ) -> anyhow::Result<T> {
        let resource = match collection {
            Some(collection) => Resource::Collection(tenant.clone(), collection.clone()),
            None => Resource::Tenant(tenant.clone()),
        };
        // The role that knowledge work needs: the person at the machine has no role of their own.
        let caller = self.caller(Role::KnowledgeManager, Some(tenant.clone()));
        governed_blocking(&self.gate, &caller, Call::new(action, resource), |_| work())
    }

    /// The same for the site as a whole, in the role that the work needs.
    pub(super) fn govern_site<T>(
        &self,
        action: Action,
        work: impl FnOnce() -> anyhow::Result<(T, Outcome)>,
    ) -> anyhow::Result<T> {
        let role = if action == Action::ManageModels { Role::Operator } else { Role::Administrator };
        let caller = self.caller(role, None);
        governed_blocking(&self.gate, &caller, Call::new(action, Resource::Appliance), |_| work())
    }

    /// The same for what an administrator does to one tenant.
    pub(super) fn govern_site_for<T>(
        &self,
        action: Action,
        tenant: &TenantId,
        work: impl FnOnce() -> anyhow::Result<(T, Outcome)>,
    ) -> anyhow::Result<T> {
        let caller = self.caller(Role::Administrator, None);
        governed_blocking(&self.gate, &caller, Call::new(action, Resource::Tenant(tenant.clone())), |_| work())
    }

    /// The same for the audit log itself, by whoever keeps it.
    pub(super) fn govern_audit<T>(
        &self,
        action: Action,
        work: impl FnOnce() -> anyhow::Result<(T, Outcome)>,
    ) -> anyhow::Result<T> {
        let caller = self.caller(Role::Compliance, None);
        governed_blocking(&self.gate, &caller, Call::new(action, Resource::AuditLog(None)), |_| work())
    }

    /// The same for a tenant's captures, in the role of whoever reads them.
    pub(super) fn govern_captures<T>(
        &self,
        action: Action,
        resource: Resource,
        work: impl FnOnce(Permit) -> anyhow::Result<(T, Outcome)>,
    ) -> anyhow::Result<T> {
        let caller = self.caller(Role::Compliance, None);
        governed_blocking(&self.gate, &caller, Call::new(action, resource), work)
    }

    /// The same for emergency access, by whoever reviews it; about one of them where its id is named.
    pub(super) fn govern_reviews<T>(
        &self,
        about: Option<EmergencyId>,
        work: impl FnOnce(&Principal) -> anyhow::Result<(T, Outcome)>,
    ) -> anyhow::Result<T> {
        let caller = self.caller(Role::Compliance, None);
        let call = Call::new(Action::ReviewBreakGlass, Resource::Appliance);
        let call = about.map_or(call.clone(), |emergency| call.about(emergency));
        governed_blocking(&self.gate, &caller, call, |permit| work(permit.principal()))
    }

    /// The audit log.
    pub(super) const fn audit(&self) -> &Log {
        &self.gate.audit
    }

    fn caller(&self, role: Role, tenant: Option<TenantId>) -> Caller {
        Caller::local(role, tenant, RequestId::random(self.random.as_ref()))
    }
}

/// Writes a secret to a new file that its owner alone can read. An existing file is not touched.
///
/// # Errors
/// When it is there already or cannot be written.
pub(super) fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}
