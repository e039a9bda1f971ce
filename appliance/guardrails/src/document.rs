//! A guardrail as a document: what is done with identifiers, attacks, content, denied topics and words, and how well an answer
//! must rest on its evidence. The same document for every model and every face.
//!
//! ```toml
//! version = 1                            # of this format
//! blocked_input_message = "This cannot be asked here."
//! default = "ANONYMIZE"                  # identifiers: see `redact::Policy`
//!
//! [[filters]]
//! type = "PROMPT_ATTACK"
//! input_strength = "MEDIUM"
//! evidence_strength = "MEDIUM"
//!
//! [[filters]]
//! type = "INSULTS"
//! input_strength = "HIGH"
//! output_strength = "NONE"
//!
//! [[topics]]
//! name = "legal advice"
//! definition = "Whether the hospital can be sued, and for how much."
//! examples = ["Can I sue the pharmacy for the wrong pills?"]
//!
//! [words]
//! words = ["Acme Corp", "off the record"]
//! managed = ["PROFANITY"]
//!
//! [grounding]
//! grounding = 0.7
//! ```
//!
//! **What it is not:** a judge of meaning. Words are looked for here; how near a text is to a topic, and what content it holds, is
//! for whoever holds an embedding model.
//!
//! # Why
//! - **The cloud's vocabulary**, so that a policy can be carried over: types, strengths, actions and managed lists are Bedrock's. What
//!   is not built here is refused by name and not passed over: whoever carries a policy over must know what it no longer does.
//! - **The identifiers' keys stand here again** and not by a nested [`Policy`]: serde cannot refuse unknown keys in what it
//!   flattens, and a key that is misspelt must not be passed over.
//! - **One file**, so that a version is one hash: what was measured is what is put in force.

mod profanity;
mod word;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    attack::Strength,
    detect::Pattern,
    redact::{Action, EntityRule, Policy, PolicyError, Side},
};

pub use word::{Managed, Words};

/// A guardrail, read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The version of the format: 1.
    pub version: u32,
    /// What it is for, in words for its keeper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What a caller is told whose text is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_input_message: Option<String>,
    /// What is said in place of an answer that is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_output_message: Option<String>,
    /// See [`Policy::default`](struct@Policy).
    #[serde(default = "anonymize")]
    pub default: Action,
    /// See [`Policy::least_confidence`].
    #[serde(default = "least")]
    pub least_confidence: f32,
    /// See [`Policy::entities`].
    #[serde(default)]
    pub entities: Vec<EntityRule>,
    /// See [`Policy::regexes`].
    #[serde(default)]
    pub regexes: Vec<Pattern>,
    /// Content filters. One that is not named acts as the configuration says.
    #[serde(default)]
    pub filters: Vec<Filter>,
    /// What is not spoken about.
    #[serde(default)]
    pub topics: Vec<Topic>,
    /// Words that are not said.
    #[serde(default)]
    pub words: Words,
    /// Least scores of a whole answer. Without it they are those of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounding: Option<Grounding>,
}

/// A content filter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// What it finds.
    #[serde(rename = "type")]
    pub kind: FilterKind,
    /// How much of it is refused in what a caller says.
    #[serde(default)]
    pub input_strength: Strength,
    /// Of attacks: how much is kept out of prompts and answers in what documents say. Default: `MEDIUM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_strength: Option<Strength>,
    /// Of content: how much is kept out of answers, by what documents say, since every part of an answer is borne by it. Default:
    /// `MEDIUM`. For attacks it can only be `NONE`, as in the cloud, and says nothing of evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_strength: Option<Strength>,
}

impl Filter {
    /// How much is kept out of answers, and of attacks out of prompts.
    pub fn kept_out(&self) -> Strength {
        match self.kind {
            FilterKind::PromptAttack => self.evidence_strength.unwrap_or_default(),
            _ => self.output_strength.unwrap_or_default(),
        }
    }

    /// Whether the strengths are those that its kind has.
    fn fits(&self) -> bool {
        match self.kind {
            FilterKind::PromptAttack => self.output_strength.is_none_or(|strength| strength == Strength::None),
            _ => self.evidence_strength.is_none(),
        }
    }
}

/// The kinds of filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are Bedrock's own")]
pub enum FilterKind {
    PromptAttack,
    Hate,
    Insults,
    Sexual,
    Violence,
    Misconduct,
}

impl FilterKind {
    /// All of them, in the order of the cloud's documents.
    pub const ALL: [Self; 6] =
        [Self::Hate, Self::Insults, Self::Sexual, Self::Violence, Self::Misconduct, Self::PromptAttack];

    /// As the cloud writes it: `PROMPT_ATTACK`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PromptAttack => "PROMPT_ATTACK",
            Self::Hate => "HATE",
            Self::Insults => "INSULTS",
            Self::Sexual => "SEXUAL",
            Self::Violence => "VIOLENCE",
            Self::Misconduct => "MISCONDUCT",
        }
    }
}

