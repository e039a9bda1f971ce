//! A guardrail held against texts of a caller's own: what the pipeline does to a question and to an answer, told in full and
//! without a generation model.
//!
//! **What it is not:** a stage. Nothing that is applied here goes on to a prompt or an answer.

use std::sync::Arc;

use cloister_governance::audit::Outcome as Recorded;
use cloister_guardrails::{
    attack::{self, Confidence, Strength, Where},
    document::{FilterKind, Managed},
    drug::Lexicon,
    ground,
    redact::{Action, Intervention, Outcome, Placeholders, Side},
    screen::screen,
};
use cloister_knowledge::Embed;
use cloister_terms::{Phi, Random};

use super::{
    Guardrail, Identifiers, Settings,
    entail::entail,
    guardrail::About,
    stop::Stop,
    windows::{Windows, vectors},
};

/// A guardrail with all that it takes to apply it.
#[derive(Clone)]
pub(crate) struct Guarding {
    pub(crate) guardrail: Arc<Guardrail>,
    pub(crate) identifiers: Arc<Identifiers>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) embed: Arc<dyn Embed>,
}

/// What an answer is held against.
pub(crate) struct Against {
    /// What it must rest on.
    pub(crate) source: Phi<String>,
    /// What was asked.
    pub(crate) query: Phi<String>,
}

impl Default for Against {
    /// Nothing.
    fn default() -> Self {
        Self { source: Phi::new(String::new()), query: Phi::new(String::new()) }
    }
}

/// What was found in one text.
pub(crate) struct Assessment {
    /// Places of denied words in the document's list.
    pub(crate) words: Vec<String>,
    /// Words of managed lists, in the list's form.
    pub(crate) managed: Vec<(Managed, &'static str)>,
    /// Denied topics.
    pub(crate) topics: Vec<About>,
    /// Content that is filtered for; what reads as an attack, in a caller's text.
    pub(crate) content: Vec<Filtered>,
    /// Identifiers, and what was done about each.
    pub(crate) identifiers: Vec<Intervention>,
    /// How well an answer rests on its source, and how far it is about the question.
    pub(crate) grounding: Vec<Measured>,
    /// The text as it may go on; `None` where it must not.
    pub(crate) text: Option<Phi<String>>,
    /// Whether it goes on otherwise than it came.
    pub(crate) masked: bool,
}

/// What a filter found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Filtered {
    pub(crate) kind: FilterKind,
    pub(crate) confidence: Confidence,
    pub(crate) score: f32,
    pub(crate) strength: Strength,
    pub(crate) blocked: bool,
}

/// A score and the least that is asked of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Measured {
    /// `GROUNDING` or `RELEVANCE`.
    pub(crate) kind: &'static str,
    pub(crate) score: f32,
    pub(crate) threshold: f32,
}

impl Measured {
    pub(crate) fn is_below(&self) -> bool {
        // What is not a number is below.
        self.score.is_nan() || self.score < self.threshold
    }
}

impl Assessment {
    /// Whether the guardrail refuses the text.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.text.is_none()
    }

    /// What the audit log keeps: how many of what. No text.
    pub(crate) fn count(&self, outcome: Recorded) -> Recorded {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let mut counts = outcome.counts.clone();
        let mut add = |name: &'static str, count: u64| *counts.entry(name).or_default() += count;
        add("texts", 1);
        add("blocked", u64::from(self.is_blocked()));
        add("words_denied", number(self.words.len() + self.managed.len()));
        add("topics_denied", number(self.topics.len()));
        let (attacks, content): (Vec<&Filtered>, Vec<&Filtered>) =
            self.content.iter().filter(|found| found.blocked).partition(|found| found.kind == FilterKind::PromptAttack);
        add("attacks", number(attacks.len()));
        add("content", number(content.len()));
        add("below_threshold", number(self.grounding.iter().filter(|measured| measured.is_below()).count()));
        for intervention in &self.identifiers {
            add(intervention.kind.word(), 1);
        }
        Recorded { counts, ..outcome }
    }
}

