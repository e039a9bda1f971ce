//! Models for testing pools: they compute nothing and do exactly what the test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::StepError;
use super::embed::EncodeText;
use super::generate::StepTokens;

/// Lets a test decide when each step of a model happens.
#[derive(Clone)]
pub(crate) struct Gate {
    open: Arc<Mutex<Option<Receiver<()>>>>,
    pub(crate) steps: Arc<AtomicUsize>,
}

impl Gate {
    /// A gate that lets everything through.
    pub(crate) fn open() -> Self {
        Self { open: Arc::default(), steps: Arc::default() }
    }

    /// A gate that lets one step through per message, and all once the sender is gone.
    pub(crate) fn closed() -> (Self, SyncSender<()>) {
        let (sender, receiver) = sync_channel(1024);
        (Self { open: Arc::new(Mutex::new(Some(receiver))), steps: Arc::default() }, sender)
    }

    fn pass(&self) {
        self.steps.fetch_add(1, Ordering::SeqCst);
        if let Some(receiver) = self.open.lock().unwrap().as_ref() {
            let _ended = receiver.recv();
        }
    }

    pub(crate) fn wait_for(&self, steps: usize) {
        while self.steps.load(Ordering::SeqCst) < steps {
            std::thread::yield_now();
        }
    }
}

/// The vector of a sequence is its length and its sum; token 999 panics, token 998 fails.
pub(crate) struct Encoder {
    pub(crate) gate: Gate,
    pub(crate) batches: Arc<Mutex<Vec<usize>>>,
}

impl EncodeText for Encoder {
    fn dimensions(&self) -> usize {
        2
    }

    fn max_tokens(&self) -> usize {
        16
    }

    fn encode(&mut self, batch: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, StepError> {
        self.gate.pass();
        self.batches.lock().unwrap().push(batch.len());
        // `!` is the panic, `#` the failure: tokens 35 and 37 of the byte vocabulary.
        let holds = |byte: u8| batch.iter().flatten().any(|token| *token == u32::from(byte) + 2);
        assert!(!holds(b'!'), "asked to panic");
        if holds(b'#') {
            return Err(StepError("asked to fail".to_owned()));
        }
        Ok(batch.iter().map(|tokens| vec![tokens.len() as f32, tokens.iter().sum::<u32>() as f32]).collect())
    }
}

/// Says what the test wrote, token by token, whatever the prompt.
pub(crate) struct Speaker {
    pub(crate) gate: Gate,
    pub(crate) says: Vec<u32>,
    pub(crate) vocabulary: usize,
    pub(crate) slots: Vec<Vec<u32>>,
    pub(crate) prompt: usize,
    /// Every call: slot, position, number of tokens.
    pub(crate) fed: Arc<Mutex<Vec<(usize, usize, usize)>>>,
}

impl Speaker {
    pub(crate) fn new(gate: Gate, says: Vec<u32>) -> Self {
        Self { gate, says, vocabulary: 300, slots: vec![Vec::new(); 2], prompt: 0, fed: Arc::default() }
    }
}

impl StepTokens for Speaker {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn context_tokens(&self) -> usize {
        1024
    }

    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn feed(
        &mut self,
        slot: usize,
        position: usize,
        tokens: &[u32],
        logits: Option<&mut Vec<f32>>,
    ) -> Result<(), StepError> {
        self.gate.pass();
        self.fed.lock().unwrap().push((slot, position, tokens.len()));
        let held = &mut self.slots[slot];
        assert!(position <= held.len(), "a gap in the sequence");
        held.truncate(position);
        held.extend_from_slice(tokens);
        assert!(!tokens.contains(&(u32::from(b'!') + 2)), "asked to panic");
        if tokens.len() > 1 || position == 0 || logits.is_none() {
            self.prompt = held.len();
        }
        let said = held.len() - self.prompt;
        if let Some(logits) = logits {
            logits.clear();
            logits.resize(self.vocabulary, 0.0);
            logits[self.says[said % self.says.len()] as usize] = 10.0;
        }
        Ok(())
    }

    fn copy_prefix(&mut self, from: usize, to: usize, tokens: usize) -> Result<(), StepError> {
        self.slots[to] = self.slots[from][..tokens].to_vec();
        Ok(())
    }

    fn reset(&mut self) {
        self.slots.iter_mut().for_each(Vec::clear);
    }
}
