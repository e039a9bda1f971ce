//! Places of the evidence that give orders to a model, or hold a patient's identifier. They stand in no prompt and in no answer.

use std::time::{Duration, Instant};

use cloister_guardrails::{
    attack::{self, Strength, Where},
    redact::Side,
    split::Span,
};
use cloister_knowledge::{Found, PairMatch, Passage};

use super::{identifiers::Identifiers, sentence::context};

/// Places that are kept out, by passage.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    places: Vec<(usize, Span)>,
    /// How many of the places, passages and pairs give orders.
    orders: usize,
    /// How many of them hold a patient's identifier.
    identifying: usize,
    /// How long finding them took.
    took: Duration,
}

impl Quarantine {
    /// Looks through what was found. A passage whose title, headings, file name or curated question give orders or name a patient is dropped,
    /// since they stand over all that it says; so is a curated pair, since its answer is given whole. Of other passages the places are
    /// kept out.
    pub(super) fn of(
        found: &mut Found,
        pairs: &mut Vec<PairMatch>,
        strength: Strength,
        identifiers: &Identifiers,
    ) -> Self {
        let since = Instant::now();
        let mut quarantine = Self::default();
        pairs.retain(|pair| {
            quarantine.lets_through(&format!("{}\n{}", pair.question, pair.answer), strength, identifiers)
        });
        found.passages.retain(|passage| quarantine.lets_through(&over(passage), strength, identifiers));
        for (index, passage) in found.passages.iter().enumerate() {
            quarantine.add(index, passage, strength, identifiers);
        }
        quarantine.took = since.elapsed();
        quarantine
    }

    /// How long finding them took.
    pub(super) const fn took(&self) -> Duration {
        self.took
    }

    /// Whether a text that is kept or dropped whole may stay; counted if not.
    fn lets_through(&mut self, text: &str, strength: Strength, identifiers: &Identifiers) -> bool {
        let orders = strength.blocks(attack::assess(text, Where::Document).confidence);
        let identifying = !identifiers.kept_out(text, Side::Evidence).is_empty();
        self.orders += usize::from(orders);
        self.identifying += usize::from(identifying);
        !orders && !identifying
    }

    fn add(&mut self, index: usize, passage: &Passage, strength: Strength, identifiers: &Identifiers) {
        let (orders, identifying) = Self::places_of(&passage.text, strength, identifiers);
        self.orders += orders.len();
        self.identifying += identifying.len();
        self.places.extend(orders.into_iter().chain(identifying).map(|span| (index, span)));
    }

    /// Places of a text that give orders, and those that hold a patient's identifier.
    pub(super) fn places_of(text: &str, strength: Strength, identifiers: &Identifiers) -> (Vec<Span>, Vec<Span>) {
        let orders = attack::planted(text, strength).into_iter().map(|found| found.span).collect();
        (orders, identifiers.kept_out(text, Side::Evidence))
    }

    /// Places of a passage that are kept out.
    pub(super) fn places(&self, passage: usize) -> impl Iterator<Item = Span> {
        self.places.iter().filter(move |(index, _)| *index == passage).map(|(_, span)| *span)
    }

    /// Whether a place of a passage overlaps one that is kept out.
    pub(super) fn touches(&self, passage: usize, span: Span) -> bool {
        self.places.iter().any(|(index, kept)| *index == passage && kept.start < span.end && span.start < kept.end)
    }

    /// How many places, passages and pairs are kept out since they give orders.
    pub(super) const fn orders(&self) -> usize {
        self.orders
    }

    /// How many since they hold a patient's identifier.
    pub(super) const fn identifying(&self) -> usize {
        self.identifying
    }
}

/// What stands over a passage: title, headings, the file's name, and the question that it answers.
pub(super) fn over(passage: &Passage) -> String {
    let question = passage.pair.as_ref().map_or("", |pair| pair.question.as_str());
    format!("{}\n{}\n{question}", context(passage), passage.name)
}
