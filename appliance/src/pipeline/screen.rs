//! First stage: nothing goes on but screened text. What reads as an attack on the model is refused, and identifiers of
//! people are masked or refused; so are denied words and topics.

use std::{sync::Arc, time::Instant};

use cloister_governance::policy::Permit;
use cloister_guardrails::{
    redact::{Intervention, Placeholders},
    screen::{self as guard, Finding, Refusal},
};
use cloister_terms::{CollectionId, Phi};

use super::{
    Ports,
    identifiers::Masked,
    knowledge::blocking,
    model::Priority,
    stop::{Failure, Stop},
    vault,
};
use crate::session::Session;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// The question, as it was sent.
    pub text: Phi<String>,
    /// Where to look; wherever the caller may read if `None`.
    pub collections: Option<Vec<CollectionId>>,
    /// How urgent it is.
    pub priority: Priority,
}

/// A question that may be worked with.
#[derive(Debug)]
pub struct Screened {
    permit: Permit,
    session: Session,
    question: Phi<String>,
    sought: Phi<String>,
    collections: Option<Vec<CollectionId>>,
    priority: Priority,
    findings: Vec<Finding>,
    interventions: Vec<Intervention>,
    deadline: Instant,
}

impl Screened {
    /// What permits the work.
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The interaction it belongs to.
    pub const fn session(&self) -> Session {
        self.session
    }

    /// The screened question, with placeholders for identifiers of people.
    pub fn question(&self) -> &str {
        self.question.expose()
    }

    /// The same without the placeholders: what is searched for and compared.
    pub fn sought(&self) -> &str {
        self.sought.expose()
    }

    /// Identifiers that were masked.
    pub fn interventions(&self) -> &[Intervention] {
        &self.interventions
    }

    /// Where the caller wants to look.
    pub fn collections(&self) -> Option<&[CollectionId]> {
        self.collections.as_deref()
    }

    /// How urgent it is.
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// What screening found.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// When a draft must be there: a little before the answer, so that lanes without a model can still be tried.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }
}

/// Screens the question.
pub(super) async fn screen(
    ports: &Ports,
    permit: Permit,
    session: Session,
    question: Question,
) -> Result<Screened, Stop> {
    let deadline = Instant::now() + ports.settings.time().mul_f32(0.9);
    let clean = guard::screen(question.text.expose(), ports.settings.question_characters, &[]).map_err(|refusal| {
        let (Refusal::Empty | Refusal::TooLong { .. }) = refusal;
        Stop::from(Failure::Invalid { message: format!("question: {refusal}"), field: Some("question") })
    })?;
    ports.guardrail.screen(&ports.embed, &clean.text, ports.settings.attack.question).await?;
    let masked = mask(ports, session, clean.text).await?;
    Ok(Screened {
        permit,
        session,
        question: Phi::new(masked.text),
        sought: Phi::new(masked.sought),
        collections: question.collections,
        priority: question.priority,
        findings: clean.findings,
        interventions: masked.interventions,
        deadline,
    })
}

/// Puts the session's placeholders for the people in a question. The vault is asked for them only where there is somebody to mask.
async fn mask(ports: &Ports, session: Session, text: String) -> Result<Masked, Stop> {
    let masked = ports.identifiers.question(text.clone(), &mut Placeholders::default(), ports.random.as_ref())?;
    let Some(vault) = ports.vault.clone().filter(|_| masked.text != text) else { return Ok(masked) };
    let (identifiers, random) = (ports.identifiers.clone(), Arc::clone(&ports.random));
    blocking(move || {
        vault::keep(&vault, session.id(), |placeholders| identifiers.question(text, placeholders, random.as_ref()))?
    })
    .await
}
