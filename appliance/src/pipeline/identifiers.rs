//! Identifiers of people on their way through the pipeline: what a question may bring in, what evidence may bring to a model,
//! what an answer may show.
//!
//! **What it is not:** the finding of identifiers, which is [`detect`](cloister_guardrails::detect)'s; the [`vault`](super::vault): a
//! placeholder is never turned back here.
//!
//! # Why
//! - **On input the tenant's guardrail decides, kind by kind**: `ANONYMIZE` puts a placeholder, `BLOCK` refuses the question,
//!   `NONE` lets it in. Everything after works on the text with placeholders: prompt, record, answer.
//! - **An address alone is nobody's.** "Is the clinic at 12 Main Street open on July 4?" names places and days and no person.
//!   Kinds that say where, when or how to call are masked only beside a person, unless the guardrail names them.
//! - **A search is for the matter, not for the person.** Placeholders are left out of what is searched for and compared:
//!   the 1 of `[NAME-1]` is not a number that a document could hold.
//! - **Evidence is kept out, not masked.** Telephone numbers, addresses and names to call are what is asked for, and stay.
//!   A sentence with a patient's identifier stands in no prompt and no answer: a masked quotation would not be one, and its
//!   places would find other text.
//! - **An answer is looked at once more**, since a model may put together what stood apart.

use cloister_guardrails::{
    detect::{Detector, Finding, Kind},
    drug::{Lexicon, Mention},
    redact::{self, Action, Intervention, Outcome, Placeholders, Policy, Redacted, Side},
    split::{self, Span},
};
use cloister_terms::Random;

use super::stop::Stop;

/// A tenant's guardrail for identifiers, ready to be applied. It holds the site's roster and nothing of any text.
#[derive(Debug, Default)]
pub struct Identifiers {
    detector: Detector,
    policy: Policy,
}

/// A question that may be worked with.
pub(super) struct Masked {
    /// With placeholders.
    pub(super) text: String,
    /// Without them: what is searched for and compared.
    pub(super) sought: String,
    /// What was done, for the record.
    pub(super) interventions: Vec<Intervention>,
}

/// Kinds that identify somebody only beside a name or a number of theirs.
const IMPERSONAL: &[Kind] = &[
    Kind::Address,
    Kind::Location,
    Kind::Facility,
    Kind::Zip,
    Kind::Date,
    Kind::Age,
    Kind::Phone,
    Kind::Fax,
    Kind::Email,
    Kind::Url,
    Kind::Ip,
];

impl Identifiers {
    /// A guardrail that finds with `detector` and does what `policy` says.
    pub const fn new(detector: Detector, policy: Policy) -> Self {
        Self { detector, policy }
    }

    /// What finds them, with the tenant's own roster and patterns.
    pub const fn detector(&self) -> &Detector {
        &self.detector
    }

    /// What is found in a text, as surely as the guardrail asks.
    pub(crate) fn found(&self, text: &str) -> Vec<Finding> {
        let mut findings = self.detect(text);
        findings.retain(|finding| finding.confidence >= self.policy.least_confidence);
        findings
    }

    /// Of what is found in a text, that which does not go in as it stands.
    pub(crate) fn stopped(&self, text: &str) -> Vec<Finding> {
        let mut findings = self.found(text);
        findings.retain(|finding| self.policy.action(finding.kind, Side::Input) != Action::None);
        findings
    }

    /// Applies the guardrail to a text that goes this way.
    pub(super) fn redacted(
        &self,
        text: &str,
        side: Side,
        placeholders: &mut Placeholders,
        random: &dyn Random,
    ) -> Redacted {
        let mut findings = self.detect(text);
        let acted_on = |finding: &Finding| {
            finding.confidence >= self.policy.least_confidence && self.policy.action(finding.kind, side) != Action::None
        };
        let personal = findings.iter().any(|found| !IMPERSONAL.contains(&found.kind) && acted_on(found));
        findings.retain(|found| personal || !IMPERSONAL.contains(&found.kind) || self.policy.names(found.kind));
        redact::redact(text, &findings, &self.policy, side, placeholders, random)
    }

    /// Applies the guardrail to a question, with the placeholders that there are and new ones.
    pub(super) fn question(
        &self,
        text: String,
        placeholders: &mut Placeholders,
        random: &dyn Random,
    ) -> Result<Masked, Stop> {
        let redacted = self.redacted(&text, Side::Input, placeholders, random);
        let mut interventions = redacted.interventions;
        interventions.retain(|intervention| intervention.action != Action::None);
        let text = match redacted.outcome {
            Outcome::Unchanged => text,
            Outcome::Anonymized(masked) => masked,
            Outcome::Blocked => return Err(refusal(&interventions)),
        };
        let sought = redact::without_placeholders(&text);
        let sought = sought.split_whitespace().collect::<Vec<_>>().join(" ");
        // A question that is nothing but a name is searched for as it stands.
        let sought = if sought.chars().any(char::is_alphanumeric) { sought } else { text.clone() };
        Ok(Masked { text, sought, interventions })
    }

    /// What is found, but for medicines that are taken for names: "my daughter's Adderall" names no person.
    fn detect(&self, text: &str) -> Vec<Finding> {
        let mut findings = self.detector.detect(text);
        let drugs = Lexicon::built_in().mentions(text);
        let within = |found: &Finding, drug: &Mention| drug.start <= found.start && found.end <= drug.end;
        let is_drug = |found: &Finding| drugs.iter().any(|drug| drug.known && within(found, drug));
        findings.retain(|found| found.kind != Kind::Name || found.rule == "roster" || !is_drug(found));
        findings
    }

    /// The sentences of `text` that hold a patient's identifier which must not go on to this side.
    pub(super) fn kept_out(&self, text: &str, side: Side) -> Vec<Span> {
        let findings = self.found(text);
        let patients: Vec<Finding> = redact::of_patients(text, &findings)
            .into_iter()
            .filter(|found| self.policy.action(found.kind, side) != Action::None)
            .collect();
        if patients.is_empty() {
            return Vec::new();
        }
        // In order, and none over another: the first that ends within the sentence or after it decides.
        let holds = |sentence: &Span| {
            let next = patients.get(patients.partition_point(|found| found.end <= sentence.start));
            next.is_some_and(|found| found.start < sentence.end)
        };
        split::sentences(text).into_iter().filter(holds).collect()
    }
}

fn refusal(interventions: &[Intervention]) -> Stop {
    let blocked = interventions.iter().find(|intervention| intervention.action == Action::Block);
    let (rule, score) = blocked.map_or(("identifier", 1.0), |found| (found.kind.word(), found.confidence));
    Stop::Blocked {
        check: "identifier",
        finding: format!("the question holds an identifier that must not be sent here ({rule}): ask without it"),
        rule,
        score,
    }
}
