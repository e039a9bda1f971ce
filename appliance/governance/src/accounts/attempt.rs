//! Tries to sign in, counted before they are checked.
//!
//! A try takes its place in the count first and is checked then, so that many at once, or a process that dies in between,
//! get no try more than one after the other would.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior, params};

use super::AccountId;

/// Wrong tries after which an account is locked, and for how long they count.
pub(super) const MOST: u32 = 5;
pub(super) const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// Takes a place among the tries of `account`. Whether there was one: if not, the account is locked.
///
/// A try at a locked account, and one at a name that nobody has, is written down all the same, under no account, so that
/// it costs as much and does not make the lock longer.
pub(super) fn take(connection: &mut Connection, account: &AccountId, now: Timestamp) -> rusqlite::Result<bool> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let since = now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN).as_millisecond();
    change.execute("DELETE FROM attempts WHERE at <= ?1", [since])?;
    let count: u32 = change.query_row(
        "SELECT count(*) FROM attempts WHERE account = ?1 AND account <> ?2",
        params![account.as_str(), AccountId::unknown().as_str()],
        |row| row.get(0),
    )?;
    let free = count < MOST;
    let under = if free { account.clone() } else { AccountId::unknown() };
    change
        .execute("INSERT INTO attempts (account, at) VALUES (?1, ?2)", params![under.as_str(), now.as_millisecond()])?;
    change.commit()?;
    Ok(free)
}

/// Forgets the tries of an account whose holder got in, or was given a new secret.
pub(super) fn forget(connection: &Connection, account: &AccountId) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM attempts WHERE account = ?1", [account.as_str()])?;
    Ok(())
}
