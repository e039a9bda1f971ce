//! What a capture holds, and the one form in which it is written down.

use cloister_terms::{CollectionId, DocumentId, Phi};
use serde::{Deserialize, Serialize};

/// What was said. Every text is wrapped: it prints nowhere, and only [`Content`]'s own module writes it down, for the
/// sealed database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// What was asked, in order: one turn for a question, all of a raw model's chat.
    pub asked: Vec<Turn>,
    /// The evidence that was found for it, the best first.
    pub evidence: Vec<Excerpt>,
    /// What was answered, as far as it came.
    pub answered: Option<Phi<String>>,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose it is: `user`, `system`, `assistant`, or `prompt` for a text to go on with.
    pub role: String,
    /// What was said.
    pub text: Phi<String>,
}

/// A place of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// Its collection.
    pub collection: CollectionId,
    /// Its document, across versions.
    pub document: DocumentId,
    /// The document's version.
    pub version: String,
    /// First character, in code points into the document's text.
    pub start: usize,
    /// One past the last character.
    pub end: usize,
    /// What stands there.
    pub text: Phi<String>,
}

/// The form that this program writes and reads.
const FORMAT: u32 = 1;

/// As it is written down. It borrows, so that no copy of a text is left about.
#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    asked: Vec<(&'a str, &'a str)>,
    evidence: Vec<WrittenExcerpt<'a>>,
    answered: Option<&'a str>,
}

#[derive(Serialize)]
struct WrittenExcerpt<'a> {
    collection: &'a CollectionId,
    document: DocumentId,
    version: &'a str,
    start: usize,
    end: usize,
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    format: u32,
    asked: Vec<(String, String)>,
    evidence: Vec<ReadExcerpt>,
    answered: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadExcerpt {
    collection: CollectionId,
    document: DocumentId,
    version: String,
    start: usize,
    end: usize,
    text: String,
}

/// The content as the sealed database keeps it: JSON.
pub(super) fn sealed(content: &Content) -> Option<String> {
    serde_json::to_string(&Written {
        format: FORMAT,
        asked: content.asked.iter().map(|turn| (turn.role.as_str(), turn.text.expose().as_str())).collect(),
        evidence: content.evidence.iter().map(written).collect(),
        answered: content.answered.as_ref().map(|text| text.expose().as_str()),
    })
    .ok()
}

fn written(excerpt: &Excerpt) -> WrittenExcerpt<'_> {
    WrittenExcerpt {
        collection: &excerpt.collection,
        document: excerpt.document,
        version: &excerpt.version,
        start: excerpt.start,
        end: excerpt.end,
        text: excerpt.text.expose(),
    }
}

/// The content of a database's row. None if it is not as it was written.
pub(super) fn opened(sealed: &str) -> Option<Content> {
    let read: Read = serde_json::from_str(sealed).ok().filter(|read: &Read| read.format == FORMAT)?;
    let excerpt = |read: ReadExcerpt| Excerpt {
        collection: read.collection,
        document: read.document,
        version: read.version,
        start: read.start,
        end: read.end,
        text: Phi::new(read.text),
    };
    Some(Content {
        asked: read.asked.into_iter().map(|(role, text)| Turn { role, text: Phi::new(text) }).collect(),
        evidence: read.evidence.into_iter().map(excerpt).collect(),
        answered: read.answered.map(Phi::new),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn content() -> Content {
        Content {
            asked: vec![Turn { role: "user".to_owned(), text: Phi::new("May I \"refill\"?\n".to_owned()) }],
            evidence: vec![Excerpt {
                collection: "procedures".parse().unwrap(),
                document: 7.into(),
                version: "1".to_owned(),
                start: 3,
                end: 9,
                text: Phi::new("Refill.".to_owned()),
            }],
            answered: Some(Phi::new("Yes.".to_owned())),
        }
    }

    #[test]
    fn a_content_reads_back_as_it_was_sealed_and_prints_none_of_it() {
        let content = content();
        assert_eq!(opened(&sealed(&content).unwrap()), Some(content.clone()));
        let shown = format!("{content:?}");
        assert!(!shown.to_lowercase().contains("refill") && !shown.contains("Yes"), "{shown}");
    }

    #[test]
    fn a_content_of_another_form_is_not_taken_for_one() {
        let other = sealed(&content()).unwrap().replace("\"format\":1", "\"format\":2");
        assert_eq!(opened(&other), None);
        assert_eq!(opened("{}"), None);
    }
}
