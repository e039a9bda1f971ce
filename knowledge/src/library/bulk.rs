//! Many documents at once: parsed side by side, embedded together, stored batch by batch.

use std::collections::{BTreeMap, HashSet};
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use cloister_terms::CollectionId;

use super::Library;
use super::documents::Removed;
use super::embedding::WhenBusy;
use super::ingest::{IngestError, Ingested, Outcome, Prepared, Target, ingested, settle};
use crate::EmbedError;
use crate::draft::{Draft, Input};
use crate::parse::{Parse, ParseError, Source};
use crate::store::versions;

/// A batch is embedded and stored when it has so many texts to embed, or so many bytes of text. Large enough to sort
/// texts by length to advantage, small enough to lose little when interrupted and to hold little in memory.
const BATCH_INPUTS: usize = 1024;
const BATCH_BYTES: usize = 16 << 20;

/// Files being parsed at once, at most: each holds one file in memory.
const PARSERS_MOST: usize = 8;

/// A document to ingest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its name in the collection.
    pub name: String,
    /// What it is.
    pub content: Content,
    /// Metadata that outranks its own.
    pub overrides: BTreeMap<String, String>,
}

/// Where a document's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Here.
    Bytes(Vec<u8>),
    /// In a file, read when its turn comes.
    File(PathBuf),
}

/// What became of one file.
#[derive(Debug)]
pub struct FileReport {
    /// Its name in the collection.
    pub name: String,
    /// Ingested, or why not.
    pub result: Result<Ingested, IngestError>,
}

/// Names that were passed over, each with the reason.
pub type Skipped = Vec<(String, &'static str)>;

/// What became of all of them.
#[derive(Debug, Default)]
pub struct Report {
    /// Every file, in the order in which they were done.
    pub files: Vec<FileReport>,
    /// What a sync took out of the collection, because the folder no longer has it.
    pub removed: Vec<Removed>,
    /// What was skipped or looked wrong in the folder, by name, with the reason.
    pub skipped: Skipped,
    /// What only shows once all files are in, by name: a document that is not in force, or supersedes nothing.
    pub advice: Vec<(String, String)>,
}

impl Report {
    /// How many files had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.files.iter().filter(|file| file.result.as_ref().is_ok_and(|done| done.outcome == outcome)).count()
    }

    /// The files that were not ingested.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &IngestError)> {
        self.files.iter().filter_map(|file| Some((file.name.as_str(), file.result.as_ref().err()?)))
    }
}

/// How far a bulk ingest is.
#[derive(Debug)]
pub enum Progress<'a> {
    /// So many texts were embedded since the last word.
    Embedded {
        /// How many.
        texts: usize,
    },
    /// A file is done: durably stored, or refused.
    File {
        /// Files done so far, this one included.
        done: usize,
        /// Files in all.
        total: usize,
        /// What became of it.
        report: &'a FileReport,
    },
}

/// A file that a parser thread is done with.
struct Ready {
    name: String,
    result: Result<Prepared, IngestError>,
}

/// Drafts that are embedded and stored together.
#[derive(Default)]
struct Batch {
    drafts: Vec<(Draft, Vec<String>)>,
    inputs: usize,
    bytes: usize,
}

impl Batch {
    fn push(&mut self, draft: Draft, warnings: Vec<String>) {
        self.inputs += draft.inputs.len();
        self.bytes += draft.text.len();
        self.drafts.push((draft, warnings));
    }

    const fn is_full(&self) -> bool {
        self.inputs >= BATCH_INPUTS || self.bytes >= BATCH_BYTES
    }
}

/// Where results go.
struct Desk<'a> {
    total: usize,
    report: Report,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl Desk<'_> {
    fn done(&mut self, name: String, result: Result<Ingested, IngestError>) {
        let report = FileReport { name, result };
        let done = self.report.files.len() + 1;
        (self.progress)(Progress::File { done, total: self.total, report: &report });
        self.report.files.push(report);
    }
}

