//! The keyring: every data key of the site, wrapped by the master key, in one file.
//!
//! ```text
//! {"format":1,"generation":7,"keys":[{"name":"site/audit","version":1,"made":true,"wraps":{"ID":"..."}}, ...]}
//! mac ID HMAC-SHA256 of the line above
//! ```
//!
//! Two `mac` lines, and two wraps of each key, stand there only while the master key is being replaced.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use cloister_terms::{Random, TenantId};
use serde::{Deserialize, Serialize};

use super::{Custody, DataKey, KeyName, MasterKey, Secret, file};

mod bundles;
mod error;
mod kept;

pub use bundles::BundleState;
use bundles::Issued;
pub use error::KeyringError;
pub(crate) use kept::RingFile;

/// The form of the file that this program writes and reads.
const FORMAT: u32 = 1;

/// A keyring is some hundred bytes a key; what is longer is no keyring.
const LONGEST: u64 = 64 << 20;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    format: u32,
    /// How often the keyring was changed.
    generation: u64,
    keys: Vec<Entry>,
    /// Bundles that are out there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bundles: Vec<Issued>,
    /// Tenants whose keys are gone and whose files may still be there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    destroyed: BTreeSet<TenantId>,
    /// A master key that is to take over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    id: String,
    /// A person puts it in place; until then nothing else changes.
    by_hand: bool,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: KeyName,
    version: u32,
    /// Whether what it encrypts was made: a database that is then missing was taken away.
    made: bool,
    /// By the id of the master key that wraps it.
    wraps: BTreeMap<String, String>,
    /// The key that it replaces, until its database is encrypted anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Previous>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Previous {
    version: u32,
    wraps: BTreeMap<String, String>,
}

/// Whether `text` is a keyring's file, whole or not.
pub(super) fn is_keyring(text: &[u8]) -> bool {
    text.starts_with(b"{\"format\":") && text.windows(8).any(|window| window == b"\"wraps\":")
}

/// What a wrapped key is bound to.
fn context(name: &KeyName, version: u32) -> Vec<u8> {
    format!("cloister wrapped data key, version 1\n{name}\n{version}").into_bytes()
}

/// The keyring as it was read, with the master key that opens it.
pub(crate) struct Keyring {
    path: PathBuf,
    master: MasterKey,
    body: Body,
}

impl Keyring {
    pub(crate) const fn generation(&self) -> u64 {
        self.body.generation
    }

    fn entry(&self, name: &KeyName) -> Option<&Entry> {
        self.body.keys.iter().find(|entry| &entry.name == name)
    }

    fn entry_mut(&mut self, name: &KeyName) -> Result<&mut Entry, KeyringError> {
        let found = self.body.keys.iter_mut().find(|entry| &entry.name == name);
        found.ok_or_else(|| KeyringError::NoKey(name.clone()))
    }

    /// Whether there is such a key, and if so whether what it encrypts was made.
    pub(crate) fn made(&self, name: &KeyName) -> Option<bool> {
        self.entry(name).map(|entry| entry.made)
    }

    /// The key of that name with its version.
    pub(crate) fn unwrap(&self, name: &KeyName) -> Result<(DataKey, u32), KeyringError> {
        let entry = self.entry(name).ok_or_else(|| KeyringError::NoKey(name.clone()))?;
        let key = self.opened(name, entry.version, &entry.wraps)?;
        Ok((DataKey::new(key), entry.version))
    }

    /// The key that the one of that name replaces, where its database is not yet encrypted anew.
    pub(crate) fn unwrap_previous(&self, name: &KeyName) -> Result<Option<DataKey>, KeyringError> {
        let Some(previous) = self.entry(name).and_then(|entry| entry.previous.as_ref()) else { return Ok(None) };
        self.opened(name, previous.version, &previous.wraps).map(|key| Some(DataKey::new(key)))
    }

    fn opened(&self, name: &KeyName, version: u32, wraps: &BTreeMap<String, String>) -> Result<Secret, KeyringError> {
        let wrapped = wraps.get(self.master.id()).and_then(|wrapped| hex::decode(wrapped).ok());
        let key = wrapped.and_then(|wrapped| self.master.unwrap(&wrapped, &context(name, version)).ok());
        key.ok_or_else(|| KeyringError::Damaged { path: self.path.clone() })
    }

    fn wrapped(
        &self,
        key: &Secret,
        name: &KeyName,
        version: u32,
        random: &dyn Random,
    ) -> Result<BTreeMap<String, String>, KeyringError> {
        let wrapped = self.master.wrap(key, &context(name, version), random).map_err(|_| self.damaged())?;
        Ok(BTreeMap::from([(self.master.id().to_owned(), hex::encode(wrapped))]))
    }

    fn damaged(&self) -> KeyringError {
        KeyringError::Damaged { path: self.path.clone() }
    }

