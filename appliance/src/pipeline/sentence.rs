//! The sentences of the evidence, ranked by how well they answer the question, and where they stand.

use std::{collections::HashSet, sync::Arc};

use cloister_guardrails::{
    fact,
    ground::headings_above,
    same_question,
    selection::{self, Asked, Candidate, Features},
    split::{self, Span},
    words,
};
use cloister_knowledge::{Embed, EmbedError, Passage};

use super::{
    Ports, Settings, citation::Citation, cross, knowledge::blocking, quarantine::Quarantine, retrieve::Evidence,
    stop::Stop,
};

/// A sentence of a passage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sentence {
    /// Which passage, as an index into the evidence.
    pub(super) passage: usize,
    /// Where in the passage's text, in bytes.
    pub(super) span: Span,
    /// How near it is to the question: cosine plus a quarter of the share of the question's words.
    pub(super) score: f32,
    /// What orders it among the others, by itself or beside `read`.
    pub(super) features: Features,
    /// The logarithm of the odds that it answers the question, where both were read together.
    pub(super) read: Option<f32>,
    /// How likely it answers the question, 0 to 1, where both were read together.
    pub(super) answers: Option<f32>,
}

impl Sentence {
    /// What orders sentences by how well they answer: the larger the better.
    fn rank(&self) -> f32 {
        self.read.map_or_else(|| self.features.rank(), |read| self.features.rank_read(read))
    }

    /// Whether it answers nearly as well as `best`.
    pub(super) fn stands_beside(&self, best: &Self) -> bool {
        self.rank() >= best.rank() - BESIDE
    }

    /// Whether an answer may rest on it: it is likely enough to answer, or, where nobody read both together, near enough.
    fn is_worth_telling(&self, settings: &Settings) -> bool {
        match self.answers {
            // Nothing makes what could not be told an answer.
            Some(answers) => answers > 0.0 && answers >= settings.answers,
            None => self.score >= settings.sentence,
        }
    }
}

/// How far below the best sentence another may rank and still be quoted beside it. On the questions that the ranks were learned
/// on, 0.65 to 0.68 of what is quoted so stands where the answer does (0.43 on questions of a portal that are hard to tell
/// apart); without a limit 0.37 to 0.53. That was without the reading; beside it, the share on the sample site stayed within 0.02 of that of the
/// best sentence alone.
const BESIDE: f32 = 0.5;

/// Of sentences ranked by how well they answer those that an answer may rest on, the best first; none where the best of all was read together with
/// the question and does not answer: what comes after it is not likelier to.
pub(super) fn worth_telling<'a>(ranked: &'a [Sentence], settings: &Settings) -> Vec<&'a Sentence> {
    match ranked.first() {
        Some(first) if first.answers.is_some() && !first.is_worth_telling(settings) => Vec::new(),
        _ => ranked.iter().filter(|sentence| sentence.is_worth_telling(settings)).collect(),
    }
}

/// As in the weight of passages, so that both are on one scale.
const WORDS: f32 = 0.25;

/// Sentences of `passages` that state something, in the order of the passages; none of an answer on file to a question about
/// something else.
fn candidates(question: &str, passages: &[Passage], quarantine: &Quarantine) -> Vec<Sentence> {
    let mut seen = HashSet::new();
    let answers_another = |passage: &Passage| {
        let filed = |asked: &str| format!("{} {asked}", passage.headings.join(" "));
        passage
            .pair
            .as_ref()
            .is_some_and(|pair| same_question::is_about_another(question, &filed(&pair.question), &passage.text))
    };
    passages
        .iter()
        .enumerate()
        .filter(|(_, passage)| !answers_another(passage))
        .flat_map(|(passage, found)| split::sentences(&found.text).into_iter().map(move |span| (passage, found, span)))
        .filter(|(passage, _, span)| !quarantine.touches(*passage, *span))
        .filter(|(_, found, span)| states_something(span.of(&found.text), &found.headings))
        .filter(|(_, found, span)| seen.insert((innermost(found), span.of(&found.text))))
        .map(|(passage, _, span)| Sentence {
            passage,
            span,
            score: 0.0,
            features: Features::NONE,
            read: None,
            answers: None,
        })
        .collect()
}

