//! Emergency access: for a while, a person reads the collections of their tenant that their account does not list.
//!
//! It is begun with a reason, ends by itself after an hour at most, can be ended early, and waits for a compliance officer
//! to review it. What it allows and to whom is policy's to say, as ever: it opens the list of collections and nothing
//! else, no other tenant and no other role's work.
//!
//! The reason is a person's own words and may name a patient. It is kept sealed in the fleet's database, for the review,
//! and stands in no record, log or metric: those have the emergency's id.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cloister_terms::{Clock, EmergencyId, Phi, Random, TenantId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;

use crate::{
    accounts::AccountId,
    store::{Database, StoreError},
};

mod table;

/// The longest that emergency access lasts, in minutes.
pub const LONGEST_MINUTES: u32 = 60;

/// The fewest and the most characters of a reason.
const REASON: std::ops::RangeInclusive<usize> = 10..=1000;

/// Emergency access of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emergency {
    /// Its id, which every record of its use carries.
    pub id: EmergencyId,
    /// Whose it is.
    pub account: AccountId,
    /// In which tenant.
    pub tenant: TenantId,
    /// Why, in that person's words.
    pub reason: Phi<String>,
    /// Since when.
    pub began: Timestamp,
    /// When it ends, or ended early.
    pub until: Timestamp,
    /// When it was reviewed and by which account.
    pub reviewed: Option<(Timestamp, AccountId)>,
}

/// Why emergency access was not begun, ended or reviewed.
#[derive(Debug, thiserror::Error)]
pub enum BreakGlassError {
    /// There is no reason, or a novel.
    #[error("say why in 10 to 1000 characters: whoever reviews it reads that")]
    Reason,
    /// It would last too long, or not at all.
    #[error("emergency access lasts 1 to {LONGEST_MINUTES} minutes: begin it again if it must go on")]
    Minutes,
    /// There is none of that id that could be reviewed.
    #[error("there is no emergency access of this id that is over and waits for review")]
    Unknown,
    /// Nobody reviews what they did themselves.
    #[error("nobody reviews their own emergency access")]
    OwnReview,
    /// The database failed.
    #[error("the register of emergency access failed")]
    Store(#[source] StoreError),
}

/// The register of emergency access, in the fleet's database. Cheap to clone.
#[derive(Clone)]
pub struct BreakGlass(Arc<Inner>);

struct Inner {
    database: Database,
    connection: Mutex<Connection>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl BreakGlass {
    /// Opens the register, and makes its table where there is none.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub fn open(
        database: &Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, BreakGlassError> {
        let connection = database.open().map_err(BreakGlassError::Store)?;
        table::create(&connection).map_err(|error| BreakGlassError::Store(database.error(error)))?;
        Ok(Self(Arc::new(Inner { database: database.clone(), connection: Mutex::new(connection), clock, random })))
    }

    /// Begins emergency access. What the account has of it already ends here.
    ///
    /// # Errors
    /// Without a reason, for longer than an hour, or when it cannot be kept: then there is no access.
    pub fn begin(
        &self,
        account: &AccountId,
        tenant: &TenantId,
        reason: &Phi<String>,
        minutes: u32,
    ) -> Result<Emergency, BreakGlassError> {
        let words = reason.expose().trim();
        if !REASON.contains(&words.chars().count()) {
            return Err(BreakGlassError::Reason);
        }
        if !(1..=LONGEST_MINUTES).contains(&minutes) {
            return Err(BreakGlassError::Minutes);
        }
        let began = self.0.clock.now();
        let emergency = Emergency {
            id: EmergencyId::random(self.0.random.as_ref()),
            account: account.clone(),
            tenant: tenant.clone(),
            reason: Phi::new(words.to_owned()),
            began,
            until: began.saturating_add(SignedDuration::from_mins(minutes.into())).unwrap_or(began),
            reviewed: None,
        };
        table::insert(&mut self.connection(), &emergency).map_err(|error| self.failed(error))?;
        Ok(emergency)
    }

    /// Ends the account's emergency access now. None if it has none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn end(&self, account: &AccountId) -> Result<Option<EmergencyId>, BreakGlassError> {
        table::end(&self.connection(), account, self.0.clock.now()).map_err(|error| self.failed(error))
    }

    /// The account's emergency access in that tenant, where it has one now. A clock that went back before its beginning
    /// ends it too.
    ///
    /// # Errors
    /// When the database fails.
    pub fn active(&self, account: &AccountId, tenant: &TenantId) -> Result<Option<EmergencyId>, BreakGlassError> {
        table::active(&self.connection(), account, tenant, self.0.clock.now()).map_err(|error| self.failed(error))
    }

    /// What has not been reviewed, oldest first: the queue. Also what still lasts.
    ///
    /// # Errors
    /// When the database fails.
    pub fn unreviewed(&self) -> Result<Vec<Emergency>, BreakGlassError> {
        table::unreviewed(&self.connection()).map_err(|error| self.failed(error))
    }

    /// Notes that `by` has reviewed an emergency that is over.
    ///
    /// # Errors
    /// Where there is none of that id that is over and waits, or it was the reviewer's own.
    pub fn review(&self, id: EmergencyId, by: &AccountId) -> Result<(), BreakGlassError> {
        let connection = self.connection();
        let waiting = table::unreviewed(&connection).map_err(|error| self.failed(error))?;
        let now = self.0.clock.now();
        let one = waiting.iter().find(|one| one.id == id && one.until <= now).ok_or(BreakGlassError::Unknown)?;
        if one.account == *by {
            return Err(BreakGlassError::OwnReview);
        }
        table::review(&connection, id, by, now).map_err(|error| self.failed(error))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic while holding the lock cannot leave a half-done change: each change is one transaction.
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: rusqlite::Error) -> BreakGlassError {
        BreakGlassError::Store(self.0.database.error(error))
    }
}

impl fmt::Debug for BreakGlass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakGlass").field("database", &self.0.database).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