    /// Adds a new random key, if there is none of that name.
    pub(crate) fn add(&mut self, name: &KeyName, random: &dyn Random) -> Result<(), KeyringError> {
        if self.entry(name).is_some() {
            return Ok(());
        }
        // A tenant that was destroyed may have had its name: no bundle that holds that one's key may seem to hold this one.
        let version = self.newest_in_a_bundle(name).saturating_add(1);
        let wraps = self.wrapped(&Secret::random(random), name, version, random)?;
        if let Some(tenant) = name.of_tenant() {
            self.body.destroyed.remove(tenant);
        }
        self.body.keys.push(Entry { name: name.clone(), version, made: false, wraps, previous: None });
        self.body.keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// Adds a random key in place of `old`, under which the database still is.
    pub(crate) fn add_replacing(
        &mut self,
        name: &KeyName,
        old: &Secret,
        random: &dyn Random,
    ) -> Result<(), KeyringError> {
        let previous = Previous { version: 1, wraps: self.wrapped(old, name, 1, random)? };
        let wraps = self.wrapped(&Secret::random(random), name, 2, random)?;
        let entry = Entry { name: name.clone(), version: 2, made: true, wraps, previous: Some(previous) };
        self.body.keys.push(entry);
        self.body.keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// Notes that what the key encrypts is there.
    pub(crate) fn mark_made(&mut self, name: &KeyName) -> Result<(), KeyringError> {
        self.entry_mut(name)?.made = true;
        Ok(())
    }

    /// Begins to replace a key: the new one takes its name, and the old one stays beside it.
    pub(crate) fn begin_replacing(&mut self, name: &KeyName, random: &dyn Random) -> Result<(), KeyringError> {
        let entry = self.entry(name).ok_or_else(|| KeyringError::NoKey(name.clone()))?;
        if entry.previous.is_some() {
            return Ok(());
        }
        let version = entry.version.saturating_add(1);
        let wraps = self.wrapped(&Secret::random(random), name, version, random)?;
        let entry = self.entry_mut(name)?;
        let old = std::mem::replace(&mut entry.wraps, wraps);
        entry.previous = Some(Previous { version: entry.version, wraps: old });
        entry.version = version;
        Ok(())
    }

    /// Forgets the key that the one of that name replaced.
    pub(crate) fn end_replacing(&mut self, name: &KeyName) -> Result<(), KeyringError> {
        self.entry_mut(name)?.previous = None;
        Ok(())
    }

    /// The names of keys whose databases are not yet encrypted anew.
    pub(crate) fn replacing(&self) -> Vec<KeyName> {
        let halfway = self.body.keys.iter().filter(|entry| entry.previous.is_some());
        halfway.map(|entry| entry.name.clone()).collect()
    }

    /// Wraps every key under `next` as well.
    fn wrap_for(&mut self, next: &MasterKey, random: &dyn Random) -> Result<(), KeyringError> {
        let mut body = self.body.clone();
        for entry in &mut body.keys {
            let held =
                [Some((entry.version, &mut entry.wraps)), entry.previous.as_mut().map(|p| (p.version, &mut p.wraps))];
            for (version, wraps) in held.into_iter().flatten() {
                let key = self.opened(&entry.name, version, wraps)?;
                let wrapped = next.wrap(&key, &context(&entry.name, version), random).map_err(|_| self.damaged())?;
                wraps.insert(next.id().to_owned(), hex::encode(wrapped));
            }
        }
        self.body = body;
        Ok(())
    }

    /// Forgets what is wrapped by any other master key than the one in use.
    fn settle(&mut self) {
        let mine = self.master.id().to_owned();
        for entry in &mut self.body.keys {
            entry.wraps.retain(|id, _| *id == mine);
            if let Some(previous) = &mut entry.previous {
                previous.wraps.retain(|id, _| *id == mine);
            }
        }
        self.body.next = None;
    }

    /// Makes ready for a change: what a replacement of the master key left half done is ended or given up, unless a person
    /// is to end it.
    fn take_up(&mut self) -> Result<(), KeyringError> {
        if let Some(next) = self.body.next.as_ref().filter(|next| next.by_hand && next.id != self.master.id()) {
            return Err(KeyringError::Waiting { next: next.id.clone(), mine: self.master.id().to_owned() });
        }
        self.settle();
        Ok(())
    }

    /// Whether another master key opens it too.
    fn unsettled(&self) -> bool {
        self.body.next.is_some()
    }

    /// How it stands, for lists.
    pub(crate) fn state(&self) -> KeyringState {
        let keys = self.body.keys.iter().map(|entry| KeyState {
            name: entry.name.clone(),
            version: entry.version,
            replacing: entry.previous.is_some(),
        });
        KeyringState {
            master: self.master.id().to_owned(),
            custody: self.master.custody().clone(),
            locked: self.master.is_locked(),
            generation: self.body.generation,
            next: self.body.next.as_ref().map(|next| next.id.clone()),
            keys: keys.collect(),
            bundles: self.bundle_states(),
        }
    }

    /// Writes it with the number of its change, so that each of `masters` opens it.
    fn save(&mut self, masters: &[&MasterKey]) -> Result<(), KeyringError> {
        self.body.generation = self.body.generation.saturating_add(1);
        let io = |source| KeyringError::Io { path: self.path.clone(), doing: "written", source };
        let body = serde_json::to_string(&self.body).map_err(|error| io(error.into()))?;
        let macs: String =
            masters.iter().map(|key| format!("mac {} {}\n", key.id(), key.authenticate(body.as_bytes()))).collect();
        file::replace(&self.path, format!("{body}\n{macs}").as_bytes()).map_err(io)
    }
}

/// How the keyring stands. It holds no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyringState {
    /// The id of the master key.
    pub master: String,
    /// Where the master key is kept.
    pub custody: Custody,
    /// Whether the system keeps the master key from being swapped out.
    pub locked: bool,
    /// How often the keyring was changed.
    pub generation: u64,
    /// The id of a master key that waits to be put in place.
    pub next: Option<String>,
    /// The data keys, by name.
    pub keys: Vec<KeyState>,
    /// The recovery bundles that nobody said were shredded, oldest first.
    pub bundles: Vec<BundleState>,
}

/// How a data key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Its name.
    pub name: KeyName,
    /// How often it was replaced, and one.
    pub version: u32,
    /// Whether its database is still to be encrypted anew.
    pub replacing: bool,
}

#[cfg(test)]
mod power;
#[cfg(test)]
mod tests;
