//! Emergency access, "break-glass": a person opens for themselves, with a reason and for an hour at most, what their
//! account does not show them otherwise (45 CFR 164.312(a)(2)(ii), emergency access procedure).
//!
//! The register says that one lasts; what it opens, and to whom, is for policy to say. Each stays in a queue until
//! somebody else has signed it off, which is possible once it is over.
//!
//! # Why
//! - **The reason is free text that may name a patient**, so it lies in the tenant's own database (`words`) and is shown to
//!   whoever reviews. The audit log holds what it was for, as one of four words, and a salted hash that binds the text to
//!   it.
//! - **What was done under it is not kept here**: the audit log has it, under the emergency's id.
//! - **Opening another ends the one before**, so that each hour has a reason of its own.

use std::collections::BTreeSet;

use cloister_terms::{AccessLabel, EmergencyGround, EmergencyId, EmergencyVerdict, Phi, Role, TenantId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{AccountError, AccountId, Accounts, table};
use crate::{
    policy::{Emergency, Principal},
    store::{Database, StoreError},
};

mod words;

pub use words::EmergencyWords;

/// How long emergency access lasts at most.
pub const LONGEST_EMERGENCY: SignedDuration = SignedDuration::from_mins(60);
/// Characters that a reason, or a reviewer's note, has.
const REASON: std::ops::RangeInclusive<usize> = 10..=500;
/// Bytes of the salt under which a reason is hashed.
const SALT_BYTES: usize = 16;
/// How far a clock may be put back without ending what was begun by it.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_secs(60);
/// Those that a list holds at most, the newest.
const LISTED: u32 = 1000;

/// What somebody says who opens emergency access.
#[derive(Debug, Clone)]
pub struct EmergencyRequest {
    /// The id that it gets.
    pub id: EmergencyId,
    /// What for, as one word.
    pub ground: EmergencyGround,
    /// Why, in words: 10 to 500 characters.
    pub reason: Phi<String>,
    /// For how long.
    pub lasts: SignedDuration,
    /// Access labels that it adds to the account's own.
    pub labels: BTreeSet<AccessLabel>,
}

/// An emergency access, whether it lasts or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmergencyAccess {
    /// Which it is.
    pub id: EmergencyId,
    /// Who opened it.
    pub account: AccountId,
    /// The name of their account then.
    pub name: String,
    /// Their role then.
    pub role: Role,
    /// The tenant that it is to.
    pub tenant: TenantId,
    /// What for, as one word.
    pub ground: EmergencyGround,
    salt: Vec<u8>,
    /// When it was opened.
    pub begun: Timestamp,
    /// When it ends, or ended, by itself.
    pub until: Timestamp,
    /// When it was ended before.
    pub ended: Option<Timestamp>,
    /// How it was signed off.
    pub review: Option<Review>,
}

impl EmergencyAccess {
    /// Whether it lasts.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.until
    }

    /// What the audit log holds of a reason for it: the SHA-256 over a salt and the words, in hexadecimal digits.
    pub fn commitment(&self, reason: &Phi<String>) -> String {
        words::commitment(&self.salt, reason)
    }
}

/// How an emergency access was signed off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// When.
    pub at: Timestamp,
    /// By which account.
    pub reviewer: AccountId,
    /// What they found.
    pub verdict: EmergencyVerdict,
}

/// Emergency accesses that are over and that nobody has signed off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unreviewed {
    /// How many.
    pub waiting: u64,
    /// When the oldest of them was opened.
    pub oldest: Option<Timestamp>,
}

