//! Which block of the model's state holds what: allocation, sharing of common beginnings, and what is forgotten first.

use std::collections::HashMap;

/// A block's content, told by its own tokens and what stands before it.
type Key = (u64, u64, Box<[u32]>);

#[derive(Clone, Debug, Default)]
struct Block {
    /// Sequences that use it.
    users: usize,
    /// Set once it is full and can be found; with the number by which blocks after it name it.
    known: Option<(Key, u64)>,
    /// When it was last let go.
    used: u64,
}

/// The blocks of a model. A beginning is shared only between sequences of the same salt, so that nobody can learn from the
/// speed of an answer what another tenant has asked.
#[derive(Debug)]
pub(super) struct Blocks {
    blocks: Vec<Block>,
    free: Vec<u32>,
    found: HashMap<Key, u32>,
    size: usize,
    clock: u64,
}

/// What a sequence's blocks so far are known by. Numbers are never given twice, so a name outlives what it named without harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain(u64);

impl Blocks {
    /// `count` blocks of `size` tokens.
    pub(super) fn new(count: usize, size: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let blocks = vec![Block::default(); count as usize];
        Self { blocks, free: (0..count).rev().collect(), found: HashMap::new(), size: size.max(1), clock: 0 }
    }

    /// Tokens of a block.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Blocks that no sequence uses.
    pub(super) fn available(&self) -> usize {
        self.blocks.iter().filter(|block| block.users == 0).count()
    }

    /// How many of these blocks are one sequence's alone.
    pub(super) fn sole(&self, blocks: &[u32]) -> usize {
        let found = blocks.iter().filter_map(|at| self.blocks.get(*at as usize));
        found.filter(|block| block.users == 1).count()
    }

    /// The blocks that hold the beginning of these tokens already, all but the last token at most. They are used from now on.
    pub(super) fn share(&mut self, salt: u64, tokens: &[u32]) -> (Vec<u32>, Chain) {
        let (mut shared, mut chain) = (Vec::new(), Chain::default());
        let limit = tokens.len().saturating_sub(1) / self.size;
        for part in tokens.chunks_exact(self.size).take(limit) {
            let Some(at) = self.found.get(&(salt, chain.0, part.into())).copied() else { break };
            let Some(block) = self.blocks.get_mut(at as usize) else { break };
            let Some((_, name)) = block.known else { break };
            block.users += 1;
            chain = Chain(name);
            shared.push(at);
        }
        (shared, chain)
    }

