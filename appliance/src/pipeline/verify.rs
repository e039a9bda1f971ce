//! Fifth stage: the verdict, a fold over the units of a draft.
//!
//! **Invariant (nothing unverified leaves).** Text reaches a [`Sink`] only inside a [`Passed`], and only this module
//! makes one.

mod fold;

use cloister_guardrails::split::Span;
use futures_util::StreamExt;

use super::{
    Ports,
    citation::{Citation, ClaimVerdict, Lane},
    generate::{Draft, Offer},
    model::{Event, Events, FinishReason},
    prompt::Composed,
    quote::Quote,
    sentence::cite,
    stop::Stop,
};
use fold::Fold;

/// A part of an answer that has passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Passed {
    separator: &'static str,
    text: String,
    citation: Citation,
}

impl Passed {
    /// What stands between the unit before it and this one; empty for the first.
    pub const fn separator(&self) -> &'static str {
        self.separator
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it rests on.
    pub const fn citation(&self) -> &Citation {
        &self.citation
    }
}

/// Where an answer goes while it comes about.
pub trait Sink: Send {
    /// A unit has passed. `lane` is the same for all units of one answer.
    fn pass(&mut self, lane: Lane, unit: &Passed);
}

/// Takes no notice of units: for answers that are sent whole.
pub struct Silent;

impl Sink for Silent {
    fn pass(&mut self, _: Lane, _: &Passed) {}
}

/// A draft and what became of it.
pub struct Verdict {
    draft: Draft,
    lane: Lane,
    units: Vec<Passed>,
    failed: Option<ClaimVerdict>,
    cut: bool,
}

impl Verdict {
    /// The draft that was judged.
    pub const fn draft(&self) -> &Draft {
        &self.draft
    }

    /// The lane that the answer came by.
    pub const fn lane(&self) -> Lane {
        self.lane
    }

    /// What passed, in order. Empty for [`Lane::Abstain`].
    pub fn units(&self) -> &[Passed] {
        &self.units
    }

    /// What was wrong with the unit at which the draft was cut, if it was a check that cut it.
    pub const fn failed(&self) -> Option<ClaimVerdict> {
        self.failed
    }

    /// Whether the draft went on after the last unit that passed.
    pub const fn cut(&self) -> bool {
        self.cut
    }
}

/// Judges the offers of a draft until one yields something that may be said.
pub(super) async fn verify(ports: &Ports, mut draft: Draft, sink: &mut dyn Sink) -> Result<Verdict, Stop> {
    while let Some((lane, offer)) = draft.next_offer(ports) {
        let judged = match offer {
            Offer::Approved(pair) => approved(&draft, pair),
            Offer::Quoted(quotes) => quoted(&draft, &quotes),
            Offer::Composed(composed, events) => {
                fold_stream(ports, &draft, &composed, events, &mut |unit| sink.pass(lane, unit)).await
            }
        };
        if judged.units.is_empty() {
            draft.pass_over(lane, judged.reason());
            continue;
        }
        if lane != Lane::Composed {
            judged.units.iter().for_each(|unit| sink.pass(lane, unit));
        }
        let Judged { units, failed, cut } = judged;
        return Ok(Verdict { draft, lane, units, failed, cut });
    }
    Ok(Verdict { draft, lane: Lane::Abstain, units: Vec::new(), failed: None, cut: false })
}

/// What became of one offer.
#[derive(Debug, Default, PartialEq)]
struct Judged {
    units: Vec<Passed>,
    failed: Option<ClaimVerdict>,
    cut: bool,
}

impl Judged {
    const fn reason(&self) -> &'static str {
        match self.failed {
            Some(ClaimVerdict::Contradicted) => "contradicted",
            Some(_) => "unsupported",
            None => "empty",
        }
    }
}

/// A curated answer passes if it stands in its document word for word.
fn approved(draft: &Draft, pair: usize) -> Judged {
    let Some(pair) = draft.prompt().evidence().pairs().get(pair) else { return Judged::default() };
    let Some(start) = pair.passage.text.find(&pair.answer).filter(|_| !pair.answer.trim().is_empty()) else {
        return Judged { failed: Some(ClaimVerdict::Unsupported), ..Judged::default() };
    };
    let citation = cite(&pair.passage, Span { start, end: start + pair.answer.len() }, pair.similarity);
    Judged { units: vec![Passed { separator: "", text: pair.answer.clone(), citation }], ..Judged::default() }
}

/// A quote is made from its citation, so the two cannot differ.
fn quoted(draft: &Draft, quotes: &[Quote]) -> Judged {
    let passages = draft.prompt().evidence().passages();
    let mut judged = Judged::default();
    for quote in quotes {
        let Some(passage) = passages.get(quote.passage) else { continue };
        let citation = cite(passage, quote.span, quote.score);
        let separator = if judged.units.is_empty() { "" } else { "\n\n" };
        judged.units.push(Passed { separator, text: citation.text.clone(), citation });
    }
    judged
}

/// Judges text as it is written. Dropping `events` at a cut ends the generation.
async fn fold_stream(
    ports: &Ports,
    draft: &Draft,
    composed: &Composed,
    mut events: Events,
    passed: &mut (dyn FnMut(&Passed) + Send),
) -> Judged {
    let evidence = draft.prompt().evidence();
    let mut fold = Fold::new(evidence.passages(), &composed.shown, ports.settings.claim.into());
    let deadline = tokio::time::Instant::from_std(evidence.screened().deadline());
    let finished = loop {
        match tokio::time::timeout_at(deadline, events.next()).await {
            Ok(Some(Event::Text(text))) => {
                fold.push(&text, passed);
                if fold.is_cut() {
                    return fold.into_judged();
                }
            }
            Ok(Some(Event::Started { .. })) => {}
            Ok(Some(Event::Finished { reason, .. })) => break reason == FinishReason::Stop,
            Ok(Some(Event::Failed(_)) | None) | Err(_) => break false,
        }
    };
    fold.end(finished, passed);
    fold.into_judged()
}
