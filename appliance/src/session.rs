//! One interaction. Its id ties every record of it together, across every layer.
//!
//! The id is 128 random bits, made here and returned in the header [`HEADER`]; whoever sends it back goes on with the
//! same interaction. It belongs to the account that began it: named by another, ended, expired or made up it is refused
//! in the same words. It ends when its owner ends it, after a time without use, and after a time in any case.
//!
//! **What it is not, yet:** it remembers nothing of what was said between two questions. A follow-up question is answered as it
//! stands. What its placeholders stand for lies in the tenant's vault, where it has one, and outlives it.
//!
//! # Why
//! - **Sessions live in memory.** They hold no more than whose they are and since when. A restart ends them all, which a
//!   client meets as it meets an expired one: it begins another. A question then costs no write of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cloister_governance::accounts::AccountId;
use cloister_terms::{Clock, Random, SessionId};
use jiff::{SignedDuration, Timestamp};

use crate::config;

/// The header that carries a session's id, both ways.
pub const HEADER: &str = "cloister-session";

/// Sessions that one account has open at most: one more ends the one that it used least recently.
const MOST: usize = 1000;
/// How far the clock may be put back without ending what was begun by it.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);

/// One interaction of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    id: SessionId,
}

impl Session {
    /// The id that every record of the interaction carries.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// A session that nobody began.
    #[cfg(test)]
    pub(crate) const fn of(id: SessionId) -> Self {
        Self { id }
    }
}

/// There is no such session for this account: never begun, ended, expired, or another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such session of yours")]
pub struct NoSession;

/// The sessions that are open. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    idle: SignedDuration,
    longest: SignedDuration,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    open: Mutex<HashMap<AccountId, HashMap<SessionId, Open>>>,
}

/// Since when, and when last.
#[derive(Clone, Copy)]
struct Open {
    begun: Timestamp,
    used: Timestamp,
}

impl Sessions {
    /// None yet.
    pub fn new(settings: &config::Session, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        let idle = SignedDuration::from_mins(i64::from(settings.idle_minutes));
        let longest = SignedDuration::from_hours(i64::from(settings.longest_hours));
        Self(Arc::new(Inner { idle, longest, clock, random, open: Mutex::default() }))
    }

    /// Begins a session of `owner`.
    pub fn begin(&self, owner: &AccountId) -> Session {
        let (now, id) = (self.0.clock.now(), SessionId::random(self.0.random.as_ref()));
        let mut open = self.open();
        let own = open.entry(owner.clone()).or_default();
        own.retain(|_, session| self.0.is_open(session, now));
        while own.len() >= MOST {
            let Some(oldest) = own.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id) else { break };
            own.remove(&oldest);
        }
        own.insert(id, Open { begun: now, used: now });
        Session { id }
    }

    /// A session of one question that a program works through: nobody can go on with it, so it takes no room from those that are open.
    pub fn once(&self) -> Session {
        Session { id: SessionId::random(self.0.random.as_ref()) }
    }

    /// Goes on with a session of `owner`.
    ///
    /// # Errors
    /// [`NoSession`] when it is not theirs, or no longer open.
    pub fn resume(&self, owner: &AccountId, id: SessionId) -> Result<Session, NoSession> {
        let now = self.0.clock.now();
        let mut open = self.open();
        let own = open.get_mut(owner).ok_or(NoSession)?;
        let session = own.get_mut(&id).ok_or(NoSession)?;
        if self.0.is_open(session, now) {
            session.used = now.max(session.used);
            Ok(Session { id })
        } else {
            own.remove(&id);
            Err(NoSession)
        }
    }

    /// Ends a session of `owner`, at once.
    ///
    /// # Errors
    /// [`NoSession`] when it is not theirs, or no longer open.
    pub fn end(&self, owner: &AccountId, id: SessionId) -> Result<(), NoSession> {
        self.resume(owner, id)?;
        if let Some(own) = self.open().get_mut(owner) {
            own.remove(&id);
        }
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, HashMap<AccountId, HashMap<SessionId, Open>>> {
        // Each change is one insertion or removal: a panic cannot leave half of one.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_open(&self, session: &Open, now: Timestamp) -> bool {
        let unused = now.duration_since(session.used);
        // A clock that was put back tells no times any more.
        unused > -CLOCK_SLACK && unused < self.idle && now.duration_since(session.begun) < self.longest
    }
}

