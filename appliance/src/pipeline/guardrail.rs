//! A tenant's guardrail on its way through the pipeline: attacks, content, denied topics and words, and which version acts.
//!
//! **What it is not:** the whole of the document. Identifiers are [`Identifiers`](super::Identifiers)', strengths and
//! thresholds stand in the tenant's [`Settings`](super::Settings): they were put there from the same document.
//!
//! # Why
//! - **A topic or content that cannot be judged is denied.** Where the embedding model is busy or fails, a question is refused that
//!   might be about one; a guardrail that names content is not loaded beside a model whose vectors nobody can judge.
//! - **One pass of the model** over what a caller says, for topics, content and attacks together.
//! - **The record names the version, not the topic's text.** What was found is a place in a list; the list is in the version.

use std::sync::Arc;

use cloister_governance::audit;
use cloister_guardrails::{
    attack::{self, Strength, Where},
    content::{Content, Heads},
    document::{Document, FilterKind},
    redact::Side,
};
use cloister_knowledge::{Embed, EmbedError};

use super::{
    sentence::cosine,
    stop::Stop,
    windows::{Parts, Windows, embedded, vectors},
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
    heads: Option<&'static Heads>,
}

/// Why a guardrail cannot act.
#[derive(Debug, thiserror::Error)]
pub enum GuardrailError {
    /// The texts of its topics have no vectors.
    #[error("the texts of its topics cannot be embedded")]
    Topics(#[source] EmbedError),
    /// It names content, and the embedding model is another than the one whose vectors are understood.
    #[error(
        "it filters `{kind}`, which is told from vectors of {}: use that embedding model, or take the filter out", Heads::TRUNK, kind = .0.as_str()
    )]
    Content(FilterKind),
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
    /// [`GuardrailError`]: something in it could not be judged.
    pub fn new(
        (name, version, sha256): (String, String, String),
        document: Document,
        embed: &dyn Embed,
    ) -> Result<Self, GuardrailError> {
        let heads = Heads::of(&embed.identity().sha256);
        let filtered = [Side::Input, Side::Output].into_iter().find_map(|side| document.content(side).next());
        if let (Some((kind, _)), None) = (filtered, heads) {
            return Err(GuardrailError::Content(kind));
        }
        let told = document.topics.iter().map(|topic| topic.told().map(str::to_owned).collect::<Vec<_>>());
        let topics = told.map(|texts| Ok(Topic { vectors: embed.embed(&texts)? })).collect::<Result<Vec<_>, _>>();
        Ok(Self { name, version, sha256, document, topics: topics.map_err(GuardrailError::Topics)?, heads })
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

    /// Which parts of a text of that side are to be embedded, if any; `attacks` says whether it is searched for attacks.
    pub(crate) fn parts(&self, side: Side, attacks: bool) -> Option<Parts> {
        if self.document.topics.iter().any(|topic| topic.is_denied(side)) {
            return Some(Parts::Sentences);
        }
        let filtered = self.document.content(side).next().is_some();
        (filtered || (attacks && self.heads.is_some())).then_some(Parts::Whole)
    }

    /// What a text with these vectors holds of the content that is filtered on that side, and how strong the filter is.
    pub(crate) fn content(&self, windows: &Windows, side: Side) -> Vec<(Content, Strength)> {
        let judged = |kind| self.heads.map_or(Content::unjudged(kind), |heads| windows.judged(heads, kind));
        self.document.content(side).map(|(kind, strength)| (judged(kind), strength)).collect()
    }

    /// An attack in what a caller says, as rules found it, or where they are understood as these vectors tell.
    pub(crate) fn attack(&self, found: attack::Assessment, windows: &Windows) -> attack::Assessment {
        let heads = self.heads.filter(|_| !windows.whole.is_empty());
        heads.map_or(found, |heads| found.or(windows.judged(heads, FilterKind::PromptAttack).score))
    }

    /// The topics, denied on that side, that a text with these vectors is about.
    pub(crate) fn about(&self, windows: &Windows, side: Side) -> Vec<About> {
        // What is no number is near: it cannot be judged.
        let near =
            |window: &[f32], told: &[f32]| Some(cosine(window, told)).filter(|near| !near.is_nan()).unwrap_or(1.0);
        let nearest = |topic: &Topic| {
            let pairs = topic.vectors.iter().flat_map(|told| windows.all().map(|window| near(window, told)));
            pairs.fold(-1.0, f32::max)
        };
        let likenesses = self.topics.iter().map(nearest).zip(&self.document.topics).enumerate();
        likenesses
            .filter(|(_, (likeness, topic))| topic.is_denied(side) && *likeness >= topic.likeness)
            .map(|(topic, (likeness, _))| About { topic, likeness })
            .collect()
    }

    /// Refuses a question that reads as an attack of which `attack` blocks, holds a denied word or filtered content, or is about a
    /// denied topic.
    pub(super) async fn screen(&self, embed: &Arc<dyn Embed>, question: &str, attack: Strength) -> Result<(), Stop> {
        let found = attack::assess(question, Where::User);
        refuse_attack(found, attack)?;
        if self.document.words.input && self.document.words.denies(question) {
            return Err(self.refusal("word", "words.denied", "the question holds a word that is not taken here", 1.0));
        }
        let Some(parts) = self.parts(Side::Input, attack != Strength::None) else { return Ok(()) };
        let windows = vectors(embed, question, parts).await?;
        refuse_attack(self.attack(found, &windows), attack)?;
        let filtered = self.content(&windows, Side::Input);
        if let Some((found, _)) = filtered.iter().find(|(found, strength)| strength.blocks(found.confidence)) {
            let told = "the question holds content that is not taken here";
            return Err(self.refusal("content", rule(found.kind), told, found.score));
        }
        let nearest = self.about(&windows, Side::Input).iter().map(|about| about.likeness).reduce(f32::max);
        nearest.map_or(Ok(()), |likeness| {
            let told = "the question is about a topic that is not spoken about here";
            Err(self.refusal("topic", "topics.denied", told, likeness))
        })
    }

    /// Which of some texts that an answer may rest on are about a denied topic or hold filtered content. Every unit of an answer is
    /// borne by such a text, so what is kept out here is not said.
    pub(super) async fn denies(&self, embed: &Arc<dyn Embed>, texts: Vec<String>) -> Result<Vec<bool>, Stop> {
        let Some(parts) = self.parts(Side::Output, false) else { return Ok(vec![false; texts.len()]) };
        let vectors = embedded(embed, texts, parts).await?;
        let denied = |windows: &Windows| {
            let blocked = |(found, strength): &(Content, Strength)| strength.blocks(found.confidence);
            !self.about(windows, Side::Output).is_empty() || self.content(windows, Side::Output).iter().any(blocked)
        };
        Ok(vectors.iter().map(denied).collect())
    }

    /// Whether a part of an answer holds a word that is not said.
    pub(super) fn withholds(&self, text: &str) -> bool {
        self.document.words.output && self.document.words.denies(text)
    }

    fn refusal(&self, check: &'static str, rule: &'static str, told: &'static str, score: f32) -> Stop {
        let finding = self.document.blocked_input_message.clone().unwrap_or_else(|| told.to_owned());
        Stop::Blocked { check, finding, rule, score }
    }
}

