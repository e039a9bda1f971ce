//! Calibrating: the threshold from which a sentence is quoted, by questions whose answers are known.
//!
//! Every question is weighed once; then each threshold is tried on what came of it. The highest one is chosen at which no more of
//! the answerable questions are declined than is allowed: among those it declines most of the unanswerable.
//!
//! **What it is not:** proof. A threshold flatters the questions that it was chosen on; hold it against others with
//! `cloister eval run`.

use serde::Serialize;

use super::{
    item::{Question, Source},
    site::Site,
    statistics::{Dice, Interval, Point, Statistic},
    suite::{Items, Kind, Suite},
};

/// A question, weighed.
#[derive(Debug, Clone, Serialize)]
pub struct Weighing {
    /// The question's id.
    pub id: String,
    /// Whether the documents answer it.
    pub answerable: bool,
    /// How much evidence there is, on the scale of `answer.evidence`.
    pub evidence: f32,
    /// The sentences, the best first.
    pub sentences: Vec<Sentence>,
}

/// A sentence, weighed.
#[derive(Debug, Clone, Serialize)]
pub struct Sentence {
    /// How near it is to the question, on the scale of `answer.sentence`.
    pub score: f32,
    /// The logarithm of the odds that it answers, to whoever reads question and sentence together.
    pub read: Option<f32>,
    /// How likely it answers, on the scale of `answer.answers`; none where nobody reads question and sentence together.
    pub answers: Option<f32>,
    /// Whether it stands where the answer is known to stand.
    pub expected: bool,
    /// What orders it among the others, in the order of `selection::NAMES`.
    pub features: Vec<f32>,
}

/// The key of the threshold that these sentences are held against.
pub fn key(weighings: &[Weighing]) -> &'static str {
    let read = weighings.iter().flat_map(|weighing| &weighing.sentences).any(|sentence| sentence.answers.is_some());
    if read { "answers" } else { "sentence" }
}

/// Weighs every question of the suite's lanes. `progress` is told each one's end.
///
/// # Errors
/// When policy denies it or something fails.
pub async fn weigh(site: &Site, suite: &Suite, progress: &mut dyn FnMut()) -> anyhow::Result<Vec<Weighing>> {
    let mut weighings = Vec::new();
    for item in questions(suite) {
        let (evidence, found) = site.weigh(&item.question).await?.unwrap_or_default();
        let sentences = found.into_iter().map(|weighed| Sentence {
            score: weighed.score,
            read: weighed.read,
            answers: weighed.answers,
            expected: is_expected(&weighed.citation, &item.sources),
            features: weighed.features.0.to_vec(),
        });
        let answerable = !item.sources.is_empty();
        weighings.push(Weighing { id: item.id.clone(), answerable, evidence, sentences: sentences.collect() });
        progress();
    }
    Ok(weighings)
}

/// The questions of all lanes.
pub fn questions(suite: &Suite) -> impl Iterator<Item = &Question> {
    let lanes = suite.parts.iter().filter(|part| part.kind == Kind::Lanes);
    lanes.flat_map(|part| match &part.items {
        Items::Questions(items) => items.as_slice(),
        _ => &[],
    })
}

fn is_expected(citation: &crate::pipeline::Citation, sources: &[Source]) -> bool {
    sources.iter().any(|source| source.is(&citation.name, &citation.headings, &citation.text))
}

/// What a threshold does.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The threshold of `answer.sentence`, or of `answer.answers`.
    pub threshold: f32,
    /// Share of the unanswerable questions that are declined.
    pub abstention: Interval,
    /// Share of the answerable ones that are.
    pub false_abstention: Interval,
    /// Of the answerable ones that are not: how often the best sentence stands where the answer does.
    pub right: Interval,
}

/// Why nothing can be calibrated.
#[derive(Debug, thiserror::Error)]
pub enum TooFew {
    /// One kind of question is missing.
    #[error(
        "the suite's lanes hold {answerable} answerable and {unanswerable} unanswerable questions: both kinds are needed"
    )]
    OneKind {
        /// Answerable ones.
        answerable: usize,
        /// Unanswerable ones.
        unanswerable: usize,
    },
}

/// Steps of the threshold that are tried.
const STEPS: u8 = 99;

