//! What the placeholders of a session stand for, sealed, so that they are the same throughout it and can be turned back by whoever has
//! the permission: per tenant, for a number of days, where the tenant wants that.
//!
//! It lies beside the captures, under their key: `tenants/NAME/captures.db`. Like them it is encrypted, backed up, given a new key and
//! destroyed with the tenant.
//!
//! **What it is not:** it finds and masks nothing, and reads no text. An [`Entry`] is what somebody else put a placeholder for.
//!
//! # Why
//! - **Reading takes a permit** for `reidentify` in this tenant; masking does not, since what it is given back goes no further than the
//!   numbers of placeholders. Both take the session: there is no list of all.
//! - **Numbers are given in one transaction**, so that two questions of one session that are asked at once never give one placeholder to
//!   two people.
//! - **Retention counts from today's number of days**, as for captures. What is over is not read, also before it is removed; a tenant that
//!   wants no vault any more has it emptied.

use cloister_terms::{Action, Phi, SessionId, TenantId};
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};

use crate::{
    captures::{Captures, MOST_DAYS, open},
    policy::Permit,
    store::{NotWritten, StoreError},
};

/// A placeholder and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The kind of identifier, by its word.
    pub kind: String,
    /// The session's count within what placeholders of the kind are called, from 1.
    pub number: u32,
    /// 128 random bits that name it outside the session.
    pub token: [u8; 16],
    /// The identifier.
    pub original: Phi<String>,
}

/// Why the vault could not be read or written. No variant holds anything of it.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write failed, now or earlier.
    #[error("placeholders cannot be kept: free the disk or mend it, then start the program again")]
    Closed,
    /// The permit is for something else.
    #[error("the permit is not for turning back the placeholders of this tenant")]
    NotPermitted,
}

/// The vault of one tenant, beside its captures. Cheap to clone; all clones, and the captures, share one connection to write with. Every
/// call blocks.
#[derive(Debug, Clone)]
pub struct Vault {
    captures: Captures,
    days: u32,
}

impl Vault {
    /// The vault beside these captures, in which entries are kept for `days`; for 0 there is none, and what one held is over.
    pub fn beside(captures: &Captures, days: u32) -> Self {
        Self { captures: captures.clone(), days: days.min(MOST_DAYS) }
    }

    /// Whose it is.
    pub fn tenant(&self) -> &TenantId {
        self.captures.tenant()
    }

    /// Whether anything is kept.
    pub fn is_on(&self) -> bool {
        self.days > 0
    }

    /// Makes the database if there is none, and opens it: what would fail at the first placeholder fails here.
    ///
    /// # Errors
    /// As for [`Vault::keep`].
    pub fn open(&self) -> Result<(), VaultError> {
        self.captures.write(|_| Ok(()))?;
        Ok(self.captures.follow()?)
    }

