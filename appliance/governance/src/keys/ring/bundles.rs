//! Recovery bundles and destroyed keys, as the keyring knows them.

use std::collections::BTreeSet;

use cloister_terms::{Random, TenantId};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        KeyName,
        bundle::{self, Bundle, BundleError, BundleLabel, Named},
    },
    Entry, Keyring, KeyringError,
};

/// A bundle that was handed out and, as far as anyone said, not shredded.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issued {
    bundle: String,
    keys: BTreeSet<String>,
    /// Whether its files are all there. It is known before they are: one that a crash left half written holds keys too.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    written: bool,
}

const fn yes() -> bool {
    true
}

const fn is_yes(written: &bool) -> bool {
    *written
}

/// How a recovery bundle stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleState {
    /// Its id.
    pub bundle: String,
    /// Whether its files were all written. One that was not brings nothing back, and is to be shredded.
    pub written: bool,
    /// The keys that it holds, each with its version.
    pub holds: BTreeSet<String>,
    /// Keys of the keyring that it lacks: what they encrypt cannot be brought back with it.
    pub lacks: Vec<String>,
    /// Keys that it holds and that were destroyed. It is to be shredded.
    pub destroyed: Vec<String>,
    /// Keys that it holds and that were replaced: backups from before open with it alone. It is to be shredded once there
    /// is a newer backup.
    pub replaced: Vec<String>,
}

impl BundleState {
    /// Whether everything that the site has now can be brought back with it.
    pub fn is_complete(&self) -> bool {
        self.written && self.lacks.is_empty()
    }
}

impl Keyring {
    /// A bundle of every key there is, but for those of the tenant `without`. It counts once its files are
    /// [written](Self::bundle_written).
    pub(crate) fn issue(
        &mut self,
        numbers: (u8, u8),
        without: Option<&TenantId>,
        random: &dyn Random,
    ) -> Result<Bundle, KeyringError> {
        let mut keys: Vec<Named> = Vec::new();
        for entry in self.body.keys.iter().filter(|entry| without.is_none() || entry.name.of_tenant() != without) {
            keys.push((entry.name.clone(), entry.version, self.opened(&entry.name, entry.version, &entry.wraps)?));
        }
        let made = bundle::make(&keys, self.body.generation.saturating_add(1), numbers, random)?;
        let (bundle, keys) = (made.label.bundle.clone(), made.label.keys.clone());
        self.body.bundles.push(Issued { bundle, keys, written: false });
        Ok(made)
    }

    /// Notes that a bundle's files are all there.
    pub(crate) fn bundle_written(&mut self, bundle: &str) {
        let issued = self.body.bundles.iter_mut().find(|issued| issued.bundle == bundle);
        issued.into_iter().for_each(|issued| issued.written = true);
    }

    /// The highest version of a key that a bundle holds; 0 where none holds it.
    pub(super) fn newest_in_a_bundle(&self, name: &KeyName) -> u32 {
        let listed = self.body.bundles.iter().flat_map(|issued| &issued.keys);
        let versions = listed.filter_map(|key| key.strip_prefix(&format!("{name} "))?.parse().ok());
        versions.max().unwrap_or(0)
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
        // A key is listed by its name, a space and its version.
        let names: BTreeSet<String> = self.body.keys.iter().map(|entry| entry.name.to_string()).collect();
        let lives_on = |key: &String| key.rsplit_once(' ').is_some_and(|(name, _)| names.contains(name));
        let state = |issued: &Issued| {
            let (replaced, destroyed) = issued.keys.difference(&held).cloned().partition(lives_on);
            BundleState {
                bundle: issued.bundle.clone(),
                written: issued.written,
                holds: issued.keys.clone(),
                lacks: held.difference(&issued.keys).cloned().collect(),
                destroyed,
                replaced,
            }
        };
        self.body.bundles.iter().map(state).collect()
    }

    /// Takes in `keys` out of a bundle, and the bundle as one that is out there: the first keyring of a site that is brought
    /// back. Its number is above `generation`.
    pub(crate) fn take_in<'a>(
        &mut self,
        keys: impl IntoIterator<Item = &'a Named>,
        of: &BundleLabel,
        generation: u64,
        random: &dyn Random,
    ) -> Result<(), KeyringError> {
        for (name, version, key) in keys {
            let wraps = self.wrapped(key, name, *version, random)?;
            let entry = Entry { name: name.clone(), version: *version, made: true, wraps, previous: None };
            self.body.keys.push(entry);
        }
        self.body.keys.sort_by(|a, b| a.name.cmp(&b.name));
        self.body.bundles.push(Issued { bundle: of.bundle.clone(), keys: of.keys.clone(), written: true });
        self.body.generation = self.body.generation.max(generation);
        Ok(())
    }
}

impl From<BundleError> for KeyringError {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}
