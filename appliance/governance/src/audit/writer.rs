//! The one thread that writes the log.

use std::{
    collections::HashSet,
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use cloister_terms::EntryId;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{
    AuditError, Intent, Outcome, record,
    table::{self, Row},
};

/// Records that share one sync at most. More would make the first of them wait for the last.
const GROUP: usize = 256;

pub(super) type Written = Result<(), AuditError>;

pub(super) enum Message {
    Intent { entry: EntryId, at: Timestamp, intent: Box<Intent>, acknowledge: oneshot::Sender<Written> },
    Outcome { entry: EntryId, at: Timestamp, outcome: Box<Outcome>, acknowledge: oneshot::Sender<Written> },
    Flush(oneshot::Sender<Written>),
}

/// Takes messages, writes them in groups, and tells each sender when its record is on the disk.
pub(super) struct Writer {
    connection: Connection,
    receiver: mpsc::Receiver<Message>,
    closed: Arc<AtomicBool>,
    /// Entries whose intent this process wrote and whose outcome it has not.
    open: HashSet<EntryId>,
}

impl Writer {
    pub(super) fn new(connection: Connection, receiver: mpsc::Receiver<Message>, closed: Arc<AtomicBool>) -> Self {
        Self { connection, receiver, closed, open: HashSet::new() }
    }

    /// Runs until every log and entry that could send is gone. `lock` is held until then.
    pub(super) fn start(self, lock: File) -> io::Result<WriterThread> {
        let running = std::thread::Builder::new().name("audit-writer".to_owned()).spawn(move || self.run())?;
        Ok(WriterThread { running: Some(running), _lock: lock })
    }

    fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        while let Some(message) = self.receiver.blocking_recv() {
            group.push(message);
            while group.len() < GROUP
                && let Ok(message) = self.receiver.try_recv()
            {
                group.push(message);
            }
            self.write(&mut group);
        }
    }

    fn write(&mut self, group: &mut Vec<Message>) {
        let mut rows = Vec::with_capacity(group.len());
        let mut waiting = Vec::with_capacity(group.len());
        let mut result = if self.closed.load(Ordering::Acquire) { Err(AuditError::Closed) } else { Ok(()) };
        // Kept apart until the group is on the disk: a group that was not written must not change what is open.
        let (mut opened, mut ended) = (Vec::new(), Vec::new());
        for message in group.drain(..) {
            let acknowledge = match message {
                Message::Flush(acknowledge) => acknowledge,
                Message::Intent { entry, at, intent, acknowledge } => {
                    match record::intent_bytes(&intent) {
                        Ok(body) => rows.push(Row { at, entry, closes: false, body }),
                        Err(_) => result = result.and(Err(AuditError::Closed)),
                    }
                    opened.push(entry);
                    acknowledge
                }
                Message::Outcome { entry, at, outcome, acknowledge } => {
                    // An intent that was never written has no outcome: its sender was refused, and left.
                    if !self.open.contains(&entry) && !opened.contains(&entry) {
                        continue;
                    }
                    match record::outcome_bytes(&outcome) {
                        Ok(body) => rows.push(Row { at, entry, closes: true, body }),
                        Err(_) => result = result.and(Err(AuditError::Closed)),
                    }
                    ended.push(entry);
                    acknowledge
                }
            };
            waiting.push(acknowledge);
        }
        if result.is_ok() && !rows.is_empty() {
            result = self.append(&rows);
        }
        if result.is_ok() {
            self.open.extend(opened);
            ended.iter().for_each(|entry| {
                self.open.remove(entry);
            });
        } else {
            self.closed.store(true, Ordering::Release);
        }
        for acknowledge in waiting {
            // A sender who did not wait (a dropped entry) needs no answer.
            let _ = acknowledge.send(result.clone());
        }
    }

    fn append(&mut self, rows: &[Row]) -> Written {
        table::append(&mut self.connection, rows).map_err(|error| {
            tracing::error!(%error, "the audit log cannot be written: no further work is taken");
            AuditError::Closed
        })
    }
}

/// The writer while it runs. Dropping it waits until the writer has written what was handed in and closed its connection.
///
/// Every log and entry holds it and lets go of its sender first, so that the last one waits for work and never for a sender.
pub(super) struct WriterThread {
    running: Option<JoinHandle<()>>,
    /// Tells other processes that entries may be open.
    _lock: File,
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        if self.running.take().is_some_and(|running| running.join().is_err()) {
            tracing::error!("the audit log's writer ended badly: what it had not acknowledged is not recorded");
        }
    }
}
