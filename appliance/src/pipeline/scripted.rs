//! A generation model that plays prepared text, for tests of everything above the model.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::stream::{self, StreamExt};

use super::model::{
    Event, Events, FinishReason, Generate, GenerateError, GenerateRequest, ModelName, Priority, PromptText, Sampling,
    Usage,
};

/// What the scripted model does when asked.
#[derive(Debug, Clone)]
pub enum Script {
    /// Yields these pieces of text, then ends.
    Say(Vec<String>),
    /// Yields these pieces, then breaks.
    Break(Vec<String>),
    /// Yields these pieces, then waits for ever: the caller has to leave.
    Hang(Vec<String>),
    /// Is not admitted: the queue is full.
    Busy,
    /// Is not admitted: the request asks for what the model cannot do, in these words.
    Refuse(String),
}

/// Plays one [`Script`] per request; the last one repeats.
pub struct Scripted {
    scripts: Mutex<Vec<Script>>,
    heard: Mutex<Vec<(String, Sampling)>>,
    urgent: Mutex<Vec<Priority>>,
    running: Arc<AtomicUsize>,
}

impl Scripted {
    /// A model that plays `scripts` in order.
    pub fn new(scripts: Vec<Script>) -> Self {
        Self {
            scripts: Mutex::new(scripts),
            heard: Mutex::default(),
            urgent: Mutex::default(),
            running: Arc::default(),
        }
    }

    /// A model that always says `text`, one word at a time.
    pub fn saying(text: &str) -> Self {
        Self::new(vec![Script::Say(text.split_inclusive(' ').map(str::to_owned).collect())])
    }

    /// Prompts so far, in order, with how tokens were to be chosen.
    pub fn heard(&self) -> Vec<(String, Sampling)> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How urgent each of them was.
    pub fn priorities(&self) -> Vec<Priority> {
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Generations that were admitted and neither ended nor dropped.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    fn next_script(&self) -> Script {
        let mut scripts = self.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        if scripts.len() > 1 { scripts.remove(0) } else { scripts.first().cloned().unwrap_or(Script::Busy) }
    }
}

/// Counts one running generation for as long as it lives.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Generate for Scripted {
    fn identity(&self) -> ModelName {
        ModelName { name: "scripted".to_owned(), sha256: "00".repeat(32) }
    }

    fn context_tokens(&self) -> usize {
        2048
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn generate(&self, request: GenerateRequest) -> Result<Events, GenerateError> {
        let prompt = match &request.prompt {
            PromptText::Plain(text) => text.clone(),
            PromptText::Chat(messages) => {
                messages.iter().map(|m| format!("{}: {}", m.role.as_str(), m.content)).collect::<Vec<_>>().join("\n")
            }
        };
        let prompt_tokens = self.count_tokens(&prompt);
        let limit = self.context_tokens();
        if prompt_tokens > limit {
            return Err(GenerateError::TooLong { tokens: prompt_tokens, limit });
        }
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push((prompt, request.sampling));
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner).push(request.priority);
        let retry_after = std::time::Duration::from_secs(1);
        let (pieces, last) = match self.next_script() {
            Script::Say(pieces) => (pieces, Some(true)),
            Script::Break(pieces) => (pieces, Some(false)),
            Script::Hang(pieces) => (pieces, None),
            Script::Refuse(why) => return Err(GenerateError::Refused(why)),
            Script::Busy => return Err(GenerateError::Busy { retry_after }),
        };
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        let usage = Usage { prompt_tokens, completion_tokens: pieces.len() };
        let mut events = vec![Event::Started { prompt_tokens, cached_tokens: 0 }];
        events.extend(pieces.into_iter().map(Event::Text));
        let told = stream::iter(events);
        let end = match last {
            Some(true) => stream::iter([Event::Finished { reason: FinishReason::Stop, usage }]).boxed(),
            Some(false) => stream::iter([Event::Failed(GenerateError::Failed("scripted fault".to_owned()))]).boxed(),
            None => stream::pending().boxed(),
        };
        Ok(told.chain(end).map(move |event| (&running, event).1).boxed())
    }
}
