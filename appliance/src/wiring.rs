//! What the program is made of, once it runs.

use std::{collections::BTreeMap, sync::Arc};

use cloister_governance::{accounts::Accounts, audit::Log, policy::Policy};
use cloister_knowledge::Embed;
use cloister_terms::{Clock, Random, TenantId};

use crate::pipeline::{Generate, Knowledge, Ports, Settings, Stop};

/// The running program: everything that a handler may reach.
pub struct App {
    /// How questions are answered.
    pub settings: Arc<Settings>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Ids and seeds.
    pub random: Arc<dyn Random>,
    /// Who may call.
    pub accounts: Accounts,
    /// Who may do what.
    pub policy: Policy,
    /// What was done.
    pub audit: Log,
    /// The tenants.
    pub tenants: BTreeMap<TenantId, Tenancy>,
    /// The embedding model.
    pub embed: Arc<dyn Embed>,
    /// The generation model, where there is one.
    pub generate: Option<Arc<dyn Generate>>,
}

/// One tenant at run time.
pub struct Tenancy {
    /// The model name under which the OpenAI face offers its assistant.
    pub assistant: String,
    /// Its documents.
    pub knowledge: Arc<dyn Knowledge>,
}

impl App {
    /// A tenant that an account belongs to.
    ///
    /// # Errors
    /// [`Stop`] when there is no such tenant on this machine.
    pub fn tenancy(&self, tenant: &TenantId) -> Result<&Tenancy, Stop> {
        self.tenants.get(tenant).ok_or_else(|| Stop::not_found(format!("tenant `{tenant}`")))
    }

    /// What answers a tenant's questions.
    ///
    /// # Errors
    /// [`Stop`] when there is no such tenant on this machine.
    pub fn ports(&self, tenant: &TenantId) -> Result<Ports, Stop> {
        Ok(Ports {
            knowledge: Arc::clone(&self.tenancy(tenant)?.knowledge),
            embed: Arc::clone(&self.embed),
            generate: self.generate.clone(),
            settings: Arc::clone(&self.settings),
            clock: Arc::clone(&self.clock),
        })
    }
}
