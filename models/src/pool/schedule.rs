//! What is computed next: a pure step from the sequences under way to the pieces of the model's next step.
//!
//! Every sequence that only needs its next token gets it in every step; what is left of a step goes to prompts, in parts. Where somebody may
//! know what a sequence says next, the proposal is computed behind its last token, in the same step, and what proves wrong is taken back.
//! A sequence that finds no block puts another back: its blocks are let go, and what was not forgotten meanwhile is found again when its turn
//! comes. Who goes first is told by `plan`. Nothing here changes what a sequence's numbers are, only when they are computed.

mod plan;

use super::blocks::{Blocks, Chain};
use super::share::{Priority, Shares, Standing};
use crate::task::generate::Piece;

/// A sequence under way.
#[derive(Debug)]
struct Sequence {
    /// Grows with the time of arrival.
    id: u64,
    standing: Standing,
    /// The prompt, what was generated, and what is proposed.
    tokens: Vec<u32>,
    /// How many of the tokens, the last ones, are only proposed.
    proposed: usize,
    /// Tokens whose state the blocks hold.
    computed: usize,
    blocks: Vec<u32>,
    /// Blocks that others can find, and what they are known by.
    published: usize,
    chain: Chain,
    /// Whether it was ever taken up.
    started: bool,
    /// The step in which it was last put back.
    put_back: u64,
}

impl Sequence {
    /// Tokens that are certain and not computed yet.
    fn missing(&self) -> usize {
        self.tokens.len() - self.proposed - self.computed
    }

    /// Keeps so many of the proposed tokens.
    fn keep_proposed(&mut self, count: usize) {
        let certain = self.tokens.len() - self.proposed;
        self.proposed = self.proposed.min(count);
        self.tokens.truncate(certain + self.proposed);
    }
}

/// Tokens of a sequence to be computed in the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) id: u64,
    pub(super) position: usize,
    pub(super) count: usize,
    /// After how many of them, the last ones, the next token is asked for: none within a prompt, and one more than is proposed.
    pub(super) logits: usize,
}

impl Work {
    /// Tokens of it that are only proposed.
    pub(super) fn proposed(&self) -> usize {
        self.logits.saturating_sub(1)
    }

    /// Whether it is a part of a prompt rather than a sequence's next token.
    pub(super) fn is_prompt(&self) -> bool {
        self.count > self.logits
    }
}

/// The next step.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) work: Vec<Work>,
    /// Sequences taken up for the first time, and how many of their tokens were there already.
    pub(super) started: Vec<(u64, usize)>,
}

/// The sequences of a model.
#[derive(Debug)]
pub(super) struct Schedule {
    blocks: Blocks,
    shares: Shares,
    running: Vec<Sequence>,
    /// To be taken up.
    waiting: Vec<Sequence>,
    most: usize,
    step: u64,
    /// Steps in which a class had something waiting and nothing under way.
    stalled: [usize; Priority::ALL.len()],
}

impl Schedule {
    /// At most `most` sequences at once.
    pub(super) fn new(blocks: usize, block_tokens: usize, most: usize) -> Self {
        Self {
            blocks: Blocks::new(blocks, block_tokens),
            shares: Shares::default(),
            running: Vec::new(),
            waiting: Vec::new(),
            most: most.max(1),
            step: 0,
            stalled: Default::default(),
        }
    }

    /// Sequences of that standing that there is room for.
    pub(super) fn room(&self, standing: Standing) -> usize {
        self.shares.room(standing, self.most)
    }

    /// Whether nothing is under way.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Takes a sequence in. Ids grow with the time of arrival.
    pub(super) fn add(&mut self, id: u64, standing: Standing, tokens: Vec<u32>) {
        self.shares.enter(standing);
        self.waiting.push(Sequence {
            id,
            standing,
            tokens,
            proposed: 0,
            computed: 0,
            blocks: Vec::new(),
            published: 0,
            chain: Chain::default(),
            started: false,
            put_back: 0,
        });
    }

