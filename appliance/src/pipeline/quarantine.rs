//! Places of the evidence that give orders to a model. They stand in no prompt and in no answer.

use cloister_guardrails::{
    attack::{self, Strength, Where},
    split::Span,
};
use cloister_knowledge::{Found, PairMatch, Passage};

use super::sentence::context;

/// Places that are kept out, by passage.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    places: Vec<(usize, Span)>,
    /// Passages and pairs that were left out whole.
    dropped: usize,
}

impl Quarantine {
    /// Looks through what was found. A passage whose title or headings give orders is dropped, since they stand over all
    /// that it says; so is a curated pair, since its answer is given whole. Of other passages the places are kept out.
    pub(super) fn of(found: &mut Found, pairs: &mut Vec<PairMatch>, strength: Strength) -> Self {
        let mut quarantine = Self::default();
        if strength == Strength::None {
            return quarantine;
        }
        let gives_orders = |text: &str| strength.blocks(attack::assess(text, Where::Document).confidence);
        let before = found.passages.len() + pairs.len();
        pairs.retain(|pair| !gives_orders(&format!("{}\n{}", pair.question, pair.answer)));
        found.passages.retain(|passage| !gives_orders(&context(passage)));
        quarantine.dropped = before - found.passages.len() - pairs.len();
        for (index, passage) in found.passages.iter().enumerate() {
            quarantine.add(index, passage, strength);
        }
        quarantine
    }

    fn add(&mut self, index: usize, passage: &Passage, strength: Strength) {
        let planted = attack::planted(&passage.text, strength);
        self.places.extend(planted.into_iter().map(|found| (index, found.span)));
    }

    /// Whether a place of a passage overlaps one that is kept out.
    pub(super) fn touches(&self, passage: usize, span: Span) -> bool {
        self.places.iter().any(|(index, kept)| *index == passage && kept.start < span.end && span.start < kept.end)
    }

    /// How many places, passages and pairs are kept out.
    pub(super) const fn count(&self) -> usize {
        self.places.len() + self.dropped
    }
}
