//! From the configuration to running parts, and the adapters that lend one room's parts to another's ports.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use axum::extract::FromRef;
use cloister_governance::{
    accounts::Accounts,
    approvals::Approvals,
    audit::Log,
    batches::Batches,
    captures::Captures,
    declarations::Declarations,
    keys::{KeyError, MasterKey},
    store::Store,
    vault::Vault,
};
use cloister_knowledge::{
    Connect, Embed, Library,
    parse::{Limits, Sandbox},
};
use cloister_models::{Priority, Registry};
use cloister_terms::{Clock, Random, TenantId};
use jiff::Timestamp;

use crate::{
    batch::Desk,
    capture::Recorder,
    config::{self, Config},
    edge::{
        health::{Check, Readiness},
        metrics::Metrics,
    },
    governed::Gate,
    identity::Identity,
    pipeline::{self, Generate, Ports, Rerank, Stop, model},
    session::Sessions,
};

mod declared;
mod embedding;
mod engine;
mod generation;
pub(crate) mod guardrail;
mod identifiers;
mod inspection;
mod lane;
mod policy;
mod pools;
mod reload;
mod reranking;
mod ruling;
mod shelf;
mod system;

pub use declared::{Declared, DeclaredCollection, declared};
pub use embedding::PoolEmbed;
pub use engine::{ENGINE, Engine};
pub use generation::PoolGenerate;
pub use identifiers::identifiers;
pub use inspection::Inspection;
pub use lane::{Trial, Writers};
pub use policy::policy;
pub use pools::{Generation, Pools, embedding, embedding_options, generation_options};
pub use reranking::PoolRerank;
use ruling::With;
pub use ruling::{InForce, Ruling};
pub use shelf::{Shelf, stopped};
pub use system::{SystemClock, SystemRandom};

/// How long a question may wait for its vector.
pub const QUESTION_PATIENCE: Duration = Duration::from_secs(30);

/// How long a request of many texts may take: what the OpenAI SDKs wait by default.
pub const BATCH_PATIENCE: Duration = Duration::from_secs(600);

/// How long one batch of an ingest may take: a thousand long chunks on one slow core.
pub const INGEST_PATIENCE: Duration = Duration::from_secs(3600);

/// Everything that runs. Handlers share it behind an `Arc`.
pub struct App {
    /// What was configured.
    pub config: Config,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where random bytes come from.
    pub random: Arc<dyn Random>,
    /// The encrypted databases.
    pub store: Store,
    /// Who may call.
    pub identity: Identity,
    /// The interactions that are open.
    pub sessions: Sessions,
    /// Who may do what, and what is recorded.
    pub gate: Gate,
    /// What is counted.
    pub metrics: Metrics,
    /// The embedding model.
    pub embed: Arc<dyn Embed>,
    /// The generation model, where one is configured.
    pub generate: Option<Arc<dyn Generate>>,
    /// The cross-encoder, where one is configured.
    pub rerank: Option<Arc<dyn Rerank>>,
    /// The pools behind them, for `/metrics`; none where tests script the models.
    pub pools: Option<Pools>,
    /// The tenants, by name.
    pub tenants: BTreeMap<TenantId, Tenant>,
}

impl AsRef<Gate> for App {
    fn as_ref(&self) -> &Gate {
        &self.gate
    }
}

impl FromRef<Arc<App>> for Identity {
    fn from_ref(app: &Arc<App>) -> Self {
        app.identity.clone()
    }
}

impl FromRef<Arc<App>> for Gate {
    fn from_ref(app: &Arc<App>) -> Self {
        app.gate.clone()
    }
}

impl FromRef<Arc<App>> for Metrics {
    /// With the levels of the pools as they are now.
    fn from_ref(app: &Arc<App>) -> Self {
        match app.pools.as_ref().and_then(|pools| pools.generate.as_ref()) {
            Some(Generation::Pool(pool)) => pool.observe(),
            Some(Generation::Engine(engine)) => engine.observe(),
            None => {}
        }
        unreviewed(app);
        app.metrics.clone()
    }
}