    /// Hands what a session has to `mask`, and keeps what it then has besides. Nothing is kept where there is no vault.
    ///
    /// # Errors
    /// When it cannot be read or written: what `mask` made must then not be used.
    pub fn keep<T>(
        &self,
        session: SessionId,
        mask: impl FnOnce(Vec<Entry>) -> (T, Vec<Entry>),
    ) -> Result<T, VaultError> {
        if !self.is_on() {
            return Ok(mask(Vec::new()).0);
        }
        let (cutoff, now) = (self.cutoff(), self.captures.now());
        let made = self.captures.write(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let had = entries(&transaction, session, cutoff)?;
            let known = had.len();
            let (made, has) = mask(had);
            for entry in has.iter().skip(known) {
                insert(&transaction, session, entry, now)?;
            }
            transaction.commit()?;
            Ok(made)
        })?;
        Ok(made)
    }

    /// What the placeholders of a session stand for.
    ///
    /// # Errors
    /// [`VaultError::NotPermitted`] unless `permit` is for turning back placeholders of this tenant; or when the database fails.
    pub fn read(&self, permit: &Permit, session: SessionId) -> Result<Vec<Entry>, VaultError> {
        if permit.action() != Action::Reidentify || permit.tenant() != Some(self.tenant()) {
            return Err(VaultError::NotPermitted);
        }
        let Some(database) = self.captures.database()?.filter(|_| self.is_on()) else {
            return Ok(Vec::new());
        };
        let connection = open(&database)?;
        entries(&connection, session, self.cutoff()).map_err(|error| database.error(error).into())
    }

    /// How many entries there are whose time is over.
    ///
    /// # Errors
    /// When the database fails.
    pub fn expired(&self) -> Result<u64, VaultError> {
        let Some(database) = self.captures.database()? else { return Ok(0) };
        let connection = open(&database)?;
        let count = "SELECT count(*) FROM placeholders WHERE at < ?1";
        let counted = connection.query_row(count, [self.cutoff().as_microsecond()], |row| row.get::<_, i64>(0));
        Ok(u64::try_from(counted.map_err(|error| database.error(error))?).unwrap_or(0))
    }

    /// Removes the entries whose time is over. How many there were.
    ///
    /// # Errors
    /// When the database fails; none is then removed.
    pub fn purge(&self) -> Result<u64, VaultError> {
        let cutoff = self.cutoff();
        let purge = "DELETE FROM placeholders WHERE at < ?1";
        let removed = self.captures.write(|connection| connection.execute(purge, [cutoff.as_microsecond()]))?;
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }

    /// What was kept before this moment is over: everything where nothing is kept.
    fn cutoff(&self) -> Timestamp {
        if self.is_on() { self.captures.cutoff_after(self.days) } else { Timestamp::MAX }
    }
}

impl From<NotWritten> for VaultError {
    fn from(error: NotWritten) -> Self {
        match error {
            NotWritten::Closed => Self::Closed,
            NotWritten::Store(error) => error.into(),
        }
    }
}

/// What a session has, in the order in which it came.
fn entries(connection: &Connection, session: SessionId, cutoff: Timestamp) -> rusqlite::Result<Vec<Entry>> {
    let mut statement = connection.prepare_cached(
        "SELECT kind, number, token, original FROM placeholders WHERE session = ?1 AND at >= ?2 ORDER BY sequence",
    )?;
    let rows = statement.query_map(params![session.to_string(), cutoff.as_microsecond()], |row| {
        Ok(Entry { kind: row.get(0)?, number: row.get(1)?, token: row.get(2)?, original: Phi::new(row.get(3)?) })
    })?;
    rows.collect()
}