#[cfg(test)]
mod tests {
    use cloister_terms::FixedClock;

    use super::*;
    use crate::edge::rig::Seeded;

    fn sessions() -> (Sessions, Arc<FixedClock>) {
        let clock = Arc::new(FixedClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let settings = config::Session { idle_minutes: 30, longest_hours: 2 };
        (Sessions::new(&settings, clock.clone(), Arc::new(Seeded::new(1))), clock)
    }

    fn account(number: u8) -> AccountId {
        AccountId::of_digest(&[number; 32])
    }

    #[test]
    fn a_session_is_its_owners_alone() {
        let (sessions, _) = sessions();
        let mine = sessions.begin(&account(1));
        assert_eq!(sessions.resume(&account(1), mine.id()), Ok(mine));
        assert_eq!(sessions.resume(&account(2), mine.id()), Err(NoSession));
        assert_eq!(sessions.end(&account(2), mine.id()), Err(NoSession));
        assert_eq!(sessions.resume(&account(1), SessionId::from(7)), Err(NoSession), "nobody chooses an id");
        assert_eq!(sessions.resume(&account(1), mine.id()), Ok(mine));
    }

    #[test]
    fn a_session_ends_on_request_when_unused_and_in_time() {
        let (sessions, clock) = sessions();
        let one = sessions.begin(&account(1));
        assert_eq!(sessions.end(&account(1), one.id()), Ok(()));
        assert_eq!(sessions.resume(&account(1), one.id()), Err(NoSession));

        let idle = sessions.begin(&account(1));
        clock.advance(SignedDuration::from_secs(1799));
        assert_eq!(sessions.resume(&account(1), idle.id()), Ok(idle));
        clock.advance(SignedDuration::from_secs(1800));
        assert_eq!(sessions.resume(&account(1), idle.id()), Err(NoSession));

        let long = sessions.begin(&account(1));
        for _ in 0..5 {
            clock.advance(SignedDuration::from_mins(20));
            assert!(sessions.resume(&account(1), long.id()).is_ok());
        }
        clock.advance(SignedDuration::from_mins(20));
        assert_eq!(sessions.resume(&account(1), long.id()), Err(NoSession));
    }

    #[test]
    fn a_clock_that_is_put_back_prolongs_no_session() {
        let (sessions, clock) = sessions();
        let session = sessions.begin(&account(1));
        clock.advance(SignedDuration::from_secs(-61));
        assert_eq!(sessions.resume(&account(1), session.id()), Err(NoSession));
        clock.advance(SignedDuration::from_secs(61));
        assert_eq!(sessions.resume(&account(1), session.id()), Err(NoSession), "nor does putting it right");
    }

    #[test]
    fn one_account_fills_its_own_room_alone() {
        let (sessions, clock) = sessions();
        let other = sessions.begin(&account(2));
        let once = sessions.once();
        assert_eq!(sessions.resume(&account(1), once.id()), Err(NoSession), "it is over with its question");
        let first = sessions.begin(&account(1));
        clock.advance(SignedDuration::from_secs(1));
        let second = sessions.begin(&account(1));
        for _ in 0..MOST - 1 {
            sessions.begin(&account(1));
        }
        assert_eq!(sessions.resume(&account(1), first.id()), Err(NoSession));
        assert!(sessions.resume(&account(1), second.id()).is_ok());
        assert!(sessions.resume(&account(2), other.id()).is_ok());
    }
}
