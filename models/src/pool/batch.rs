//! Which sequences are computed together: the scheduling step of an embedding pool, without any model.
//!
//! A batch is of one class: the most urgent that waits, so that a question never shares its batch with documents, but a class that was passed
//! over [`PASSED`] times is next. Within a class rounds alternate between the tenant that was served least and the requests with the least left.

use super::share::{Priority, Shares, Standing};
use crate::task::embed::Sequence;

/// Rounds that a class is passed over for more urgent ones before it is its turn.
const PASSED: usize = 7;

/// One sequence and where its vector goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) request: u64,
    pub(super) index: usize,
    pub(super) sequence: Sequence,
}

struct Waiting {
    request: u64,
    standing: Standing,
    /// Sorted by length, the longest last.
    sequences: Vec<(usize, Sequence)>,
}

/// What a class has been through.
#[derive(Clone, Copy, Default)]
struct Turns {
    /// Rounds that it had.
    had: u64,
    /// Rounds since that others had while it waited.
    passed: usize,
}

/// The sequences still to compute, by request, the oldest first.
pub(super) struct Batcher {
    waiting: Vec<Waiting>,
    shares: Shares,
    turns: [Turns; Priority::ALL.len()],
    /// Most tokens in one batch, unless a single sequence has more.
    budget: usize,
}

impl Waiting {
    fn tokens(&self) -> usize {
        self.sequences.iter().map(|(_, sequence)| sequence.len()).sum()
    }
}

impl Batcher {
    /// `budget` is how many tokens a batch may have: few enough that a short query waits a fraction of a second behind a
    /// large ingest, enough that all threads are busy to the end.
    pub(super) fn new(budget: usize) -> Self {
        Self { waiting: Vec::new(), shares: Shares::default(), turns: Default::default(), budget }
    }

    /// Requests of that standing that there is room for, where each tenant of a class may have `most`.
    pub(super) fn room(&self, standing: Standing, most: usize) -> usize {
        self.shares.room(standing, most)
    }

    pub(super) fn add(&mut self, request: u64, standing: Standing, sequences: Vec<Sequence>) {
        let mut sequences: Vec<(usize, Sequence)> = sequences.into_iter().enumerate().collect();
        sequences.sort_by_key(|(_, sequence)| sequence.len());
        if !sequences.is_empty() {
            self.shares.enter(standing);
            self.waiting.push(Waiting { request, standing, sequences });
        }
    }

    pub(super) fn forget(&mut self, request: u64) {
        self.keep(|waiting| waiting.request != request);
    }

    /// The next batch; empty once nothing waits. Rounds alternate between whose tenant was served least, the oldest first, and those with
    /// the least left, so that neither a query behind an ingest nor an ingest among queries waits for ever. Where requests with little left
    /// fit a batch as a whole, it is made of them alone: they need not wait for a part of a large one.
    pub(super) fn next(&mut self) -> Vec<Piece> {
        let Some((class, round)) = self.turn() else { return Vec::new() };
        let of_class = self.waiting.iter().enumerate().filter(|(_, waiting)| waiting.standing.priority == class);
        let mut left = self.budget;
        let order: Vec<usize> = if round.is_multiple_of(2) {
            let mut order: Vec<(u64, usize)> =
                of_class.map(|(at, waiting)| (self.shares.served(waiting.standing), at)).collect();
            order.sort_unstable();
            order.into_iter().map(|(_, at)| at).collect()
        } else {
            let mut order: Vec<(usize, usize)> = of_class.map(|(at, waiting)| (waiting.tokens(), at)).collect();
            order.sort_unstable();
            let mut room = self.budget;
            let fits = |(tokens, _): &&(usize, usize)| room.checked_sub(*tokens).map(|rest| room = rest).is_some();
            let whole = order.iter().take_while(fits).count();
            order.into_iter().take(whole.max(1)).map(|(_, at)| at).collect()
        };
        let mut batch: Vec<Piece> = Vec::new();
        for at in order {
            let Some(waiting) = self.waiting.get_mut(at) else { break };
            while let Some((_, sequence)) = waiting.sequences.last() {
                if sequence.len() > left && !batch.is_empty() {
                    break;
                }
                left = left.saturating_sub(sequence.len().max(1));
                if let Some((index, sequence)) = waiting.sequences.pop() {
                    self.shares.charge(waiting.standing, sequence.len());
                    batch.push(Piece { request: waiting.request, index, sequence });
                }
            }
        }
        self.keep(|waiting| !waiting.sequences.is_empty());
        batch
    }

    /// The class whose turn it is, and how many it had.
    fn turn(&mut self) -> Option<(Priority, u64)> {
        let waits = |class: Priority| self.waiting.iter().any(|waiting| waiting.standing.priority == class);
        let mut waiting = Priority::ALL.into_iter().zip(&mut self.turns).filter(|(class, _)| waits(*class));
        let mut next = waiting.next()?;
        for (class, turns) in waiting {
            turns.passed += 1;
            if turns.passed > PASSED && next.1.passed <= PASSED {
                next = (class, turns);
            }
        }
        let (class, turns) = next;
        (turns.had, turns.passed) = (turns.had + 1, 0);
        Some((class, turns.had))
    }