/// Why an emergency access was not opened, ended or signed off.
#[derive(Debug, thiserror::Error)]
pub enum EmergencyError {
    /// The reason is too short to be one, or too long to be read.
    #[error("a reason, or a note, has {} to {} characters", REASON.start(), REASON.end())]
    Length,
    /// It is to last for no time, or for too long.
    #[error("emergency access lasts 1 to {} minutes", LONGEST_EMERGENCY.as_mins())]
    Lasting,
    /// The account belongs to no tenant.
    #[error("emergency access is to one tenant, and the account belongs to none")]
    NoTenant,
    /// There is none with this id for who asks.
    #[error("there is no such emergency access: see `cloister break-glass list`")]
    Unknown,
    /// It lasts: more may be done under it yet.
    #[error("the emergency access lasts: it is signed off when it is over, or ended before")]
    Open,
    /// It was signed off.
    #[error("the emergency access is signed off already")]
    Reviewed,
    /// Whoever opened it is not who signs it off.
    #[error("nobody signs off their own emergency access")]
    Own,
    /// The register failed.
    #[error(transparent)]
    Failed(#[from] AccountError),
    /// The tenant's database failed.
    #[error("what was said in words cannot be kept or read")]
    Words(#[source] StoreError),
}

impl Accounts {
    /// Opens emergency access for somebody to their own tenant, whose database keeps the reason. One that they have open
    /// ends.
    ///
    /// It permits nothing by itself: whether they may is decided before.
    pub fn open_emergency(
        &self,
        principal: &Principal,
        request: EmergencyRequest,
        database: &Database,
    ) -> Result<EmergencyAccess, EmergencyError> {
        let EmergencyRequest { id, ground, reason, lasts, labels } = request;
        if !REASON.contains(&reason.expose().trim().chars().count()) {
            return Err(EmergencyError::Length);
        }
        if lasts <= SignedDuration::ZERO || lasts > LONGEST_EMERGENCY {
            return Err(EmergencyError::Lasting);
        }
        let tenant = principal.tenant.clone().ok_or(EmergencyError::NoTenant)?;
        let begun = self.0.clock.now();
        let until = begun.saturating_add(lasts).unwrap_or(begun);
        let mut salt = [0; SALT_BYTES];
        self.0.random.fill(&mut salt);
        words::keep(database, id, &reason).map_err(EmergencyError::Words)?;
        let mut connection = self.connection();
        let mut open = || {
            let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            end(&change, &principal.account, begun)?;
            change.execute(
                "INSERT INTO emergencies (id, account, name, role, tenant, ground, salt, labels, begun, until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    id.to_string(),
                    principal.account.as_str(),
                    principal.name,
                    principal.role.as_str(),
                    tenant.as_str(),
                    ground.as_str(),
                    salt,
                    table::json(&labels)?,
                    begun.as_millisecond(),
                    until.as_millisecond(),
                ],
            )?;
            change.commit()
        };
        open().map_err(|error| self.failed(error))?;
        drop(connection);
        self.emergency(id, Some(&tenant))?.ok_or(EmergencyError::Unknown)
    }

    /// The emergency access that somebody has open to their own tenant now.
    pub fn emergency_of(&self, principal: &Principal) -> Result<Option<Emergency>, AccountError> {
        let Some(tenant) = &principal.tenant else { return Ok(None) };
        let now = self.0.clock.now();
        // By a clock that was put back to before it began nobody can tell whether it still lasts.
        let latest = now.saturating_add(CLOCK_SLACK).unwrap_or(now);
        let find = |connection: &Connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, labels FROM emergencies
                 WHERE account = ?1 AND tenant = ?2 AND ended IS NULL AND until > ?3 AND begun <= ?4",
            )?;
            let (now, latest) = (now.as_millisecond(), latest.as_millisecond());
            let values = params![principal.account.as_str(), tenant.as_str(), now, latest];
            statement.query_row(values, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).optional()
        };
        let found = find(&self.connection());
        let Some((id, labels)) = found.map_err(|error| self.failed(error))? else { return Ok(None) };
        let damaged = |column| AccountError::Damaged { account: principal.account.to_string(), column };
        Ok(Some(Emergency {
            id: id.parse().map_err(|_| damaged("emergency id"))?,
            labels: serde_json::from_str(&labels).map_err(|_| damaged("emergency labels"))?,
        }))
    }

    /// Ends what somebody has open, at once. Whether there was any.
    pub fn end_emergency(&self, account: &AccountId) -> Result<bool, AccountError> {
        let now = self.0.clock.now();
        end(&self.connection(), account, now).map(|ended| ended > 0).map_err(|error| self.failed(error))
    }

    /// The emergency accesses to a tenant, or to all where none is named, the newest first; only those that nobody has
    /// signed off unless `all` are wanted.
    pub fn emergencies(&self, tenant: Option<&TenantId>, all: bool) -> Result<Vec<EmergencyAccess>, AccountError> {
        let connection = self.connection();
        let rows = || {
            let mut statement = connection.prepare(
                "SELECT * FROM emergencies WHERE (?1 IS NULL OR tenant = ?1) AND (?2 OR reviewed IS NULL)
                 ORDER BY begun DESC, id LIMIT ?3",
            )?;
            let rows = statement.query_map(params![tenant.map(TenantId::as_str), all, LISTED], Row::read)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        rows().map_err(|error| self.failed(error))?.into_iter().map(Row::access).collect()
    }

    /// How many wait to be signed off, in all tenants, and since when.
    pub fn unreviewed_emergencies(&self) -> Result<Unreviewed, AccountError> {
        let now = self.0.clock.now().as_millisecond();
        let count = |connection: &Connection| {
            let statement = "SELECT count(*), min(begun) FROM emergencies
                 WHERE reviewed IS NULL AND (ended IS NOT NULL OR until <= ?1)";
            connection.query_row(statement, [now], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))
        };
        let (waiting, oldest) = count(&self.connection()).map_err(|error| self.failed(error))?;
        Ok(Unreviewed {
            waiting: u64::try_from(waiting).unwrap_or(0),
            oldest: oldest.and_then(|at| Timestamp::from_millisecond(at).ok()),
        })
    }

    /// One of them, if it is to that tenant, or whichever it is to where none is named.
    pub fn emergency(
        &self,
        id: EmergencyId,
        tenant: Option<&TenantId>,
    ) -> Result<Option<EmergencyAccess>, AccountError> {
        let found = find(&self.connection(), id).map_err(|error| self.failed(error))?;
        let found = found.map(Row::access).transpose()?;
        Ok(found.filter(|access| tenant.is_none_or(|tenant| access.tenant == *tenant)))
    }

    /// Signs one off that is over. A note is kept where the reason is.
    pub fn review_emergency(
        &self,
        id: EmergencyId,
        reviewer: &Principal,
        verdict: EmergencyVerdict,
        note: Option<(Phi<String>, &Database)>,
    ) -> Result<(), EmergencyError> {
        if note.as_ref().is_some_and(|(note, _)| !REASON.contains(&note.expose().trim().chars().count())) {
            return Err(EmergencyError::Length);
        }
        let access = self.emergency(id, reviewer.tenant.as_ref())?.ok_or(EmergencyError::Unknown)?;
        let now = self.0.clock.now();
        if access.account == reviewer.account {
            return Err(EmergencyError::Own);
        }
        if access.is_open(now) {
            return Err(EmergencyError::Open);
        }
        let changed = self
            .connection()
            .execute(
                "UPDATE emergencies SET reviewed = ?2, reviewer = ?3, verdict = ?4
                 WHERE id = ?1 AND reviewed IS NULL",
                params![id.to_string(), now.as_millisecond(), reviewer.account.as_str(), verdict.as_str()],
            )
            .map_err(|error| self.failed(error))?;
        if changed != 1 {
            return Err(EmergencyError::Reviewed);
        }
        match note {
            Some((note, database)) => words::note(database, id, &note).map_err(EmergencyError::Words),
            None => Ok(()),
        }
    }
}

