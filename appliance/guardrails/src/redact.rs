//! What is done with identifiers that were found: masked with placeholders, refused, or let through, by the policy.
//!
//! A pure function over text, findings and policy. The same policy has an action for text that comes in, for evidence and
//! for answers, in the vocabulary of Amazon Bedrock: `BLOCK`, `ANONYMIZE`, `NONE`.
//!
//! **What it is not:** the vault. [`Placeholders`] is a session's state in memory; who keeps it longer seals its
//! [entries](Placeholders::entries) and asks for a permission before it [restores](Placeholders::restore).
//!
//! ```
//! use cloister_guardrails::{detect::Detector, redact::{Outcome, Placeholders, Policy, Side, redact}};
//! # struct Fixed;
//! # impl cloister_terms::Random for Fixed { fn fill(&self, bytes: &mut [u8]) { bytes.fill(7) } }
//! let text = "Ms. Ana Cruz, MRN 4471902, wants a refill.";
//! let found = Detector::default().detect(text);
//! let mut session = Placeholders::default();
//! let redacted = redact(text, &found, &Policy::default(), Side::Input, &mut session, &Fixed);
//! assert_eq!(redacted.outcome, Outcome::Anonymized("[NAME-1], MRN [MRN-1], wants a refill.".to_owned()));
//! ```
//!
//! # Why
//! - **What the policy does not name is masked.** A kind that a later version finds is not let through by an old policy.
//! - **Tokens are random.** 45 CFR 164.514(c) forbids a code that is derived from information about the individual, so no
//!   hash of the identifier stands for it, keyed or not. The number in a placeholder counts within the session.

use cloister_terms::Random;

use crate::detect::{Finding, Kind};

mod patient;
mod placeholder;
mod policy;

pub use patient::of_patients;
pub use placeholder::{Placeholder, Placeholders, placeholders_in, renumbered, without_placeholders};
pub use policy::{Action, EntityRule, Policy, PolicyError, Side};

/// One identifier and what was done about it: what the record of an intervention holds. No text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Intervention {
    /// What was found.
    pub kind: Kind,
    /// What was done.
    pub action: Action,
    /// First byte in the text as it was given.
    pub start: usize,
    /// Bytes.
    pub length: usize,
    /// The finding's confidence.
    pub confidence: f32,
    /// The rule that found it.
    pub rule: &'static str,
}

/// What became of a text.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It stays as it is.
    Unchanged,
    /// Identifiers became placeholders. This is the text.
    Anonymized(String),
    /// It must not go on.
    Blocked,
}

/// Prints what became of the text, not the text.
impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "Unchanged",
            Self::Anonymized(_) => "Anonymized([text])",
            Self::Blocked => "Blocked",
        })
    }
}

/// A text's fate and the reasons for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Redacted {
    /// What became of it.
    pub outcome: Outcome,
    /// What was found and acted upon, in order of place; with `NONE`, found and let through.
    pub interventions: Vec<Intervention>,
}

/// Applies `policy` to `text`, in which `findings` were found. Findings must lie in `text` in order and not overlap, as
/// [`detect`](crate::detect::Detector::detect) gives them; one that does not blocks the text.
pub fn redact(
    text: &str,
    findings: &[Finding],
    policy: &Policy,
    side: Side,
    placeholders: &mut Placeholders,
    random: &dyn Random,
) -> Redacted {
    let interventions: Vec<Intervention> = findings
        .iter()
        .filter(|finding| finding.confidence >= policy.least_confidence)
        .map(|finding| Intervention {
            kind: finding.kind,
            action: policy.action(finding.kind, side),
            start: finding.start,
            length: finding.end.saturating_sub(finding.start),
            confidence: finding.confidence,
            rule: finding.rule,
        })
        .collect();
    let outcome = if interventions.iter().any(|i| i.action == Action::Block) {
        Outcome::Blocked
    } else if interventions.iter().any(|i| i.action == Action::Anonymize) {
        masked(text, &interventions, placeholders, random).map_or(Outcome::Blocked, Outcome::Anonymized)
    } else {
        Outcome::Unchanged
    };
    Redacted { outcome, interventions }
}