    fn keep(&mut self, wanted: impl Fn(&Waiting) -> bool) {
        for gone in self.waiting.extract_if(.., |waiting| !wanted(waiting)) {
            self.shares.leave(gone.standing);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: usize = 2048;
    const QUESTION: Standing = Standing { priority: Priority::Interactive, tenant: 0 };
    const DOCUMENTS: Standing = Standing { priority: Priority::Ingest, tenant: 0 };

    fn texts(count: usize, length: usize) -> Vec<Sequence> {
        vec![Sequence::one(vec![0; length]); count]
    }

    fn of(batch: &[Piece], request: u64) -> usize {
        batch.iter().filter(|piece| piece.request == request).count()
    }

    #[test]
    fn a_question_goes_before_any_number_of_documents_and_alone() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, DOCUMENTS, texts(500, 200));
        batcher.next();
        for question in 2..9 {
            batcher.add(question, QUESTION, texts(1, 8));
            let batch = batcher.next();
            assert_eq!((batch.len(), of(&batch, question)), (1, 1));
        }
    }

    #[test]
    fn documents_have_one_round_in_eight_however_many_questions_come() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, DOCUMENTS, texts(1000, 200));
        batcher.add(2, Standing { priority: Priority::Batch, tenant: 3 }, texts(1000, 200));
        let mut had = [0; 2];
        for question in 3..163 {
            batcher.add(question, QUESTION, texts(30, 100));
            let batch = batcher.next();
            had[0] += usize::from(of(&batch, 1) > 0);
            had[1] += usize::from(of(&batch, 2) > 0);
        }
        assert!(had.iter().all(|had| (18..=20).contains(had)), "{had:?}");
    }

    #[test]
    fn tenants_get_the_same_however_much_one_of_them_asks() {
        let mut batcher = Batcher::new(BUDGET);
        let standing = |tenant| Standing { priority: Priority::Ingest, tenant };
        for request in 0..20 {
            batcher.add(request, standing(1), texts(100, 200));
        }
        batcher.next();
        batcher.add(20, standing(2), texts(500, 150));
        let mut had = [0; 2];
        for _ in 0..40 {
            let batch = batcher.next();
            had[0] += batch.iter().filter(|piece| piece.request < 20).map(|piece| piece.sequence.len()).sum::<usize>();
            had[1] += batch.iter().filter(|piece| piece.request == 20).map(|piece| piece.sequence.len()).sum::<usize>();
        }
        assert!(had[1] * 3 > had[0], "{had:?}");
    }

    #[test]
    fn a_short_query_does_not_wait_for_a_large_ingest() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, QUESTION, texts(500, 200));
        batcher.next();
        batcher.add(2, QUESTION, texts(1, 8));
        let waited = (1..).find(|_| batcher.next().iter().any(|piece| piece.request == 2)).unwrap();
        assert!(waited <= 2, "waited {waited} batches");
    }

    #[test]
    fn every_other_batch_is_left_to_what_is_soon_done() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, QUESTION, texts(500, 200));
        batcher.next();
        batcher.next();
        batcher.add(2, QUESTION, texts(1, 8));
        batcher.add(3, QUESTION, texts(2, 9));
        let requests: Vec<u64> = batcher.next().iter().map(|piece| piece.request).collect();
        assert_eq!(requests, [2, 3, 3]);
        assert_eq!(batcher.next().len(), BUDGET / 200);
    }

    #[test]
    fn a_large_ingest_goes_on_however_many_queries_come() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, QUESTION, texts(100, 200));
        for query in 2..40 {
            batcher.add(query, QUESTION, texts(1, 8));
            batcher.next();
        }
        assert!(batcher.waiting.iter().all(|waiting| waiting.request != 1));
    }

    #[test]
    fn a_request_that_was_forgotten_is_never_computed() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, QUESTION, texts(5, 3));
        batcher.add(2, QUESTION, texts(1, 3));
        batcher.forget(1);
        assert_eq!(batcher.next().len(), 1);
        assert!(batcher.next().is_empty());
    }

    proptest! {
        #[test]
        fn every_sequence_is_computed_once_and_no_batch_is_over_budget(
            requests in prop::collection::vec(prop::collection::vec(1usize..600, 0..50), 1..9),
            standings in prop::collection::vec((0usize..3, 0u64..3), 9),
        ) {
            let mut batcher = Batcher::new(BUDGET);
            let mut expected = Vec::new();
            for (request, lengths) in (0u64..).zip(&requests) {
                expected.extend(lengths.iter().enumerate().map(|(index, length)| (request, index, *length)));
                let (class, tenant) = standings[request as usize];
                let standing = Standing { priority: Priority::ALL[class], tenant };
                batcher.add(request, standing, lengths.iter().map(|length| Sequence::one(vec![0; *length])).collect());
            }
            let mut seen = Vec::new();
            loop {
                let batch = batcher.next();
                if batch.is_empty() {
                    break;
                }
                let tokens: usize = batch.iter().map(|piece| piece.sequence.len()).sum();
                prop_assert!(batch.len() == 1 || tokens <= BUDGET);
                seen.extend(batch.into_iter().map(|piece| (piece.request, piece.index, piece.sequence.len())));
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(batcher.room(QUESTION, 5), 5);
        }
    }
}