    /// A block for a sequence to write; what was let go longest ago is forgotten for it. `None` where all are in use.
    pub(super) fn take(&mut self) -> Option<u32> {
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                let idle = (0u32..).zip(&self.blocks).filter(|(_, block)| block.users == 0);
                idle.min_by_key(|(_, block)| block.used).map(|(at, _)| at)?
            }
        };
        let block = self.blocks.get_mut(at as usize)?;
        if let Some((key, _)) = block.known.take() {
            self.found.remove(&key);
        }
        block.users = 1;
        Some(at)
    }

    /// Lets others find a block that is full. Where the same content is known already, this block stays its sequence's own.
    pub(super) fn publish(&mut self, at: u32, salt: u64, chain: Chain, tokens: &[u32]) -> Chain {
        let key: Key = (salt, chain.0, tokens.into());
        if let Some((_, name)) = self.found.get(&key).and_then(|at| self.blocks.get(*at as usize)?.known.as_ref()) {
            return Chain(*name);
        }
        self.clock += 1;
        let name = self.clock;
        if let Some(block) = self.blocks.get_mut(at as usize)
            && block.known.is_none()
        {
            block.known = Some((key.clone(), name));
            self.found.insert(key, at);
        }
        Chain(name)
    }

    /// Lets a sequence's blocks go, the last first, so that the end of a sequence is forgotten before its beginning.
    pub(super) fn release(&mut self, blocks: &[u32]) {
        for at in blocks.iter().rev() {
            let Some(block) = self.blocks.get_mut(*at as usize) else { continue };
            block.users = block.users.saturating_sub(1);
            self.clock += 1;
            block.used = self.clock;
            if block.users == 0 && block.known.is_none() {
                self.free.push(*at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes a whole sequence and publishes its full blocks.
    fn write(blocks: &mut Blocks, salt: u64, tokens: &[u32]) -> (Vec<u32>, usize) {
        let (mut held, mut chain) = blocks.share(salt, tokens);
        let shared = held.len();
        while held.len() * blocks.size() < tokens.len() {
            held.push(blocks.take().unwrap());
            let (from, to) = ((held.len() - 1) * blocks.size(), held.len() * blocks.size());
            if to <= tokens.len() {
                chain = blocks.publish(*held.last().unwrap(), salt, chain, &tokens[from..to]);
            }
        }
        (held, shared)
    }

    #[test]
    fn a_common_beginning_is_shared_within_a_salt_only() {
        let mut blocks = Blocks::new(16, 2);
        let (first, _) = write(&mut blocks, 1, &[1, 2, 3, 4, 5]);
        let (second, shared) = write(&mut blocks, 1, &[1, 2, 3, 4, 9]);
        assert_eq!((shared, &second[..2]), (2, &first[..2]));
        assert_eq!(write(&mut blocks, 2, &[1, 2, 3, 4, 5]).1, 0);
        // The same two tokens after another beginning are another content.
        assert_eq!(write(&mut blocks, 1, &[7, 7, 3, 4, 5]).1, 0);
    }

    #[test]
    fn the_last_token_is_always_computed() {
        let mut blocks = Blocks::new(8, 2);
        write(&mut blocks, 1, &[1, 2, 3, 4]);
        assert_eq!(write(&mut blocks, 1, &[1, 2, 3, 4]).1, 1);
        assert_eq!(write(&mut blocks, 1, &[1, 2]).1, 0);
    }

    #[test]
    fn what_was_let_go_longest_ago_is_forgotten_first_and_ends_before_beginnings() {
        let mut blocks = Blocks::new(4, 1);
        let (old, _) = write(&mut blocks, 1, &[1, 2]);
        let (new, _) = write(&mut blocks, 1, &[3, 4]);
        assert_eq!(blocks.take(), None);
        blocks.release(&old);
        blocks.release(&new);
        assert_eq!(blocks.available(), 4);
        assert_eq!(blocks.take(), Some(old[1]));
        assert_eq!(blocks.take(), Some(old[0]));
        assert_eq!(blocks.share(1, &[3, 4, 5]).0, new);
    }

    proptest! {
        /// Against a plain list of what every block holds: a shared block holds what is asked, and no block is lost.
        #[test]
        fn a_shared_block_holds_what_is_asked_and_none_is_lost(
            asked in prop::collection::vec((0u64..2, prop::collection::vec(0u32..2, 1..12), any::<bool>()), 1..60)
        ) {
            let mut blocks = Blocks::new(24, 2);
            let mut held: Vec<Vec<u32>> = Vec::new();
            let mut content: HashMap<u32, (u64, Vec<u32>)> = HashMap::new();
            for (salt, tokens, keep) in asked {
                let (got, mut chain) = blocks.share(salt, &tokens);
                for (at, block) in got.iter().enumerate() {
                    prop_assert_eq!(&content[block], &(salt, tokens[..(at + 1) * 2].to_vec()));
                }
                let mut all = got;
                while all.len() * 2 < tokens.len() {
                    let Some(block) = blocks.take() else { break };
                    prop_assert!(!held.iter().flatten().chain(&all).any(|other| *other == block), "given twice");
                    all.push(block);
                    let to = all.len() * 2;
                    if to <= tokens.len() {
                        content.insert(block, (salt, tokens[..to].to_vec()));
                        chain = blocks.publish(block, salt, chain, &tokens[to - 2..to]);
                    }
                }
                if keep && held.len() < 3 { held.push(all) } else { blocks.release(&all) }
            }
            for all in &held {
                blocks.release(all);
            }
            prop_assert_eq!(blocks.available(), 24);
        }
    }
}
