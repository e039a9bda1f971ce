//! A search and the reading of a document under the tenant's guardrail: the query is screened as a question is, and what may stand in
//! no answer is shown to nobody who searches or reads.
//!
//! **What it is not:** a way to an answer. Nothing that is found here goes on to a prompt.
//!
//! # Why
//! - **Blacked out, character for character**, so that every place that a citation, a passage or a record names is still the right one.
//! - **A passage that is denied as a whole is left out and counted**: about a denied topic, with filtered content, or under a title, a heading,
//!   a curated question or a file's name that gives orders, names a patient or holds a denied word.
//! - **That something is kept back is not hidden**, only what it is: a passage was found, and a number says how much of it is black. How well
//!   a query fits a passage with something black in it is not told.
//! - **A passage is judged by itself**, a document as a whole, which may know a name again that a passage introduces nowhere.
//! - **Topics and content are not looked for in a document that is read whole**: they are what one asks about, and a document is read
//!   where a citation led. Orders, identifiers of patients and denied words are.

use std::sync::Arc;

use cloister_governance::audit::{Document, Outcome};
use cloister_guardrails::{
    redact::Placeholders,
    screen as guard,
    split::{self, Span},
};
use cloister_knowledge::{DocumentText, Passage, Query, Scope};
use cloister_terms::CollectionId;

use super::{
    Guardrail, Ports,
    knowledge::blocking,
    quarantine::{Quarantine, over},
    retrieve::DECIDING,
    stop::Stop,
};

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
    let passages = found.passages;
    let denied = ports.guardrail.denies(&ports.embed, passages.iter().map(|p| p.text.clone()).collect()).await?;
    let (topics, guardrail) = (denied.iter().filter(|denied| **denied).count(), Arc::clone(&ports.guardrail));
    let (passages, orders, identifying) = blocking(move || {
        let shown = passages.into_iter().enumerate().zip(denied).filter(|(_, denied)| !denied);
        let shown = shown.filter(|((_, passage), _)| !guardrail.withholds(&over(passage)));
        let shown = shown.map(|((index, passage), _)| shown_of(&guardrail, passage, quarantine.places(index)));
        Ok((shown.collect::<Vec<Shown>>(), quarantine.orders(), quarantine.identifying()))
    })
    .await?;
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let outcome = Outcome::done()
        .with_guardrail(ports.guardrail.applied())
        .with_count("passages", count(passages.len()))
        .with_count("quarantined", count(orders))
        .with_count("identifiers_kept_out", count(identifying))
        .with_count("topics_kept_out", count(topics))
        .with_count("identifiers_masked", count(masked.interventions.len()));
    let best = |of: fn(&Passage) -> f32| passages.iter().take(DECIDING).map(|s| of(&s.passage)).fold(0.0, f32::max);
    let (similarity, coverage) = (best(|passage| passage.cosine).min(1.0), best(|passage| passage.coverage).min(1.0));
    let withheld = before - passages.len();
    Ok(Searched { passages, similarity, coverage, withheld, outcome })
}

fn shown_of(guardrail: &Guardrail, mut passage: Passage, places: impl Iterator<Item = Span>) -> Shown {
    let withheld = hide(guardrail, &mut passage.text, places.collect());
    if withheld > 0 {
        // Its place among the others stays; how it came there is of what is black too.
        (passage.score, passage.cosine, passage.words, passage.coverage) = (0.0, 0.0, 0.0, 0.0);
    }
    Shown { passage, withheld }
}

/// Blacks out these places of a text, and every sentence with a word that is not said; how many characters that were.
fn hide(guardrail: &Guardrail, text: &mut String, mut places: Vec<Span>) -> usize {
    if guardrail.withholds(text) {
        let sentences = split::sentences(text).into_iter();
        places.extend(sentences.filter(|sentence| guardrail.withholds(sentence.of(text))));
    }
    let hidden = black_out(text, places);
    // What no sentence holds by itself runs over the end of one: then nothing is shown.
    if guardrail.withholds(text) {
        let all = vec![Span { start: 0, end: text.len() }];
        return hidden + black_out(text, all);
    }
    hidden
}

/// Blacks out what may not be read of a document; what the audit log keeps of that, and how many characters it is. Blocks.
pub(crate) fn read(ports: &Ports, document: &mut DocumentText) -> (Outcome, usize) {
    let (mut orders, mut identifying, mut withheld) = (0, 0, 0);
    for text in [&mut document.title, &mut document.name, &mut document.text] {
        let hidden = hold_back(ports, text);
        orders += hidden.orders;
        identifying += hidden.identifying;
        withheld += hidden.characters;
    }
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let outcome = Outcome::done()
        .with_guardrail(ports.guardrail.applied())
        .with_count("quarantined", count(orders))
        .with_count("identifiers_kept_out", count(identifying));
    (outcome, withheld)
}

/// How much of a text is not shown.
pub(crate) struct Hidden {
    orders: usize,
    identifying: usize,
    characters: usize,
}

/// Blacks out what may not be read of a text of a document, its title or its name. Blocks.
pub(crate) fn hold_back(ports: &Ports, text: &mut String) -> Hidden {
    let (ordering, naming) = Quarantine::places_of(text, ports.settings.attack.document, &ports.identifiers);
    let (orders, identifying) = (ordering.len(), naming.len());
    let characters = hide(&ports.guardrail, text, ordering.into_iter().chain(naming).collect());
    Hidden { orders, identifying, characters }
}

/// Puts [`BLACK`] for every character of these places but line feeds, and for none that is black already; how many that were.
fn black_out(text: &mut String, mut places: Vec<Span>) -> usize {
    if places.is_empty() {
        return 0;
    }
    places.sort_unstable_by_key(|place| (place.start, place.end));
    let (mut blacked, mut count, mut next, mut end) = (String::with_capacity(text.len()), 0, 0, 0);
    for (at, character) in text.char_indices() {
        while let Some(place) = places.get(next).filter(|place| place.start <= at) {
            end = end.max(place.end);
            next += 1;
        }
        let hidden = at < end && character != '\n' && character != BLACK;
        blacked.push(if hidden { BLACK } else { character });
        count += usize::from(hidden);
    }
    *text = blacked;
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_character_is_black_if_a_place_holds_it_and_stays_if_none_does(
            text in "[a-zä\n ]{0,60}",
            places in prop::collection::vec((0_usize..70, 0_usize..20), 0..9),
        ) {
            let spans: Vec<Span> = places.iter().map(|(start, length)| Span { start: *start, end: start + length }).collect();
            let mut blacked = text.clone();
            black_out(&mut blacked, spans.clone());
            prop_assert_eq!(blacked.chars().count(), text.chars().count());
            for ((at, was), is) in text.char_indices().zip(blacked.chars()) {
                let held = spans.iter().any(|span| span.start <= at && at < span.end);
                prop_assert_eq!(is, if held && was != '\n' { BLACK } else { was });
            }
        }
    }

    #[test]
    fn what_is_blacked_out_keeps_every_other_character_in_its_place() {
        let mut text = "Für Ana.\nCall 5.".to_owned();
        let place = Span { start: text.find("Ana").unwrap(), end: text.find('.').unwrap() };
        assert_eq!(black_out(&mut text, vec![place, place]), 3);
        assert_eq!(text, "Für ███.\nCall 5.");
        let mut lines = "a\nb".to_owned();
        let all = Span { start: 0, end: lines.len() };
        assert_eq!((black_out(&mut lines, vec![all]), lines.as_str()), (2, "█\n█"));
    }
}
