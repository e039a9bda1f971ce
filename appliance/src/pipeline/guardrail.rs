//! A tenant's guardrail on its way through the pipeline: denied topics and words, and which version acts.
//!
//! **What it is not:** the whole of the document. Identifiers are [`Identifiers`](super::Identifiers)', strengths and
//! thresholds stand in the tenant's [`Settings`](super::Settings): they were put there from the same document.
//!
//! # Why
//! - **A topic that cannot be judged is denied.** Where the embedding model is busy or fails, a question is refused that might be
//!   about one.
//! - **The record names the version, not the topic's text.** What was found is a place in a list; the list is in the version.

use std::sync::Arc;

use cloister_governance::audit;
use cloister_guardrails::{document::Document, redact::Side, split};
use cloister_knowledge::{Embed, EmbedError};

use super::{
    knowledge::blocking,
    sentence::cosine,
    stop::{Failure, Stop},
};

/// The version that the file of the configuration has.
pub const DRAFT: &str = "DRAFT";
/// The version of the guardrail of a tenant that names none.
pub const BUILT_IN: &str = "built-in";

/// A guardrail, ready to be applied.
#[derive(Debug, Clone, Default)]
pub struct Guardrail {
    name: String,
    version: String,
    sha256: String,
    document: Document,
    topics: Vec<Topic>,
}

/// A topic with the vectors of the texts that it is told by.
#[derive(Debug, Clone)]
struct Topic {
    vectors: Vec<Vec<f32>>,
}

/// A topic that a text is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct About {
    /// Its place in the document's list.
    pub(crate) topic: usize,
    /// How near the text is to it.
    pub(crate) likeness: f32,
}

impl Guardrail {
    /// The guardrail of that name and version, whose document has that hash. The texts of its topics are embedded here.
    ///
    /// # Errors
    /// [`EmbedError`] where the embedding model fails.
    pub fn new(
        (name, version, sha256): (String, String, String),
        document: Document,
        embed: &dyn Embed,
    ) -> Result<Self, EmbedError> {
        let told = document.topics.iter().map(|topic| topic.told().map(str::to_owned).collect::<Vec<_>>());
        let topics =
            told.map(|texts| Ok(Topic { vectors: embed.embed(&texts)? })).collect::<Result<Vec<_>, EmbedError>>()?;
        Ok(Self { name, version, sha256, document, topics })
    }

