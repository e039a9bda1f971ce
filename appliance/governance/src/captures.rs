//! Sealed captures of questions and what came of them, to find out what went wrong: per tenant, under a data key of their
//! own, for a number of days.
//!
//! A [`Capture`] is a [`CaptureLabel`], which says when, in which session, for which request and how it ended, and a
//! [`Content`]: what was said, what evidence was shown, what was answered. The audit record of the same request names the
//! capture, and holds none of it. What may be read is decided here once more: [`Captures::read`] takes the permit, and one
//! for redacted captures opens no raw one.
//!
//! ```text
//! tenants/NAME/captures.db     key: tenant/NAME/captures     labels and contents, and the tenant's vault; encrypted
//! ```
//!
//! **What it is not:** it finds and removes no identifiers. Whoever hands in a capture says whether that was done.
//!
//! # Why
//! - **A database of their own under a key of their own**, beside the tenant's: who opens the documents does not by that
//!   open what people asked, and a bundle or a backup can be made to lack the one and not the other. It is SQLCipher like
//!   the rest of the store, so that each page is authenticated at its place, what is deleted is overwritten, and backup,
//!   restore, a new data key and the destruction of a tenant work on it as on the tenant's database.
//! - **Retention counts from today's number of days**, whatever held when a capture was made: a tenant that shortens it has
//!   the older ones gone. What is over is neither listed nor read, also before it is removed.
//! - **After a failed write nothing more is written** until the program is started again, as everywhere in the store. A
//!   full disk is no such failure.

use std::{fmt, str::FromStr, sync::Arc};

use cloister_terms::{Action, CaptureId, Clock, RequestId, SessionId, TenantId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{
    audit::OutcomeKind,
    policy::Permit,
    store::{Database, NotWritten, Store, StoreError, Writer},
};

mod content;
mod table;

pub(crate) use table::open;

pub use content::{Content, Excerpt, Turn};

/// Days that captures are kept where a tenant does not say.
pub const RETENTION_DAYS: u32 = 30;

/// Days that captures are kept at most: ten years.
pub const MOST_DAYS: u32 = 3650;

/// Whether identifiers were taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Identifiers became placeholders before it was sealed; of what they stood for the capture holds nothing.
    Redacted,
    /// As it was said.
    Raw,
}

impl Form {
    /// The word that files, records and lists use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redacted => "redacted",
            Self::Raw => "raw",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use redacted or raw")]
pub struct NotAForm;

impl FromStr for Form {
    type Err = NotAForm;
    fn from_str(given: &str) -> Result<Self, NotAForm> {
        [Self::Redacted, Self::Raw].into_iter().find(|form| form.as_str() == given).ok_or(NotAForm)
    }
}

/// What a list shows of a capture. No text of a question, a document or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureLabel {
    /// Its id.
    pub id: CaptureId,
    /// When it was made.
    pub at: Timestamp,
    /// The interaction, where it was one.
    pub session: Option<SessionId>,
    /// The request, as in the audit log.
    pub request: RequestId,
    /// What was done: `ask`, or `generate` for a raw model.
    pub action: Action,
    /// Whether identifiers were taken out.
    pub form: Form,
    /// How it ended.
    pub outcome: OutcomeKind,
    /// Which way: the lane of an answer, the code of a refusal.
    pub code: Option<String>,
}

/// What was asked and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// What a list shows of it.
    pub label: CaptureLabel,
    /// What was said.
    pub content: Content,
}

/// What to look for. Everything that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Made at this time or later.
    pub since: Option<Timestamp>,
    /// Made before this time.
    pub until: Option<Timestamp>,
    /// The interaction.
    pub session: Option<SessionId>,
    /// The request.
    pub request: Option<RequestId>,
    /// What was done.
    pub action: Option<Action>,
    /// How it ended.
    pub outcome: Option<OutcomeKind>,
    /// Which way: the lane of an answer, the code of a refusal.
    pub code: Option<String>,
    /// Whether identifiers were taken out.
    pub form: Option<Form>,
    /// Only captures older than the one at this place: [`Listed::next`] of the list before.
    pub before: Option<u64>,
}

/// A list of captures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Newest first.
    pub captures: Vec<CaptureLabel>,
    /// Where to go on with [`Filter::before`], if there are more.
    pub next: Option<u64>,
}

/// Why a capture could not be written or read. No variant holds anything of one.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A write failed, now or earlier.
    #[error("captures cannot be written: free the disk or mend it, then start the program again")]
    Closed,
    /// The permit is for something else.
    #[error("the permit is not for these captures")]
    NotPermitted,
    /// It is raw, and the permit is for redacted ones.
    #[error("the capture is raw: reading it needs `read_raw_capture`")]
    Raw,
    /// A capture does not read back.
    #[error("the capture {0} is not as it was written: restore a backup")]
    Damaged(CaptureId),
}

/// The captures of one tenant. Cheap to clone; all clones share one connection to write with. Every call blocks.
#[derive(Clone)]
pub struct Captures(Arc<Inner>);