/// A question that is meant to turn the model is refused before anything is searched or written.
fn refuse_attack(found: attack::Assessment, strength: Strength) -> Result<(), Stop> {
    match found.rule.filter(|_| strength.blocks(found.confidence)) {
        None => Ok(()),
        Some(rule) => Err(Stop::Blocked {
            check: "prompt_attack",
            finding: format!("the question reads as an attempt to change how it is answered: ask it plainly ({rule})"),
            rule,
            score: found.score,
        }),
    }
}

/// As records name it.
const fn rule(kind: FilterKind) -> &'static str {
    match kind {
        FilterKind::Hate => "content.hate",
        FilterKind::Insults => "content.insults",
        FilterKind::Sexual => "content.sexual",
        FilterKind::Violence => "content.violence",
        FilterKind::Misconduct => "content.misconduct",
        FilterKind::PromptAttack => "content.prompt_attack",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_likeness_that_is_no_number_counts_as_near() {
        let text = "version = 1\n[[topics]]\nname = \"law\"\ndefinition = \"Lawsuits.\"\n";
        let topics = vec![Topic { vectors: vec![vec![f32::NAN]] }];
        let guardrail = Guardrail { document: Document::read(text).unwrap(), topics, ..Guardrail::default() };
        assert_eq!(guardrail.about(&Windows::of(vec![vec![1.0]]), Side::Input), [About { topic: 0, likeness: 1.0 }]);
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
                assert_eq!(guardrail.parts(side, false), denied.then_some(Parts::Sentences));
                assert_eq!(!guardrail.about(&Windows::of(vec![vec![1.0]]), side).is_empty(), denied, "{side:?}");
            }
        }
    }
}
