//! Which identifiers of a document are a patient's, and which are the site's own.
//!
//! A pharmacy's documents are full of identifiers that are what is asked for: its telephone numbers, addresses, opening
//! days, the names of those to call. A patient's do not belong there, and stand there by accident: an example that was a
//! real case, a log kept in a procedure.
//!
//! # Why
//! - **By kind first.** A record number or a social security number is one person's whoever is spoken of; a telephone
//!   number is not.
//! - **Then by what introduces it.** A name, a date or a number is a patient's where the words before it say so:
//!   "patient Ana Cruz", "DOB 3/14/1957", "member ID". So is each name and date in a sentence with a number of the first
//!   sort.
//! - **A roster does not decide.** It lists staff too, and says of nobody which they are.

use std::sync::OnceLock;

use regex::Regex;

use crate::{
    detect::{Finding, Kind},
    split::{self, Span},
};

/// Numbers of one person.
const PERSONAL: &[Kind] = &[
    Kind::Ssn,
    Kind::Mrn,
    Kind::DriverId,
    Kind::Passport,
    Kind::Biometric,
    Kind::Prescription,
    Kind::Study,
    Kind::Card,
];

/// What is a patient's only where it is introduced as one's.
const INTRODUCED: &[Kind] = &[Kind::Name, Kind::Date, Kind::HealthPlan, Kind::Phone, Kind::Email, Kind::Address];

/// Findings less sure than this do not make a sentence a patient's: a shape alone is not enough in a text that is full of
/// the site's numbers.
const SURE: f32 = 0.85;

/// Words right before a finding that say whose it is.
const OWNER: &str = r"(?i)\b((patient|pt|resident|client|subscriber|member|beneficiary|policy ?holder|insured)('s|’s)?( (full |legal |home |cell )?(name|id|number|phone|e-?mail|address|dob))?|d\.?o\.?b\.?|date of birth|birth ?dates?|born( on)?)( is| was)?[\s:#*_|-]{0,6}$";

/// The findings that are a patient's, in order.
pub fn of_patients(text: &str, findings: &[Finding]) -> Vec<Finding> {
    let sentences = split::sentences(text);
    // Both stand in order and meet nobody of their own kind, so that each is found by halving: a list of patients is long.
    let personal: Vec<&Finding> = findings.iter().filter(|finding| is_personal(finding)).collect();
    let beside = |finding: &Finding| {
        let sentence = sentences.get(sentences.partition_point(|sentence| sentence.end <= finding.start));
        sentence.filter(|sentence| sentence.start < finding.end).is_some_and(|sentence| {
            let next = personal.get(personal.partition_point(|other| other.end <= sentence.start));
            next.is_some_and(|other| overlaps(*sentence, other))
        })
    };
    let of_patient = |finding: &&Finding| {
        is_personal(finding)
            || INTRODUCED.contains(&finding.kind)
                && (is_introduced(text, finding) || matches!(finding.kind, Kind::Name | Kind::Date) && beside(finding))
    };
    findings.iter().filter(of_patient).copied().collect()
}

fn is_personal(finding: &Finding) -> bool {
    PERSONAL.contains(&finding.kind) && finding.confidence >= SURE
}

const fn overlaps(sentence: Span, finding: &Finding) -> bool {
    sentence.start < finding.end && finding.start < sentence.end
}

fn is_introduced(text: &str, finding: &Finding) -> bool {
    static COMPILED: OnceLock<Option<Regex>> = OnceLock::new();
    let owner = COMPILED.get_or_init(|| Regex::new(OWNER).ok());
    let before = text.get(..finding.start).unwrap_or_default();
    let near = before.char_indices().rev().take(NEAR).last().map_or(0, |(at, _)| at);
    let before = before.get(near..).unwrap_or_default();
    // A pattern that does not compile would hold for nothing: then each is taken for a patient's.
    owner.as_ref().is_none_or(|owner| owner.is_match(before))
}

/// Characters before a finding in which its owner is looked for.
const NEAR: usize = 48;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::detect::Detector;

    /// The same, each held against each.
    fn one_by_one(text: &str, findings: &[Finding]) -> Vec<Finding> {
        let sentences = split::sentences(text);
        let beside = |finding: &Finding| {
            let sentence = sentences.iter().find(|s| s.start < finding.end && finding.start < s.end);
            sentence.is_some_and(|s| findings.iter().any(|other| is_personal(other) && overlaps(*s, other)))
        };
        let named = |finding: &Finding| matches!(finding.kind, Kind::Name | Kind::Date) && beside(finding);
        let introduced = |f: &Finding| INTRODUCED.contains(&f.kind) && (is_introduced(text, f) || named(f));
        findings.iter().filter(|finding| is_personal(finding) || introduced(finding)).copied().collect()
    }

    proptest! {
        #[test]
        fn halving_finds_what_holding_each_against_each_finds(
            parts in prop::collection::vec(prop::sample::select(vec![
                "Ms. Ana Cruz called. ", "MRN 4471902 ", "on March 3, 2026. ", "\n", "SSN 402-19-8877. ", "the copay is due ",
            ]), 0..24)
        ) {
            let text: String = parts.concat();
            let findings = Detector::default().detect(&text);
            prop_assert_eq!(of_patients(&text, &findings), one_by_one(&text, &findings));
        }
    }

    fn kinds(text: &str) -> Vec<Kind> {
        of_patients(text, &Detector::default().detect(text)).into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn a_patient_s_identifiers_are_told_from_the_site_s() {
        assert_eq!(kinds("Ms. Ana Cruz, MRN 4471902, called twice."), [Kind::Name, Kind::Mrn]);
        assert_eq!(kinds("The patient Ana Cruz lost her card."), [Kind::Name]);
        assert_eq!(kinds("DOB: 03/14/1957"), [Kind::Date]);
        assert_eq!(kinds("SSN 402-19-8877"), [Kind::Ssn]);
        for text in [
            "Call the refill line on (555) 010-7788 or write to refills@larkfield.example.",
            "Dr. Ana Cruz, pharmacy manager, answers on 555-0102.",
            "Larkfield Regional Hospital, 12 Main Street, Salem, OR 97301.",
            "The counter is closed on July 4, 2026.",
            "Ask the patient to call 555-0100 before Friday.",
            "The patient gives a name and a date of birth.",
        ] {
            assert_eq!(kinds(text), [], "{text}");
        }
    }

    #[test]
    fn the_pattern_compiles() {
        assert!(Regex::new(OWNER).is_ok());
    }
}