impl FromRef<Arc<App>> for Readiness {
    fn from_ref(app: &Arc<App>) -> Self {
        let mut checks = vec![Check::store(app.identity.accounts().clone()), Check::audit(app.gate.audit.clone())];
        if let Some(Pools { embed, generate, rerank }) = app.pools.clone() {
            let stopped = |serving| if serving { Ok(()) } else { Err("the model's pool has stopped") };
            checks.push(Check::new("embedding", move || stopped(embed.serving())));
            if let Some(rerank) = rerank {
                checks.push(Check::new("reranking", move || stopped(rerank.serving())));
            }
            match generate {
                Some(Generation::Pool(pool)) => {
                    checks.push(Check::new("generation", move || stopped(pool.serving())));
                }
                Some(Generation::Engine(engine)) => checks.push(Check::new("generation", move || engine.reachable())),
                None => {}
            }
        }
        Self::new(checks)
    }
}

/// Sets the levels of emergency accesses that wait to be signed off; no number where the register cannot be read.
fn unreviewed(app: &App) {
    let unreviewed = app.identity.accounts().unreviewed_emergencies();
    let age = |since: Timestamp| app.clock.now().duration_since(since).as_secs_f64().max(0.0);
    #[expect(clippy::cast_precision_loss, reason = "counts of emergencies are small")]
    let (waiting, oldest) = unreviewed
        .map_or((f64::NAN, f64::NAN), |unreviewed| (unreviewed.waiting as f64, unreviewed.oldest.map_or(0.0, age)));
    app.metrics.level("cloister_break_glass_unreviewed", waiting, &[]);
    app.metrics.level("cloister_break_glass_oldest_unreviewed_seconds", oldest, &[]);
}

/// What one tenant brings.
#[derive(Clone)]
pub struct Tenant {
    /// The model name under which the OpenAI face offers its assistant.
    pub assistant: String,
    /// Its documents.
    pub library: Arc<Library>,
    /// The same for answers and searches.
    pub shelf: Arc<Shelf>,
    /// The embedding model for its questions.
    pub embed: Arc<dyn Embed>,
    /// What the configuration, or its own file, said of it at the start.
    pub settings: config::Tenant,
    /// What its guardrail makes of them.
    pub in_force: InForce,
    /// What is kept, sealed, of its questions and answers.
    pub captures: Captures,
    /// What placeholders in its questions stand for.
    pub vault: Vault,
    /// Its files of requests, and who works them through.
    pub desk: Desk,
}

