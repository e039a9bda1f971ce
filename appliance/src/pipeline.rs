//! One question, one direction: from a permit to a released answer.
//!
//! Each stage takes the value before it by value and its output owns it; only the stage's own module can make its
//! output. So skipping a stage does not compile, and the last one holds the whole chain for the record.
//!
//! **What it is not:** it authenticates nobody and writes no audit entry; `governed` does both around it. Of what was said
//! it keeps nothing but the sealed capture that the tenant asks for.
//!
//! # Why
//! - **The verdict is a fold over units.** A unit is a sentence, a step or a curated answer. A unit is released as
//!   soon as it has passed; at the first that fails the draft is cut. So a streamed answer and an unstreamed one are
//!   the same text, and no later check can regret what was already sent.
//! - **A lane that yields nothing gives way to the next**, down to `abstain`, which needs nothing and cannot fail. A
//!   busy generation queue therefore costs the composed lane, not the answer.
//! - **Retrieved text is data.** Places of it that give orders to a model are kept out of prompts and answers; what is not
//!   found out is harmless all the same, since a unit that its citation does not bear is cut, whoever asked for it.
//! - **Nobody is named who need not be.** A question goes on with placeholders for the people in it, as the tenant's
//!   guardrail says; sentences of documents with a patient's identifier stand in no prompt and no answer.
//! - **A warning stays beside its dose.** Quotes are widened to it; a composed answer that left it out gets it word for word.
//! - **Answer and outcome come together**, in an [`Answered`] that only the capturing stage makes: no face can hand out an
//!   answer, or record a refusal, past the tenant's capture of it.
//! - **Citations are made here**, from the evidence that bore a unit. Whatever a model writes about its sources is
//!   taken out of the text.

pub(crate) mod apply;
mod capture;
pub mod citation;
mod cross;
pub(crate) mod entail;
mod generate;
pub mod guardrail;
mod identifiers;
pub mod knowledge;
pub mod model;
mod prompt;
mod quarantine;
mod quote;
mod release;
pub mod rerank;
mod retrieve;
mod screen;
pub mod scripted;
pub(crate) mod search;
mod sentence;
mod settings;
mod stage;
pub mod stop;
#[cfg(test)]
mod tests;
pub(crate) mod vault;
mod verify;
mod weigh;
pub(crate) mod windows;

use std::sync::Arc;

use cloister_governance::{policy::Permit, vault::Vault};
use cloister_knowledge::Embed;
use cloister_terms::{Clock, Random, RequestId};

pub use capture::Answered;
pub use citation::{Citation, Claim, ClaimVerdict, Lane, Scores, Withheld};
pub use generate::Draft;
pub use guardrail::Guardrail;
pub use identifiers::Identifiers;
pub use knowledge::Knowledge;
pub use model::{Generate, GenerateRequest, Priority};
pub use prompt::Prompt;
pub use release::Answer;
pub use rerank::Rerank;
pub use retrieve::Evidence;
pub use screen::{Question, Screened};
pub use settings::{Attack, Claim as ClaimSettings, SameQuestion, Settings, Threshold};
pub use stop::{Denial, Failure, Stop};
pub use verify::{Passed, Silent, Sink, Verdict};
pub(crate) use weigh::{Weighed, weigh};

use stage::{Stage, Watch};

pub(crate) use cross::together;
pub(crate) use sentence::cosine;

use crate::{capture::Recorder, edge::metrics::Metrics, session::Session};

/// What the pipeline works with. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// The tenant's documents.
    pub knowledge: Arc<dyn Knowledge>,
    /// The embedding model, to rank sentences.
    pub embed: Arc<dyn Embed>,
    /// The generation model, where there is one.
    pub generate: Option<Arc<dyn Generate>>,
    /// How to answer.
    pub settings: Arc<Settings>,
    /// The tenant's guardrail for identifiers of people.
    pub identifiers: Arc<Identifiers>,
    /// What the placeholders of a session stand for, where the tenant has that kept.
    pub vault: Option<Vault>,
    /// The tenant's guardrail: its topics and words, and which version acts.
    pub guardrail: Arc<Guardrail>,
    /// Where random bytes come from.
    pub random: Arc<dyn Random>,
    /// What time it is: documents not yet or no longer in force are not evidence.
    pub clock: Arc<dyn Clock>,
    /// Seals what was asked and what came of it.
    pub recorder: Recorder,
    /// How long the stages take.
    pub metrics: Metrics,
}

/// Answers a question. What has passed every check goes to `sink` unit by unit; the same units make up the answer.
///
/// Dropping the future ends the generation within one step of the model.
///
/// What comes back is the answer, or a [`Stop`] when the question is refused or something that the answer needs fails, and
/// the outcome to record before either is told. Finding nothing is no early end.
pub async fn answer(
    ports: &Ports,
    permit: Permit,
    (session, request): (Session, RequestId),
    question: Question,
    sink: &mut dyn Sink,
) -> Answered {
    let asked = capture::Asked::of(ports, &permit, (session, request), &question);
    let walked = walk(ports, permit, session, question, sink);
    // Dropped at the end of the time, whatever it waits for: a queue, a search, a model.
    let timed = tokio::time::timeout(ports.settings.time(), walked).await;
    capture::capture(ports, asked, timed.unwrap_or_else(|_| Err(Failure::Deadline.into()))).await
}

async fn walk(
    ports: &Ports,
    permit: Permit,
    session: Session,
    question: Question,
    sink: &mut dyn Sink,
) -> Result<Answer, Stop> {
    let mut watch = Watch::start(ports);
    let screened = screen::screen(ports, permit, session, question).await?;
    watch.over(Stage::Screen, None);
    let evidence = retrieve::retrieve(ports, screened).await?;
    watch.over(Stage::Retrieve, Some((Stage::Quarantine, evidence.quarantine().took())));
    let prompt = prompt::prompt(ports, evidence).await?;
    watch.over(Stage::Prompt, None);
    let draft = generate::generate(ports, prompt);
    let verdict = verify::verify(ports, draft, sink).await?;
    watch.over(Stage::Verify, Some((Stage::Generate, verdict.waited())));
    let answer = release::release(ports, verdict);
    watch.over(Stage::Release, None);
    Ok(answer)
}