/// A denied topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name, for records and replies.
    pub name: String,
    /// What is done about it: `DENY`, as in Bedrock.
    #[serde(rename = "type", default)]
    pub kind: TopicKind,
    /// What it is, in a sentence.
    pub definition: String,
    /// Texts that are about it.
    #[serde(default)]
    pub examples: Vec<String>,
    /// From which likeness on a text is about it: the cosine of its embedding with that of the definition or of an example.
    /// Default: 0.6. Measure it on questions of one's own: what is near differs with the embedding model.
    #[serde(default = "likeness")]
    pub likeness: f32,
    /// Whether it is refused in what a caller says. Default: true.
    #[serde(default = "yes")]
    pub input: bool,
    /// Whether it is kept out of answers. Default: true.
    #[serde(default = "yes")]
    pub output: bool,
}

/// What is done about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TopicKind {
    /// It is refused.
    #[default]
    Deny,
}

impl Topic {
    /// Whether it is looked for on that side of an answer.
    #[must_use]
    pub const fn is_denied(&self, side: Side) -> bool {
        match side {
            Side::Input => self.input,
            Side::Evidence | Side::Output => self.output,
        }
    }

    /// The texts that a text is compared with: the definition, then the examples.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.definition.as_str()).chain(self.examples.iter().map(String::as_str))
    }
}

/// Least scores of a whole answer, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grounding {
    /// Least share of an answer's claims that the evidence bears.
    pub grounding: f32,
    /// Least relevance to the question.
    pub relevance: f32,
}

/// The version of the format that this program reads.
const FORMAT: u32 = 1;
/// As many topics as Bedrock takes.
const TOPICS: usize = 30;

const fn anonymize() -> Action {
    Action::Anonymize
}

const fn least() -> f32 {
    0.4
}

const fn yes() -> bool {
    true
}

const fn likeness() -> f32 {
    0.6
}

impl Default for Document {
    fn default() -> Self {
        Self {
            version: FORMAT,
            description: None,
            blocked_input_message: None,
            blocked_output_message: None,
            default: anonymize(),
            least_confidence: least(),
            entities: Vec::new(),
            regexes: Vec::new(),
            filters: Vec::new(),
            topics: Vec::new(),
            words: Words::default(),
            grounding: None,
        }
    }
}

