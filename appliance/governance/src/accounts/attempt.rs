//! Tries to sign in, counted before they are checked, by account and by the address that they come from.
//!
//! A try takes its place in the count first and is checked then, so that many at once, or a process that dies in between,
//! get no try more than one after the other would.
//!
//! # Why
//! - **Five wrong tries lock an account for the address that they came from.** Were it locked for all, whoever knows a
//!   name could keep its owner out from anywhere.
//! - **Fifty, from wherever, lock it for every address that is not familiar**: one that its owner has signed in from in
//!   the last week. So many addresses guess no more than fifty times in a quarter of an hour, and who holds them locks
//!   nobody out of the device that they always use.
//! - **What is left to a stranger** is the address itself: behind one proxy, or at one shared desk, all are one.
//!   `cloister account unlock` lifts a lock.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, TransactionBehavior, params};

use super::AccountId;

/// Wrong tries from one address after which an account is locked for it, and for how long they count.
pub(super) const MOST: u32 = 5;
pub(super) const WINDOW: SignedDuration = SignedDuration::from_mins(15);
/// Wrong tries from all addresses after which it is locked for those that are not familiar.
pub(super) const MOST_ANYWHERE: u32 = 50;

/// An address as the table has it; empty where it is not known.
pub(super) fn place(source: Option<IpAddr>) -> String {
    source.map(|address| address.to_canonical().to_string()).unwrap_or_default()
}

/// Takes a place among the tries of `account`. Whether there was one: if not, the account is locked for this address.
///
/// A try at a locked account, and one at a name that nobody has, is written down all the same, under no account, so that
/// it costs as much and does not make the lock longer.
pub(super) fn take(
    connection: &mut Connection,
    account: &AccountId,
    place: &str,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let since = now.saturating_sub(WINDOW).unwrap_or(Timestamp::MIN).as_millisecond();
    change.execute("DELETE FROM attempts WHERE at <= ?1", [since])?;
    let (anywhere, here, familiar): (u32, u32, bool) = change.query_row(
        "SELECT count(*), count(*) FILTER (WHERE source = ?2),
             EXISTS (SELECT 1 FROM sign_ins WHERE account = ?1 AND source = ?2)
         FROM attempts WHERE account = ?1 AND account <> ?3",
        params![account.as_str(), place, AccountId::unknown().as_str()],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let free = here < MOST && (familiar || anywhere < MOST_ANYWHERE);
    let under = if free { account.clone() } else { AccountId::unknown() };
    change.execute(
        "INSERT INTO attempts (account, at, source) VALUES (?1, ?2, ?3)",
        params![under.as_str(), now.as_millisecond(), place],
    )?;
    change.commit()?;
    Ok(free)
}

/// Forgets the tries from one address at an account whose holder got in from there. Those from elsewhere go on counting.
pub(super) fn forget(connection: &Connection, account: &AccountId, place: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM attempts WHERE account = ?1 AND source = ?2", [account.as_str(), place])?;
    Ok(())
}

/// Forgets every try at an account: it was unlocked, or its holder given a new secret.
pub(super) fn forget_all(connection: &Connection, account: &AccountId) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM attempts WHERE account = ?1", [account.as_str()])?;
    Ok(())
}
