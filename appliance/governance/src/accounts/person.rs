//! Persons: accounts that are signed in to with a password.

use std::fmt;

use cloister_terms::Role;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use zeroize::Zeroizing;

use super::{
    AccountError, AccountId, Accounts, NewAccount, api_key, attempt, emergency,
    password::{Cost, Stored},
    secret::random_letters,
    signed_in,
    table::{self, Row},
};
use crate::policy::Principal;

/// How long a one-time secret can be used.
const ONE_TIME_LASTS: SignedDuration = SignedDuration::from_hours(72);
/// Letters of a one-time secret: 62^20 is 119 bits.
const ONE_TIME_LETTERS: usize = 20;

/// A password for one sign-in, at which its holder sets their own. Zeroed when dropped; prints as `[secret]`.
pub struct OneTimeSecret(Zeroizing<String>);

impl OneTimeSecret {
    /// The secret itself: to hand to the person, once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OneTimeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Who somebody says they are, before anything is proven. For the record of the try.
#[derive(Debug, Clone)]
pub struct Claimed(pub Principal);

impl Accounts {
    /// Makes a person's account. They sign in once with the secret that is returned, and set a password of their own.
    ///
    /// The name is what they sign in with. No two persons share one, and a program's role is refused.
    pub fn create(&self, new: NewAccount) -> Result<(AccountId, OneTimeSecret), AccountError> {
        self.create_if(new, |_| Ok(true))?.ok_or(AccountError::NameTaken)
    }

    /// Makes the first administrator of a site, who signs in as `name`, if no person has an account yet; none if one has.
    pub fn first_administrator(&self, name: &str) -> Result<Option<(AccountId, OneTimeSecret)>, AccountError> {
        let nobody = |connection: &Connection| {
            connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM persons)", [], |row| row.get(0))
        };
        if !nobody(&self.connection()).map_err(|error| self.failed(error))? {
            return Ok(None);
        }
        self.create_if(NewAccount::of(name, Role::Administrator), nobody)
    }

    /// Makes the account if `wanted` still says so when nobody else can change the register.
    fn create_if(
        &self,
        new: NewAccount,
        wanted: impl Fn(&Connection) -> rusqlite::Result<bool>,
    ) -> Result<Option<(AccountId, OneTimeSecret)>, AccountError> {
        if new.role == Role::Service {
            return Err(AccountError::ProgramsRole(new.role));
        }
        sign_in_name(&new.name)?;
        let principal = self.prepare(new)?;
        let (secret, stored, until) = self.one_time()?;
        let mut connection = self.connection();
        let mut insert = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let taken = change.query_row("SELECT 1 FROM persons WHERE name = ?1", [&principal.name], |_| Ok(()));
            if taken.optional()?.is_some() || !wanted(&change)? {
                return Ok(false);
            }
            table::insert(&change, &principal, self.0.clock.now())?;
            change.execute(
                "INSERT INTO persons (account, name, salt, hash, memory, passes, lanes, one_time_until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    principal.account.as_str(),
                    principal.name,
                    stored.salt,
                    stored.hash,
                    stored.cost.memory,
                    stored.cost.passes,
                    stored.cost.lanes,
                    until
                ],
            )?;
            change.commit()?;
            Ok(true)
        };
        let made = insert().map_err(|error| self.failed(error))?;
        Ok(made.then_some((principal.account, secret)))
    }

    /// Gives a person a new one-time secret. Their password, second factor, recovery codes, API keys and access keys stop
    /// working, a lock is lifted, and they are signed out everywhere.
    pub fn reset(&self, account: &AccountId) -> Result<OneTimeSecret, AccountError> {
        let (secret, stored, until) = self.one_time()?;
        let now = self.0.clock.now();
        let mut connection = self.connection();
        let mut reset = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if !set_one_time(&change, account, &stored, until)? {
                return Ok(false);
            }
            change.execute("DELETE FROM recovery_codes WHERE account = ?1", [account.as_str()])?;
            change.execute(
                "UPDATE persons SET totp = NULL, totp_confirmed = 0, totp_step = NULL WHERE account = ?1",
                [account.as_str()],
            )?;
            api_key::revoke(&change, account, now)?;
            attempt::forget_all(&change, account)?;
            signed_in::end_all(&change, account)?;
            emergency::end(&change, account, now)?;
            change.commit()?;
            Ok(true)
        };
        if reset().map_err(|error| self.failed(error))? {
            Ok(secret)
        } else {
            Err(AccountError::NotAPerson(account.clone()))
        }
    }

    /// Lifts a lock: the wrong tries at a person's account count no more, from wherever they came.
    pub fn unlock(&self, account: &AccountId) -> Result<(), AccountError> {
        let connection = self.connection();
        let known = "SELECT EXISTS (SELECT 1 FROM persons WHERE account = ?1)";
        let known: bool =
            connection.query_row(known, [account.as_str()], |row| row.get(0)).map_err(|error| self.failed(error))?;
        if !known {
            return Err(AccountError::NotAPerson(account.clone()));
        }
        attempt::forget_all(&connection, account).map_err(|error| self.failed(error))
    }

    /// Whom a name that somebody signs in with stands for. Proves nothing; a name that nobody has is an answer too.
    pub fn claimed(&self, name: &str) -> Result<Claimed, AccountError> {
        let person = find(&self.connection(), &stored_name(name)).map_err(|error| self.failed(error))?;
        match person {
            Some(person) => Ok(Claimed(person.account.account()?.principal)),
            None => Ok(Claimed(Principal {
                account: AccountId::unknown(),
                name: "unknown".to_owned(),
                ..Principal::local(Role::Service, None)
            })),
        }
    }

    fn one_time(&self) -> Result<(OneTimeSecret, Stored, i64), AccountError> {
        let secret = random_letters(self.0.random.as_ref(), ONE_TIME_LETTERS);
        let stored = Stored::of(&secret, self.0.random.as_ref())?;
        let until = self.0.clock.now().saturating_add(ONE_TIME_LASTS).unwrap_or(Timestamp::MIN).as_millisecond();
        Ok((OneTimeSecret(secret), stored, until))
    }
}

