//! What a sequence may say next, guessed from its own text: an answer from documents repeats them.
//!
//! Where the last tokens stand in the prompt or the answer before, what followed them there is proposed (Saxena, Prompt Lookup Decoding,
//! 2023). The model computes proposals in the step of the token before, and each is kept only if it is what the sampler chooses at its place
//! (Leviathan and others, Fast Inference from Transformers via Speculative Decoding, 2023, for a guess that is certain). The sampler draws the
//! same number at the same place with or without proposals, so that not only the distribution but every token is the same.
//!
//! How much is proposed follows from how often this sequence's guesses were right and from what a row costs on this machine. Where that does not
//! pay, nothing is, but for a try now and then.

mod lookup;
mod pace;

use lookup::{Found, Lookup};
pub(super) use pace::Pace;

/// Most tokens that are proposed at once.
pub(super) const MOST: usize = 7;
/// Tokens after which one is proposed all the same, to see whether it pays by now.
const TRY_AFTER: usize = 64;
/// How much a proposal must promise to gain, as a share of a step: below, it is not worth the blocks.
const LEAST_GAIN: f64 = 0.02;
/// What a round of guesses leaves of the weight of those before.
const FADE: f64 = 0.85;

/// The other work of the step that a proposal would be a part of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Sequences that get their next token.
    pub(super) sequences: usize,
    /// Rows of the step so far, those of other proposals included.
    pub(super) rows: usize,
    /// Tokens of prompts in the step.
    pub(super) prompts: usize,
}

/// How often guesses of one kind were right, newer ones counting more.
#[derive(Clone, Copy, Debug)]
struct Record {
    right: f64,
    of: f64,
}

/// Guesses for one sequence.
#[derive(Debug)]
pub(super) struct Draft {
    lookup: Lookup,
    /// By how much text led up to the guess.
    records: [Record; 4],
    /// The kind of what is proposed now.
    proposed: Option<usize>,
    /// Tokens since something was proposed.
    idle: usize,
}

impl Draft {
    pub(super) fn new() -> Self {
        // The longer the text that led up to it, the likelier a guess is right; two tokens alone mean little.
        let records = [0.3, 0.5, 0.7, 0.85].map(|rate| Record { right: 2.0 * rate, of: 2.0 });
        Self { lookup: Lookup::default(), records, proposed: None, idle: 0 }
    }

    /// What may follow `tokens`: at most `most`, and none where it would not pay.
    pub(super) fn propose(&mut self, tokens: &[u32], most: usize, load: Load, pace: &Pace) -> Vec<u32> {
        self.proposed = None;
        self.idle += 1;
        let Some(found) = self.lookup.find(tokens) else { return Vec::new() };
        let kind = kind(&found);
        let mut count = self.worth(kind, load, pace);
        if count == 0 && self.idle >= TRY_AFTER {
            count = 1;
        }
        let count = count.min(most).min(MOST);
        if count == 0 {
            return Vec::new();
        }
        self.idle = 0;
        self.proposed = Some(kind);
        found.continuation(tokens, count)
    }

    /// Records how many of the last proposal's tokens that were computed were right.
    pub(super) fn judge(&mut self, computed: usize, right: usize) {
        let Some(kind) = self.proposed.take() else { return };
        if let Some(record) = self.records.get_mut(kind).filter(|_| computed > 0) {
            // After the first that is wrong nothing is known of the others.
            let judged = if right < computed { right + 1 } else { right };
            record.right = record.right * FADE + right as f64;
            record.of = record.of * FADE + judged as f64;
        }
    }

