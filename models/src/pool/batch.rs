//! Which sequences are computed together: the scheduling step of an embedding pool, without any model.

/// One sequence and where its vector goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) request: u64,
    pub(super) index: usize,
    pub(super) tokens: Vec<u32>,
}

struct Waiting {
    request: u64,
    /// Sorted by length, the longest last.
    sequences: Vec<(usize, Vec<u32>)>,
}

/// The sequences still to compute, by request, the oldest first.
pub(super) struct Batcher {
    waiting: Vec<Waiting>,
    round: u64,
    /// Most tokens in one batch, unless a single sequence has more.
    budget: usize,
}

impl Waiting {
    fn tokens(&self) -> usize {
        self.sequences.iter().map(|(_, tokens)| tokens.len()).sum()
    }
}

impl Batcher {
    /// `budget` is how many tokens a batch may have: few enough that a short query waits a fraction of a second behind a
    /// large ingest, enough that all threads are busy to the end.
    pub(super) fn new(budget: usize) -> Self {
        Self { waiting: Vec::new(), round: 0, budget }
    }

    pub(super) fn add(&mut self, request: u64, sequences: Vec<Vec<u32>>) {
        let mut sequences: Vec<(usize, Vec<u32>)> = sequences.into_iter().enumerate().collect();
        sequences.sort_by_key(|(_, tokens)| tokens.len());
        if !sequences.is_empty() {
            self.waiting.push(Waiting { request, sequences });
        }
    }

    pub(super) fn forget(&mut self, request: u64) {
        self.waiting.retain(|waiting| waiting.request != request);
    }

    /// The next batch; empty once nothing waits. Rounds alternate between the oldest request and those with the least left,
    /// so that neither a query behind an ingest nor an ingest among queries waits for ever. Where requests with little left
    /// fit a batch as a whole, it is made of them alone: they need not wait for a part of a large one.
    pub(super) fn next(&mut self) -> Vec<Piece> {
        self.round += 1;
        let mut order: Vec<(usize, usize)> = self.waiting.iter().map(Waiting::tokens).enumerate().collect();
        let mut left = self.budget;
        if !self.round.is_multiple_of(2) {
            order.sort_by_key(|(_, tokens)| *tokens);
            let mut room = self.budget;
            let whole =
                order.iter().take_while(|(_, tokens)| room.checked_sub(*tokens).map(|rest| room = rest).is_some());
            let whole = whole.count();
            order.truncate(whole.max(1));
        }
        let mut batch: Vec<Piece> = Vec::new();
        for (at, _) in order {
            let Some(waiting) = self.waiting.get_mut(at) else { break };
            while let Some((_, tokens)) = waiting.sequences.last() {
                if tokens.len() > left && !batch.is_empty() {
                    break;
                }
                left = left.saturating_sub(tokens.len().max(1));
                if let Some((index, tokens)) = waiting.sequences.pop() {
                    batch.push(Piece { request: waiting.request, index, tokens });
                }
            }
        }
        self.waiting.retain(|waiting| !waiting.sequences.is_empty());
        batch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: usize = 2048;

    #[test]
    fn a_short_query_does_not_wait_for_a_large_ingest() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, vec![vec![0; 200]; 500]);
        batcher.next();
        batcher.add(2, vec![vec![0; 8]]);
        let waited = (1..).find(|_| batcher.next().iter().any(|piece| piece.request == 2)).unwrap();
        assert!(waited <= 2, "waited {waited} batches");
    }

    #[test]
    fn every_other_batch_is_left_to_what_is_soon_done() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, vec![vec![0; 200]; 500]);
        batcher.next();
        batcher.next();
        batcher.add(2, vec![vec![0; 8]]);
        batcher.add(3, vec![vec![0; 9]; 2]);
        let requests: Vec<u64> = batcher.next().iter().map(|piece| piece.request).collect();
        assert_eq!(requests, [2, 3, 3]);
        assert_eq!(batcher.next().len(), BUDGET / 200);
    }

    #[test]
    fn a_large_ingest_goes_on_however_many_queries_come() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, vec![vec![0; 200]; 100]);
        for query in 2..40 {
            batcher.add(query, vec![vec![0; 8]]);
            batcher.next();
        }
        assert!(batcher.waiting.iter().all(|waiting| waiting.request != 1));
    }

    #[test]
    fn a_request_that_was_forgotten_is_never_computed() {
        let mut batcher = Batcher::new(BUDGET);
        batcher.add(1, vec![vec![0; 3]; 5]);
        batcher.add(2, vec![vec![0; 3]]);
        batcher.forget(1);
        assert_eq!(batcher.next().len(), 1);
        assert!(batcher.next().is_empty());
    }

    proptest! {
        #[test]
        fn every_sequence_is_computed_once_and_no_batch_is_over_budget(
            requests in prop::collection::vec(prop::collection::vec(1usize..600, 0..50), 1..6)
        ) {
            let mut batcher = Batcher::new(BUDGET);
            let mut expected = Vec::new();
            for (request, lengths) in (0u64..).zip(&requests) {
                expected.extend(lengths.iter().enumerate().map(|(index, length)| (request, index, *length)));
                batcher.add(request, lengths.iter().map(|length| vec![0; *length]).collect());
            }
            let mut seen = Vec::new();
            loop {
                let batch = batcher.next();
                if batch.is_empty() {
                    break;
                }
                let tokens: usize = batch.iter().map(|piece| piece.tokens.len()).sum();
                prop_assert!(batch.len() == 1 || tokens <= BUDGET);
                seen.extend(batch.into_iter().map(|piece| (piece.request, piece.index, piece.tokens.len())));
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
