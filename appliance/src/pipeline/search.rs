//! A search and the reading of a document under the tenant's guardrail: the query is screened as a question is, and what may stand in
//! no answer is shown to nobody who searches or reads.
//!
//! **What it is not:** a way to an answer. Nothing that is found here goes on to a prompt.
//!
//! # Why
//! - **Blacked out, character for character**, so that every place that a citation, a passage or a record names is still the right one.
//! - **A passage that is denied as a whole is left out and counted**: about a denied topic, with filtered content, or under a title or heading
//!   that gives orders or names a patient.
//! - **Topics and content are not looked for in a document that is read whole**: they are what one asks about, and a document is read
//!   where a citation led. Orders, identifiers of patients and denied words are.

use cloister_governance::audit::{Document, Outcome};
use cloister_guardrails::{
    redact::Placeholders,
    screen as guard,
    split::{self, Span},
};
use cloister_knowledge::{DocumentText, Found, Passage, Query, Scope};
use cloister_terms::CollectionId;

use super::{Ports, knowledge::blocking, quarantine::Quarantine, stop::Stop};

/// What stands for a character that is not shown.
const BLACK: char = '\u{2588}';

/// What was found and may be shown.
pub(crate) struct Searched {
    /// Best first.
    pub(crate) passages: Vec<Shown>,
    /// Best cosine, 0 to 1.
    pub(crate) similarity: f32,
    /// Share of the query's words in the best passages, 0 to 1.
    pub(crate) coverage: f32,
    /// Passages that are not shown.
    pub(crate) withheld: usize,
    outcome: Outcome,
}

/// A passage as it may be shown.
pub(crate) struct Shown {
    pub(crate) passage: Passage,
    /// How many of its characters are blacked out.
    pub(crate) withheld: usize,
}

impl Searched {
    /// Whether the guardrail kept anything back.
    pub(crate) fn is_intervened(&self) -> bool {
        self.withheld > 0 || self.passages.iter().any(|shown| shown.withheld > 0)
    }

    /// What the audit log keeps: documents, the guardrail, and how much of what was kept back. No text.
    pub(crate) fn outcome(&self) -> Outcome {
        let mut documents: Vec<_> = self
            .passages
            .iter()
            .map(|Shown { passage, .. }| (passage.collection.clone(), passage.document, passage.version.clone()))
            .collect();
        documents.sort();
        documents.dedup();
        documents.into_iter().fold(self.outcome.clone(), |outcome, (collection, document, version)| {
            outcome.with_document(Document { collection, document, version })
        })
    }
}

/// Searches one collection, which must be there.
///
/// # Errors
/// [`Stop::Blocked`]: the query is refused as a question would be. [`Stop::Failed`]: there is no such collection, or what a search or a
/// judgement needs fails.
pub(crate) async fn search(
    ports: &Ports,
    scope: Scope,
    collection: CollectionId,
    query: Query,
) -> Result<Searched, Stop> {
    let clean = guard::screen(&query.text, ports.settings.question_characters, &[]);
    let text = clean.map_err(|refusal| Stop::invalid("query", format!("query: {refusal}")))?.text;
    ports.guardrail.screen(&ports.embed, &text, ports.settings.attack.question).await?;
    let masked = ports.identifiers.question(text, &mut Placeholders::default(), ports.random.as_ref())?;
    let (knowledge, identifiers) = (ports.knowledge.clone(), ports.identifiers.clone());
    let (strength, query) = (ports.settings.attack.document, Query { text: masked.sought, ..query });
    let (found, before, quarantine) = blocking(move || {
        if !knowledge.collections()?.contains(&collection) {
            return Err(Stop::not_found(format!("collection `{collection}`")));
        }
        let mut found = knowledge.search(&scope, &query)?;
        let before = found.passages.len();
        let quarantine = Quarantine::of(&mut found, &mut Vec::new(), strength, &identifiers);
        Ok((found, before, quarantine))
    })
    .await?;
    let Found { passages, strength, .. } = found;
    let denied = ports.guardrail.denies(&ports.embed, passages.iter().map(|p| p.text.clone()).collect()).await?;
    let shown = passages.into_iter().enumerate().zip(&denied).filter(|(_, denied)| !**denied);
    let passages: Vec<Shown> = shown.map(|((index, p), _)| shown_of(ports, p, quarantine.places(index))).collect();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let outcome = Outcome::done()
        .with_guardrail(ports.guardrail.applied())
        .with_count("passages", count(passages.len()))
        .with_count("quarantined", count(quarantine.orders()))
        .with_count("identifiers_kept_out", count(quarantine.identifying()))
        .with_count("topics_kept_out", count(denied.iter().filter(|denied| **denied).count()))
        .with_count("identifiers_masked", count(masked.interventions.len()));
    let (similarity, coverage) = (strength.cosine.clamp(0.0, 1.0), strength.coverage.clamp(0.0, 1.0));
    let withheld = before - passages.len();
    Ok(Searched { passages, similarity, coverage, withheld, outcome })
}

