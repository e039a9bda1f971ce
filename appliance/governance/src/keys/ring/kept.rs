//! The keyring's file.

use std::path::{Path, PathBuf};

use cloister_terms::Random;
use rustix::fs::FlockOperation;
use serde::Deserialize;

use super::{
    super::{Custody, KeyError, MasterKey, file},
    Body, FORMAT, Keyring, KeyringError, LONGEST, Next,
};

/// What every form of the file has.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// The keyring's file with its lock. Whoever reads holds the lock together with other readers, whoever changes holds it
/// alone, so that a master key and the keyring under it are always read as they belong together.
#[derive(Debug, Clone)]
pub(crate) struct RingFile {
    path: PathBuf,
    lock: PathBuf,
}

impl RingFile {
    /// The keyring of the store in `folder`.
    pub(crate) fn of(folder: &Path) -> Self {
        Self { path: folder.join("keyring"), lock: folder.join("keyring.lock") }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Does `work` on the keyring as it is. None where there is none.
    ///
    /// A `master` that no longer opens it is read again from where it is kept: it was replaced meanwhile.
    pub(crate) fn read<T, E: From<KeyringError>>(
        &self,
        master: &MasterKey,
        work: impl FnOnce(&Keyring) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let _lock = self.locked(FlockOperation::LockShared)?;
        self.load(master)?.map(|keyring| work(&keyring)).transpose()
    }

    /// Changes the keyring, or makes the first one, and does `after` before anyone else sees the change.
    pub(crate) fn change<T, E: From<KeyringError>>(
        &self,
        master: &MasterKey,
        work: impl FnOnce(&mut Keyring) -> Result<T, KeyringError>,
        after: impl FnOnce(&Keyring) -> Result<(), E>,
    ) -> Result<T, E> {
        let _lock = self.locked(FlockOperation::LockExclusive)?;
        let mut keyring = self.loaded_or_new(master)?;
        keyring.take_up()?;
        let done = work(&mut keyring)?;
        let opens = keyring.master.clone();
        keyring.save(&[&opens])?;
        after(&keyring)?;
        Ok(done)
    }

    /// Ends a replacement of the master key that the key in use was to come out of.
    pub(crate) fn settle<E: From<KeyringError>>(
        &self,
        master: &MasterKey,
        after: impl FnOnce(&Keyring) -> Result<(), E>,
    ) -> Result<(), E> {
        let over = |keyring: &Keyring| {
            let mine = keyring.master.id();
            Ok::<_, KeyringError>(keyring.body.next.as_ref().is_some_and(|next| !next.by_hand || next.id == mine))
        };
        if self.read(master, over)? == Some(true) { self.change(master, |_| Ok(()), after) } else { Ok(()) }
    }

    /// Replaces a master key that is kept in a file. Whatever of it a crash cuts off, the key that is in place then opens
    /// the keyring. The id of the new one.
    pub(crate) fn rotate<E: From<KeyringError>>(
        &self,
        master: &MasterKey,
        random: &dyn Random,
        after: impl FnOnce(&Keyring) -> Result<(), E>,
    ) -> Result<String, E> {
        let _lock = self.locked(FlockOperation::LockExclusive)?;
        let mut keyring = self.loaded(master)?;
        let Custody::File(path) = keyring.master.custody().clone() else { return Err(KeyringError::NotOurs.into()) };
        let io = |source| KeyringError::from(KeyError::Io { path: path.clone(), doing: "written", source });
        keyring.take_up()?;
        let old = keyring.master.clone();
        let next = old.successor(random);
        let waiting = file::beside(&path, "next");
        file::write(&waiting, next.text().as_bytes(), rustix::fs::OFlags::TRUNC).map_err(io)?;
        file::sync_folder_of(&waiting).map_err(io)?;
        keyring.wrap_for(&next, random)?;
        keyring.body.next = Some(Next { id: next.id().to_owned(), by_hand: false });
        keyring.save(&[&old, &next])?;
        file::put_in_place(&waiting, &path).map_err(io)?;
        keyring.master = next.clone();
        keyring.settle();
        keyring.save(&[&next])?;
        after(&keyring)?;
        Ok(next.id().to_owned())
    }

    /// Wraps every key for `next` as well, which somebody then puts in place. Until it is, both open the keyring.
    pub(crate) fn prepare<E: From<KeyringError>>(
        &self,
        master: &MasterKey,
        next: &MasterKey,
        random: &dyn Random,
        after: impl FnOnce(&Keyring) -> Result<(), E>,
    ) -> Result<(), E> {
        let _lock = self.locked(FlockOperation::LockExclusive)?;
        let mut keyring = self.loaded(master)?;
        keyring.take_up()?;
        let old = keyring.master.clone();
        keyring.wrap_for(next, random)?;
        keyring.body.next = Some(Next { id: next.id().to_owned(), by_hand: true });
        keyring.save(&[&old, next])?;
        after(&keyring)
    }

    /// Gives up a master key that was to come.
    pub(crate) fn abandon<E: From<KeyringError>>(
        &self,
        master: &MasterKey,
        after: impl FnOnce(&Keyring) -> Result<(), E>,
    ) -> Result<bool, E> {
        let _lock = self.locked(FlockOperation::LockExclusive)?;
        let mut keyring = self.loaded(master)?;
        if !keyring.unsettled() {
            return Ok(false);
        }
        keyring.settle();
        let opens = keyring.master.clone();
        keyring.save(&[&opens])?;
        after(&keyring)?;
        Ok(true)
    }

    fn locked(&self, operation: FlockOperation) -> Result<std::fs::File, KeyringError> {
        file::locked(&self.lock, operation).map_err(|source| KeyringError::Io {
            path: self.lock.clone(),
            doing: "locked",
            source,
        })
    }

    fn loaded(&self, master: &MasterKey) -> Result<Keyring, KeyringError> {
        self.load(master)?.ok_or_else(|| KeyringError::Missing { path: self.path.clone() })
    }

    fn loaded_or_new(&self, master: &MasterKey) -> Result<Keyring, KeyringError> {
        let new = || Keyring {
            path: self.path.clone(),
            master: master.clone(),
            body: Body {
                format: FORMAT,
                generation: 0,
                keys: Vec::new(),
                bundles: Vec::new(),
                destroyed: Default::default(),
                next: None,
            },
        };
        Ok(self.load(master)?.unwrap_or_else(new))
    }

    fn load(&self, master: &MasterKey) -> Result<Option<Keyring>, KeyringError> {
        let io = |source| KeyringError::Io { path: self.path.clone(), doing: "read", source };
        let Some(bytes) = file::read(&self.path, LONGEST).map_err(io)? else { return Ok(None) };
        match self.parse(&bytes, master) {
            Err(KeyringError::OtherMaster { path, mine, theirs }) => match master.reload() {
                Ok(again) if again.id() != master.id() => self.parse(&bytes, &again).map(Some),
                _ => Err(KeyringError::OtherMaster { path, mine, theirs }),
            },
            parsed => parsed.map(Some),
        }
    }

    fn parse(&self, bytes: &[u8], master: &MasterKey) -> Result<Keyring, KeyringError> {
        let damaged = || KeyringError::Damaged { path: self.path.clone() };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
        let (body, macs) = text.split_once('\n').ok_or_else(damaged)?;
        let macs: Vec<(&str, &str)> = macs
            .lines()
            .map(|line| line.strip_prefix("mac ").and_then(|mac| mac.split_once(' ')).ok_or_else(damaged))
            .collect::<Result<_, _>>()?;
        let Some((_, mac)) = macs.iter().find(|(id, _)| *id == master.id()) else {
            let theirs: Vec<&str> = macs.iter().map(|(id, _)| *id).collect();
            return match theirs.is_empty() {
                true => Err(damaged()),
                false => {
                    let (path, mine, theirs) = (self.path.clone(), master.id().to_owned(), theirs.join(" or "));
                    Err(KeyringError::OtherMaster { path, mine, theirs })
                }
            };
        };
        if !master.authentic(body.as_bytes(), mac) {
            return Err(damaged());
        }
        let Form { format } = serde_json::from_str(body).map_err(|_| damaged())?;
        if format != FORMAT {
            return Err(KeyringError::Newer { path: self.path.clone(), found: format, known: FORMAT });
        }
        let body = serde_json::from_str(body).map_err(|_| damaged())?;
        Ok(Keyring { path: self.path.clone(), master: master.clone(), body })
    }
}
