//! Fourth stage: a draft, lane by lane. Nothing that a draft offers may be shown before it is verified.

use std::{collections::VecDeque, time::Instant};

use super::{
    Ports,
    citation::Lane,
    model::{Constraint, Events, GenerateError, GenerateRequest, ModelName, PromptText, Sampling},
    prompt::{Composed, Prompt},
    quote::{self, Quote},
};
use cloister_guardrails::same_question::{self, Gate};

/// Offers of an answer, best lane first. A lane opens only when the one before it has failed, so that no model runs
/// for a question that a curated answer settles.
pub struct Draft {
    prompt: Prompt,
    lanes: VecDeque<Lane>,
    model: Option<ModelName>,
    passed_over: Vec<(Lane, &'static str)>,
    read_as_same: Option<f32>,
}

/// What one lane offers.
pub(super) enum Offer {
    /// The curated answer of a pair, as an index into the evidence.
    Approved(usize),
    /// Text as a model writes it.
    Composed(Composed, Events),
    /// Places to quote.
    Quoted(Vec<Quote>),
}

impl Draft {
    /// What it was drafted from.
    pub const fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// The model that wrote, if one was asked.
    pub const fn model(&self) -> Option<&ModelName> {
        self.model.as_ref()
    }

    /// Lanes that had nothing to offer, and why, in one word each.
    pub fn passed_over(&self) -> &[(Lane, &'static str)] {
        &self.passed_over
    }

    /// How likely a curated question that was offered asks the same, where reading both let it in and not its wording.
    pub(super) const fn read_as_same(&self) -> Option<f32> {
        self.read_as_same
    }

    /// Notes why the last offer did not become the answer.
    pub(super) fn pass_over(&mut self, lane: Lane, reason: &'static str) {
        self.passed_over.push((lane, reason));
    }

    /// Whether something that might have been said was kept back because the guardrail denies its words or its topic.
    pub(super) fn was_denied(&self) -> bool {
        self.prompt.denied() > 0 || self.passed_over.iter().any(|(_, reason)| matches!(*reason, "word" | "topic"))
    }

    /// Opens lanes until one offers something. `None`: only abstaining is left.
    pub(super) fn next_offer(&mut self, ports: &Ports) -> Option<(Lane, Offer)> {
        while let Some(lane) = self.lanes.pop_front() {
            let offered = match lane {
                Lane::Verified => self.approved(ports),
                Lane::Composed => self.composed(ports),
                Lane::Quoted => self.quoted(ports),
                Lane::Abstain => return None,
            };
            match offered {
                Ok(offer) => return Some((lane, offer)),
                Err(reason) => self.pass_over(lane, reason),
            }
        }
        None
    }

    fn approved(&mut self, ports: &Ports) -> Result<Offer, &'static str> {
        let evidence = self.prompt.evidence();
        let asked = evidence.screened().sought();
        let limits = ports.settings.same_question.into();
        let mut reason = "no_pair";
        for (index, pair) in evidence.pairs().iter().enumerate() {
            let gate = same_question::gate(asked, &pair.matched, pair.similarity, limits);
            match same_question::beside_wording(gate, asked, &pair.question) {
                Gate::Same => return Ok(Offer::Approved(index)),
                Gate::Below => {}
                Gate::Vetoed(veto) => reason = veto.as_str(),
            }
        }
        if let Some((at, known)) = evidence.likeliest() {
            let gate = same_question::gate_by_reading(asked, &known, limits);
            let wording = evidence.pairs().get(at).map_or("", |pair| pair.question.as_str());
            match same_question::beside_wording(gate, asked, wording) {
                Gate::Same => {
                    self.read_as_same = Some(known.likely());
                    return Ok(Offer::Approved(at));
                }
                Gate::Below => {}
                Gate::Vetoed(veto) => reason = veto.as_str(),
            }
        }
        Err(reason)
    }

    fn composed(&mut self, ports: &Ports) -> Result<Offer, &'static str> {
        let composed = self.prompt.composed().ok_or("closed")?.clone();
        let model = ports.generate.as_ref().ok_or("no_model")?;
        let screened = self.prompt.evidence().screened();
        let deadline: Instant = screened.deadline();
        let copied = ports.settings.copied.then(|| composed.texts.iter().filter(|text| !text.is_empty()).cloned());
        let constraint = copied.map(|texts| Constraint::Copied(texts.collect()));
        let request = GenerateRequest {
            prompt: PromptText::Chat(composed.messages.clone()),
            sampling: Sampling { constraint, ..Sampling::greedy(ports.settings.draft_tokens) },
            deadline,
            salt: composed.salt,
            priority: screened.priority(),
        };
        self.model = Some(model.identity());
        match model.generate(request) {
            Ok(events) => Ok(Offer::Composed(composed, events)),
            Err(GenerateError::Busy { .. }) => Err("busy"),
            Err(GenerateError::Deadline) => Err("deadline"),
            Err(GenerateError::TooLong { .. }) => Err("too_long"),
            Err(GenerateError::Refused(_)) => Err("refused"),
            Err(GenerateError::Stopped | GenerateError::Unreachable(_)) => Err("unavailable"),
            Err(GenerateError::Cancelled | GenerateError::Failed(_)) => Err("failed"),
        }
    }

    fn quoted(&self, ports: &Ports) -> Result<Offer, &'static str> {
        let quotes = quote::choose(self.prompt.sentences(), self.prompt.evidence(), &ports.settings);
        if quotes.is_empty() { Err("nothing_near") } else { Ok(Offer::Quoted(quotes)) }
    }
}

/// Lays the lanes out in the order that the settings name.
pub(super) fn generate(ports: &Ports, prompt: Prompt) -> Draft {
    let lanes = ports.settings.lanes.iter().copied().collect();
    Draft { prompt, lanes, model: None, passed_over: Vec::new(), read_as_same: None }
}
