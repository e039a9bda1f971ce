//! Access keys: what clients of AWS sign their requests with.
//!
//! The secret signs each request and is never sent, so it must be kept as it is: in the register, which is encrypted.
//! It leaves this file only to the one function that checks a signature by it.

use std::{collections::BTreeSet, fmt};

use cloister_terms::Action;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use zeroize::Zeroizing;

use super::{
    AccountError, AccountId, Accounts, AuthenticateError, Refusal,
    secret::random_letters,
    table::{self, KeyRow},
};
use crate::policy::Principal;

/// Begins an access key's id, so that a scanner takes it neither for an API key nor for a key of AWS.
const PREFIX: &str = "CLOISTER";
/// Characters after it: 20 in all, the shape that AWS's clients expect.
const ID_LETTERS: usize = 12;
/// Letters of the secret: 62^43 is just above 2^256.
const SECRET_LETTERS: usize = 43;
/// How often at most the time of last use is written.
const LAST_USED_STEP: SignedDuration = SignedDuration::from_mins(1);

/// An access key in full, shown once. Zeroed when dropped; prints without its secret.
pub struct AccessKey {
    id: String,
    secret: Zeroizing<String>,
}

impl AccessKey {
    /// Its id, which is no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What signs.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:[secret]", self.id)
    }
}

/// An access key as it is listed. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAccessKey {
    /// Its id.
    pub id: String,
    /// When it stops working.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
    /// The actions that it is limited to; none for all that the account may do.
    pub actions: Option<BTreeSet<Action>>,
}

impl Accounts {
    /// Makes an access key for an account. It may do what the account may, and only `actions` where some are named.
    pub fn issue_access_key(
        &self,
        account: &AccountId,
        expires: Option<Timestamp>,
        actions: Option<&BTreeSet<Action>>,
    ) -> Result<AccessKey, AccountError> {
        let random = self.0.random.as_ref();
        let letters = random_letters(random, 4 * ID_LETTERS);
        let upper = letters.chars().filter(|c| !c.is_ascii_lowercase()).take(ID_LETTERS);
        let id: String = PREFIX.chars().chain(upper).collect();
        let secret = random_letters(random, SECRET_LETTERS);
        let connection = self.connection();
        let known = table::find(&connection, account).map_err(|error| self.failed(error))?.is_some();
        if !known {
            return Err(AccountError::Unknown(account.clone()));
        }
        let (now, expires) = (self.0.clock.now().to_string(), expires.map(|time| time.to_string()));
        let insert = || {
            let actions = actions.map(table::json).transpose()?;
            connection.execute(
                "INSERT INTO access_keys (id, account, secret, issued, expires, actions) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id, account.as_str(), secret.as_str(), now, expires, actions],
            )
        };
        insert().map_err(|error| self.failed(error))?;
        Ok(AccessKey { id, secret })
    }

    /// Stops an access key from working, at once and for good.
    pub fn revoke_access_key(&self, id: &str) -> Result<(), AccountError> {
        let now = self.0.clock.now().to_string();
        let statement = "UPDATE access_keys SET revoked = coalesce(revoked, ?2) WHERE id = ?1";
        let changed = self.connection().execute(statement, [id, &now]).map_err(|error| self.failed(error))?;
        if changed == 1 { Ok(()) } else { Err(AccountError::UnknownAccessKey) }
    }

    /// Says whose access key signed, where `signed` finds that its secret did.
    ///
    /// `signed` is asked once whatever is wrong: for an id that nobody has with a secret that nobody has.
    pub fn authenticate_signature(
        &self,
        id: &str,
        signed: impl FnOnce(&str) -> bool,
    ) -> Result<Principal, AuthenticateError> {
        let now = self.0.clock.now();
        let connection = self.connection();
        let found = find(&connection, id).map_err(|error| AuthenticateError::Failed(self.failed(error)))?;
        let (account, secret) = match found {
            Some((row, secret)) => (Some(row.account().map_err(AuthenticateError::Failed)?), secret),
            None => (None, random_letters(self.0.random.as_ref(), SECRET_LETTERS)),
        };
        let proven = signed(&secret);
        let refused = |refusal| Err(AuthenticateError::Refused(refusal));
        let account = match account {
            None => return refused(Refusal::Unknown),
            Some(_) if !proven => return refused(Refusal::WrongSignature),
            Some(account) if account.revoked.is_some() => return refused(Refusal::Revoked),
            Some(account) if account.expires.is_some_and(|expires| expires <= now) => return refused(Refusal::Expired),
            Some(account) if account.disabled.is_some() => return refused(Refusal::Disabled),
            Some(account) => account,
        };
        if account.last_used.is_none_or(|last| now.duration_since(last) >= LAST_USED_STEP) {
            let touch = "UPDATE access_keys SET last_used = ?2 WHERE id = ?1";
            if let Err(error) = connection.execute(touch, [id, &now.to_string()]) {
                tracing::warn!(%error, "the time of last use was not recorded");
            }
        }
        Ok(account.principal)
    }
}

fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<(table::Row, Zeroizing<String>)>> {
    let found = connection
        .prepare_cached(&format!("SELECT k.account, k.secret, {} FROM access_keys k WHERE k.id = ?1", KeyRow::COLUMNS))?
        .query_row([id], |row| {
            Ok((AccountId(row.get("account")?), Zeroizing::new(row.get("secret")?), KeyRow::read(row)?))
        })
        .optional()?;
    let Some((account, secret, key)) = found else { return Ok(None) };
    Ok(table::find(connection, &account)?.map(|row| (row.with_key(key), secret)))
}

/// The access keys of an account, oldest first.
pub(super) fn of(connection: &Connection, account: &str) -> rusqlite::Result<Vec<(String, KeyRow)>> {
    let statement =
        format!("SELECT k.id, {} FROM access_keys k WHERE k.account = ?1 ORDER BY k.issued, k.rowid", KeyRow::COLUMNS);
    let mut statement = connection.prepare(&statement)?;
    let keys = statement.query_map([account], |row| Ok((row.get("id")?, KeyRow::read(row)?)))?;
    keys.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cloister_terms::{FixedClock, Role};

    use super::*;
    use crate::{
        accounts::NewAccount,
        testing::{Seeded, clock, store},
    };

    fn register() -> (tempfile::TempDir, Accounts, Arc<FixedClock>, AccountId) {
        let (folder, store) = store();
        let clock = clock();
        let accounts = Accounts::open(&store.fleet(), clock.clone(), Arc::new(Seeded::new(3))).unwrap();
        let (id, _) = accounts.issue(NewAccount::of("desk", Role::Agent).within("a".parse().unwrap())).unwrap();
        (folder, accounts, clock, id)
    }

    fn refusal(accounts: &Accounts, id: &str, signed: bool) -> Refusal {
        match accounts.authenticate_signature(id, |_| signed) {
            Err(AuthenticateError::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signature_by_the_keys_secret_says_whose_it_is() {
        let (_folder, accounts, _, account) = register();
        let key = accounts.issue_access_key(&account, None, None).unwrap();
        assert_eq!((key.id().len(), key.secret().len()), (20, 43));
        assert!(key.id().bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()));
        let principal = accounts.authenticate_signature(key.id(), |secret| secret == key.secret()).unwrap();
        assert_eq!(principal.account, account);
        assert_eq!(refusal(&accounts, key.id(), false), Refusal::WrongSignature);
        assert!(!format!("{key:?}").contains(key.secret()));
    }

    #[test]
    fn a_signature_is_checked_even_for_a_key_that_nobody_has() {
        let (_folder, accounts, ..) = register();
        let mut asked = 0;
        let refused = accounts.authenticate_signature("CLOISTER000000000000", |secret| {
            asked += secret.len();
            true
        });
        assert!(matches!(refused, Err(AuthenticateError::Refused(Refusal::Unknown))), "{refused:?}");
        assert_eq!(asked, 43);
    }

    #[test]
    fn a_revoked_expired_or_disabled_key_is_refused() {
        let (_folder, accounts, clock, account) = register();
        let soon = clock_in(&clock, 1);
        let (one, other) = (
            accounts.issue_access_key(&account, Some(soon), None).unwrap(),
            accounts.issue_access_key(&account, None, None).unwrap(),
        );
        clock.advance(SignedDuration::from_hours(1));
        assert_eq!(refusal(&accounts, one.id(), true), Refusal::Expired);
        accounts.disable(&account).unwrap();
        assert_eq!(refusal(&accounts, other.id(), true), Refusal::Disabled);
        accounts.enable(&account).unwrap();
        accounts.revoke_access_key(other.id()).unwrap();
        assert_eq!(refusal(&accounts, other.id(), true), Refusal::Revoked);
        assert!(matches!(accounts.revoke_access_key("x"), Err(AccountError::UnknownAccessKey)));
    }

    fn clock_in(clock: &FixedClock, hours: i64) -> Timestamp {
        use cloister_terms::Clock as _;
        clock.now() + SignedDuration::from_hours(hours)
    }
}