impl App {
    /// Opens the store and the log, verifies and loads the models, opens the tenants' libraries. Blocks.
    ///
    /// # Errors
    /// The first thing that is not as it must be, with what to do about it.
    pub fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_for(config, Trial::NONE)
    }

    /// The same with a say in what holds. What serves callers is started by [`App::start`].
    ///
    /// # Errors
    /// As [`App::start`].
    pub fn start_for(mut config: Config, trial: Trial) -> anyhow::Result<Self> {
        let (clock, random) = (clock(), random());
        let store = store_to_change(&config)?;
        let audit = Log::open(&store.audit(), Arc::clone(&clock), Arc::clone(&random))?;
        let metrics = Metrics::new();
        let policy = policy(&config.policy, Some(&metrics))?;
        store.record_key_uses(&audit, policy.rules().version())?;
        let accounts = Accounts::open(&store.fleet(), Arc::clone(&clock), Arc::clone(&random))?;
        let generate = pools::generation(&config, random.as_ref(), &metrics)?;
        let pools =
            Pools { embed: embedding(&config, QUESTION_PATIENCE)?, generate, rerank: pools::reranking(&config)? };
        let rerank = pools.rerank.clone().map(|pool| Arc::new(pool) as Arc<dyn Rerank>);
        let embed: Arc<dyn Embed> = Arc::new(pools.embed.clone());
        let generate = pools.generate.as_ref().map(Generation::port);
        let model = generate.as_ref().map(|model| model.identity());
        lane::shut_unless_earned(&mut config, trial.writers, &Approvals::open(&store.fleet())?, model.as_ref())?;
        let gate = Gate { policy, audit };
        let sessions = Sessions::new(&config.session, Arc::clone(&clock), Arc::clone(&random));
        let identity =
            Identity::new(accounts, gate.clone(), &config, sessions.clone(), Arc::clone(&clock), metrics.clone());
        let (pools, tenants) = (Some(pools), BTreeMap::new());
        let mut app = Self {
            config,
            clock,
            random,
            store,
            identity,
            sessions,
            gate,
            metrics,
            embed,
            generate,
            rerank,
            pools,
            tenants,
        };
        app.open_tenants(trial.guardrail)?;
        Ok(app)
    }

    /// Opens the library of every tenant that is configured or declared; one that is new gets its database. A tenant that has this version
    /// of a guardrail is held to it.
    ///
    /// # Errors
    /// When a database cannot be made or opened, or a guardrail cannot be used.
    pub(crate) fn open_tenants(&mut self, guardrail: Option<u32>) -> anyhow::Result<()> {
        let mut tenants = declared(&Declarations::open(&self.store.fleet())?)?;
        tenants.extend(self.config.tenants.clone());
        for (name, tenant) in &tenants {
            tenant_database(&self.store, name)?;
            let (embed, documents) = self.embeds_of(name);
            let (questions, clock) = (Arc::clone(&embed), Arc::clone(&self.clock));
            let library = Library::open(connect(&self.store, name)?, questions, clock, Arc::clone(&self.random))?;
            self.store.tenant(name)?.follow()?;
            let captures = Captures::of(&self.store, name, tenant.captures.days, Arc::clone(&self.clock));
            let vault = Vault::beside(&captures, tenant.vault.days);
            self.may_keep(name, tenant.vault, &vault)?;
            let with = With { captures: &captures, vault: &vault, embed: embed.as_ref() };
            let in_force = self.put_in_force(name, tenant, &with, guardrail)?;
            let held = in_force.clone();
            let inspection = Arc::new(Inspection(move || held.now().settings.attack.document));
            let library = library.in_zone(self.config.site.time_zone()).inspected_by(inspection);
            let library = Arc::new(library.taking_in_with(documents));
            let shelf = Arc::new(Shelf(Arc::clone(&library)));
            let (clock, random) = (Arc::clone(&self.clock), Arc::clone(&self.random));
            let desk = Desk::new(Batches::of(&self.store, name, self.config.batches.room(), clock, random));
            let assistant = tenant.assistant.clone().unwrap_or_else(|| name.to_string());
            let settings = tenant.clone();
            let tenant = Tenant { assistant, library, shelf, embed, settings, in_force, captures, vault, desk };
            self.tenants.insert(name.clone(), tenant);
        }
        Ok(())
    }

    /// That a tenant's vault can be written, and keeps what a session has for as long as the session can last.
    fn may_keep(&self, name: &TenantId, settings: config::Vault, vault: &Vault) -> anyhow::Result<()> {
        if !vault.is_on() {
            return Ok(());
        }
        let short = |why| anyhow::anyhow!("the tenant `{name}`: {why}");
        settings.outlasts(&self.config.session).map_err(short)?;
        vault.open().with_context(|| format!("the vault of the tenant `{name}` cannot be written"))
    }

    /// The embedding model for a tenant's questions, and for its documents, which stand behind everybody's questions.
    fn embeds_of(&self, tenant: &TenantId) -> (Arc<dyn Embed>, Arc<dyn Embed>) {
        let Some(pools) = &self.pools else { return (Arc::clone(&self.embed), Arc::clone(&self.embed)) };
        let lent = |priority, patience| Arc::new(pools.embed.lent(model::salt(tenant), priority, patience));
        (lent(Priority::Interactive, QUESTION_PATIENCE), lent(Priority::Ingest, INGEST_PATIENCE))
    }

    /// The embedding model for a request that is as urgent as that, by whoever has this salt.
    pub fn embed_for(&self, salt: u64, urgency: pipeline::Priority) -> Arc<dyn Embed> {
        let Some(pools) = &self.pools else { return Arc::clone(&self.embed) };
        let priority = match urgency {
            pipeline::Priority::Interactive => Priority::Interactive,
            pipeline::Priority::Batch => Priority::Batch,
        };
        Arc::new(pools.embed.lent(salt, priority, BATCH_PATIENCE))
    }

    /// What answers a tenant's questions, under the guardrail that is in force now.
    ///
    /// # Errors
    /// [`Stop`] when this machine has no such tenant.
    pub fn ports(&self, tenant: &TenantId) -> Result<Ports, Stop> {
        let found = self.tenants.get(tenant).ok_or_else(|| Stop::not_found(format!("tenant `{tenant}`")))?;
        let Ruling { settings, identifiers, guardrail, recorder } = found.in_force.now();
        Ok(Ports {
            knowledge: Arc::<Shelf>::clone(&found.shelf),
            embed: Arc::clone(&found.embed),
            generate: self.generate.clone(),
            settings,
            identifiers,
            vault: Some(found.vault.clone()).filter(Vault::is_on),
            guardrail,
            random: Arc::clone(&self.random),
            clock: Arc::clone(&self.clock),
            recorder,
            metrics: self.metrics.clone(),
        })
    }

    /// The captures of a tenant.
    ///
    /// # Errors
    /// [`Stop`] when this machine has no such tenant.
    pub fn captures(&self, tenant: &TenantId) -> Result<&Captures, Stop> {
        let found = self.tenants.get(tenant).map(|tenant| &tenant.captures);
        found.ok_or_else(|| Stop::not_found(format!("tenant `{tenant}`")))
    }

    /// The vault of a tenant.
    ///
    /// # Errors
    /// [`Stop`] when this machine has no such tenant.
    pub fn vault(&self, tenant: &TenantId) -> Result<Vault, Stop> {
        let found = self.tenants.get(tenant).map(|tenant| tenant.vault.clone());
        found.ok_or_else(|| Stop::not_found(format!("tenant `{tenant}`")))
    }

    /// What seals the captures of a tenant; nothing is sealed for an account without one.
    pub fn recorder(&self, tenant: Option<&TenantId>) -> Recorder {
        let found = tenant.and_then(|tenant| self.tenants.get(tenant));
        found.map_or_else(Recorder::off, |tenant| tenant.in_force.now().recorder)
    }
}