/// A person's row.
pub(super) struct Person {
    pub(super) account: Row,
    pub(super) password: Stored,
    pub(super) one_time_until: Option<i64>,
    pub(super) totp: Option<Zeroizing<Vec<u8>>>,
    pub(super) totp_confirmed: bool,
}

/// The person who signs in with `name`.
pub(super) fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Person>> {
    let found = connection
        .prepare_cached("SELECT * FROM persons WHERE name = ?1")?
        .query_row([name], |row| {
            let password = Stored {
                salt: row.get("salt")?,
                hash: row.get("hash")?,
                cost: Cost { memory: row.get("memory")?, passes: row.get("passes")?, lanes: row.get("lanes")? },
            };
            let totp: Option<Vec<u8>> = row.get("totp")?;
            let id: String = row.get("account")?;
            Ok((id, password, row.get("one_time_until")?, totp.map(Zeroizing::new), row.get("totp_confirmed")?))
        })
        .optional()?;
    let Some((id, password, one_time_until, totp, totp_confirmed)) = found else { return Ok(None) };
    let account = table::find(connection, &AccountId(id))?;
    Ok(account.map(|account| Person { account, password, one_time_until, totp, totp_confirmed }))
}

/// Gives a person a one-time secret in place of their password. Whether there is such a person.
fn set_one_time(connection: &Connection, account: &AccountId, secret: &Stored, until: i64) -> rusqlite::Result<bool> {
    let Stored { salt, hash, cost } = secret;
    let changed = connection.execute(
        "UPDATE persons SET salt = ?2, hash = ?3, memory = ?4, passes = ?5, lanes = ?6, one_time_until = ?7
         WHERE account = ?1",
        params![account.as_str(), salt, hash, cost.memory, cost.passes, cost.lanes, until],
    )?;
    Ok(changed == 1)
}

/// Sets a person's own password in place of the one with the hash `proven`. Whether that still was theirs.
pub(super) fn replace_password(
    connection: &Connection,
    account: &AccountId,
    proven: &[u8],
    password: &Stored,
) -> rusqlite::Result<bool> {
    let Stored { salt, hash, cost } = password;
    let changed = connection.execute(
        "UPDATE persons SET salt = ?2, hash = ?3, memory = ?4, passes = ?5, lanes = ?6, one_time_until = NULL
         WHERE account = ?1 AND hash = ?7",
        params![account.as_str(), salt, hash, cost.memory, cost.passes, cost.lanes, proven],
    )?;
    Ok(changed == 1)
}

/// A name as it was typed, as it stands in the register.
pub(super) fn stored_name(typed: &str) -> String {
    typed.trim().chars().take(64).collect::<String>().to_lowercase()
}

/// A name that a person can sign in with.
///
/// # Errors
/// [`AccountError::InvalidSignInName`] for what is none.
pub fn sign_in_name(name: &str) -> Result<String, AccountError> {
    let well = (2..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b'@'))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && ![super::LOCAL, super::UNKNOWN].contains(&name);
    if well { Ok(name.to_owned()) } else { Err(AccountError::InvalidSignInName) }
}