/// Why a document cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// It is not well formed, or holds a key or a word that is not known.
    #[error("the guardrail cannot be read: {0}")]
    Form(String),
    /// Its identifiers.
    #[error(transparent)]
    Identifiers(#[from] PolicyError),
    /// A filter that is given twice.
    #[error("`{0}` has two filters: keep one")]
    FilterTwice(&'static str),
    /// A strength that the filter has not.
    #[error(
        "the filter `{0}`: `evidence_strength` is for PROMPT_ATTACK, whose `output_strength` can only be NONE; other kinds have `output_strength`"
    )]
    FilterStrength(&'static str),
    /// Too many topics, or one without a name or a definition, or two of one name.
    #[error("topics: give at most {TOPICS}, each with a name of its own and a definition")]
    Topics,
    /// A number that is no share.
    #[error("`{0}` must lie between 0 and 1")]
    Share(&'static str),
    /// A word that is no word.
    #[error("`words.words` holds an entry without a letter or a digit: take it out")]
    EmptyWord,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// [`DocumentError`] with the first thing that is wrong with it.
    pub fn read(text: &str) -> Result<Self, DocumentError> {
        let document: Self = toml::from_str(text).map_err(|error| DocumentError::Form(error.to_string()))?;
        document.policy().check()?;
        for (at, filter) in document.filters.iter().enumerate() {
            if document.filters.iter().take(at).any(|other| other.kind == filter.kind) {
                return Err(DocumentError::FilterTwice(filter.kind.as_str()));
            }
            if !filter.fits() {
                return Err(DocumentError::FilterStrength(filter.kind.as_str()));
            }
        }
        let mut names = BTreeSet::new();
        let faulty = |topic: &Topic| {
            topic.name.trim().is_empty() || topic.definition.trim().is_empty() || !names.insert(topic.name.clone())
        };
        if document.topics.len() > TOPICS || document.topics.iter().any(faulty) {
            return Err(DocumentError::Topics);
        }
        let is_share = |value: f32| (0.0..=1.0).contains(&value);
        if !document.topics.iter().all(|topic| is_share(topic.likeness)) {
            return Err(DocumentError::Share("topics.likeness"));
        }
        let Grounding { grounding, relevance } = document.grounding.unwrap_or_default();
        for (name, value) in [("grounding.grounding", grounding), ("grounding.relevance", relevance)] {
            if !is_share(value) {
                return Err(DocumentError::Share(name));
            }
        }
        if document.words.has_empty() { Err(DocumentError::EmptyWord) } else { Ok(document) }
    }

    /// What is done with identifiers.
    pub fn policy(&self) -> Policy {
        Policy {
            version: self.version,
            default: self.default,
            least_confidence: self.least_confidence,
            entities: self.entities.clone(),
            regexes: self.regexes.clone(),
        }
    }

    /// The filter for prompt attacks, if it names one.
    pub fn attacks(&self) -> Option<&Filter> {
        self.filters.iter().find(|filter| filter.kind == FilterKind::PromptAttack)
    }

    /// The filters for content that block something on that side.
    pub fn content(&self, side: Side) -> impl Iterator<Item = (FilterKind, Strength)> {
        let strength = move |filter: &Filter| match side {
            Side::Input => filter.input_strength,
            Side::Evidence | Side::Output => filter.kept_out(),
        };
        let filters = self.filters.iter().filter(|filter| filter.kind != FilterKind::PromptAttack);
        filters.map(move |filter| (filter.kind, strength(filter))).filter(|(_, strength)| *strength != Strength::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_identifiers_alone_reads_as_before() {
        let text = "version = 1\n[[entities]]\ntype = \"DATE\"\naction = \"NONE\"";
        let document = Document::read(text).unwrap();
        assert_eq!(document.policy(), Policy::read(text).unwrap());
        assert_eq!(document.attacks(), None);
    }

    #[test]
    fn a_document_is_written_and_read_back() {
        let text = "version = 1\nblocked_input_message = \"No.\"\n[[filters]]\ntype = \"PROMPT_ATTACK\"\n\
                    input_strength = \"HIGH\"\n[[topics]]\nname = \"law\"\ntype = \"DENY\"\ndefinition = \"Lawsuits.\"\n\
                    [words]\nwords = [\"Acme Corp\"]\nmanaged = [\"PROFANITY\"]\n[grounding]\ngrounding = 0.5\n";
        let document = Document::read(text).unwrap();
        assert_eq!(document.attacks().unwrap().input_strength, Strength::High);
        assert_eq!(document.topics[0].told().collect::<Vec<_>>(), ["Lawsuits."]);
        assert_eq!(Document::read(&toml::to_string(&document).unwrap()).unwrap(), document);
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        let refused = Document::read("version = 1\n[words]\nmanaged = [\"BLASPHEMY\"]");
        assert!(matches!(refused, Err(DocumentError::Form(told)) if told.contains("PROFANITY")));
    }

    #[test]
    fn a_content_filter_acts_on_the_sides_that_have_a_strength() {
        let filter = |kind: &str, rest: &str| format!("[[filters]]\ntype = \"{kind}\"\n{rest}");
        let text = format!(
            "version = 1\n{}{}{}",
            filter("HATE", "output_strength = \"NONE\"\n"),
            filter("VIOLENCE", "input_strength = \"NONE\"\noutput_strength = \"LOW\"\n"),
            filter("PROMPT_ATTACK", "")
        );
        let document = Document::read(&text).unwrap();
        let of = |side| document.content(side).collect::<Vec<_>>();
        assert_eq!(of(Side::Input), [(FilterKind::Hate, Strength::Medium)]);
        assert_eq!(of(Side::Output), [(FilterKind::Violence, Strength::Low)]);
        assert_eq!(of(Side::Evidence), of(Side::Output));
    }

    #[test]
    fn a_policy_of_the_cloud_s_keeps_attacks_out_of_evidence_and_a_strength_out_of_place_is_refused() {
        let filter = |kind: &str, rest: &str| format!("version = 1\n[[filters]]\ntype = \"{kind}\"\n{rest}");
        let carried = Document::read(&filter("PROMPT_ATTACK", "output_strength = \"NONE\"\n")).unwrap();
        assert_eq!(carried.attacks().unwrap().kept_out(), Strength::Medium);
        for (kind, rest) in
            [("PROMPT_ATTACK", "output_strength = \"LOW\"\n"), ("HATE", "evidence_strength = \"LOW\"\n")]
        {
            assert_eq!(Document::read(&filter(kind, rest)), Err(DocumentError::FilterStrength(kind)));
        }
    }

    #[test]
    fn faults_are_refused() {
        let topic = "[[topics]]\nname = \"law\"\ndefinition = \"Lawsuits.\"\n";
        for (text, fault) in [
            (format!("version = 1\n{topic}{topic}"), DocumentError::Topics),
            ("version = 1\n[[topics]]\nname = \"x\"\ndefinition = \"\"\n".to_owned(), DocumentError::Topics),
            (format!("version = 1\n{topic}likeness = 1.5\n"), DocumentError::Share("topics.likeness")),
            ("version = 1\n[grounding]\nrelevance = -0.1\n".to_owned(), DocumentError::Share("grounding.relevance")),
            ("version = 1\n[words]\nwords = [\"!\"]\n".to_owned(), DocumentError::EmptyWord),
            ("version = 3\n".to_owned(), DocumentError::Identifiers(PolicyError::Version(3))),
        ] {
            assert_eq!(Document::read(&text), Err(fault), "{text}");
        }
        let filter = "[[filters]]\ntype = \"PROMPT_ATTACK\"\n";
        assert_eq!(
            Document::read(&format!("version = 1\n{filter}{filter}")),
            Err(DocumentError::FilterTwice("PROMPT_ATTACK"))
        );
    }
}
