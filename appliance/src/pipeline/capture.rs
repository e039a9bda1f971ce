//! After the last stage: answer or early end, sealed for whoever has to find out what went wrong, with the outcome to record.

use cloister_governance::{
    audit::Outcome,
    captures::{Content, Excerpt, Turn},
    policy::Permit,
};
use cloister_knowledge::Passage;
use cloister_terms::{Action, Phi, RequestId};

use super::{Answer, Ports, Question, Stop};
use crate::{
    capture::{Exchange, Recorded},
    governed::End as _,
    session::Session,
};

/// An answer or an early end, and the outcome to record before it is told.
#[must_use]
pub struct Answered {
    ended: Result<Answer, Stop>,
    outcome: Outcome,
}

impl Answered {
    /// Both.
    pub fn into_parts(self) -> (Result<Answer, Stop>, Outcome) {
        (self.ended, self.outcome)
    }

    /// The answer or the early end, for whoever records nothing: measurements and tests.
    ///
    /// # Errors
    /// The early end.
    pub fn ended(self) -> Result<Answer, Stop> {
        self.ended
    }
}

/// What is remembered of a question for its capture; nothing where none is made.
pub(super) struct Asked(Option<Exchange>);

impl Asked {
    pub(super) fn of(
        ports: &Ports,
        permit: &Permit,
        (session, request): (Session, RequestId),
        question: &Question,
    ) -> Self {
        let exchange = || {
            let asked = vec![Turn { role: "user".to_owned(), text: question.text.clone() }];
            let content = Content { asked, ..Content::default() };
            let action: Action = permit.action();
            Exchange { session: Some(session.id()), request, action, content }
        };
        Self(ports.recorder.is_on().then(exchange))
    }
}

/// Seals what was asked with how it ended. Where the tenant requires that and it cannot be, the answer is withheld.
pub(super) async fn capture(ports: &Ports, asked: Asked, ended: Result<Answer, Stop>) -> Answered {
    let outcome = ended.as_ref().map_or_else(Stop::outcome, Answer::outcome).with_guardrail(ports.guardrail.applied());
    let Some(mut exchange) = asked.0 else { return Answered { ended, outcome } };
    if let Ok(answer) = &ended {
        let pairs = answer.evidence().pairs().iter().map(|pair| &pair.passage);
        exchange.content.evidence = answer.evidence().passages().iter().chain(pairs).map(excerpt).collect();
        exchange.content.answered = Some(Phi::new(answer.text().to_owned()));
    }
    let Recorded { outcome, refused } = ports.recorder.record(exchange, outcome).await;
    match refused {
        Some(stop) => Answered { ended: Err(stop), outcome },
        None => Answered { ended, outcome },
    }
}

fn excerpt(passage: &Passage) -> Excerpt {
    Excerpt {
        collection: passage.collection.clone(),
        document: passage.document,
        version: passage.version.clone(),
        start: passage.start,
        end: passage.end,
        text: Phi::new(passage.text.clone()),
    }
}