    /// What it says.
    pub const fn document(&self) -> &Document {
        &self.document
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, [`DRAFT`] or [`BUILT_IN`].
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether that names its version. What is built in is the draft of a tenant that has none.
    pub fn is_version(&self, named: &str) -> bool {
        self.version == named || (self.version == BUILT_IN && named == DRAFT)
    }

    /// SHA-256 of its document's bytes.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What the audit log keeps of it.
    pub fn applied(&self) -> audit::Guardrail {
        let Self { name, version, sha256, .. } = self.clone();
        audit::Guardrail { name, version, sha256 }
    }

    /// Whether it holds a text of that side against topics.
    pub(crate) fn has_topics(&self, side: Side) -> bool {
        self.document.topics.iter().any(|topic| topic.is_denied(side))
    }

    /// The topics, denied on that side, that a text with these vectors, one a window, is about.
    pub(crate) fn about(&self, windows: &[Vec<f32>], side: Side) -> Vec<About> {
        // What is no number is near: it cannot be judged.
        let near =
            |window: &[f32], told: &[f32]| Some(cosine(window, told)).filter(|near| !near.is_nan()).unwrap_or(1.0);
        let nearest = |topic: &Topic| {
            let pairs = topic.vectors.iter().flat_map(|told| windows.iter().map(|window| near(window, told)));
            pairs.fold(-1.0, f32::max)
        };
        let likenesses = self.topics.iter().map(nearest).zip(&self.document.topics).enumerate();
        likenesses
            .filter(|(_, (likeness, topic))| topic.is_denied(side) && *likeness >= topic.likeness)
            .map(|(topic, (likeness, _))| About { topic, likeness })
            .collect()
    }

    /// Refuses a question that holds a denied word or is about a denied topic.
    pub(super) async fn screen(&self, embed: &Arc<dyn Embed>, question: &str) -> Result<(), Stop> {
        if self.document.words.input && !self.document.words.found(question).is_empty() {
            return Err(self.refusal("word", "words.denied", "the question holds a word that is not taken here", 1.0));
        }
        if !self.has_topics(Side::Input) {
            return Ok(());
        }
        let about = self.about(&vectors(embed, question).await?, Side::Input);
        let nearest = about.iter().map(|about| about.likeness).reduce(f32::max);
        nearest.map_or(Ok(()), |likeness| {
            Err(self.refusal(
                "topic",
                "topics.denied",
                "the question is about a topic that is not spoken about here",
                likeness,
            ))
        })
    }

    /// Which of some texts that an answer may rest on are about a denied topic. Every unit of an answer is borne by such a text, so what is
    /// kept out here is not said.
    pub(super) async fn denies(&self, embed: &Arc<dyn Embed>, texts: Vec<String>) -> Result<Vec<bool>, Stop> {
        if !self.has_topics(Side::Output) {
            return Ok(vec![false; texts.len()]);
        }
        let vectors = embedded(embed, texts).await?;
        Ok(vectors.iter().map(|windows| !self.about(windows, Side::Output).is_empty()).collect())
    }

    /// Whether a part of an answer holds a word that is not said.
    pub(super) fn withholds(&self, text: &str) -> bool {
        self.document.words.output && !self.document.words.found(text).is_empty()
    }

    fn refusal(&self, check: &'static str, rule: &'static str, told: &'static str, score: f32) -> Stop {
        let finding = self.document.blocked_input_message.clone().unwrap_or_else(|| told.to_owned());
        Stop::Blocked { check, finding, rule, score }
    }
}

/// The vectors of a text that is to be held against topics, one a window. A busy model leaves it unjudged: the request is to be
/// sent again.
pub(crate) async fn vectors(embed: &Arc<dyn Embed>, text: &str) -> Result<Vec<Vec<f32>>, Stop> {
    Ok(embedded(embed, vec![text.to_owned()]).await?.pop().unwrap_or_default())
}

/// The vectors of some texts, for each one a window.
async fn embedded(embed: &Arc<dyn Embed>, texts: Vec<String>) -> Result<Vec<Vec<Vec<f32>>>, Stop> {
    let embed = Arc::clone(embed);
    blocking(move || {
        let parts: Vec<Vec<String>> = texts.iter().map(|text| windows(embed.as_ref(), text)).collect();
        let all: Vec<String> = parts.iter().flatten().cloned().collect();
        match embed.embed(&all) {
            Ok(vectors) if vectors.len() == all.len() => {
                let mut vectors = vectors.into_iter();
                Ok(parts.iter().map(|parts| vectors.by_ref().take(parts.len()).collect()).collect())
            }
            Ok(_) => Err(Stop::internal("judging the topic", std::io::Error::other("there is a vector too few"))),
            Err(EmbedError::Busy { retry_after }) => {
                Err(Failure::Busy { what: "the embedding model", retry_after }.into())
            }
            Err(fault) => Err(Stop::internal("judging the topic", fault)),
        }
    })
    .await
}

/// A text in parts: all of it, and each sentence by itself, so that a topic is not drowned by what stands around it.
fn windows(embed: &dyn Embed, text: &str) -> Vec<String> {
    let most = embed.identity().max_tokens;
    let sentences = split::sentences(text);
    let mut parts = seen_whole(embed, most, text);
    if sentences.len() > 1 {
        parts.extend(sentences.iter().flat_map(|sentence| seen_whole(embed, most, sentence.of(text))));
    }
    parts
}

/// A text in stretches of which the model sees the end too: what lies past `most` tokens would not be judged.
fn seen_whole(embed: &dyn Embed, most: usize, text: &str) -> Vec<String> {
    let half = text.floor_char_boundary(text.len() / 2);
    if half == 0 || embed.count_tokens(text) <= most {
        return vec![text.to_owned()];
    }
    let (first, last) = text.split_at(half);
    let mut parts = seen_whole(embed, most, first);
    parts.extend(seen_whole(embed, most, last));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_likeness_that_is_no_number_counts_as_near() {
        let text = "version = 1\n[[topics]]\nname = \"law\"\ndefinition = \"Lawsuits.\"\n";
        let topics = vec![Topic { vectors: vec![vec![f32::NAN]] }];
        let guardrail = Guardrail { document: Document::read(text).unwrap(), topics, ..Guardrail::default() };
        assert_eq!(guardrail.about(&[vec![1.0]], Side::Input), [About { topic: 0, likeness: 1.0 }]);
    }

    #[test]
    fn a_topic_is_looked_for_on_its_own_sides_alone() {
        for (input, output) in [(true, false), (false, true), (false, false)] {
            let text = format!(
                "version = 1\n[[topics]]\nname = \"law\"\ndefinition = \"Lawsuits.\"\ninput = {input}\noutput = {output}\n"
            );
            let topics = vec![Topic { vectors: vec![vec![1.0]] }];
            let guardrail = Guardrail { document: Document::read(&text).unwrap(), topics, ..Guardrail::default() };
            for (side, denied) in [(Side::Input, input), (Side::Evidence, output), (Side::Output, output)] {
                assert_eq!(guardrail.has_topics(side), denied);
                assert_eq!(!guardrail.about(&[vec![1.0]], side).is_empty(), denied, "{side:?}");
            }
        }
    }
}
