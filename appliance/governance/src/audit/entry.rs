//! An open entry of the log.

use std::sync::Arc;

use cloister_terms::{Clock, EntryId};
use tokio::sync::{mpsc, oneshot};

use super::{
    AuditError, Outcome,
    writer::{Message, WriterThread, Written},
};

/// An intent that is on the disk and waits for its outcome. Dropped without one, it is recorded as abandoned.
#[must_use = "dropping an entry records it as abandoned: complete it"]
pub struct Entry {
    id: EntryId,
    clock: Arc<dyn Clock>,
    /// Room for the outcome, taken when the entry was opened. None once the outcome was handed over.
    room: Option<mpsc::OwnedPermit<Message>>,
    /// After `room`, so that no entry keeps from ending the writer that it waits for.
    _writer: Arc<WriterThread>,
}

impl Entry {
    pub(super) fn new(
        id: EntryId,
        room: mpsc::OwnedPermit<Message>,
        clock: Arc<dyn Clock>,
        writer: Arc<WriterThread>,
    ) -> Self {
        Self { id, clock, room: Some(room), _writer: writer }
    }

    /// The entry, if its intent was written. If not there is nothing to abandon.
    pub(super) fn opened(mut self, written: Written) -> Result<Self, AuditError> {
        match written {
            Ok(()) => Ok(self),
            Err(error) => {
                self.room = None;
                Err(error)
            }
        }
    }

    /// Its id, in logs and in replies.
    pub const fn id(&self) -> EntryId {
        self.id
    }

    /// Records how it ended. When this returns `Ok`, the record is on the disk; until then the last byte must not leave.
    pub async fn complete(mut self, outcome: Outcome) -> Result<(), AuditError> {
        let Some(written) = self.send(outcome) else { return Err(AuditError::Closed) };
        written.await.unwrap_or(Err(AuditError::Closed))
    }

    /// [`Entry::complete`] for commands. Panics inside an asynchronous task.
    pub fn complete_blocking(mut self, outcome: Outcome) -> Result<(), AuditError> {
        let Some(written) = self.send(outcome) else { return Err(AuditError::Closed) };
        written.blocking_recv().unwrap_or(Err(AuditError::Closed))
    }

    fn send(&mut self, outcome: Outcome) -> Option<oneshot::Receiver<Written>> {
        let room = self.room.take()?;
        let (acknowledge, written) = oneshot::channel();
        room.send(Message::Outcome { entry: self.id, at: self.clock.now(), outcome: Box::new(outcome), acknowledge });
        Some(written)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.send(Outcome::abandoned());
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entry").field(&self.id).finish()
    }
}