/// Ends what an account has open. How many.
pub(super) fn end(connection: &Connection, account: &AccountId, now: Timestamp) -> rusqlite::Result<usize> {
    connection.execute(
        "UPDATE emergencies SET ended = ?2 WHERE account = ?1 AND ended IS NULL AND until > ?2",
        params![account.as_str(), now.as_millisecond()],
    )
}

fn find(connection: &Connection, id: EmergencyId) -> rusqlite::Result<Option<Row>> {
    let statement = "SELECT * FROM emergencies WHERE id = ?1";
    connection.query_row(statement, [id.to_string()], Row::read).optional()
}

/// A row as it stands in the table.
struct Row {
    id: String,
    account: String,
    name: String,
    role: String,
    tenant: String,
    ground: String,
    salt: Vec<u8>,
    begun: i64,
    until: i64,
    ended: Option<i64>,
    reviewed: Option<i64>,
    reviewer: Option<String>,
    verdict: Option<String>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account: row.get("account")?,
            name: row.get("name")?,
            role: row.get("role")?,
            tenant: row.get("tenant")?,
            ground: row.get("ground")?,
            salt: row.get("salt")?,
            begun: row.get("begun")?,
            until: row.get("until")?,
            ended: row.get("ended")?,
            reviewed: row.get("reviewed")?,
            reviewer: row.get("reviewer")?,
            verdict: row.get("verdict")?,
        })
    }

    fn access(self) -> Result<EmergencyAccess, AccountError> {
        let account = self.account;
        let damaged = |column| AccountError::Damaged { account: account.clone(), column };
        let time = |at: i64| Timestamp::from_millisecond(at).map_err(|_| damaged("emergency time"));
        let review = match (self.reviewed, self.reviewer, self.verdict) {
            (Some(at), Some(reviewer), Some(verdict)) => Some(Review {
                at: time(at)?,
                reviewer: reviewer.parse().map_err(|_| damaged("emergency reviewer"))?,
                verdict: word(EmergencyVerdict::ALL, |known| known.as_str() == verdict)
                    .ok_or_else(|| damaged("emergency verdict"))?,
            }),
            _ => None,
        };
        Ok(EmergencyAccess {
            id: self.id.parse().map_err(|_| damaged("emergency id"))?,
            name: self.name,
            role: self.role.parse().map_err(|_| damaged("emergency role"))?,
            tenant: self.tenant.parse().map_err(|_| damaged("emergency tenant"))?,
            ground: word(EmergencyGround::ALL, |known| known.as_str() == self.ground)
                .ok_or_else(|| damaged("emergency ground"))?,
            salt: self.salt,
            begun: time(self.begun)?,
            until: time(self.until)?,
            ended: self.ended.map(time).transpose()?,
            review,
            account: account.parse().map_err(|_| damaged("emergency account"))?,
        })
    }
}

fn word<T: Copy>(all: &[T], is: impl Fn(&T) -> bool) -> Option<T> {
    all.iter().copied().find(|word| is(word))
}