impl Library {
    /// Ingests many documents. A file that fails is reported and fails alone. A file is reported as ingested only when
    /// it is durably stored; stopped at any moment and called again, it goes on with those that are not.
    ///
    /// # Errors
    /// Where nothing can go on: no such collection, another model, the database or the embedding engine failing.
    pub fn ingest_many(
        &self,
        collection: &CollectionId,
        submissions: Vec<Submission>,
        parser: &dyn Parse,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Report, IngestError> {
        let mut names = HashSet::new();
        if let Some(twice) = submissions.iter().find(|submission| !names.insert(submission.name.as_str())) {
            return Err(IngestError::SameName(twice.name.clone()));
        }
        let target = self.target(collection)?;
        let parsers = std::thread::available_parallelism().map_or(2, usize::from).clamp(1, PARSERS_MOST);
        let (send, receive) = sync_channel(parsers);
        let next = AtomicUsize::new(0);
        let mut desk = Desk { total: submissions.len(), report: Report::default(), progress };
        std::thread::scope(|threads| {
            for _ in 0..parsers.min(submissions.len()) {
                let send = send.clone();
                let work = || self.parse_queue(&target, &submissions, &next, parser, send);
                threads.spawn(work);
            }
            drop(send);
            // Returning drops the receiver, which ends the parsers at their next file.
            self.store_all(&target, receive, &mut desk)
        })?;
        let mut report = desk.report;
        self.advise(&target, &mut report)?;
        Ok(report)
    }

    fn parse_queue(
        &self,
        target: &Target,
        submissions: &[Submission],
        next: &AtomicUsize,
        parser: &dyn Parse,
        send: SyncSender<Ready>,
    ) {
        while let Some(submission) = submissions.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = read(submission, parser.input_bytes())
                .and_then(|source| self.prepare(target, &source, &submission.overrides, parser));
            if send.send(Ready { name: submission.name.clone(), result }).is_err() {
                return;
            }
        }
    }

    fn store_all(&self, target: &Target, receive: Receiver<Ready>, desk: &mut Desk<'_>) -> Result<(), IngestError> {
        let mut batch = Batch::default();
        for Ready { name, result } in receive {
            match result {
                Ok(Prepared::Draft(draft, warnings)) => batch.push(*draft, warnings),
                Ok(Prepared::Unchanged(ingested)) => desk.done(name, Ok(ingested)),
                Err(fatal @ IngestError::Store(_)) => return Err(fatal),
                Err(error) => desk.done(name, Err(error)),
            }
            if batch.is_full() {
                self.store_batch(target, std::mem::take(&mut batch), desk)?;
            }
        }
        self.store_batch(target, batch, desk)
    }

    fn store_batch(&self, target: &Target, batch: Batch, desk: &mut Desk<'_>) -> Result<(), IngestError> {
        let together = self.embed_and_store(target, &batch.drafts, desk);
        if !matches!(together, Err(IngestError::Embed(EmbedError::Failed(_)))) {
            return together;
        }
        // One text that the engine cannot take must not hold up the others.
        for draft in batch.drafts {
            match self.embed_and_store(target, std::slice::from_ref(&draft), desk) {
                Err(error @ IngestError::Embed(EmbedError::Failed(_))) => desk.done(draft.0.name, Err(error)),
                other => other?,
            }
        }
        Ok(())
    }

    fn embed_and_store(
        &self,
        target: &Target,
        drafts: &[(Draft, Vec<String>)],
        desk: &mut Desk<'_>,
    ) -> Result<(), IngestError> {
        if drafts.is_empty() {
            return Ok(());
        }
        let inputs: Vec<&Input> = drafts.iter().flat_map(|(draft, _)| &draft.inputs).collect();
        let progress = &mut desk.progress;
        let vectors = self.vectors(target.generation.key, &inputs, WhenBusy::Wait, &mut |texts| {
            progress(Progress::Embedded { texts });
        })?;
        let now = self.clock.now();
        let stored = self.store.write(|db| {
            let place = target.place(db, now)?;
            let mut rest = vectors.as_slice();
            let mut stored = Vec::with_capacity(drafts.len());
            for (draft, _) in drafts {
                let (own, others) = rest.split_at_checked(draft.inputs.len()).unwrap_or((rest, &[]));
                rest = others;
                stored.push(versions::store(db, place, draft, own, self.random.as_ref())?);
            }
            settle(db, place)?;
            Ok::<_, IngestError>(stored)
        })?;
        for ((draft, warnings), stored) in drafts.iter().zip(stored) {
            desk.done(draft.name.clone(), Ok(ingested(stored, draft.chunks.len(), warnings.clone())));
        }
        Ok(())
    }
}

/// Reads a file, but no more of it than the parser would take: a film in a shared folder must not fill the memory.
fn read(submission: &Submission, most: u64) -> Result<Source, IngestError> {
    let bytes = match &submission.content {
        Content::Bytes(bytes) => bytes.clone(),
        Content::File(path) => {
            let file = std::fs::File::open(path).map_err(IngestError::Read)?;
            let metadata = file.metadata().map_err(IngestError::Read)?;
            if !metadata.is_file() {
                return Err(IngestError::Read(std::io::Error::new(ErrorKind::InvalidInput, "it is no regular file")));
            }
            let mut bytes = Vec::new();
            // The length may be another by now, or none of the file system's business: what is read counts.
            file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(IngestError::Read)?;
            bytes
        }
    };
    if bytes.len() as u64 > most {
        return Err(ParseError::TooLarge { what: "the file in bytes".into(), limit: most }.into());
    }
    Ok(Source { name: submission.name.clone(), bytes })
}
