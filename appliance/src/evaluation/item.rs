//! The items of suites, as their files hold them. `group` names what an item was made from: items of one group are alike, and
//! intervals know it.

use cloister_guardrails::detect::Kind as Identifier;
use serde::Deserialize;

use super::suite::Item;

/// A question and where its answer stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Its id.
    pub id: String,
    /// The question.
    pub question: String,
    /// The places that answer it, each as good as the others. None: the documents do not answer it.
    pub sources: Vec<Source>,
    /// What every right answer holds, letter for letter but for case.
    #[serde(default)]
    pub expect: Vec<String>,
    /// True where a curated question is the same one, false where one only looks like it; absent where neither is.
    #[serde(default)]
    pub curated: Option<bool>,
    /// What it is about, for the report.
    #[serde(default)]
    pub topic: Option<String>,
}

/// A place in the site's documents.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The document's file name.
    pub document: String,
    /// A heading that the place stands under.
    #[serde(default)]
    pub section: Option<String>,
    /// Words that stand there, or that what is cited is a part of.
    #[serde(default)]
    pub text: Option<String>,
}

impl Source {
    /// Whether a passage or a citation is this place.
    pub(super) fn is(&self, name: &str, headings: &[String], text: &str) -> bool {
        let same = |one: &str, other: &str| one.trim().eq_ignore_ascii_case(other.trim());
        let section = self.section.as_deref();
        let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let holds = |wanted: &str| {
            let (wanted, found) = (plain(wanted), plain(text));
            !found.is_empty() && (wanted.contains(&found) || found.contains(&wanted))
        };
        self.document == name
            && section.is_none_or(|section| headings.iter().any(|heading| same(heading, section)))
            && self.text.as_deref().is_none_or(holds)
    }
}

/// An answer that is faithful to its context, or has an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Its id.
    pub id: String,
    /// What it must rest on.
    pub context: String,
    /// What was asked.
    #[serde(default)]
    pub question: String,
    /// The answer.
    pub answer: String,
    /// The type of its error: `tenfold`, `route`, ... A faithful one has none.
    #[serde(default)]
    pub error: Option<String>,
    /// How it says what the context says, where it is faithful: `verbatim` or `paraphrase`.
    #[serde(default)]
    pub wording: Option<String>,
    /// Whether the error can harm.
    #[serde(default)]
    pub severe: bool,
    /// The template it was made from.
    #[serde(default)]
    pub group: Option<String>,
}

/// The type of error that is a warning left out beside a dose: found by looking at the context, not by a lower score.
pub(super) const OMISSION: &str = "omission";

/// A text and the identifiers in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// Its id.
    pub id: String,
    /// The text.
    pub text: String,
    /// Where the identifiers are.
    pub spans: Vec<Labelling>,
    /// The template it was made from.
    #[serde(default)]
    pub group: Option<String>,
}

/// One identifier.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labelling {
    /// First character, in code points.
    pub start: usize,
    /// One past the last.
    pub end: usize,
    /// What it is, in the words of `cloister guardrail detect`.
    pub label: Identifier,
}

/// An attack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attack {
    /// Its id.
    pub id: String,
    /// The text.
    pub text: String,
    /// Whether it is asked, or stands in a document.
    #[serde(default)]
    pub r#where: Place,
    /// What kind of attack it is.
    #[serde(default)]
    pub family: Option<String>,
    /// What it was made from.
    #[serde(default)]
    pub group: Option<String>,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// It is asked.
    #[default]
    User,
    /// It stands in a document.
    Document,
}

/// An honest request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// The text.
    pub text: String,
    /// What it is about.
    #[serde(default)]
    pub family: Option<String>,
    /// What it was made from.
    #[serde(default)]
    pub group: Option<String>,
}

/// A question asked with a patient's identifiers, and without.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identified {
    /// Its id.
    pub id: String,
    /// As it would be asked of nobody in particular.
    pub plain: String,
    /// As it is asked of a patient.
    pub identified: String,
    /// The patient's identifiers in it. None of them may stand in an answer.
    pub hidden: Vec<String>,
    /// What it was made from.
    #[serde(default)]
    pub group: Option<String>,
}

impl Item for Question {
    fn id(&self) -> &str {
        &self.id
    }

    fn contradiction(&self) -> Option<&'static str> {
        let none = self.sources.is_empty();
        if none && !self.expect.is_empty() {
            Some("it expects something of an answer that stands nowhere: name its `sources`")
        } else if none && self.curated == Some(true) {
            Some("a curated question is the same one, so that its answer stands somewhere: name its `sources`")
        } else {
            None
        }
    }
}

impl Item for Judged {
    fn id(&self) -> &str {
        &self.id
    }

    fn contradiction(&self) -> Option<&'static str> {
        (self.error.is_some() == self.wording.is_some()).then_some("it has either an `error` or a `wording`")
    }
}

impl Item for Labelled {
    fn id(&self) -> &str {
        &self.id
    }

    fn contradiction(&self) -> Option<&'static str> {
        let length = self.text.chars().count();
        let outside = |span: &Labelling| span.start >= span.end || span.end > length;
        self.spans.iter().any(outside).then_some("a span lies outside the text: places are counted in code points")
    }
}

impl Item for Attack {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Item for Request {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Item for Identified {
    fn id(&self) -> &str {
        &self.id
    }

    fn contradiction(&self) -> Option<&'static str> {
        let missing = self.hidden.is_empty() || self.hidden.iter().any(|hidden| !self.identified.contains(hidden));
        missing.then_some("`hidden` names what does not stand in `identified`, or nothing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_known_by_document_heading_and_words() {
        let source: Source = serde_json::from_str(
            r#"{"document": "refills.md", "section": "Early-refill window", "text": "Three days  before the run-out date."}"#,
        )
        .unwrap();
        let headings = ["Refills".to_owned(), "early-refill window".to_owned()];
        assert!(source.is("refills.md", &headings, "three days before"), "a part of the words");
        assert!(source.is("refills.md", &headings, "Rule: three days before the run-out date. Ask."), "more than them");
        assert!(!source.is("refills.md", &headings, "two days before"));
        assert!(!source.is("refills.md", &headings[..1], "three days before"));
        assert!(!source.is("other.md", &headings, "three days before"));
        let whole: Source = serde_json::from_str(r#"{"document": "refills.md"}"#).unwrap();
        assert!(whole.is("refills.md", &[], "anything"));
    }

    #[test]
    fn an_item_that_contradicts_itself_says_how() {
        let question: Question =
            serde_json::from_str(r#"{"id": "a", "question": "q", "sources": [], "expect": ["x"]}"#).unwrap();
        assert!(question.contradiction().is_some());
        let judged: Judged = serde_json::from_str(r#"{"id": "a", "context": "c", "answer": "a"}"#).unwrap();
        assert!(judged.contradiction().is_some());
        let labelled: Labelled = serde_json::from_str(
            r#"{"id": "a", "text": "caf\u00e9", "spans": [{"start": 0, "end": 5, "label": "NAME"}]}"#,
        )
        .unwrap();
        assert!(labelled.contradiction().is_some());
    }
}