/// What thresholds from 0.01 to 0.99 do, with `least` evidence to answer at all.
///
/// # Errors
/// [`TooFew`] where one of the two kinds of question is missing.
pub fn effects(weighings: &[Weighing], least: f32, seed: u64) -> Result<Vec<Effect>, TooFew> {
    let answerable = weighings.iter().filter(|weighing| weighing.answerable).count();
    let unanswerable = weighings.len() - answerable;
    (1..=STEPS)
        .map(|step| {
            let threshold = f32::from(step) / 100.0;
            let declined = |weighing: &Weighing| {
                // Where sentences were read, the best of all decides.
                match weighing.sentences.first().and_then(|first| first.answers) {
                    Some(answers) => answers < threshold,
                    None => {
                        let best = weighing.sentences.iter().map(|sentence| sentence.score).fold(0.0, f32::max);
                        weighing.evidence < least || best < threshold
                    }
                }
            };
            let share = |of: &mut dyn Iterator<Item = bool>| {
                let points: Vec<Vec<Point>> = of.map(|is| vec![Point(f64::from(u8::from(is)), 1.0)]).collect();
                Statistic::Ratio.interval(&points, &mut Dice::new(seed))
            };
            let of = |wanted: bool| weighings.iter().filter(move |weighing| weighing.answerable == wanted);
            let first = |weighing: &Weighing| weighing.sentences.first().is_some_and(|best| best.expected);
            let (abstention, false_abstention) =
                (share(&mut of(false).map(declined)), share(&mut of(true).map(declined)));
            let right = share(&mut of(true).filter(|weighing| !declined(weighing)).map(first));
            let (Some(abstention), Some(false_abstention)) = (abstention, false_abstention) else {
                return Err(TooFew::OneKind { answerable, unanswerable });
            };
            let right = right.unwrap_or(Interval { value: 0.0, low: 0.0, high: 0.0 });
            Ok(Effect { threshold, abstention, false_abstention, right })
        })
        .collect()
}

/// The highest threshold at which at most that share of the answerable questions is declined; the lowest of all where none
/// keeps to it.
pub fn choose(effects: &[Effect], most_false: f64) -> Option<&Effect> {
    let kept = effects.iter().rev().find(|effect| effect.false_abstention.value <= most_false);
    kept.or_else(|| effects.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weighing(answerable: bool, score: f32) -> Weighing {
        let sentence = Sentence { score, read: None, answers: None, expected: answerable, features: Vec::new() };
        Weighing { id: "q".to_owned(), answerable, evidence: 0.9, sentences: vec![sentence] }
    }

    #[test]
    fn the_highest_threshold_is_chosen_that_declines_no_more_than_is_allowed() {
        let answerable = (1..=10_u8).map(|at| weighing(true, f32::from(at) / 10.0));
        let unanswerable = (0..10_u8).map(|at| weighing(false, f32::from(at) / 20.0));
        let all: Vec<Weighing> = answerable.chain(unanswerable).collect();
        let effects = effects(&all, 0.5, 1).unwrap();
        let chosen = choose(&effects, 0.2).unwrap();
        assert!((chosen.threshold - 0.30).abs() < 0.011, "{chosen:?}");
        assert!(chosen.false_abstention.value <= 0.2 && chosen.abstention.value >= 0.5, "{chosen:?}");
    }

    #[test]
    fn too_little_evidence_declines_whatever_a_sentence_weighs() {
        let all = [Weighing { evidence: 0.1, ..weighing(true, 0.9) }, weighing(false, 0.1)];
        let effects = effects(&all, 0.5, 1).unwrap();
        assert!(effects.iter().all(|effect| (effect.false_abstention.value - 1.0).abs() < 1e-9));
    }

    #[test]
    fn where_sentences_were_read_with_the_question_that_is_what_thresholds_are_held_against() {
        let read = |answerable, answers| {
            let mut weighing = weighing(answerable, 0.9);
            weighing.evidence = 0.0;
            weighing.sentences.iter_mut().for_each(|sentence| sentence.answers = Some(answers));
            weighing
        };
        let all = [read(true, 0.8), read(false, 0.2)];
        assert_eq!((key(&all), key(&[weighing(true, 0.9)])), ("answers", "sentence"));
        let effects = effects(&all, 0.5, 1).unwrap();
        let chosen = choose(&effects, 0.0).unwrap();
        assert!((0.79..0.81).contains(&chosen.threshold) && chosen.abstention.value > 0.99, "{chosen:?}");
    }

    #[test]
    fn one_kind_of_question_calibrates_nothing() {
        assert!(matches!(
            effects(&[weighing(true, 0.5)], 0.5, 1),
            Err(TooFew::OneKind { answerable: 1, unanswerable: 0 })
        ));
    }
}
