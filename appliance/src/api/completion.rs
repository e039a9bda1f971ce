//! Replies of faces that complete a conversation: what is to be told, and in whose words.
//!
//! Two faces do: OpenAI's (`openai/chunk.rs`) and AWS's (`aws/converse.rs`, `aws/generate.rs`). What happens before the reply
//! is the same for both: [`assistant`](super::assistant) walks the pipeline, [`raw`](super::raw) asks a model.

use std::time::{Duration, Instant};

use cloister_terms::RequestId;
use serde_json::Value;

use super::stream::Item;
use crate::{
    edge::problem::Face,
    pipeline::{
        Answer, Failure, Stop,
        model::{FinishReason, Usage},
    },
};

/// How one face tells a completion. Chunks are put together as a client of the face reads them.
pub(super) trait Reply: Clone + Send + Sync + 'static {
    /// Whose words errors take.
    const FACE: Face;
    /// Whether what a guardrail refuses, or a reviewer holds, is a reply of this face and no error.
    const INTERVENES: bool;

    /// The whole.
    fn whole(&self, written: &Written<'_>) -> Value;
    /// What comes before the first text of a stream.
    fn opening(&self) -> Vec<Item>;
    /// A piece of the text.
    fn text(&self, text: &str) -> Item;
    /// What comes after the last text of a stream.
    fn closing(&self, written: &Written<'_>) -> Vec<Item>;
}

/// A text that is written to its end.
pub(super) struct Written<'a> {
    pub(super) text: &'a str,
    pub(super) ending: Ending,
    pub(super) usage: Usage,
    pub(super) took: Duration,
    /// The answer that it is; none where it is a raw model's text, or a refusal.
    pub(super) answered: Option<Answered<'a>>,
}

/// An answer of an assistant.
pub(super) struct Answered<'a> {
    pub(super) answer: &'a Answer,
    pub(super) request: RequestId,
    pub(super) started: Instant,
    /// What of the request was not heeded, by name.
    pub(super) ignored: &'a [&'static str],
}

/// Why a text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is whole.
    Stop,
    /// No more tokens were allowed.
    Length,
    /// A guardrail refused, or a reviewer is asked: the text says so and is nothing else.
    Intervened,
}

impl Ending {
    /// An end that is no failure.
    pub(super) fn of(reason: FinishReason) -> Result<Self, Stop> {
        match reason {
            FinishReason::Stop => Ok(Self::Stop),
            FinishReason::Length => Ok(Self::Length),
            FinishReason::Deadline | FinishReason::Cancelled => Err(Failure::Deadline.into()),
        }
    }
}

/// What is told in place of an answer, if this face has such a reply to `stop`. It holds no text of question or answer.
pub(super) fn intervened<R: Reply>(stop: &Stop, took: Duration) -> Option<(String, Duration)> {
    let intervenes = matches!(stop, Stop::Blocked { .. } | Stop::Held { .. });
    (R::INTERVENES && intervenes).then(|| match stop {
        Stop::Held { review } => (format!("The answer waits for a reviewer: ask about {review}."), took),
        blocked => (blocked.to_string(), took),
    })
}

/// The refusal as a written text.
pub(super) fn refusal((text, took): &(String, Duration)) -> Written<'_> {
    Written { text, ending: Ending::Intervened, usage: Usage::default(), took: *took, answered: None }
}
