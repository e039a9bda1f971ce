//! A capture without identifiers: each becomes a typed placeholder, the same one throughout the capture.
//!
//! The capture keeps nothing of what a placeholder stood for. Where the tenant has a vault they are the session's own, so that one means
//! the same person in question, answer and capture; elsewhere nothing brings them back. Whatever may be an identifier is masked, however
//! little sure the detector is of it: a capture is for finding faults, and loses little by a word too few.
//!
//! # Why
//! - **The texts are read one by one and all together.** A name that the question introduces (`Ms. Ana Cruz`) stands bare
//!   in the answer, where nothing but the question tells that it is one.
//! - **What stands in an encoding is masked whole**, not read: a redaction that does not see an identifier in base64 would
//!   seal it for anyone to decode.

use cloister_governance::captures::{Content, Excerpt, Turn};
use cloister_guardrails::{
    detect::{Detector, Finding},
    redact::{Action, Outcome, Placeholders, Policy, Side, redact},
    screen,
};
use cloister_terms::{Phi, Random};

mod encoded;

/// Between texts that are read together.
const GAP: &str = "\n\n";

/// `content` with placeholders, those that there are and new ones. None if any of it cannot be redacted.
pub fn redacted(
    content: Content,
    detector: &Detector,
    placeholders: &mut Placeholders,
    random: &dyn Random,
) -> Option<Content> {
    Read::of(content, detector).placed(placeholders, random)
}

/// A content in which identifiers were looked for. Looking takes its time; putting placeholders does not.
pub struct Read {
    content: Content,
    /// What was asked, answered and found, in that order, as a reader sees it; each with what is to be masked in it.
    texts: Vec<(String, Vec<Finding>)>,
}

impl Read {
    /// Looks through `content`.
    pub fn of(content: Content, detector: &Detector) -> Self {
        let mut texts: Vec<String> = content.asked.iter().map(|turn| seen(turn.text.expose())).collect();
        texts.extend(content.answered.iter().map(|answered| seen(answered.expose())));
        texts.extend(content.evidence.iter().map(|excerpt| seen(excerpt.text.expose())));
        Self { texts: found(texts, detector), content }
    }

    /// Whether there is anything to mask.
    pub fn is_clean(&self) -> bool {
        self.texts.iter().all(|(_, found)| found.is_empty())
    }

    /// The content with placeholders. None if any of it cannot be redacted.
    pub fn placed(self, placeholders: &mut Placeholders, random: &dyn Random) -> Option<Content> {
        let Content { asked, evidence, answered } = self.content;
        let mut masked = masked(&self.texts, placeholders, random)?.into_iter();
        let turn = |turn: Turn, text| Turn { text: Phi::new(text), ..turn };
        let asked =
            asked.into_iter().map(|given| masked.next().map(|text| turn(given, text))).collect::<Option<Vec<_>>>()?;
        let answered = match answered {
            Some(_) => Some(Phi::new(masked.next()?)),
            None => None,
        };
        let excerpt = |excerpt: Excerpt, text| Excerpt { text: Phi::new(text), ..excerpt };
        let evidence = evidence
            .into_iter()
            .map(|given| masked.next().map(|text| excerpt(given, text)))
            .collect::<Option<Vec<_>>>()?;
        Some(Content { asked, evidence, answered })
    }
}

/// A text without what no reader sees and without what stands in an encoding.
fn seen(text: &str) -> String {
    screen::screen(text, usize::MAX, &[]).map_or_else(|_| String::new(), |clean| encoded::masked(&clean.text))
}

/// What is to be masked in each text, by itself and as a part of them all.
fn found(texts: Vec<String>, detector: &Detector) -> Vec<(String, Vec<Finding>)> {
    let together = detector.detect(&texts.join(GAP));
    let mut start = 0;
    let look = |text: String| {
        let end = start + text.len();
        let mut found = detector.detect(&text);
        found.extend(together.iter().filter_map(|finding| within(finding, start, end)));
        start = end + GAP.len();
        (text, merged(found))
    };
    texts.into_iter().map(look).collect()
}

