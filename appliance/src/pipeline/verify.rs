//! Fifth stage: the verdict, a fold over the units of a draft.
//!
//! **Invariant (nothing unverified leaves).** Text reaches a [`Sink`] only inside a [`Passed`], and only this module
//! makes one.

mod fold;
mod measure;

use std::time::{Duration, Instant};

use cloister_guardrails::split::Span;
use futures_util::StreamExt;

use super::{
    Ports,
    citation::{Citation, ClaimVerdict, Lane, Scores, Withheld},
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
    score: f32,
    warning: bool,
}

impl Passed {
    /// A place of a document, word for word.
    fn verbatim(separator: &'static str, citation: Citation) -> Self {
        Self { separator, text: citation.text.clone(), citation, score: 1.0, warning: false }
    }

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

    /// Share of its words that the citation holds, 0 to 1.
    pub const fn score(&self) -> f32 {
        self.score
    }

    /// Whether it is a warning that the draft had left out beside a dose.
    pub const fn is_warning(&self) -> bool {
        self.warning
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
    withheld: Option<Withheld>,
    scores: Scores,
    cut: bool,
    /// How long the model was waited for.
    waited: Duration,
}

impl Verdict {
    /// How long the model was waited for.
    pub(super) const fn waited(&self) -> Duration {
        self.waited
    }

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

    /// The claim at which the draft was cut, if it was a check that cut it.
    pub const fn withheld(&self) -> Option<&Withheld> {
        self.withheld.as_ref()
    }

    /// How the answer measures.
    pub const fn scores(&self) -> Scores {
        self.scores
    }

    /// Whether the draft went on after the last unit that passed.
    pub const fn cut(&self) -> bool {
        self.cut
    }
}

/// Judges the offers of a draft until one yields something that may be said.
pub(super) async fn verify(ports: &Ports, mut draft: Draft, sink: &mut dyn Sink) -> Result<Verdict, Stop> {
    let threshold = ports.settings.threshold;
    let mut waited = Duration::ZERO;
    while let Some((lane, offer)) = draft.next_offer(ports) {
        // A composed draft is shown as it is judged, unless all of it must first be known.
        let at_once = matches!(offer, Offer::Composed(..)) && !threshold.holds_back();
        let judged = match offer {
            Offer::Approved(pair) => approved(&draft, pair),
            Offer::Quoted(quotes) => quoted(&draft, &quotes),
            Offer::Composed(composed, events) => {
                let mut pass = |unit: &Passed| {
                    if at_once {
                        sink.pass(lane, unit);
                    }
                };
                fold_stream(ports, &draft, &composed, (events, &mut waited), &mut pass).await
            }
        };
        if judged.units.is_empty() {
            draft.pass_over(lane, judged.reason());
            continue;
        }
        // The citation is shown too, and holds every quoted unit. A composed draft was cut before such a word, and a warning is given whatever its words; what else is given word for
        // word is given whole or not at all.
        let given = judged.units.iter().filter(|unit| !unit.is_warning());
        if given.flat_map(|unit| unit.citation().words()).any(|words| ports.guardrail.withholds(words)) {
            draft.pass_over(lane, "word");
            continue;
        }
        // What a draft rests on was held against topics before it was shown; what is given word for word is widened, or comes from another place.
        if !at_once && !judged.units.is_empty() {
            let cited: Vec<String> =
                judged.units.iter().filter(|unit| !unit.warning).map(|unit| unit.citation.text.clone()).collect();
            if ports.guardrail.denies(&ports.embed, cited).await?.contains(&true) {
                draft.pass_over(lane, "topic");
                continue;
            }
        }
        let scores = measure::scores(draft.prompt().evidence(), lane, &judged.units, judged.withheld.is_some());
        if let Some(below) = measure::below(scores, threshold) {
            draft.pass_over(lane, below);
            continue;
        }
        if !at_once {
            judged.units.iter().for_each(|unit| sink.pass(lane, unit));
        }
        let Judged { units, withheld, cut, .. } = judged;
        return Ok(Verdict { draft, lane, units, withheld, scores, cut, waited });
    }
    let scores = measure::abstained(draft.prompt().evidence());
    Ok(Verdict { draft, lane: Lane::Abstain, units: Vec::new(), withheld: None, scores, cut: false, waited })
}

/// What became of one offer.
#[derive(Debug, Default, PartialEq)]
struct Judged {
    units: Vec<Passed>,
    withheld: Option<Withheld>,
    cut: bool,
    /// Whether it was cut at a denied word.
    denied: bool,
}

impl Judged {
    const fn reason(&self) -> &'static str {
        match &self.withheld {
            _ if self.denied => "word",
            Some(withheld) => withheld.verdict.as_str(),
            None => "empty",
        }
    }
}

/// A curated answer passes if it stands in its document word for word.
fn approved(draft: &Draft, pair: usize) -> Judged {
    let Some(pair) = draft.prompt().evidence().pairs().get(pair) else { return Judged::default() };
    let Some(start) = pair.passage.text.find(&pair.answer).filter(|_| !pair.answer.trim().is_empty()) else {
        let verdict = ClaimVerdict::Unsupported;
        let withheld = Some(Withheld { verdict, score: 0.0, facts: Vec::new(), evidence: None });
        return Judged { withheld, ..Judged::default() };
    };
    let citation = cite(&pair.passage, Span { start, end: start + pair.answer.len() }, pair.similarity);
    Judged { units: vec![Passed::verbatim("", citation)], ..Judged::default() }
}

/// A quote is made from its citation, so the two cannot differ.
fn quoted(draft: &Draft, quotes: &[Quote]) -> Judged {
    let passages = draft.prompt().evidence().passages();
    let mut judged = Judged::default();
    for quote in quotes {
        let Some(passage) = passages.get(quote.passage) else { continue };
        let citation = cite(passage, quote.span, quote.score);
        let separator = if judged.units.is_empty() { "" } else { "\n\n" };
        judged.units.push(Passed::verbatim(separator, citation));
    }
    judged
}

/// Judges text as it is written. Dropping `events` at a cut ends the generation.
async fn fold_stream(
    ports: &Ports,
    draft: &Draft,
    composed: &Composed,
    (mut events, waited): (Events, &mut Duration),
    passed: &mut (dyn FnMut(&Passed) + Send),
) -> Judged {
    let evidence = draft.prompt().evidence();
    let guards = (&*ports.identifiers, &*ports.guardrail);
    let mut fold = Fold::new(evidence, &composed.shown, ports.settings.claim.into(), guards);
    let deadline = tokio::time::Instant::from_std(evidence.screened().deadline());
    let finished = loop {
        let since = Instant::now();
        let event = tokio::time::timeout_at(deadline, events.next()).await;
        *waited += since.elapsed();
        match event {
            Ok(Some(Event::Text(text))) => {
                fold.push(&text, passed);
                if fold.is_cut() {
                    return fold.into_judged(passed);
                }
            }
            Ok(Some(Event::Started { .. })) => {}
            Ok(Some(Event::Finished { reason, .. })) => break reason == FinishReason::Stop,
            Ok(Some(Event::Failed(_)) | None) | Err(_) => break false,
        }
    };
    fold.end(finished, passed);
    fold.into_judged(passed)
}
