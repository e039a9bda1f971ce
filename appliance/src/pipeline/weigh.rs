//! The first stages alone: what the evidence's sentences weigh for a question, before any lane chooses. Thresholds are
//! calibrated on it.

use cloister_governance::policy::Permit;
use cloister_guardrails::selection::Features;

use super::{
    Citation, Ports, Question,
    retrieve::{self, Evidence},
    screen,
    sentence::{self, Sentence},
    stop::Stop,
};
use crate::session::Session;

/// A sentence that could be quoted.
pub(crate) struct Weighed {
    /// Where it stands.
    pub(crate) citation: Citation,
    /// How near it is to the question, on the scale of `answer.sentence`.
    pub(crate) score: f32,
    /// The logarithm of the odds that it answers, where both were read together.
    pub(crate) read: Option<f32>,
    /// How likely it answers, on the scale of `answer.answers`, where both were read together.
    pub(crate) answers: Option<f32>,
    /// What orders it among the others.
    pub(crate) features: Features,
}

/// The sentences of the evidence for `question`, the best first, and how much evidence there is.
///
/// # Errors
/// [`Stop`] when the question is refused, or searching or comparing fails.
pub(crate) async fn weigh(
    ports: &Ports,
    permit: Permit,
    session: Session,
    question: Question,
) -> Result<(f32, Vec<Weighed>), Stop> {
    let screened = screen::screen(ports, permit, session, question).await?;
    let evidence = retrieve::retrieve(ports, screened).await?;
    let ranked = sentence::rank(ports, &evidence).await?;
    let weighed = ranked.into_iter().filter_map(|sentence| weighed(&evidence, sentence));
    Ok((evidence.weight(), weighed.collect()))
}

fn weighed(evidence: &Evidence, sentence: Sentence) -> Option<Weighed> {
    let passage = evidence.passages().get(sentence.passage)?;
    let citation = sentence::cite(passage, sentence.span, sentence.score);
    Some(Weighed {
        citation,
        score: sentence.score,
        read: sentence.read,
        answers: sentence.answers,
        features: sentence.features,
    })
}