fn masked(
    texts: &[(String, Vec<Finding>)],
    placeholders: &mut Placeholders,
    random: &dyn Random,
) -> Option<Vec<String>> {
    let policy = Policy { default: Action::Anonymize, least_confidence: 0.0, ..Policy::default() };
    let mut mask =
        |(text, found): &(String, Vec<Finding>)| match redact(text, found, &policy, Side::Output, placeholders, random)
            .outcome
        {
            Outcome::Unchanged => Some(text.clone()),
            Outcome::Anonymized(masked) => Some(masked),
            Outcome::Blocked => None,
        };
    texts.iter().map(&mut mask).collect()
}

/// The part of a finding that lies between `start` and `end`, counted from there.
fn within(finding: &Finding, start: usize, end: usize) -> Option<Finding> {
    let (from, to) = (finding.start.max(start), finding.end.min(end));
    (from < to).then(|| Finding { start: from - start, end: to - start, ..*finding })
}

/// In order of place, overlapping ones made one: the kind of the surest, the extent of all.
fn merged(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by_key(|finding| (finding.start, finding.end));
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match kept.last_mut() {
            Some(last) if finding.start < last.end => {
                let end = last.end.max(finding.end);
                if finding.confidence > last.confidence {
                    *last = Finding { start: last.start, ..finding };
                }
                last.end = end;
            }
            _ => kept.push(finding),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::rig::Seeded;

    fn content(asked: &str, answered: &str, evidence: &str) -> Content {
        let phi = |text: &str| Phi::new(text.to_owned());
        Content {
            asked: vec![Turn { role: "user".to_owned(), text: phi(asked) }],
            evidence: vec![Excerpt {
                collection: "letters".parse().unwrap(),
                document: 1.into(),
                version: "1".to_owned(),
                start: 0,
                end: 9,
                text: phi(evidence),
            }],
            answered: Some(phi(answered)),
        }
    }

    fn texts(content: Content) -> [String; 3] {
        let redacted = redacted(content, &Detector::default(), &mut Placeholders::default(), &Seeded::new(1)).unwrap();
        let text = |phi: &Phi<String>| phi.expose().clone();
        [text(&redacted.asked[0].text), text(redacted.answered.as_ref().unwrap()), text(&redacted.evidence[0].text)]
    }

    #[test]
    fn one_identifier_has_one_placeholder_in_question_answer_and_evidence() {
        let [asked, answered, evidence] = texts(content(
            "Ms. Ana Cruz, MRN 4471902, asks for a refill.",
            "MRN 4471902 may have a refill.",
            "For MRN 5583011 there is none.",
        ));
        assert_eq!(answered, "MRN [MRN-1] may have a refill.");
        assert_eq!(evidence, "For MRN [MRN-2] there is none.");
        assert!(asked.contains("MRN [MRN-1]") && !asked.contains("Cruz"), "{asked}");
    }

    #[test]
    fn a_name_that_the_question_introduces_is_known_in_the_answer() {
        let [_, answered, _] =
            texts(content("Patient: Zorvek Quandrel, MRN 4471902.", "Quandrel may have it.", "None."));
        assert!(!answered.contains("Quandrel"), "{answered}");
    }

    #[test]
    fn text_without_identifiers_stays_as_it_is() {
        let plain = ["How long do opened insulin pens keep?", "They keep for 28 days.", "Do not freeze insulin pens."];
        assert_eq!(texts(content(plain[0], plain[1], plain[2])), plain);
    }

    #[test]
    fn what_hides_an_identifier_from_readers_does_not_hide_it_here() {
        let [asked, ..] = texts(content("MRN 44\u{200b}71902 and S\0S\0N 402-19-8877", "", ""));
        assert!(!asked.contains("71902") && !asked.contains("8877"), "{asked}");
    }

    #[test]
    fn a_content_that_prints_shows_nothing() {
        let shown = format!("{:?}", content("Ana Cruz", "Ana Cruz", "Ana Cruz"));
        assert!(!shown.contains("Cruz"), "{shown}");
    }
}
