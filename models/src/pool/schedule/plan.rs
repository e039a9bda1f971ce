//! Who gets what of a step.
//!
//! - A more urgent class goes first. While it has something in a step, all others together get at most an eighth of the step's tokens, and at
//!   least one: whoever waits for a text is slowed by no more, and what is less urgent never stands still once it is under way.
//! - Within a class, whoever was served least goes first, then whoever came first. A prompt's token counts one, a generated one two, a proposed
//!   one one.
//! - Where places or blocks are short, a more urgent sequence takes them from less urgent ones, and a tenant's from those of a tenant that was
//!   served more by [`TURN`]. The oldest of each class is let be.
//! - A class that has something waiting and nothing under way for [`PATIENCE`] steps is next, before everybody: it may take the place of any
//!   but the oldest of each class, and nothing else begins until it has.
//!
//! So two tenants of a class who both have something waiting are apart by no more than [`TURN`], the longest sequence, and as many steps as there are
//! places; and any request under way moves on, since the oldest of all can have every block.

use super::{Plan, Schedule, Sequence, Work};
use crate::pool::share::Priority;

/// What less urgent classes keep of a step, as one part in so many.
const REST: usize = 8;
/// Steps that a class waits before it goes first: some ten seconds while prompts are computed, half a minute at worst.
pub(super) const PATIENCE: usize = 256;
/// By how much more a tenant may have been served before another takes its places: several answers.
pub(super) const TURN: u64 = 2048;

/// What came of trying to take up a sequence.
enum Begun {
    Yes,
    /// None of the class waits.
    Nothing,
    /// One waits and finds no room: what is less urgent shall not take it either.
    NoRoom,
}

impl Schedule {
    /// Plans the next step, with at most `budget` tokens of prompts and proposals; every sequence of the most urgent class that can go on by
    /// one token does.
    pub(in crate::pool) fn plan(&mut self, budget: usize) -> Plan {
        self.step += 1;
        let mut plan = Plan::default();
        let mut held = match self.overdue() {
            Some(class) => matches!(self.take_up(class, true, &mut plan), Begun::NoRoom),
            None => false,
        };
        let (mut purse, mut first) = (budget.max(1), true);
        for (class, after) in Priority::ALL.into_iter().zip([1, 2, 3]) {
            if !self.wants(class) {
                continue;
            }
            let others = Priority::ALL.iter().skip(after).any(|other| self.wants(*other));
            let rest = if others { (purse / REST).max(1) } else { 0 };
            let mut own = purse.saturating_sub(rest).max(1);
            let before = plan.work.len();
            if !held && self.is_behind(class) {
                held = matches!(self.take_up(class, false, &mut plan), Begun::NoRoom);
            }
            self.go_on(class, first, &mut own, &mut plan);
            while !held && own > 0 {
                match self.take_up(class, false, &mut plan) {
                    Begun::Yes => self.go_on(class, first, &mut own, &mut plan),
                    Begun::Nothing => break,
                    Begun::NoRoom => held = true,
                }
            }
            if plan.work.len() > before {
                (purse, first) = (rest, false);
            }
        }
        plan
    }

    fn wants(&self, class: Priority) -> bool {
        self.running.iter().chain(&self.waiting).any(|sequence| sequence.standing.priority == class)
    }

    /// The class that has waited long enough.
    fn overdue(&mut self) -> Option<Priority> {
        let of = |sequences: &[Sequence], class| sequences.iter().any(|sequence| sequence.standing.priority == class);
        for (class, stalled) in Priority::ALL.into_iter().zip(&mut self.stalled) {
            let waits = of(&self.waiting, class) && !of(&self.running, class);
            *stalled = if waits { *stalled + 1 } else { 0 };
        }
        let mut classes = Priority::ALL.into_iter().zip(self.stalled);
        classes.find(|(_, stalled)| *stalled >= PATIENCE).map(|(class, _)| class)
    }

    /// Whether a tenant of the class waits while another under way was served more by a turn.
    fn is_behind(&self, class: Priority) -> bool {
        let served = |sequences: &[Sequence]| {
            let own = sequences.iter().filter(|sequence| sequence.standing.priority == class);
            own.map(|sequence| self.shares.served(sequence.standing)).collect::<Vec<u64>>()
        };
        let most = served(&self.running).into_iter().max().unwrap_or_default();
        served(&self.waiting).into_iter().min().is_some_and(|least| most > least + TURN)
    }

    /// Gives the sequences of a class that are under way and not planned yet their next tokens: first those that need only one, then prompts.
    /// Where the class is the first of the step, the next token of each is free.
    fn go_on(&mut self, class: Priority, first: bool, own: &mut usize, plan: &mut Plan) {
        let of_class = self.running.iter().filter(|sequence| sequence.standing.priority == class);
        let fresh = of_class.filter(|sequence| plan.work.iter().all(|work| work.id != sequence.id));
        let mut turns: Vec<(bool, u64, u64)> =
            fresh.map(|s| (s.missing() > 1, self.shares.served(s.standing), s.id)).collect();
        turns.sort_unstable();
        for (prompt, _, id) in turns {
            let free = first && !prompt;
            if *own > 0 || free {
                let Some(work) = self.work(id, free, *own) else { continue };
                *own -= if free { work.proposed() } else { work.count };
                plan.work.push(work);
            }
        }
    }

