//! One batch, and what is handed to whoever works it through.

use std::collections::BTreeMap;

use cloister_terms::{BatchId, FileId, Phi};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Lines, WINDOW};
use crate::accounts::Standing;

/// How a batch stands, in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its turn or is worked through.
    InProgress,
    /// It was called off, and lines of it are still under way.
    Cancelling,
    /// Every line has its reply.
    Completed,
    /// Its file could not be worked through.
    Failed,
    /// Its time was over before it was done.
    Expired,
    /// It was called off.
    Cancelled,
}

impl State {
    /// Every one there is.
    pub const ALL: [Self; 6] =
        [Self::InProgress, Self::Cancelling, Self::Completed, Self::Failed, Self::Expired, Self::Cancelled];

    /// The word that replies and tables use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How a batch that was begun ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every line has its reply.
    Completed,
    /// Its time was over.
    Expired,
    /// It was called off.
    Cancelled,
}

impl Ended {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Completed => State::Completed,
            Self::Expired => State::Expired,
            Self::Cancelled => State::Cancelled,
        }
    }
}

/// What is wrong with a line of a file, without anything of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complaint {
    /// A stable word.
    pub code: String,
    /// What is wrong, and what to do.
    pub message: String,
    /// The line, from 1 on; none where it is the file.
    pub line: Option<u32>,
    /// The field.
    pub param: Option<String>,
}

/// What a caller says when they start a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// The file of requests.
    pub input: FileId,
    /// The route that every request goes to.
    pub endpoint: String,
    /// The caller's own notes.
    pub metadata: Phi<BTreeMap<String, String>>,
    /// How many requests there are.
    pub total: u32,
    /// What is wrong with the file.
    pub complaints: Vec<Complaint>,
}

/// How many requests there are, and what came of those that are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Answered.
    pub completed: u32,
    /// Refused or failed.
    pub failed: u32,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// The file of requests.
    pub input: FileId,
    /// The route that every request goes to.
    pub endpoint: String,
    /// The caller's own notes.
    pub metadata: Phi<BTreeMap<String, String>>,
    /// How it stands.
    pub state: State,
    /// What is wrong with the file, where it failed.
    pub complaints: Vec<Complaint>,
    /// How far it is.
    pub counts: Counts,
    /// The file of answers, once it has ended and there are any.
    pub output: Option<FileId>,
    /// The file of refusals and failures, once it has ended and there are any.
    pub errors: Option<FileId>,
    /// When it was started.
    pub created: Timestamp,
    /// When its time is over.
    pub expires: Timestamp,
    /// When it was called off.
    pub cancelling: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Batch {
    pub(super) fn new(id: BatchId, new: NewBatch, now: Timestamp) -> Self {
        let NewBatch { input, endpoint, metadata, total, complaints } = new;
        let failed = !complaints.is_empty();
        Self {
            id,
            input,
            endpoint,
            metadata,
            state: if failed { State::Failed } else { State::InProgress },
            complaints,
            counts: Counts { total, ..Counts::default() },
            output: None,
            errors: None,
            created: now,
            expires: now.saturating_add(WINDOW).unwrap_or(Timestamp::MAX),
            cancelling: None,
            ended: failed.then_some(now),
        }
    }
}

/// What came of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The line, from 1 on.
    pub line: u32,
    /// Whether it was answered.
    pub answered: bool,
    /// The line of the file that it goes to, without its end.
    pub text: Phi<String>,
}

/// A batch that is to be worked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Which.
    pub id: BatchId,
    /// Who handed it in.
    pub standing: Standing,
    /// The route that every request goes to.
    pub endpoint: String,
    /// When its time is over.
    pub expires: Timestamp,
    /// The file of requests; none if it is gone.
    pub requests: Option<Phi<Vec<u8>>>,
    /// The lines that have their reply.
    pub replied: Lines,
}
