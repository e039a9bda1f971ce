//! What is computed next: a pure step from the sequences under way to the pieces of the model's next step.
//!
//! Every sequence that only needs its next token gets it in every step; what is left of a step goes to prompts, in the order they came,
//! in parts. A sequence that finds no block puts the youngest one back: its blocks are let go, and what was not forgotten meanwhile is found
//! again when its turn comes. Nothing here changes what a sequence's numbers are, only when they are computed.

use std::collections::VecDeque;

use super::blocks::{Blocks, Chain};
use crate::task::generate::Piece;

/// A sequence under way.
#[derive(Debug)]
struct Sequence {
    id: u64,
    salt: u64,
    /// The prompt and what was generated.
    tokens: Vec<u32>,
    /// Tokens whose state the blocks hold.
    computed: usize,
    blocks: Vec<u32>,
    /// Blocks that others can find, and what they are known by.
    published: usize,
    chain: Chain,
    /// Whether it was ever taken up.
    started: bool,
}

/// Tokens of a sequence to be computed in the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) id: u64,
    pub(super) position: usize,
    pub(super) count: usize,
    /// Whether the next token is to be chosen.
    pub(super) last: bool,
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
    running: Vec<Sequence>,
    /// To be taken up, those that were put back first.
    waiting: VecDeque<Sequence>,
    most: usize,
}

impl Schedule {
    /// At most `most` sequences at once.
    pub(super) fn new(blocks: usize, block_tokens: usize, most: usize) -> Self {
        let blocks = Blocks::new(blocks, block_tokens);
        Self { blocks, running: Vec::new(), waiting: VecDeque::new(), most: most.max(1) }
    }

    /// Sequences that there is room for.
    pub(super) fn room(&self) -> usize {
        self.most.saturating_sub(self.running.len() + self.waiting.len())
    }

    /// Whether nothing is under way.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    /// Takes a sequence in.
    pub(super) fn add(&mut self, id: u64, salt: u64, tokens: Vec<u32>) {
        let (blocks, chain) = (Vec::new(), Chain::default());
        self.waiting.push_back(Sequence { id, salt, tokens, computed: 0, blocks, published: 0, chain, started: false });
    }

    /// Ends a sequence; its blocks are free at once.
    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.retain(|sequence| sequence.id != id);
        if let Some(at) = self.running.iter().position(|sequence| sequence.id == id) {
            let sequence = self.running.remove(at);
            self.blocks.release(&sequence.blocks);
        }
    }

    /// Adds the token that was chosen.
    pub(super) fn append(&mut self, id: u64, token: u32) {
        if let Some(sequence) = self.running.iter_mut().find(|sequence| sequence.id == id) {
            sequence.tokens.push(token);
        }
    }

    /// Plans the next step, with at most `budget` tokens of prompts; every sequence that can go on by one token does.
    pub(super) fn plan(&mut self, budget: usize) -> Plan {
        let mut plan = Plan::default();
        let mut left = budget.max(1);
        // The order of arrival, so that the youngest is the last. One that was put back is not planned any more.
        let mut at = 0;
        while let Some(sequence) = self.running.get(at) {
            let missing = sequence.tokens.len() - sequence.computed;
            let wanted = if missing == 1 { 1 } else { missing.min(left) };
            let Some((id, position)) = Some((sequence.id, sequence.computed)).filter(|_| wanted > 0) else {
                at += 1;
                continue;
            };
            if !self.reserve(at, position + wanted) {
                // It was the youngest itself: it waits.
                break;
            }
            if missing > 1 {
                left -= wanted;
            }
            plan.work.push(Work { id, position, count: wanted, last: wanted == missing });
            at += 1;
        }
        while left > 0 && self.running.len() < self.most {
            let Some((id, cached)) = self.take_up() else { break };
            let at = self.running.len() - 1;
            let Some(sequence) = self.running.get_mut(at) else { break };
            let (position, missing) = (sequence.computed, sequence.tokens.len() - sequence.computed);
            let first = !std::mem::replace(&mut sequence.started, true);
            let wanted = missing.min(left);
            if first {
                plan.started.push((id, cached));
            }
            if !self.reserve(at, position + wanted) {
                break;
            }
            left -= wanted;
            plan.work.push(Work { id, position, count: wanted, last: wanted == missing });
        }
        plan
    }

    /// Moves the first that waits among the running, where its whole prompt finds room.
    fn take_up(&mut self) -> Option<(u64, usize)> {
        let mut sequence = self.waiting.pop_front()?;
        (sequence.blocks, sequence.chain) = self.blocks.share(sequence.salt, &sequence.tokens);
        sequence.published = sequence.blocks.len();
        sequence.computed = sequence.blocks.len() * self.blocks.size();
        let needed = sequence.tokens.len().div_ceil(self.blocks.size()) - sequence.blocks.len();
        // Others need room to grow; alone, it may have everything.
        let spare = self.running.len();
        if needed + spare > self.blocks.available() {
            self.blocks.release(&sequence.blocks);
            sequence.blocks.clear();
            self.waiting.push_front(sequence);
            return None;
        }
        let taken = (sequence.id, sequence.computed);
        self.running.push(sequence);
        Some(taken)
    }

    /// Gives a sequence blocks for so many tokens, putting back younger ones where there are none. False where it had to go back itself.
    fn reserve(&mut self, at: usize, tokens: usize) -> bool {
        let needed = tokens.div_ceil(self.blocks.size());
        loop {
            let Some(sequence) = self.running.get_mut(at) else { return false };
            if sequence.blocks.len() >= needed {
                return true;
            }
            if let Some(block) = self.blocks.take() {
                sequence.blocks.push(block);
                continue;
            }
            let Some(mut youngest) = self.running.pop() else { return false };
            self.blocks.release(&youngest.blocks);
            youngest.blocks.clear();
            youngest.computed = 0;
            self.waiting.push_front(youngest);
        }
    }

    /// What the model is asked for a piece of work. `None` where its sequence was put back or has ended since.
    pub(super) fn piece(&self, work: &Work) -> Option<Piece<'_>> {
        let sequence = self.running.iter().find(|sequence| sequence.id == work.id)?;
        let tokens = sequence.tokens.get(work.position..work.position + work.count)?;
        (sequence.computed == work.position).then_some(())?;
        Some(Piece { blocks: &sequence.blocks, position: work.position, tokens, logits: work.last })
    }

    /// Records that a piece was computed. Blocks that are full can be found by others from now on: of what was generated too, for the numbers
    /// do not depend on how they were computed.
    pub(super) fn done(&mut self, work: &Work) {
        let Some(sequence) = self.running.iter_mut().find(|sequence| sequence.id == work.id) else { return };
        sequence.computed = work.position + work.count;
        let size = self.blocks.size();
        while (sequence.published + 1) * size <= sequence.computed {
            let from = sequence.published * size;
            let (Some(block), Some(tokens)) =
                (sequence.blocks.get(sequence.published), sequence.tokens.get(from..from + size))
            else {
                break;
            };
            sequence.chain = self.blocks.publish(*block, sequence.salt, sequence.chain, tokens);
            sequence.published += 1;
        }
    }

    /// Blocks that no sequence uses.
    #[cfg(test)]
    pub(super) fn available(&self) -> usize {
        self.blocks.available()
    }
}

#[cfg(test)]
mod tests;