/// Not a heading, not a question, not a lone word.
fn states_something(text: &str, headings: &[String]) -> bool {
    let heading = text.starts_with('#') || headings.iter().any(|heading| heading == text);
    let question = text.trim_end_matches(['"', '\'', ')', '*', '_']).ends_with('?');
    !heading && !question && (words::content(text).len() > 1 || !fact::facts(text).is_empty())
}

/// What a sentence stands under: title and headings, one a line, the innermost last.
pub(super) fn context(passage: &Passage) -> String {
    std::iter::once(passage.title.as_str())
        .chain(passage.headings.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a sentence stands under in all: also the headings in the passage's own text, orders to a model passed over.
pub(super) fn standing_under(passage: &Passage, sentence: Sentence, quarantine: &Quarantine) -> String {
    let kept_out = |span: Span| quarantine.touches(sentence.passage, span);
    format!("{}\n{}", context(passage), headings_above(&passage.text, sentence.span, &kept_out))
}

/// The sentences of the evidence, those first that answer best beside the others.
///
/// A sentence is compared together with the heading above it: a step like "Call 555-0100" says nothing about transfers
/// by itself. Where the embedding model has an adapter, question and sentence are read together too, and that decides; a busy model then
/// fails the question, since whether there is an answer at all is not to be guessed. Elsewhere a busy one leaves the passage's own cosine to
/// go by.
pub(super) async fn rank(ports: &Ports, evidence: &Evidence) -> Result<Vec<Sentence>, Stop> {
    let (question, passages) = (evidence.screened().sought(), evidence.passages());
    let mut ranked =
        foremost(question, passages, candidates(question, passages, evidence.quarantine()), ports.settings.sentences);
    let texts = std::iter::once(question.to_owned()).chain(ranked.iter().map(|sentence| told(*sentence, passages)));
    let cosines = compare(ports.embed.clone(), texts.collect()).await?;
    let told = ranked.iter().map(|sentence| under_title(*sentence, passages));
    let readings = cross::read(&ports.embed, question, told.collect()).await?;
    // A question that is not read whole is held to likeness, too: its beginning is not what it asks.
    let (whole, weight) = (cross::reads_whole(ports.embed.as_ref(), question), evidence.weight());
    let asked = Asked::of(question, |word| evidence.rarity(word));
    for (index, sentence) in ranked.iter_mut().enumerate() {
        let Some(passage) = passages.get(sentence.passage) else { continue };
        let own = cosines.as_ref().and_then(|cosines| cosines.get(index)).copied();
        sentence.features = asked.features(&Candidate {
            sentence: sentence.span.of(&passage.text),
            context: &context(passage),
            passage: &passage.text,
            cosine: own.unwrap_or(passage.cosine),
            passage_cosine: passage.cosine,
        });
        // The passage's cosine went in before; the sentence's own takes its place.
        sentence.score += own.map_or(0.0, |own| own - passage.cosine);
        sentence.read = readings.as_ref().and_then(|readings| readings.get(index)).copied();
        let held = whole || sentence.score >= ports.settings.sentence;
        sentence.answers = sentence.read.map(|read| if held { selection::answers(read, weight) } else { 0.0 });
    }
    sort(&mut ranked, Sentence::rank);
    Ok(ranked)
}

/// The sentences that are worth a comparison by meaning, `most` at most.
fn foremost(question: &str, passages: &[Passage], mut all: Vec<Sentence>, most: usize) -> Vec<Sentence> {
    let asked = words::stems(question);
    for sentence in &mut all {
        if let Some(passage) = passages.get(sentence.passage) {
            let said = words::stems(&format!("{} {}", context(passage), sentence.span.of(&passage.text)));
            sentence.score = WORDS.mul_add(words::share(&asked, &said), passage.cosine);
        }
    }
    sort(&mut all, |sentence| sentence.score);
    all.truncate(most);
    all
}

/// A sentence as it is compared: with the innermost heading, or the title.
fn told(sentence: Sentence, passages: &[Passage]) -> String {
    passages.get(sentence.passage).map_or_else(String::new, |passage| {
        let above = innermost(passage).unwrap_or(&passage.title);
        let above: String = above.chars().take(most(passage)).collect();
        format!("{above}: {}", sentence.span.of(&passage.text))
    })
}

/// Characters of what a sentence stands under that are read before it: of a question all but the longest, since its end may say for whom.
const fn most(passage: &Passage) -> usize {
    if passage.pair.is_some() { QUESTION } else { HEADING }
}

/// What a sentence of a passage stands under, nearest to it: the question that it answers, or a heading.
fn innermost(passage: &Passage) -> Option<&String> {
    passage.pair.as_ref().map(|pair| &pair.question).or_else(|| passage.headings.last())
}

/// Characters of a title and of a heading that are read before a sentence: more would leave no room for the sentence.
const HEADING: usize = 80;

/// Characters of a question on file that are read before a sentence of its answer.
const QUESTION: usize = 240;

/// A sentence as it is read together with a question: with the title, and the innermost heading where there is one. An answer on file stands under its
/// subject, where it has one, and its own question: "Yes, until noon." says nothing without it.
fn under_title(sentence: Sentence, passages: &[Passage]) -> String {
    let short = |text: &str| text.chars().take(HEADING).collect::<String>();
    passages.get(sentence.passage).map_or_else(String::new, |passage| {
        let subject = passage.headings.last().filter(|_| passage.pair.is_some());
        let title = subject.unwrap_or(&passage.title);
        let text = sentence.span.of(&passage.text);
        match innermost(passage).filter(|above| *above != title) {
            Some(above) => {
                format!("{} / {}: {text}", short(title), above.chars().take(most(passage)).collect::<String>())
            }
            None => format!("{}: {text}", short(title)),
        }
    })
}

/// Cosines of the first text with each of the others; `None` when the queue is full.
async fn compare(embed: Arc<dyn Embed>, texts: Vec<String>) -> Result<Option<Vec<f32>>, Stop> {
    blocking(move || match embed.embed(&texts) {
        Ok(vectors) => {
            let Some((first, others)) = vectors.split_first() else { return Ok(None) };
            Ok(Some(others.iter().map(|other| cosine(first, other)).collect()))
        }
        Err(EmbedError::Busy { .. }) => Ok(None),
        Err(fault) => Err(Stop::internal("ranking sentences", fault)),
    })
    .await
}

/// Cosine of two vectors of length one.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sort(sentences: &mut [Sentence], by: impl Fn(&Sentence) -> f32) {
    // What is not a number sorts last; equal ones keep the order of the passages.
    sentences.sort_by(|a, b| {
        let (a, b) = (by(a), by(b));
        a.is_nan().cmp(&b.is_nan()).then(b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal))
    });
}

/// The citation of a place in a passage.
pub(super) fn cite(passage: &Passage, span: Span, score: f32) -> Citation {
    let before = passage.text.get(..span.start).map_or(0, |text| text.chars().count());
    let text = span.of(&passage.text);
    let start = passage.start + before;
    Citation {
        collection: passage.collection.clone(),
        document: passage.document,
        name: passage.name.clone(),
        title: passage.title.clone(),
        version: passage.version.clone(),
        headings: passage.headings.clone(),
        question: passage.pair.as_ref().map(|pair| pair.question.clone()),
        page: passage.page,
        start,
        end: start + text.chars().count(),
        text: text.to_owned(),
        score: score.clamp(0.0, 1.0),
    }
}
