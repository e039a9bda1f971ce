//! The caller's end of a generation.

use tokio::sync::mpsc::UnboundedReceiver;

use super::PoolError;

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// The model said that it is done, or a stop string came.
    Stop,
    /// `max_tokens` or the context was reached.
    Length,
    /// The deadline passed; the text so far stands.
    Deadline,
    /// The pool was told to stop; the text so far stands.
    Cancelled,
}

/// What a generation cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens generated, the ones held back by a stop string included.
    pub completion_tokens: usize,
    /// Those of the completion that were guessed from the text before them, and so took no step of their own.
    pub guessed_tokens: usize,
}

/// One thing that happened to a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A worker has taken it up.
    Started {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// How many of them were already computed for an earlier prompt of the same salt.
        cached_tokens: usize,
    },
    /// More text: whole characters, never part of a stop string.
    Text(String),
    /// The last event of a generation that was carried out.
    Finished {
        /// Why it ended.
        reason: FinishReason,
        /// What it cost.
        usage: Usage,
    },
    /// The last event of one that was not.
    Failed(PoolError),
}

/// A generation under way. Dropping it cancels: a waiting one is never computed, a running one ends within a step.
#[derive(Debug)]
pub struct Generation {
    pub(super) events: UnboundedReceiver<Event>,
    pub(super) ended: bool,
}

impl Generation {
    /// The next event; `None` after [`Event::Finished`] or [`Event::Failed`].
    pub async fn next(&mut self) -> Option<Event> {
        let event = if self.ended { None } else { self.events.recv().await };
        self.settle(event)
    }

    /// The same for a thread that may block. Panics where called from inside an async task.
    pub fn next_blocking(&mut self) -> Option<Event> {
        let event = if self.ended { None } else { self.events.blocking_recv() };
        self.settle(event)
    }

    fn settle(&mut self, event: Option<Event>) -> Option<Event> {
        match event {
            Some(event @ (Event::Finished { .. } | Event::Failed(_))) => {
                self.ended = true;
                Some(event)
            }
            Some(event) => Some(event),
            None if self.ended => None,
            // The worker is gone without a last word: never leave the reader believing the text is whole.
            None => {
                self.ended = true;
                Some(Event::Failed(PoolError::Stopped))
            }
        }
    }
}