struct Inner {
    store: Store,
    tenant: TenantId,
    days: u32,
    clock: Arc<dyn Clock>,
    writer: Writer,
}

impl Captures {
    /// The captures of `tenant`, kept for `days`. Nothing is made or opened before it is needed.
    pub fn of(store: &Store, tenant: &TenantId, days: u32, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            store: store.clone(),
            tenant: tenant.clone(),
            days: days.min(MOST_DAYS),
            clock,
            writer: Writer::default(),
        }))
    }

    /// Whose they are.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// How many days they are kept.
    pub fn days(&self) -> u32 {
        self.0.days
    }

    /// Makes the database if there is none, and opens it: what would fail at the first capture fails here.
    ///
    /// # Errors
    /// As for [`Captures::put`].
    pub fn open(&self) -> Result<(), CaptureError> {
        self.write(|_| Ok(()))?;
        Ok(self.follow()?)
    }

    /// Seals a capture. When this returns, it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written. It is then not there, in whole or in part.
    pub fn put(&self, capture: &Capture) -> Result<(), CaptureError> {
        let sealed = content::sealed(&capture.content).ok_or(CaptureError::Damaged(capture.label.id))?;
        Ok(self.write(|connection| table::insert(connection, &capture.label, &sealed))?)
    }

    /// Captures that fit `filter`, the newest first, at most `limit`. No text.
    ///
    /// # Errors
    /// When the permit is for something else, or the database fails.
    pub fn list(&self, permit: &Permit, filter: &Filter, limit: usize) -> Result<Listed, CaptureError> {
        if permit.action() != Action::ListCaptures || permit.tenant() != Some(self.tenant()) {
            return Err(CaptureError::NotPermitted);
        }
        let Some(database) = self.database()? else { return Ok(Listed::default()) };
        let cutoff = self.cutoff();
        connected(&database, |connection| table::list(connection, filter, cutoff, limit))
    }

    /// The capture that `permit` is for. None if there is no such capture, or its time is over.
    ///
    /// # Errors
    /// [`CaptureError::Raw`] where it is raw and the permit for redacted ones; or when the database fails.
    pub fn read(&self, permit: &Permit) -> Result<Option<Capture>, CaptureError> {
        let reads = matches!(permit.action(), Action::ReadCapture | Action::ReadRawCapture);
        let id = permit.resource().capture().filter(|_| reads && permit.tenant() == Some(self.tenant()));
        let id = id.ok_or(CaptureError::NotPermitted)?;
        let Some(database) = self.database()? else { return Ok(None) };
        let cutoff = self.cutoff();
        let Some((label, sealed)) = connected(&database, |connection| table::read(connection, id, cutoff))? else {
            return Ok(None);
        };
        if label.form == Form::Raw && permit.action() != Action::ReadRawCapture {
            return Err(CaptureError::Raw);
        }
        let content = content::opened(&sealed).ok_or(CaptureError::Damaged(id))?;
        Ok(Some(Capture { label, content }))
    }

    /// How many captures there are whose time is over.
    ///
    /// # Errors
    /// When the database fails.
    pub fn expired(&self) -> Result<u64, CaptureError> {
        let Some(database) = self.database()? else { return Ok(0) };
        let cutoff = self.cutoff();
        connected(&database, |connection| table::expired(connection, cutoff))
    }

    /// Removes the captures whose time is over. How many there were.
    ///
    /// # Errors
    /// When the database fails; none is then removed.
    pub fn purge(&self) -> Result<u64, CaptureError> {
        if self.database()?.is_none() {
            return Ok(0);
        }
        let cutoff = self.cutoff();
        Ok(self.write(|connection| table::purge(connection, cutoff))?)
    }

    /// What was made before this moment is over.
    fn cutoff(&self) -> Timestamp {
        self.cutoff_after(self.0.days)
    }

    /// What was kept before this moment is over, of what is kept for so many days.
    pub(crate) fn cutoff_after(&self, days: u32) -> Timestamp {
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        self.now().saturating_sub(kept).unwrap_or(Timestamp::MIN)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The database; none where nothing was ever kept.
    pub(crate) fn database(&self) -> Result<Option<Database>, StoreError> {
        self.0.store.kept_captures(self.tenant())
    }

    /// Sees to it that an earlier state of the database is known for one.
    pub(crate) fn follow(&self) -> Result<(), StoreError> {
        self.0.store.captures(self.tenant())?.follow()
    }

    /// Writes on the one connection for it, that of the vault too.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T, NotWritten> {
        self.0.writer.with(|| self.0.store.captures(self.tenant()), table::open, work)
    }
}

impl From<NotWritten> for CaptureError {
    fn from(error: NotWritten) -> Self {
        match error {
            NotWritten::Closed => Self::Closed,
            NotWritten::Store(error) => error.into(),
        }
    }
}

impl fmt::Debug for Captures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captures").field("tenant", &self.0.tenant).field("days", &self.0.days).finish_non_exhaustive()
    }
}

fn connected<T>(database: &Database, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, CaptureError> {
    let connection = table::open(database)?;
    work(&connection).map_err(|error| database.error(error).into())
}

#[cfg(test)]
mod tests;
