//! API keys: checked, rotated with overlap, revoked.

use aws_lc_rs::{constant_time, digest};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    AccountError, AccountId, Accounts, AuthenticateError, Refusal, Secret, hash, hash_of, parse,
    secret::{ID_LENGTH, random_letters},
    table::{self, KeyRow},
};
use crate::policy::Principal;

/// How often at most the time of last use is written, so that using a key does not cost a write each time.
const LAST_USED_STEP: SignedDuration = SignedDuration::from_mins(1);

impl Accounts {
    /// Says who holds `secret`. Reads the database, so call it where blocking is allowed.
    ///
    /// Takes the same path whether the key is unknown, the secret wrong, or the key revoked or expired.
    pub fn authenticate(&self, secret: &str) -> Result<Principal, AuthenticateError> {
        let now = self.0.clock.now();
        // A key without the right form is looked up and compared like any other, under an id that nobody has.
        let (id, proof) = parse(secret).unwrap_or(("", ""));
        let given = hash(proof);
        let connection = self.connection();
        let found = table::of_key(&connection, id).map_err(|error| AuthenticateError::Failed(self.failed(error)))?;
        let (account, stored) = match found {
            Some((row, stored)) => (Some(row.account().map_err(AuthenticateError::Failed)?), stored),
            None => (None, vec![0; digest::SHA256_OUTPUT_LEN]),
        };
        let proven = constant_time::verify_slices_are_equal(&given, &stored).is_ok();
        let refused = |refusal| Err(AuthenticateError::Refused(refusal));
        let account = match account {
            None if id.is_empty() => return refused(Refusal::Malformed),
            None => return refused(Refusal::Unknown),
            Some(_) if !proven => return refused(Refusal::WrongSecret),
            Some(account) if account.revoked.is_some() => return refused(Refusal::Revoked),
            Some(account) if account.expires.is_some_and(|expires| expires <= now) => return refused(Refusal::Expired),
            Some(account) if account.disabled.is_some() => return refused(Refusal::Disabled),
            Some(account) => account,
        };
        if account.last_used.is_none_or(|last| now.duration_since(last) >= LAST_USED_STEP) {
            // When a key was last used is a convenience: failing to note it must not lock the site out.
            if let Err(error) = touch(&connection, id, now) {
                tracing::warn!(key = id, %error, "the time of last use was not recorded");
            }
        }
        Ok(account.principal)
    }

    /// Makes a new key for an account and lets those before it work for `overlap` more, so that programs can be given
    /// the new one while the old one still serves. A key that would have expired sooner still does, and the new one is
    /// limited to the same actions.
    pub fn rotate(
        &self,
        account: &AccountId,
        overlap: SignedDuration,
        expires: Option<Timestamp>,
    ) -> Result<Secret, AccountError> {
        let now = self.0.clock.now();
        let until = now.saturating_add(overlap).unwrap_or(now);
        let key = AccountId(random_letters(self.0.random.as_ref(), ID_LENGTH).to_string());
        let secret = Secret::random(&key, self.0.random.as_ref());
        let mut connection = self.connection();
        let mut change = || {
            let change = connection.transaction()?;
            let Some(actions) = retire(&change, account, now, until)? else { return Ok(false) };
            insert(&change, &key, account, &hash_of(&secret), now, expires, actions.as_deref())?;
            change.commit()?;
            Ok(true)
        };
        if change().map_err(|error| self.failed(error))? {
            Ok(secret)
        } else {
            Err(AccountError::NoKey(account.clone()))
        }
    }

    /// Stops every key of an account from working, at once and for good.
    pub fn revoke(&self, account: &AccountId) -> Result<(), AccountError> {
        let now = self.0.clock.now();
        let connection = self.connection();
        let known = table::find(&connection, account).map_err(|error| self.failed(error))?.is_some();
        revoke(&connection, account, now).map_err(|error| self.failed(error))?;
        if known { Ok(()) } else { Err(AccountError::Unknown(account.clone())) }
    }
}

pub(super) fn insert(
    connection: &Connection,
    key: &AccountId,
    account: &AccountId,
    hash: &[u8],
    issued: Timestamp,
    expires: Option<Timestamp>,
    actions: Option<&str>,
) -> rusqlite::Result<()> {
    let (issued, expires) = (issued.to_string(), expires.map(|time| time.to_string()));
    connection.execute(
        "INSERT INTO api_keys (id, account, secret_hash, issued, expires, actions) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![key.as_str(), account.as_str(), hash, issued, expires, actions],
    )?;
    Ok(())
}

fn touch(connection: &Connection, key: &str, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("UPDATE api_keys SET last_used = ?2 WHERE id = ?1", params![key, now.to_string()])?;
    Ok(())
}

/// Lets the working keys of an account expire at `until` at the latest. None if there is none; else the actions that the
/// newest is limited to, as the table has them.
fn retire(
    connection: &Connection,
    account: &AccountId,
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Option<Option<String>>> {
    let mut newest = None;
    let mut statement = connection.prepare(
        "SELECT id, expires, actions FROM api_keys WHERE account = ?1 AND revoked IS NULL ORDER BY issued DESC, rowid DESC",
    )?;
    let keys = statement.query_map([account.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for (key, expires, actions) in keys.collect::<rusqlite::Result<Vec<(String, Option<String>, Option<String>)>>>()? {
        // A time that cannot be read is no longer than any other.
        let expires = expires.map(|text| text.parse::<Timestamp>().unwrap_or(now));
        if expires.is_some_and(|expires| expires <= now) {
            continue;
        }
        newest.get_or_insert(actions);
        let end = expires.map_or(until, |expires| expires.min(until));
        connection.execute("UPDATE api_keys SET expires = ?2 WHERE id = ?1", params![key, end.to_string()])?;
    }
    Ok(newest)
}

/// Keys and access keys alike. A second revocation keeps the time of the first.
pub(super) fn revoke(connection: &Connection, account: &AccountId, now: Timestamp) -> rusqlite::Result<()> {
    for statement in [
        "UPDATE api_keys SET revoked = coalesce(revoked, ?2) WHERE account = ?1",
        "UPDATE access_keys SET revoked = coalesce(revoked, ?2) WHERE account = ?1",
    ] {
        connection.execute(statement, params![account.as_str(), now.to_string()])?;
    }
    Ok(())
}

/// Whether an account has a key at all, for the list.
pub(super) fn newest(connection: &Connection, account: &str) -> rusqlite::Result<Option<KeyRow>> {
    let statement = format!(
        "SELECT {} FROM api_keys k WHERE k.account = ?1 ORDER BY k.issued DESC, k.rowid DESC LIMIT 1",
        KeyRow::COLUMNS
    );
    connection.query_row(&statement, [account], KeyRow::read).optional()
}
