//! Recovery bundles and destroyed keys, as the keyring knows them.

use std::collections::BTreeSet;

use cloister_terms::{Random, TenantId};
use serde::{Deserialize, Serialize};

use super::{
    super::bundle::{self, Bundle, BundleError, Named},
    Entry, Keyring, KeyringError,
};

/// A bundle that was handed out and, as far as anyone said, not shredded.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issued {
    bundle: String,
    keys: BTreeSet<String>,
}

/// How a recovery bundle stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleState {
    /// Its id.
    pub bundle: String,
    /// Keys of the keyring that it lacks: what they encrypt cannot be brought back with it.
    pub lacks: Vec<String>,
    /// Keys that it holds and the keyring does not: destroyed, or replaced. It is to be shredded.
    pub outlived: Vec<String>,
}

impl Keyring {
    /// A bundle of every key there is.
    pub(crate) fn issue(&mut self, numbers: (u8, u8), random: &dyn Random) -> Result<Bundle, KeyringError> {
        let mut keys: Vec<Named> = Vec::new();
        for entry in &self.body.keys {
            keys.push((entry.name.clone(), entry.version, self.opened(&entry.name, entry.version, &entry.wraps)?));
        }
        let made = bundle::make(&keys, self.body.generation.saturating_add(1), numbers, random)?;
        self.body.bundles.push(Issued { bundle: made.label.bundle.clone(), keys: made.label.keys.clone() });
        Ok(made)
    }

    /// Forgets a bundle that was shredded. Whether it was known.
    pub(crate) fn shredded(&mut self, bundle: &str) -> bool {
        let before = self.body.bundles.len();
        self.body.bundles.retain(|issued| issued.bundle != bundle);
        before != self.body.bundles.len()
    }

    /// Destroys every key of a tenant. Whether there was one.
    pub(crate) fn destroy(&mut self, tenant: &TenantId) -> bool {
        let before = self.body.keys.len();
        self.body.keys.retain(|entry| entry.name.of_tenant() != Some(tenant));
        let destroyed = before != self.body.keys.len();
        if destroyed {
            self.body.destroyed.insert(tenant.clone());
        }
        destroyed
    }

    /// Tenants whose keys were destroyed and whose files may still be there.
    pub(crate) fn destroyed(&self) -> Vec<TenantId> {
        self.body.destroyed.iter().cloned().collect()
    }

    /// Notes that a destroyed tenant's files are gone.
    pub(crate) fn cleared(&mut self, tenant: &TenantId) {
        self.body.destroyed.remove(tenant);
    }

    /// How the bundles stand that were not shredded, oldest first.
    pub(super) fn bundle_states(&self) -> Vec<BundleState> {
        let listed = |entry: &Entry| bundle::listed(&entry.name, entry.version);
        let held: BTreeSet<String> = self.body.keys.iter().map(listed).collect();
        let state = |issued: &Issued| BundleState {
            bundle: issued.bundle.clone(),
            lacks: held.difference(&issued.keys).cloned().collect(),
            outlived: issued.keys.difference(&held).cloned().collect(),
        };
        self.body.bundles.iter().map(state).collect()
    }

    /// Takes in the keys of a bundle: the first keyring of a site that is brought back. Its number is above `generation`.
    pub(crate) fn take_in(&mut self, keys: &[Named], generation: u64, random: &dyn Random) -> Result<(), KeyringError> {
        for (name, version, key) in keys {
            let wraps = self.wrapped(key, name, *version, random)?;
            let entry = Entry { name: name.clone(), version: *version, made: true, wraps, previous: None };
            self.body.keys.push(entry);
        }
        self.body.keys.sort_by(|a, b| a.name.cmp(&b.name));
        self.body.generation = self.body.generation.max(generation);
        Ok(())
    }
}

impl From<BundleError> for KeyringError {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}