fn insert(connection: &Connection, session: SessionId, entry: &Entry, at: Timestamp) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO placeholders (session, kind, number, token, original, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let Entry { kind, number, token, original } = entry;
    statement
        .execute(params![session.to_string(), kind, number, token, original.expose(), at.as_microsecond()])
        .map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloister_terms::{FixedClock, Role};
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        policy::{Decision, Policy, Principal, Resource, Rules, Source},
        store::Store,
        testing::{clock, store},
    };

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    fn permit(action: Action, within: &str) -> Permit {
        let open = "@id(\"open\") @why(\"All.\") permit(principal, action, resource);".to_owned();
        let rules = Rules::with(&[Source { name: "site.cedar".to_owned(), text: open }]).unwrap();
        let principal = Principal::local(Role::Compliance, None);
        match Policy::of(rules).decide(&principal, action, &Resource::Tenant(tenant(within))) {
            Decision::Permit(permit) => permit,
            Decision::Deny { reason, .. } => panic!("{reason}"),
        }
    }

    /// Keeps a name under the next number; the number.
    fn add(vault: &Vault, session: SessionId, name: &str) -> u32 {
        let mask = |mut entries: Vec<Entry>| {
            let number = u32::try_from(entries.len()).unwrap() + 1;
            let token = u128::from(session.to_string().len() as u64 + u64::from(number)).to_be_bytes();
            let original = Phi::new(name.to_owned());
            entries.push(Entry { kind: "name".to_owned(), number, token, original });
            (number, entries)
        };
        vault.keep(session, mask).unwrap()
    }

    fn vault(days: u32) -> (tempfile::TempDir, Store, Arc<FixedClock>, Vault) {
        let (folder, store) = store();
        store.create_tenant(&tenant("a")).unwrap();
        let clock = clock();
        let vault = Vault::beside(&Captures::of(&store, &tenant("a"), 30, clock.clone()), days);
        (folder, store, clock, vault)
    }

    #[test]
    fn a_session_has_what_it_was_given_and_another_has_not() {
        let (_folder, store, clock, vault) = vault(3);
        let (one, other) = (SessionId::from(1), SessionId::from(2));
        assert_eq!((add(&vault, one, "Ana"), add(&vault, one, "Ben")), (1, 2));
        let read = |session| vault.read(&permit(Action::Reidentify, "a"), session).unwrap();
        assert_eq!(read(one).iter().map(|entry| entry.original.expose().as_str()).collect::<Vec<_>>(), ["Ana", "Ben"]);
        assert_eq!(read(other), []);
        // As after a restart.
        let again = Vault::beside(&Captures::of(&store, &tenant("a"), 30, clock), 3);
        assert_eq!(add(&again, one, "Cem"), 3);
    }

    #[test]
    fn only_a_permit_for_it_in_this_tenant_reads() {
        let (_folder, _store, _clock, vault) = vault(3);
        add(&vault, SessionId::from(1), "Ana");
        for other in [permit(Action::ListCaptures, "a"), permit(Action::Reidentify, "b")] {
            assert!(matches!(vault.read(&other, SessionId::from(1)), Err(VaultError::NotPermitted)));
        }
    }

    #[test]
    fn what_is_over_is_not_read_and_is_removed_and_a_tenant_without_a_vault_keeps_nothing() {
        let (_folder, store, clock, vault) = vault(3);
        let session = SessionId::from(1);
        add(&vault, session, "Ana");
        clock.advance(SignedDuration::from_hours(3 * 24 + 1));
        assert_eq!(vault.read(&permit(Action::Reidentify, "a"), session).unwrap(), []);
        assert_eq!((vault.expired().unwrap(), vault.purge().unwrap(), vault.expired().unwrap()), (1, 1, 0));
        add(&vault, session, "Ben");
        let off = Vault::beside(&Captures::of(&store, &tenant("a"), 30, clock), 0);
        assert_eq!(add(&off, session, "Cem"), 1, "it is told of nothing");
        assert_eq!(off.read(&permit(Action::Reidentify, "a"), session).unwrap(), []);
        assert_eq!((off.expired().unwrap(), off.purge().unwrap()), (1, 1), "what was kept is over");
    }

    #[test]
    fn what_cannot_be_kept_is_not_used_and_leaves_nothing() {
        let (_folder, _store, _clock, vault) = vault(3);
        let session = SessionId::from(1);
        let twice = |_: Vec<Entry>| {
            let entry = |number, token| Entry {
                kind: "name".to_owned(),
                number,
                token: [token; 16],
                original: Phi::new(String::new()),
            };
            ((), vec![entry(1, 1), entry(2, 1)])
        };
        assert!(matches!(vault.keep(session, twice), Err(VaultError::Store(_))), "a token names one identifier");
        assert_eq!(vault.read(&permit(Action::Reidentify, "a"), session).unwrap(), []);
    }

    #[test]
    fn two_questions_at_once_never_give_one_number_twice() {
        let (_folder, _store, _clock, vault) = vault(3);
        let session = SessionId::from(1);
        let mut numbers: Vec<u32> = std::thread::scope(|scope| {
            let asking = |n: u32| {
                scope.spawn({
                    let vault = vault.clone();
                    move || add(&vault, session, &format!("N{n}"))
                })
            };
            (0..8).map(asking).collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    }
}
