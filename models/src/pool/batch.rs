//! Which sequences are computed together: the scheduling step of an embedding pool, without any model.

/// Most sequences in one batch.
const MAX_SEQUENCES: usize = 64;
/// Most tokens in one batch, padding included. Small enough that a short query waits a fraction of a second behind a
/// large ingest, large enough that the matrix products run at full speed.
const MAX_PADDED_TOKENS: usize = 2048;

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
#[derive(Default)]
pub(super) struct Batcher {
    waiting: Vec<Waiting>,
    round: u64,
}

impl Batcher {
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

    /// The next batch; empty once nothing waits. Rounds alternate between the oldest request and the one with the least
    /// left, so that neither a query behind an ingest nor an ingest among queries waits for ever. The rest of the batch
    /// is filled with sequences of other requests that need no more padding than is there already.
    pub(super) fn next(&mut self) -> Vec<Piece> {
        self.round += 1;
        let shortest =
            || self.waiting.iter().enumerate().min_by_key(|(_, w)| w.sequences.len()).map_or(0, |(at, _)| at);
        let lead = if self.round.is_multiple_of(2) { 0 } else { shortest() };
        let order: Vec<usize> = std::iter::once(lead).chain((0..self.waiting.len()).filter(|at| *at != lead)).collect();
        let mut batch: Vec<Piece> = Vec::new();
        let mut width = 0;
        for at in order {
            let Some(waiting) = self.waiting.get_mut(at) else { break };
            while let Some((_, tokens)) = waiting.sequences.last() {
                if width == 0 {
                    width = tokens.len().max(1);
                }
                let full = batch.len() >= MAX_SEQUENCES || (batch.len() + 1) * width > MAX_PADDED_TOKENS;
                if tokens.len() > width || (full && !batch.is_empty()) {
                    break;
                }
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

    #[test]
    fn a_short_query_does_not_wait_for_a_large_ingest() {
        let mut batcher = Batcher::default();
        batcher.add(1, vec![vec![0; 200]; 500]);
        batcher.next();
        batcher.add(2, vec![vec![0; 8]]);
        let waited = (1..).find(|_| batcher.next().iter().any(|piece| piece.request == 2)).unwrap();
        assert!(waited <= 2, "waited {waited} batches");
    }

    #[test]
    fn a_request_that_was_forgotten_is_never_computed() {
        let mut batcher = Batcher::default();
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
            let mut batcher = Batcher::default();
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
                let width = batch.iter().map(|piece| piece.tokens.len()).max().unwrap();
                prop_assert!(batch.len() == 1 || batch.len() * width <= MAX_PADDED_TOKENS);
                prop_assert!(batch.len() <= MAX_SEQUENCES);
                seen.extend(batch.into_iter().map(|piece| (piece.request, piece.index, piece.tokens.len())));
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
    }
}