impl Guarding {
    /// Holds one text against the guardrail, as something that a caller says or as something that is said to one.
    ///
    /// # Errors
    /// [`Stop::Failed`] where a topic, content or an answer's grounding cannot be judged.
    pub(crate) async fn assess(
        &self,
        text: &str,
        side: Side,
        against: &Against,
        random: &dyn Random,
    ) -> Result<Assessment, Stop> {
        let document = self.guardrail.document();
        let input = side == Side::Input;
        // As the pipeline reads it: what cannot be seen hides nothing. A text of nothing else has nothing to be found in.
        let read = screen(text, usize::MAX, &[]).map_or_else(|_| String::new(), |clean| clean.text);
        let looked_for = if input { document.words.input } else { document.words.output };
        let words = if looked_for { document.words.found(&read) } else { Vec::new() };
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let managed = if looked_for { document.words.found_managed(&read) } else { Vec::new() };
        let windows = match self.guardrail.parts(side, input) {
            Some(parts) => vectors(&self.embed, &read, parts).await?,
            None => Windows::default(),
        };
        let topics = self.guardrail.about(&windows, side);
        let found = self.guardrail.content(&windows, side).into_iter();
        let found =
            found.map(|(content, strength)| filtered(content.kind, content.confidence, content.score, strength));
        let content: Vec<Filtered> = found.chain(input.then(|| self.attack(&read, &windows)).flatten()).collect();
        let redacted = self.identifiers.redacted(text, side, &mut Placeholders::default(), random);
        let grounding = if input { Vec::new() } else { self.measure(text, against).await? };
        let refused = !words.is_empty()
            || !managed.is_empty()
            || !topics.is_empty()
            || content.iter().any(|found| found.blocked)
            || grounding.iter().any(Measured::is_below);
        let (text, masked) = match redacted.outcome {
            _ if refused => (None, false),
            Outcome::Blocked => (None, false),
            Outcome::Unchanged => (Some(Phi::new(text.to_owned())), false),
            Outcome::Anonymized(text) => (Some(Phi::new(text)), true),
        };
        let mut identifiers = redacted.interventions;
        identifiers.retain(|intervention| intervention.action != Action::None);
        Ok(Assessment { words, managed, topics, content, identifiers, grounding, text, masked })
    }

    fn attack(&self, text: &str, windows: &Windows) -> Option<Filtered> {
        let found = self.guardrail.attack(attack::assess(text, Where::User), windows);
        let strength = self.settings.attack.question;
        found.rule.map(|_| filtered(FilterKind::PromptAttack, found.confidence, found.score, strength))
    }

    /// How an answer measures against what it was given; nothing where it was given nothing.
    async fn measure(&self, answer: &str, against: &Against) -> Result<Vec<Measured>, Stop> {
        let (source, query) = (against.source.expose(), against.query.expose());
        if source.is_empty() {
            return Ok(Vec::new());
        }
        let entailed = entail(&self.embed, source.clone(), answer.to_owned()).await?;
        let judged = ground::judge(source, query, answer, entailed.as_deref(), Lexicon::built_in());
        let threshold = self.settings.threshold;
        let grounding = Measured { kind: "GROUNDING", score: judged.score, threshold: threshold.grounding };
        let relevance = Measured { kind: "RELEVANCE", score: judged.relevance, threshold: threshold.relevance };
        Ok(if query.is_empty() { vec![grounding] } else { vec![grounding, relevance] })
    }
}

fn filtered(kind: FilterKind, confidence: Confidence, score: f32, strength: Strength) -> Filtered {
    Filtered { kind, confidence, score, strength, blocked: strength.blocks(confidence) }
}

/// The outcome to start from: what was applied.
pub(crate) fn outcome(guardrail: &Guardrail) -> Recorded {
    Recorded::done().with_guardrail(guardrail.applied())
}