fn shown_of(ports: &Ports, mut passage: Passage, places: impl Iterator<Item = Span>) -> Shown {
    let places: Vec<Span> = places.chain(words(ports, &passage.text)).collect();
    let withheld = black_out(&mut passage.text, &places);
    Shown { passage, withheld }
}

/// Blacks out what may not be read of a document; what the audit log keeps of that, and how many characters it is. Blocks.
pub(crate) fn read(ports: &Ports, document: &mut DocumentText) -> (Outcome, usize) {
    let (mut orders, mut identifying, mut withheld) = (0, 0, 0);
    for text in [&mut document.title, &mut document.text] {
        let (ordering, naming) = Quarantine::places_of(text, ports.settings.attack.document, &ports.identifiers);
        orders += ordering.len();
        identifying += naming.len();
        let places: Vec<Span> = ordering.into_iter().chain(naming).chain(words(ports, text)).collect();
        withheld += black_out(text, &places);
    }
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let outcome = Outcome::done()
        .with_guardrail(ports.guardrail.applied())
        .with_count("quarantined", count(orders))
        .with_count("identifiers_kept_out", count(identifying));
    (outcome, withheld)
}

/// The sentences with a word that is not said.
fn words(ports: &Ports, text: &str) -> Vec<Span> {
    if !ports.guardrail.withholds(text) {
        return Vec::new();
    }
    let mut sentences = split::sentences(text);
    sentences.retain(|sentence| ports.guardrail.withholds(sentence.of(text)));
    // What no sentence holds by itself runs over the end of one: then nothing is shown.
    if sentences.is_empty() { vec![Span { start: 0, end: text.len() }] } else { sentences }
}

/// Puts [`BLACK`] for every character of these places but line feeds; how many that were.
fn black_out(text: &mut String, places: &[Span]) -> usize {
    if places.is_empty() {
        return 0;
    }
    let (mut blacked, mut count) = (String::with_capacity(text.len()), 0);
    for (at, character) in text.char_indices() {
        let hidden = character != '\n' && places.iter().any(|place| place.start <= at && at < place.end);
        blacked.push(if hidden { BLACK } else { character });
        count += usize::from(hidden);
    }
    *text = blacked;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_blacked_out_keeps_every_other_character_in_its_place() {
        let mut text = "Für Ana.\nCall 5.".to_owned();
        let place = Span { start: text.find("Ana").unwrap(), end: text.find('.').unwrap() };
        assert_eq!(black_out(&mut text, &[place, place]), 3);
        assert_eq!(text, "Für ███.\nCall 5.");
        let mut lines = "a\nb".to_owned();
        let all = Span { start: 0, end: lines.len() };
        assert_eq!((black_out(&mut lines, &[all]), lines.as_str()), (2, "█\n█"));
    }
}
