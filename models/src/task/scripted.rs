//! Models for testing pools: they compute nothing and do exactly what the test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::StepError;
use super::embed::{EncodeText, Sequence};
use super::generate::{Piece, StepTokens};

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

    fn encode(&mut self, batch: &[Sequence]) -> Result<Vec<Vec<f32>>, StepError> {
        self.gate.pass();
        self.batches.lock().unwrap().push(batch.len());
        // `!` is the panic, `#` the failure: tokens 35 and 37 of the byte vocabulary.
        let tokens = || batch.iter().flat_map(|sequence| &sequence.tokens);
        let holds = |byte: u8| tokens().any(|token| *token == u32::from(byte) + 2);
        assert!(!holds(b'!'), "asked to panic");
        if holds(b'#') {
            return Err(StepError("asked to fail".to_owned()));
        }
        let vector = |sequence: &Sequence| vec![sequence.len() as f32, sequence.tokens.iter().sum::<u32>() as f32];
        Ok(batch.iter().map(vector).collect())
    }
}

/// Tokens of a block of the models here.
const BLOCK: usize = 32;

/// What the blocks of a model hold.
pub(crate) struct Written(Vec<Vec<u32>>);

impl Written {
    pub(crate) fn new(blocks: usize) -> Self {
        Self(vec![Vec::new(); blocks])
    }

    /// Writes a piece, as a model would, and reads its whole sequence back.
    pub(crate) fn sequence(&mut self, piece: &Piece<'_>) -> Vec<u32> {
        for (at, token) in piece.tokens.iter().enumerate() {
            let position = piece.position + at;
            let block = &mut self.0[piece.blocks[position / BLOCK] as usize];
            assert!(position % BLOCK <= block.len(), "a gap in the sequence");
            block.truncate(position % BLOCK);
            block.push(*token);
        }
        let length = piece.position + piece.tokens.len();
        let blocks = piece.blocks.iter().take(length.div_ceil(BLOCK));
        let all: Vec<u32> = blocks.flat_map(|block| &self.0[*block as usize]).copied().take(length).collect();
        assert_eq!(all.len(), length, "a gap in the sequence");
        all
    }
}

/// Says what the test wrote, token by token, whatever the prompt. Where that ends in the prompt is told by its last step.
pub(crate) struct Speaker {
    pub(crate) gate: Gate,
    pub(crate) says: Vec<u32>,
    pub(crate) vocabulary: usize,
    pub(crate) written: Written,
    /// Per first block, the length of the prompt.
    pub(crate) prompts: std::collections::HashMap<u32, usize>,
    /// Every piece: first block, position, number of tokens.
    pub(crate) fed: Arc<Mutex<Vec<(usize, usize, usize)>>>,
}

impl Speaker {
    pub(crate) fn new(gate: Gate, says: Vec<u32>) -> Self {
        let (written, prompts) = (Written::new(64), Default::default());
        Self { gate, says, vocabulary: 300, written, prompts, fed: Arc::default() }
    }
}

impl StepTokens for Speaker {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn context_tokens(&self) -> usize {
        1024
    }

    fn block_tokens(&self) -> usize {
        BLOCK
    }

    fn blocks(&self) -> usize {
        64
    }

    fn step(&mut self, pieces: &[Piece<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        self.gate.pass();
        logits.clear();
        for piece in pieces {
            let first = piece.blocks[0];
            self.fed.lock().unwrap().push((first as usize, piece.position, piece.tokens.len()));
            let length = self.written.sequence(piece).len();
            let first_row = length + 1 - piece.logits.max(1);
            assert!(!piece.tokens.contains(&(u32::from(b'!') + 2)), "asked to panic");
            if piece.tokens.len() > piece.logits || piece.position == 0 {
                self.prompts.insert(first, length);
            }
            for length in (first_row..=length).take(piece.logits) {
                let said = length - self.prompts[&first];
                let from = logits.len();
                logits.resize(from + self.vocabulary, 0.0);
                logits[from + self.says[said % self.says.len()] as usize] = 10.0;
            }
        }
        Ok(())
    }
}

/// The next token is a function of the whole sequence, and of nothing else.
pub(crate) struct Oracle {
    pub(crate) written: Written,
    pub(crate) blocks: usize,
}

impl Oracle {
    /// What follows a sequence.
    pub(crate) fn next(sequence: &[u32]) -> u32 {
        let hash = sequence.iter().fold(7, |hash, token| crate::sampling::mix(hash ^ u64::from(*token)));
        2 + b'a' as u32 + (hash % 26) as u32
    }
}

impl StepTokens for Oracle {
    fn vocabulary(&self) -> usize {
        300
    }

    fn context_tokens(&self) -> usize {
        256
    }

    fn block_tokens(&self) -> usize {
        BLOCK
    }

    fn blocks(&self) -> usize {
        self.blocks
    }

    fn step(&mut self, pieces: &[Piece<'_>], logits: &mut Vec<f32>) -> Result<(), StepError> {
        logits.clear();
        for piece in pieces {
            let sequence = self.written.sequence(piece);
            for length in sequence.len() - piece.logits + 1..=sequence.len() {
                let from = logits.len();
                logits.resize(from + 300, 0.0);
                logits[from + Self::next(&sequence[..length]) as usize] = 1.0;
            }
        }
        Ok(())
    }
}
