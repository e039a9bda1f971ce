//! Being signed in, and signing out.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use cloister_terms::Random;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use zeroize::Zeroizing;

use super::{AccountError, AccountId, Accounts, AuthenticateError, Refusal, hash, secret::random_letters, table};
use crate::policy::Principal;

/// Letters of a token: 62^43 is just above 2^256.
const TOKEN_LETTERS: usize = 43;
/// How often at most the time of last use is written. In between it is in memory; after a restart a person may be
/// signed out this much too early, never too late.
const WRITE_STEP: SignedDuration = SignedDuration::from_secs(30);
/// How far a clock may be put back without ending what was begun by it.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// Sign-ins remembered before those that were not used for a minute are forgotten, so that memory stays bounded.
const REMEMBERED: usize = 10_000;
const REMEMBERED_FOR: i64 = 60_000;

/// What the site asks of those who sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long nothing may be done before one is signed out.
    pub idle: SignedDuration,
    /// How long one stays signed in at most.
    pub longest: SignedDuration,
    /// Whether everyone needs a second factor. Who has one needs it either way.
    pub second_factor: bool,
}

/// What a person who is signed in shows with each request. Zeroed when dropped; prints as `[secret]`.
pub struct Token(Zeroizing<String>);

impl Token {
    pub(super) fn random(random: &dyn Random) -> Self {
        Self(random_letters(random, TOKEN_LETTERS))
    }

    /// The token itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who it is.
    pub principal: Principal,
    /// When they will be signed out if they do nothing.
    pub idle_at: Timestamp,
    /// When they will be signed out whatever they do.
    pub ends_at: Timestamp,
}

/// When each sign-in was last used, by the hash of its token.
#[derive(Default)]
pub(super) struct Used(Mutex<HashMap<Vec<u8>, i64>>);

impl Accounts {
    /// Who is signed in with `token`, and for how long. Counts as a use.
    pub fn signed_in(&self, token: &str, rules: &Rules) -> Result<SignIn, AuthenticateError> {
        let now = self.0.clock.now();
        let key = hash(token);
        let connection = self.connection();
        let failed = |error| AuthenticateError::Failed(self.failed(error));
        let Some(row) = find(&connection, &key).map_err(failed)? else {
            return Err(AuthenticateError::Refused(Refusal::NotSignedIn));
        };
        let account = table::find(&connection, &row.account).map_err(failed)?;
        let account = account.map(table::Row::account).transpose().map_err(AuthenticateError::Failed)?;
        let used = self.0.used.of(&key).map_or(row.last_used, |used| used.max(row.last_used));
        let passed = |since: i64| SignedDuration::from_millis(now.as_millisecond().saturating_sub(since));
        let refusal = match &account {
            None => Some(Refusal::NotSignedIn),
            Some(_) if row.ended => Some(Refusal::SignedOut),
            Some(account) if account.disabled.is_some() => Some(Refusal::Disabled),
            Some(_) if passed(used) < -CLOCK_SLACK => Some(Refusal::ClockWentBack),
            Some(_) if passed(row.begun) >= rules.longest => Some(Refusal::TooLong),
            Some(_) if passed(used) >= rules.idle => Some(Refusal::Idle),
            Some(_) => None,
        };
        match (account, refusal) {
            (Some(account), None) => {
                // Before it is said that the time runs anew it does: what cannot be written is not promised.
                if passed(row.last_used) >= WRITE_STEP {
                    touch(&connection, &key, now).map_err(failed)?;
                }
                self.0.used.set(&key, now.as_millisecond());
                let at = |since: i64, span: SignedDuration| {
                    Timestamp::from_millisecond(since)
                        .ok()
                        .and_then(|since| since.checked_add(span).ok())
                        .unwrap_or(now)
                };
                Ok(SignIn {
                    principal: Principal { person: true, ..account.principal },
                    idle_at: at(now.as_millisecond(), rules.idle),
                    ends_at: at(row.begun, rules.longest),
                })
            }
            (_, refusal) => {
                let refusal = refusal.unwrap_or(Refusal::NotSignedIn);
                // Ended for good: a clock that is put back brings nobody in again.
                if !row.ended {
                    end(&connection, &key, refusal.code()).map_err(failed)?;
                }
                self.0.used.forget(&key);
                Err(AuthenticateError::Refused(refusal))
            }
        }
    }

    /// Signs out whoever holds `token`, at once.
    pub fn sign_out(&self, token: &str) -> Result<(), AccountError> {
        let key = hash(token);
        end(&self.connection(), &key, Refusal::SignedOut.code()).map_err(|error| self.failed(error))?;
        self.0.used.forget(&key);
        Ok(())
    }

    /// Signs a person out wherever they are signed in, at once and also in other processes. How many times they were.
    pub fn sign_out_everywhere(&self, account: &AccountId) -> Result<usize, AccountError> {
        end_all(&self.connection(), account).map_err(|error| self.failed(error))
    }
}

/// A sign-in's row.
struct Row {
    account: AccountId,
    begun: i64,
    last_used: i64,
    ended: bool,
}

fn find(connection: &Connection, key: &[u8]) -> rusqlite::Result<Option<Row>> {
    connection
        .prepare_cached("SELECT account, begun, last_used, ended IS NOT NULL FROM sign_ins WHERE hash = ?1")?
        .query_row([key], |row| {
            Ok(Row { account: AccountId(row.get(0)?), begun: row.get(1)?, last_used: row.get(2)?, ended: row.get(3)? })
        })
        .optional()
}

fn touch(connection: &Connection, key: &[u8], now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE sign_ins SET last_used = ?2 WHERE hash = ?1", params![key, now.as_millisecond()])?;
    Ok(())
}

fn end(connection: &Connection, key: &[u8], why: &str) -> rusqlite::Result<()> {
    connection.execute("UPDATE sign_ins SET ended = coalesce(ended, ?2) WHERE hash = ?1", params![key, why])?;
    Ok(())
}

pub(super) fn end_all(connection: &Connection, account: &AccountId) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE sign_ins SET ended = ?2 WHERE account = ?1 AND ended IS NULL",
        params![account.as_str(), Refusal::SignedOut.code()],
    )
}

impl Used {
    fn of(&self, key: &[u8]) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn set(&self, key: &[u8], at: i64) {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= REMEMBERED && !used.contains_key(key) {
            // What was written counts for those that are forgotten here: they end too early, never too late.
            used.retain(|_, last| at.saturating_sub(*last) < REMEMBERED_FOR);
        }
        // Never earlier than it was: of two requests at once the later counts.
        used.entry(key.to_vec()).and_modify(|used| *used = at.max(*used)).or_insert(at);
    }

    fn forget(&self, key: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}