    /// The next tokens of a sequence, blocks for them taken. `None` where it had to go back for want of a block.
    fn work(&mut self, id: u64, free: bool, own: usize) -> Option<Work> {
        let sequence = self.find(id)?;
        let (position, missing) = (sequence.computed, sequence.missing());
        if missing > 1 {
            sequence.keep_proposed(0);
            let count = missing.min(own);
            self.reserve(id, position + count).then_some(())?;
            return Some(Work { id, position, count, logits: usize::from(count == missing) });
        }
        let wanted = sequence.proposed.min(if free { own } else { own.saturating_sub(1) });
        self.reserve(id, position + 1).then_some(())?;
        let size = self.blocks.size();
        let sequence = self.running.iter_mut().find(|sequence| sequence.id == id)?;
        // For what is only proposed nobody is put back.
        let reached = loop {
            let reached = wanted.min(sequence.blocks.len() * size - position - 1);
            if reached == wanted {
                break reached;
            }
            let Some(block) = self.blocks.take() else { break reached };
            sequence.blocks.push(block);
        };
        sequence.keep_proposed(reached);
        Some(Work { id, position, count: 1 + reached, logits: 1 + reached })
    }

    /// Takes up the next of a class, where its whole prompt finds room; others may have to make some.
    fn take_up(&mut self, class: Priority, overdue: bool, plan: &mut Plan) -> Begun {
        let of_class = self.waiting.iter().enumerate().filter(|(_, sequence)| sequence.standing.priority == class);
        let next = of_class.min_by_key(|(_, sequence)| (self.shares.served(sequence.standing), sequence.id));
        let Some((at, put_back)) = next.map(|(at, sequence)| (at, sequence.put_back)) else { return Begun::Nothing };
        // What has just made room does not take it again.
        if put_back == self.step {
            return Begun::NoRoom;
        }
        let mut sequence = self.waiting.swap_remove(at);
        (sequence.blocks, sequence.chain) = self.blocks.share(sequence.standing.tenant, &sequence.tokens);
        sequence.published = sequence.blocks.len();
        sequence.computed = sequence.blocks.len() * self.blocks.size();
        if !self.make_room(&sequence, overdue) {
            self.blocks.release(&sequence.blocks);
            sequence.reset();
            self.waiting.push(sequence);
            return Begun::NoRoom;
        }
        if !std::mem::replace(&mut sequence.started, true) {
            plan.started.push((sequence.id, sequence.computed));
        }
        self.running.push(sequence);
        Begun::Yes
    }

    /// Sees to a place and blocks for a sequence, putting back others that must yield to it. Nobody is put back in vain.
    fn make_room(&mut self, new: &Sequence, overdue: bool) -> bool {
        let served = self.shares.served(new.standing);
        let yields = |old: &Sequence| {
            let less_urgent = old.standing.priority > new.standing.priority;
            let same = old.standing.priority == new.standing.priority;
            let ahead = self.shares.served(old.standing) > served + TURN;
            !self.is_oldest(old) && (overdue || less_urgent || same && ahead)
        };
        let mut yielding: Vec<(Priority, u64, u64)> = self
            .running
            .iter()
            .filter(|old| yields(old))
            .map(|old| (old.standing.priority, self.shares.served(old.standing), old.id))
            .collect();
        yielding.sort_unstable();
        let needed = new.tokens.len().div_ceil(self.blocks.size()) - new.blocks.len();
        let stays = |old: &&Sequence| yielding.iter().all(|(_, _, id)| *id != old.id);
        let freed: usize = self.running.iter().filter(|o| !stays(o)).map(|o| self.blocks.sole(&o.blocks)).sum();
        let place = self.running.iter().filter(stays).count() < self.most;
        if !place || needed + self.promised(stays) > self.blocks.available() + freed {
            return false;
        }
        loop {
            let blocks = needed + self.promised(|_| true) <= self.blocks.available();
            if blocks && self.running.len() < self.most {
                return true;
            }
            let Some((_, _, id)) = yielding.pop() else { return false };
            self.put_back(id);
        }
    }

    /// Blocks that sequences under way have yet to take for their prompts, and one for each to grow.
    fn promised(&self, of: impl Fn(&&Sequence) -> bool) -> usize {
        let size = self.blocks.size();
        let lacks = |old: &Sequence| old.tokens.len().div_ceil(size).saturating_sub(old.blocks.len()) + 1;
        self.running.iter().filter(of).map(lacks).sum()
    }

    fn is_oldest(&self, sequence: &Sequence) -> bool {
        let class = sequence.standing.priority;
        self.running.iter().all(|other| other.standing.priority != class || other.id >= sequence.id)
    }

    /// Gives a sequence blocks for so many tokens, putting back others where there are none: the less urgent and the younger first, the oldest
    /// of each class last. False where it had to go back itself.
    fn reserve(&mut self, id: u64, tokens: usize) -> bool {
        let needed = tokens.div_ceil(self.blocks.size());
        loop {
            let Some(sequence) = self.running.iter_mut().find(|sequence| sequence.id == id) else { return false };
            if sequence.blocks.len() >= needed {
                return true;
            }
            if let Some(block) = self.blocks.take() {
                sequence.blocks.push(block);
                continue;
            }
            let rank = |sequence: &Sequence| match self.is_oldest(sequence) {
                true => (Priority::Interactive, false, sequence.id),
                false => (sequence.standing.priority, true, sequence.id),
            };
            let last = self.running.iter().max_by_key(|other| rank(other)).map(|other| other.id);
            let Some(last) = last else { return false };
            self.put_back(last);
        }
    }

    /// Puts a sequence back among those that wait.
    fn put_back(&mut self, id: u64) {
        let Some(at) = self.running.iter().position(|sequence| sequence.id == id) else { return };
        let mut sequence = self.running.remove(at);
        self.blocks.release(&sequence.blocks);
        sequence.reset();
        sequence.put_back = self.step;
        self.waiting.push(sequence);
    }
}

impl Sequence {
    /// Forgets where its state was.
    fn reset(&mut self) {
        self.keep_proposed(0);
        self.blocks.clear();
        (self.computed, self.published, self.chain) = (0, 0, super::Chain::default());
    }
}