/// The system's clock.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The operating system's generator.
pub fn random() -> Arc<dyn Random> {
    Arc::new(SystemRandom)
}

/// The encrypted databases of the site, which are there already.
///
/// # Errors
/// When the key is missing, too widely readable, or not the one of these databases.
pub fn store(config: &Config) -> anyhow::Result<Store> {
    let folder = config.store_folder();
    // A credential is there on a machine whose disk is not: what would be made then is a second site.
    if !folder.join("keyring").exists() && !folder.join("fleet.db").exists() {
        master_key(config)?;
        anyhow::bail!("there is no site in {}: see that the disk is mounted, or run `cloister init`", folder.display());
    }
    Ok(Store::open(&config.store_folder(), master_key(config)?, random())?)
}

/// The same before anything in it is brought up to date: where another release opened it last, a backup is made first.
///
/// # Errors
/// As [`store`], or when the backup cannot be made.
pub fn store_to_change(config: &Config) -> anyhow::Result<Store> {
    let store = store(config)?;
    store.taken_over_by(env!("CARGO_PKG_VERSION"), &config.data.folder.join("backups"), clock().now())?;
    Ok(store)
}

/// The master key: the credential that systemd unsealed for this service, or the configured file.
///
/// # Errors
/// When there is neither, or others may read it.
pub fn master_key(config: &Config) -> Result<MasterKey, KeyError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    MasterKey::of_site(credentials.as_deref(), &config.master_key())
}

/// Sees to it that a tenant has its database, and with a new one that of its captures: recovery bundles that are written
/// from then on hold both keys.
///
/// # Errors
/// When it cannot be made.
pub fn tenant_database(store: &Store, tenant: &TenantId) -> anyhow::Result<()> {
    if !store.tenants()?.contains(tenant) {
        store.create_tenant(tenant)?;
        store.captures(tenant)?;
    }
    Ok(())
}

/// What opens the tenant's database for its library.
///
/// # Errors
/// When there is no such tenant or its database cannot be opened.
pub fn connect(store: &Store, tenant: &TenantId) -> anyhow::Result<Connect> {
    let database = store.tenant(tenant)?;
    Ok(Arc::new(move || database.connect()))
}

/// The parsers, each document in a child process: this program again, as `parse-worker`.
///
/// # Errors
/// When the program's own file cannot be found.
pub fn parser() -> anyhow::Result<Sandbox> {
    let program = std::env::current_exe().context("finding this program's own file")?;
    Ok(Sandbox::new(program, vec![OsString::from("parse-worker")], Limits::default()))
}

/// The registry of the configured folder.
///
/// # Errors
/// When the folder cannot be made.
pub fn registry(config: &Config) -> anyhow::Result<Registry> {
    Ok(Registry::open(config.models_folder())?)
}
