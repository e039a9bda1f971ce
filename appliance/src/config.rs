//! The one configuration file, `cloister.toml`: a struct per section, every key documented where it is declared.
//!
//! Defaults give way to the file, the file to `--set section.key=value`, and nothing else has a say: no environment
//! variable and no database. A key that is not known is refused with the nearest one that is. The file holds no secrets,
//! only the paths to them, so that it may be shown in full.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cloister_terms::TenantId;
use serde::{Deserialize, Serialize};

use crate::pipeline::Settings;

mod audit;
mod batches;
mod belongings;
mod break_glass;
mod captures;
mod client_certificates;
mod complaint;
mod engine;
mod load;
mod models;
mod oidc;
mod origin;
mod policy;
mod server;
mod session;
mod sign_in;
mod site;
mod tenants;
mod vault;

pub use audit::Audit;
pub use batches::Batches;
pub use belongings::Belonging;
pub use break_glass::BreakGlass;
pub use captures::{Captures, Mode as CaptureMode};
pub use client_certificates::ClientCertificates;
pub use complaint::{Complaint, ConfigError};
pub use engine::Engine;
pub use load::Loaded;
pub use models::{Device, Models};
pub use oidc::{Group, Oidc, SignedWith};
pub use origin::{Origin, Setting};
pub use policy::Policy;
pub use server::{Limits, Server, Tls};
pub use session::Session;
pub use sign_in::SignIn;
pub use site::{Site, UnknownZone, Zone};
pub use tenants::Tenant;
pub use vault::Vault;

/// Everything that can be configured. All of it has defaults: an empty file is a valid one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the site is.
    pub site: Site,
    /// Where data lives.
    pub data: Data,
    /// Where keys live.
    pub keys: Keys,
    /// The listener.
    pub server: Server,
    /// The certificate.
    pub tls: Tls,
    /// What one caller may ask of the machine.
    pub limits: Limits,
    /// Persons who sign in with a password.
    pub sign_in: SignIn,
    /// Emergency access.
    pub break_glass: BreakGlass,
    /// One interaction.
    pub session: Session,
    /// Tokens of the hospital's own identity provider.
    pub oidc: Option<Oidc>,
    /// Certificates that programs show.
    pub client_certificates: Option<ClientCertificates>,
    /// Which models run, and how.
    pub models: Models,
    /// How questions are answered.
    pub answer: Settings,
    /// The audit log.
    pub audit: Audit,
    /// Files of requests that are worked through.
    pub batches: Batches,
    /// The site's own policies.
    pub policy: Policy,
    /// The tenants, by name.
    pub tenants: BTreeMap<TenantId, Tenant>,
}

/// `[data]`: where data lives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// The folder of the encrypted databases and of all that is made from them. Mode 0700.
    /// Default: `/var/lib/cloister`.
    pub folder: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Self { folder: PathBuf::from("/var/lib/cloister") }
    }
}

/// `[keys]`: where keys live.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// The file of the master key, mode 0600, for where there is no systemd credential `cloister.master-key`. Default:
    /// `master.key` in the data folder.
    pub master: Option<PathBuf>,
}

impl Config {
    /// Reads `file`, if one is named, and applies each of `sets`, written `section.key=value`.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Loaded, ConfigError> {
        load::load(file, sets)
    }

    /// The file of the master key.
    pub fn master_key(&self) -> PathBuf {
        self.keys.master.clone().unwrap_or_else(|| self.data.folder.join("master.key"))
    }

    /// The folder of the encrypted databases.
    pub fn store_folder(&self) -> PathBuf {
        self.data.folder.join("store")
    }

    /// The folder of the local certificate authority.
    pub fn tls_folder(&self) -> PathBuf {
        self.data.folder.join("tls")
    }

    /// The folder of the models.
    pub fn models_folder(&self) -> PathBuf {
        self.models.folder.clone().unwrap_or_else(|| self.data.folder.join("models"))
    }

    /// What is wrong with values that are each well-formed: the key, and why. The first one found.
    fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        self.tls
            .contradiction()
            .or_else(|| self.server.contradiction())
            .or_else(|| self.limits.contradiction())
            .or_else(|| self.sign_in.contradiction())
            .or_else(|| self.break_glass.contradiction())
            .or_else(|| self.session.contradiction())
            .or_else(|| self.oidc.as_ref().and_then(Oidc::contradiction))
            .or_else(|| self.models.contradiction().or_else(|| self.answer.contradiction()))
            .or_else(|| self.audit.contradiction().or_else(|| self.batches.contradiction()))
            .or_else(|| self.tenants.values().find_map(Tenant::contradiction))
    }
}

#[cfg(test)]
mod tests;