    /// How many tokens to propose so that the most tokens come out in a time; 0 where none is best.
    fn worth(&self, kind: usize, load: Load, pace: &Pace) -> usize {
        let rate = self.records.get(kind).map_or(0.0, |record| record.right / record.of.max(f64::MIN_POSITIVE));
        let sequences = load.sequences.max(1) as f64;
        let (mut best, mut count, mut expected, mut chance) = (1.0 + LEAST_GAIN, 0, 0.0, 1.0);
        for more in 1..=MOST {
            chance *= rate;
            expected += chance;
            let gain = (1.0 + expected / sequences) / pace.slower(load, more);
            if gain > best {
                (best, count) = (gain, more);
            }
        }
        count
    }
}

fn kind(found: &Found) -> usize {
    match found.matched {
        ..=2 => 0,
        3 => 1,
        4..=7 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Load = Load { sequences: 1, rows: 1, prompts: 0 };

    /// A machine on which each further row takes so much of the first one's time.
    fn machine(cost: f64) -> Pace {
        let mut pace = Pace::default();
        for rows in 1..=40 {
            pace.record(rows, 1.0 + cost * (rows - 1) as f64);
        }
        pace
    }

    /// Tokens in which everything but the very first comes round again.
    fn refrain(length: usize) -> Vec<u32> {
        (0..length as u32).map(|n| n % 20).collect()
    }

    #[test]
    fn what_followed_before_is_proposed() {
        let mut draft = Draft::new();
        let proposal = draft.propose(&refrain(50), 7, ALONE, &machine(0.02));
        assert_eq!(proposal, [10, 11, 12, 13, 14, 15, 16]);
        assert_eq!(draft.propose(&refrain(51), 3, ALONE, &machine(0.02)), [11, 12, 13]);
        let new: Vec<u32> = (0..50).collect();
        assert!(Draft::new().propose(&new, 7, ALONE, &machine(0.02)).is_empty());
    }

    #[test]
    fn guesses_that_are_wrong_are_given_up_but_for_a_try_now_and_then() {
        let (mut draft, pace) = (Draft::new(), machine(0.25));
        let (mut rows, mut last) = (0, 0);
        for length in 40..640 {
            let proposal = draft.propose(&refrain(length), 7, ALONE, &pace);
            draft.judge(proposal.len(), 0);
            rows += proposal.len();
            if length >= 140 {
                last += proposal.len();
            }
        }
        assert!((1..=500 / TRY_AFTER + 1).contains(&last), "{last}");
        // All that was in vain, in steps: of 600.
        assert!(rows as f64 * 0.25 < 600.0 * 0.03, "{rows}");
    }

    #[test]
    fn guesses_that_come_right_again_are_taken_up_again() {
        let (mut draft, pace) = (Draft::new(), machine(0.25));
        for length in 40..240 {
            let proposal = draft.propose(&refrain(length), 7, ALONE, &pace);
            draft.judge(proposal.len(), 0);
        }
        let mut right = 0;
        for length in 240..640 {
            let proposal = draft.propose(&refrain(length), 7, ALONE, &pace);
            draft.judge(proposal.len(), proposal.len());
            right += proposal.len();
        }
        assert!(right > 400, "{right}");
    }

    #[test]
    fn the_dearer_a_row_the_less_is_proposed() {
        let proposed = |cost: f64| Draft::new().propose(&refrain(50), 7, ALONE, &machine(cost)).len();
        assert_eq!(proposed(0.01), 7);
        assert!((1..7).contains(&proposed(0.3)), "{}", proposed(0.3));
        assert_eq!(proposed(1.0), 0);
    }

    #[test]
    fn among_many_sequences_a_guess_must_pay_for_all_that_it_holds_up() {
        let crowd = Load { sequences: 16, rows: 16, prompts: 0 };
        let dear = machine(0.9);
        assert!(!Draft::new().propose(&refrain(50), 7, crowd, &machine(0.01)).is_empty());
        assert!(Draft::new().propose(&refrain(50), 7, crowd, &dear).is_empty());
        // In a step that computes a prompt a row costs next to nothing.
        let beside = Load { prompts: 128, ..ALONE };
        assert_eq!(Draft::new().propose(&refrain(50), 7, beside, &dear).len(), 7);
    }
}
