//! Where the last tokens of a text stand in it already.

use std::collections::HashMap;

/// Tokens of a match beyond these say no more.
const LONGEST: usize = 16;

/// The places where pairs and triples of tokens were last seen: the position after them.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    pairs: HashMap<[u32; 2], usize>,
    triples: HashMap<[u32; 3], usize>,
    /// Positions that are entered.
    entered: usize,
}

/// An earlier place where the last tokens stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The position after them.
    after: usize,
    /// How many of the last tokens it matches, as far as that is looked at.
    pub(super) matched: usize,
}

impl Lookup {
    /// The last place before the end of `tokens` that ends as they do: in three tokens, else in two. Every call gives the tokens of the one
    /// before and further ones.
    pub(super) fn find(&mut self, tokens: &[u32]) -> Option<Found> {
        let (pair, triple): ([u32; 2], [u32; 3]) = (*tokens.last_chunk()?, *tokens.last_chunk()?);
        // The end itself is entered by the next call: it would only find itself.
        for end in self.entered + 1..tokens.len() {
            let Some(before) = tokens.get(..end) else { break };
            if let Some(pair) = before.last_chunk() {
                self.pairs.insert(*pair, end);
            }
            if let Some(triple) = before.last_chunk() {
                self.triples.insert(*triple, end);
            }
        }
        self.entered = tokens.len() - 1;
        let after = *self.triples.get(&triple).or_else(|| self.pairs.get(&pair))?;
        let before = tokens.get(..after)?;
        let same = before.iter().rev().zip(tokens.iter().rev()).take(LONGEST).take_while(|(a, b)| a == b);
        Some(Found { after, matched: same.count() })
    }
}

impl Found {
    /// The tokens that followed there. Where they reach the end of the text they go on with themselves, as a text does that repeats itself.
    pub(super) fn continuation(self, tokens: &[u32], count: usize) -> Vec<u32> {
        let followed = tokens.get(self.after..).unwrap_or_default();
        followed.iter().cycle().take(count).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_place_of_the_longer_match_is_found() {
        let mut lookup = Lookup::default();
        let tokens = [1, 2, 3, 40, 9, 2, 3, 50, 1, 2, 3];
        // `1 2 3` stands at the beginning; the later `2 3` is only a pair.
        assert_eq!(lookup.find(&tokens), Some(Found { after: 3, matched: 3 }));
        assert_eq!(lookup.find(&[&tokens[..], &[77]].concat()), None);
        let found = lookup.find(&[&tokens[..], &[77, 2, 3]].concat()).unwrap();
        assert_eq!(found, Found { after: 11, matched: 2 });
    }

    #[test]
    fn a_text_that_repeats_itself_is_continued_past_its_end() {
        let tokens = [5, 6, 7, 5, 6, 7, 5];
        let found = Lookup::default().find(&tokens).unwrap();
        assert_eq!(found.continuation(&tokens, 7), [6, 7, 5, 6, 7, 5, 6]);
    }

    proptest! {
        /// Grown in any steps, the same is found as by looking through the whole text.
        #[test]
        fn what_is_found_is_there_and_is_the_last(tokens in prop::collection::vec(0u32..4, 3..60), steps in 1usize..5) {
            let mut lookup = Lookup::default();
            for end in (3..=tokens.len()).step_by(steps) {
                let tokens = &tokens[..end];
                let last = |length: usize| (length..end).rev().find(|at| tokens[at - length..*at] == tokens[end - length..]);
                let expected = last(3).or_else(|| last(2));
                let found = lookup.find(tokens);
                prop_assert_eq!(found.map(|found| found.after), expected);
                if let Some(Found { after, matched }) = found {
                    prop_assert!(matched >= 2 && tokens[after - matched..after] == tokens[end - matched..]);
                }
            }
        }
    }
}