    /// Ends a sequence; its blocks are free at once.
    pub(super) fn remove(&mut self, id: u64) {
        let found = |sequences: &mut Vec<Sequence>| {
            let at = sequences.iter().position(|sequence| sequence.id == id)?;
            Some(sequences.remove(at))
        };
        if let Some(sequence) = found(&mut self.running).or_else(|| found(&mut self.waiting)) {
            self.blocks.release(&sequence.blocks);
            self.shares.leave(sequence.standing);
        }
    }

    /// Sequences that need nothing but their next token.
    pub(super) fn ready(&self) -> Vec<u64> {
        self.running.iter().filter(|sequence| sequence.missing() == 1).map(|sequence| sequence.id).collect()
    }

    /// The tokens of a sequence under way, and those proposed to follow them.
    pub(super) fn tokens(&self, id: u64) -> (&[u32], &[u32]) {
        let sequence = self.running.iter().find(|sequence| sequence.id == id);
        let split = sequence.and_then(|s| s.tokens.split_at_checked(s.tokens.len() - s.proposed));
        split.unwrap_or_default()
    }

    /// Tokens that may follow a sequence's last one: computed with it where there is room. Taken back before the step after.
    pub(super) fn propose(&mut self, id: u64, tokens: &[u32]) {
        if let Some(sequence) = self.find(id) {
            sequence.keep_proposed(0);
            sequence.tokens.extend_from_slice(tokens);
            sequence.proposed = tokens.len();
        }
    }

    /// Adds the token that was chosen.
    pub(super) fn append(&mut self, id: u64, token: u32) {
        if let Some(sequence) = self.find(id) {
            sequence.tokens.push(token);
        }
    }

    /// What the model is asked for a piece of work. `None` where its sequence was put back or has ended since.
    pub(super) fn piece(&self, work: &Work) -> Option<Piece<'_>> {
        let sequence = self.running.iter().find(|sequence| sequence.id == work.id)?;
        let tokens = sequence.tokens.get(work.position..work.position + work.count)?;
        (sequence.computed == work.position).then_some(())?;
        Some(Piece { blocks: &sequence.blocks, position: work.position, tokens, logits: work.logits })
    }

    /// Records that a piece was computed, and that the first `right` of the proposed tokens are what the sequence says. The state of the
    /// others is written over later; a block that held nothing else is free again. Blocks that are full can be found by others from now on: of what
    /// was generated too, for the numbers do not depend on how they were computed.
    pub(super) fn done(&mut self, work: &Work, right: usize) {
        let Some(sequence) = self.running.iter_mut().find(|sequence| sequence.id == work.id) else { return };
        sequence.keep_proposed(right);
        let right = std::mem::take(&mut sequence.proposed);
        sequence.computed = work.position + work.count - (work.proposed() - right.min(work.proposed()));
        let size = self.blocks.size();
        while (sequence.published + 1) * size <= sequence.computed {
            let from = sequence.published * size;
            let (Some(block), Some(tokens)) =
                (sequence.blocks.get(sequence.published), sequence.tokens.get(from..from + size))
            else {
                break;
            };
            sequence.chain = self.blocks.publish(*block, sequence.standing.tenant, sequence.chain, tokens);
            sequence.published += 1;
        }
        if work.proposed() > right {
            let needed = sequence.computed.div_ceil(size);
            let surplus = sequence.blocks.split_off(needed.min(sequence.blocks.len()));
            self.blocks.release(&surplus);
        }
        let cost = if work.is_prompt() { work.count } else { work.count + 1 };
        self.shares.charge(sequence.standing, cost);
    }

    fn find(&mut self, id: u64) -> Option<&mut Sequence> {
        self.running.iter_mut().find(|sequence| sequence.id == id)
    }

    /// Blocks that no sequence uses.
    #[cfg(test)]
    pub(super) fn available(&self) -> usize {
        self.blocks.available()
    }

    /// What a tenant was served, by the scale of the shares.
    #[cfg(test)]
    pub(super) fn served(&self, standing: Standing) -> u64 {
        self.shares.served(standing)
    }
}

#[cfg(test)]
mod tests;