/// The text with placeholders; `None` if a place is not in it.
fn masked(
    text: &str,
    interventions: &[Intervention],
    placeholders: &mut Placeholders,
    random: &dyn Random,
) -> Option<String> {
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for intervention in interventions.iter().filter(|i| i.action == Action::Anonymize) {
        let end = intervention.start.checked_add(intervention.length)?;
        masked.push_str(text.get(from..intervention.start)?);
        let original = text.get(intervention.start..end)?;
        masked.push_str(&placeholders.placeholder(intervention.kind, original, random));
        from = end;
    }
    masked.push_str(text.get(from..)?);
    Some(masked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detect::Detector;

    struct Counting(std::sync::Mutex<u8>);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let mut next = self.0.lock().unwrap();
            *next += 1;
            bytes.fill(*next);
        }
    }

    fn counting() -> Counting {
        Counting(std::sync::Mutex::new(0))
    }

    fn apply(text: &str, policy: &str, side: Side) -> Outcome {
        let found = Detector::default().detect(text);
        redact(text, &found, &Policy::read(policy).unwrap(), side, &mut Placeholders::default(), &counting()).outcome
    }

    #[test]
    fn a_session_gives_the_same_identifier_the_same_placeholder() {
        let mut session = Placeholders::default();
        let mut masked = |text: &str| {
            let found = Detector::default().detect(text);
            match redact(text, &found, &Policy::default(), Side::Input, &mut session, &counting()).outcome {
                Outcome::Anonymized(text) => text,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(masked("MRN 4471902 and MRN 5583011"), "MRN [MRN-1] and MRN [MRN-2]");
        assert_eq!(masked("Again MRN 5583011."), "Again MRN [MRN-2].");
        let restored = session.restore("For [MRN-2] and [MRN-9].");
        assert_eq!(restored.expose(), "For 5583011 and [MRN-9].");
    }

    #[test]
    fn one_blocked_kind_blocks_the_text_on_its_side_only() {
        let policy = "version = 1\n[[entities]]\ntype = \"US_SOCIAL_SECURITY_NUMBER\"\naction = \"ANONYMIZE\"\ninput_action = \"BLOCK\"";
        assert_eq!(apply("SSN 402-19-8877", policy, Side::Input), Outcome::Blocked);
        assert!(matches!(apply("SSN 402-19-8877", policy, Side::Output), Outcome::Anonymized(_)));
    }

    #[test]
    fn what_the_policy_does_not_name_is_masked() {
        assert!(matches!(apply("MRN 4471902", "version = 1", Side::Evidence), Outcome::Anonymized(_)));
        let none = "version = 1\ndefault = \"NONE\"";
        assert_eq!(apply("MRN 4471902", none, Side::Evidence), Outcome::Unchanged);
    }

    #[test]
    fn a_finding_outside_the_text_blocks_it() {
        let stray = Finding { kind: Kind::Name, start: 3, end: 99, confidence: 0.9, rule: "test" };
        let redacted =
            redact("short", &[stray], &Policy::default(), Side::Input, &mut Placeholders::default(), &counting());
        assert_eq!(redacted.outcome, Outcome::Blocked);
    }

    #[test]
    fn nothing_prints_patient_text() {
        let mut session = Placeholders::default();
        let text = "Ms. Ana Cruz called";
        let found = Detector::default().detect(text);
        let redacted = redact(text, &found, &Policy::default(), Side::Input, &mut session, &counting());
        assert!(!format!("{redacted:?} {session:?} {found:?}").contains("Cruz"));
    }

    proptest! {
        #[test]
        fn what_is_masked_can_be_restored_exactly(parts in proptest::collection::vec("[a-z ]{0,12}|MRN [0-9]{7}|Dr\\. Okafor", 0..8)) {
            let text = parts.join(". ");
            let found = Detector::default().detect(&text);
            let mut session = Placeholders::default();
            if let Outcome::Anonymized(masked) = redact(&text, &found, &Policy::default(), Side::Input, &mut session, &counting()).outcome {
                let restored = session.restore(&masked);
                prop_assert_eq!(restored.expose(), &text);
            }
        }
    }
}
