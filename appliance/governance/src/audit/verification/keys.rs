//! The chain of checkpoint keys: each announced in the log, under a checkpoint that the one before it signed.

use rusqlite::Connection;

use super::{
    super::{
        Body,
        note::{NoteError, SignedCheckpoint, Verifier},
        table::{self, StoredKey},
        tile::TreeFolder,
    },
    Fault, Findings,
};

/// The keys of the log, oldest first.
pub(super) struct Keys(Vec<(StoredKey, Verifier)>);

impl Keys {
    pub(super) fn read(connection: &Connection, found: &mut Findings) -> Self {
        let mut keys = Vec::new();
        for stored in table::keys(connection).unwrap_or_default() {
            let generation = stored.generation;
            match stored.read() {
                Some(verifier) if generation == keys.len() as u64 + 1 => keys.push((stored, verifier)),
                _ => found
                    .add(Fault::Key, None, || format!("checkpoint key {generation} does not read, or one is missing")),
            }
        }
        if keys.is_empty() {
            found.add(Fault::Key, None, || "the log has no checkpoint key, or it cannot be read".to_owned());
        }
        Self(keys)
    }

    /// The log's name.
    pub(super) fn origin(&self) -> &str {
        self.0.first().map_or("", |(_, key)| key.name())
    }

    /// Whether `key`, which was written down elsewhere, is one of them.
    pub(super) fn expect(&self, key: &Verifier, found: &mut Findings) {
        if !self.0.iter().any(|(_, ours)| ours == key) {
            found.add(Fault::Key, None, || format!("the log is not signed by the key {key}"));
        }
    }

    /// Checks that the published list is the log's own, as far as it goes.
    pub(super) fn published(&self, tree: &TreeFolder, found: &mut Findings) {
        let published = tree.keys().unwrap_or_default();
        let ours = self.0.iter().map(|(_, key)| key);
        if published.is_empty()
            || published.len() > self.0.len()
            || !ours.zip(&published).all(|(key, other)| key == other)
        {
            found.add(Fault::Key, None, || "the published checkpoint keys are not those of the log".to_owned());
        }
    }

    /// Checks that the key that was in force signed, and that both did where one took over from the other.
    pub(super) fn accept(&self, signed: &SignedCheckpoint) -> Result<(), NoteError> {
        let size = signed.checkpoint.size;
        let mut in_force = self.0.iter().rev().skip_while(|(key, _)| key.announced > size);
        let (key, verifier) = in_force.next().ok_or(NoteError::Key)?;
        signed.signed_by(verifier)?;
        match in_force.next() {
            Some((_, before)) if key.announced == size => signed.signed_by(before),
            _ => Ok(()),
        }
    }

    /// Checks that each key but the first stands in the record that announced it, and that a checkpoint was made there.
    pub(super) fn announced(&self, connection: &Connection, found: &mut Findings) {
        for (key, verifier) in self.0.iter().skip(1) {
            let mut announces = false;
            let read = table::scan(connection, key.announced.saturating_sub(1), key.announced, |stored| {
                let body = stored.read().map(|record| record.body);
                announces = matches!(body, Ok(Body::Outcome(outcome))
                    if outcome.checkpoint_key.as_deref() == Some(verifier.to_string().as_str()));
                Ok::<_, rusqlite::Error>(())
            });
            let vouched = table::checkpoint_from(connection, key.announced).ok().flatten();
            let vouched = vouched.is_some_and(|checkpoint| checkpoint.size == key.announced);
            if read.is_err() || !announces || !vouched {
                found.add(Fault::Key, Some((key.announced, key.announced)), || {
                    format!("checkpoint key {} is not announced here under a checkpoint of its own", key.generation)
                });
            }
        }
    }
}
