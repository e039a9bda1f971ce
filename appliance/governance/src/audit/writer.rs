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
    time::Duration,
};

use cloister_terms::{Clock, EntryId};
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    AuditError, Intent, Outcome,
    chain::{Chain, ChainError},
    note::SignedCheckpoint,
    publisher::Publisher,
    record,
    reserve::{Reserve, is_full},
    table::{self, Row},
};
use crate::store::watermark::Watermarks;

/// Records that share one sync at most. More would make the first of them wait for the last.
const GROUP: usize = 256;

/// How long a record may wait for a checkpoint: a minute, less what a group may take.
const CHECKPOINT_PERIOD: Duration = Duration::from_secs(50);

pub(super) type Written = Result<(), AuditError>;

pub(super) enum Message {
    Intent {
        entry: EntryId,
        at: Timestamp,
        intent: Box<Intent>,
        acknowledge: oneshot::Sender<Written>,
    },
    Outcome {
        entry: EntryId,
        at: Timestamp,
        outcome: Box<Outcome>,
        acknowledge: oneshot::Sender<Written>,
    },
    Flush(oneshot::Sender<Written>),
    /// Everything handed in before is written and covered by a checkpoint.
    Checkpoint(oneshot::Sender<Written>),
}

/// Takes messages, writes them in groups, and tells each sender when its record is on the disk.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) chain: Chain,
    pub(super) publisher: Publisher,
    pub(super) receiver: mpsc::Receiver<Message>,
    pub(super) closed: Arc<AtomicBool>,
    pub(super) reserve: Arc<Reserve>,
    pub(super) clock: Arc<dyn Clock>,
    /// How far other databases have come, which is kept with the outcomes of what was done in them.
    pub(super) watermarks: Option<Arc<Watermarks>>,
}

/// What a group of messages asks for.
#[derive(Default)]
struct Group {
    rows: Vec<Row>,
    opened: Vec<EntryId>,
    ended: Vec<EntryId>,
    checkpoint: bool,
    unreadable: bool,
    waiting: Vec<oneshot::Sender<Written>>,
}

impl Writer {
    /// Runs until every log and entry that could send is gone. `lock` is held until then.
    pub(super) fn start(self, lock: File) -> io::Result<WriterThread> {
        // For its timer only: everything that the writer does, it does by itself.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let run = move || self.run(&runtime);
        let running = std::thread::Builder::new().name("audit-writer".to_owned()).spawn(run)?;
        Ok(WriterThread { running: Some(running), _lock: lock })
    }

    fn run(mut self, runtime: &Runtime) {
        if let Ok(Some(newest)) = table::newest_checkpoint(&self.connection) {
            // Again at each start, because a log that was rotated away may have held the last word of it.
            echo(&newest.note);
            self.publisher.publish();
        }
        let mut messages = Vec::with_capacity(GROUP);
        // Entries whose intent this process wrote and whose outcome it has not.
        let mut open = HashSet::new();
        let mut due: Option<Instant> = None;
        loop {
            let more = runtime.block_on(async {
                let receive = self.receiver.recv_many(&mut messages, GROUP);
                match due {
                    Some(at) => tokio::time::timeout_at(at, receive).await.map_or(true, |received| received > 0),
                    None => receive.await > 0,
                }
            });
            let overdue = due.is_some_and(|at| at <= Instant::now()) || !more;
            self.write(&mut messages, &mut open, overdue);
            due =
                self.chain.uncovered().then(|| due.filter(|_| !overdue).unwrap_or(Instant::now() + CHECKPOINT_PERIOD));
            if !more {
                break;
            }
        }
    }

    fn write(&mut self, messages: &mut Vec<Message>, open: &mut HashSet<EntryId>, overdue: bool) {
        let group = Group::of(messages, open);
        let checkpoint = group.checkpoint || (overdue && self.chain.uncovered()) || (overdue && !group.rows.is_empty());
        let mut result = Ok(());
        if group.unreadable || self.closed.load(Ordering::Acquire) {
            result = Err(AuditError::Closed);
        } else if checkpoint || !group.rows.is_empty() {
            result = self.append(&group.rows, checkpoint);
        }
        if result.is_ok() {
            // Only now: a group that was not written must not change what is open.
            open.extend(group.opened);
            group.ended.iter().for_each(|entry| {
                open.remove(entry);
            });
        } else {
            self.closed.store(true, Ordering::Release);
        }
        for acknowledge in group.waiting {
            // A sender who did not wait (a dropped entry) needs no answer.
            let _ = acknowledge.send(result.clone());
        }
    }

    fn append(&mut self, rows: &[Row], checkpoint: bool) -> Written {
        let now = self.clock.now();
        let watermarks = self.watermarks.as_ref().filter(|_| rows.iter().any(|row| row.closes));
        let risen = watermarks.map(|watermarks| watermarks.risen()).unwrap_or_default();
        let mut appended = self.chain.append_keeping(&mut self.connection, rows, now, checkpoint, &risen);
        // Not a second try of what failed: the transaction was rolled back, and there is room now that there was not.
        if matches!(&appended, Err(ChainError::Database(error)) if is_full(error)) && self.reserve.release() {
            appended = self.chain.append_keeping(&mut self.connection, rows, now, checkpoint, &risen);
        }
        let notes = appended.map_err(|error| {
            let error = causes(&error);
            tracing::error!(error, "the audit log cannot be written: no further work is taken");
            AuditError::Closed
        })?;
        if let Some(watermarks) = watermarks {
            watermarks.kept(&risen);
        }
        notes.iter().for_each(|note| echo(note));
        if !notes.is_empty() {
            self.publisher.publish();
        }
        Ok(())
    }
}

impl Group {
    fn of(messages: &mut Vec<Message>, open: &HashSet<EntryId>) -> Self {
        let mut group = Self::default();
        for message in messages.drain(..) {
            let acknowledge = match message {
                Message::Flush(acknowledge) => acknowledge,
                Message::Checkpoint(acknowledge) => {
                    group.checkpoint = true;
                    acknowledge
                }
                Message::Intent { entry, at, intent, acknowledge } => {
                    match record::intent_bytes(&intent) {
                        Ok(body) => group.rows.push(Row { at, entry, closes: false, body, key: None }),
                        Err(_) => group.unreadable = true,
                    }
                    group.opened.push(entry);
                    acknowledge
                }
                Message::Outcome { entry, at, outcome, acknowledge } => {
                    // An intent that was never written has no outcome: its sender was refused, and left.
                    if !open.contains(&entry) && !group.opened.contains(&entry) {
                        continue;
                    }
                    match record::outcome_bytes(&outcome) {
                        Ok(body) => {
                            group.rows.push(Row { at, entry, closes: true, body, key: outcome.checkpoint_key });
                        }
                        Err(_) => group.unreadable = true,
                    }
                    group.ended.push(entry);
                    acknowledge
                }
            };
            group.waiting.push(acknowledge);
        }
        group
    }
}

/// An error with what caused it, in one line: a field of the log output holds no chain.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

/// Says a checkpoint where the log output goes, so that a copy of it is kept by whoever keeps that.
fn echo(note: &str) {
    if let Ok(signed) = SignedCheckpoint::parse(note) {
        tracing::info!(target: "audit.checkpoint", size = signed.checkpoint.size, note);
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
