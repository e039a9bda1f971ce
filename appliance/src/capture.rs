//! What is kept, sealed, of a question and its end, so that it can be found out what went wrong.
//!
//! A [`Recorder`] seals one capture of each request that reaches the answer pipeline or a raw model, whole or streamed,
//! answered or refused, once, when its end is known and before its outcome is recorded: the audit record then names the
//! capture, or says that there is none. By default identifiers become placeholders first (see [`redaction`]); raw only
//! where the tenant's own file says so.
//!
//! **What it is not:** a capture is no record of decisions, which is the audit log. What policy denies, what cannot be read
//! as a request, and what its caller leaves before the end is not captured; the audit log tells of it all the same.
//!
//! # Why
//! - **Before the outcome, not after it**, so that the record says what became of the capture, and one that is required and
//!   fails can still withhold the answer.
//! - **What cannot be redacted is not kept.** The answer is not lost by that, unless the tenant requires a capture of each.

use std::sync::Arc;

use cloister_governance::{
    audit::{Outcome, OutcomeKind},
    captures::{Capture, CaptureError, CaptureLabel, Captures, Content, Form},
};
use cloister_terms::{Action, CaptureId, Clock, Random, RequestId, SessionId};

use crate::{
    config,
    edge::metrics::Metrics,
    pipeline::{Failure, Stop},
};

pub mod redaction;
pub mod retention;

/// Counts captures by what became of them.
const TOTAL: &str = "cloister_captures_total";

/// What was asked, by which request, and what came of it.
#[derive(Debug)]
pub struct Exchange {
    /// The interaction, where it was one.
    pub session: Option<SessionId>,
    /// The request, as in the audit log.
    pub request: RequestId,
    /// What was done.
    pub action: Action,
    /// What was said.
    pub content: Content,
}

/// What became of a capture.
#[derive(Debug)]
pub struct Recorded {
    /// The outcome to record, which names the capture or says why there is none.
    pub outcome: Outcome,
    /// Why the answer may not be given; none where it may.
    pub refused: Option<Stop>,
}

/// Takes the identifiers out of what was said in a session; none where that cannot be done. Blocks.
pub type Redact = Arc<dyn Fn(Content, Option<SessionId>, &dyn Random) -> Option<Content> + Send + Sync>;

/// Seals the captures of one tenant. Cheap to clone.
#[derive(Clone, Default)]
pub struct Recorder(Option<Arc<On>>);

struct On {
    captures: Captures,
    form: Form,
    required: bool,
    redact: Redact,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    metrics: Metrics,
}

/// Why there is no capture.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// Identifiers could not be taken out.
    #[error("the text could not be redacted")]
    Unredacted,
    /// It could not be written.
    #[error(transparent)]
    Unwritten(#[from] CaptureError),
}

impl Fault {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Unredacted => "unredacted",
            Self::Unwritten(_) => "unwritten",
        }
    }

    /// The count that the outcome carries.
    const fn count(&self) -> &'static str {
        match self {
            Self::Unredacted => "capture_unredacted",
            Self::Unwritten(_) => "capture_unwritten",
        }
    }
}

/// What every tenant's recorder works with.
#[derive(Clone)]
pub struct Means {
    /// Takes identifiers out.
    pub redact: Redact,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids and tokens come from.
    pub random: Arc<dyn Random>,
    /// Where captures are counted.
    pub metrics: Metrics,
}

impl Recorder {
    /// One that seals nothing.
    pub const fn off() -> Self {
        Self(None)
    }

    /// One that seals into `captures` as `settings` say.
    ///
    /// # Errors
    /// Where captures are required and cannot be made. Where they are not, that is logged, and tried again for each.
    pub fn of(captures: &Captures, settings: config::Captures, means: Means) -> Result<Self, CaptureError> {
        let Some(form) = settings.mode.form() else { return Ok(Self::off()) };
        match captures.open() {
            Err(error) if settings.required => return Err(error),
            Err(error) => {
                let tenant = captures.tenant();
                tracing::error!(%tenant, error = &error as &dyn std::error::Error, "captures cannot be written");
            }
            Ok(()) => {}
        }
        let Means { redact, clock, random, metrics } = means;
        let (captures, required) = (captures.clone(), settings.required);
        Ok(Self(Some(Arc::new(On { captures, form, required, redact, clock, random, metrics }))))
    }

    /// The same, but that identifiers are taken out so from now on.
    #[must_use]
    pub fn redacting(&self, redact: Redact) -> Self {
        let with = |on: &Arc<On>| {
            let On { captures, form, required, clock, random, metrics, .. } = on.as_ref();
            let (captures, clock, random, metrics) =
                (captures.clone(), Arc::clone(clock), Arc::clone(random), metrics.clone());
            Arc::new(On { captures, form: *form, required: *required, redact, clock, random, metrics })
        };
        Self(self.0.as_ref().map(with))
    }

    /// Whether it seals anything: what is not to be sealed need not be gathered.
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Seals what `exchange` holds, with how it ended. Dropped before it returns, the capture may be there all the same.
    pub async fn record(&self, exchange: Exchange, outcome: Outcome) -> Recorded {
        let Some(on) = self.0.clone() else { return Recorded { outcome, refused: None } };
        let id = CaptureId::random(on.random.as_ref());
        let (kind, code, sealing) = (outcome.kind, outcome.code, Arc::clone(&on));
        let sealed = tokio::task::spawn_blocking(move || sealing.seal(id, exchange, kind, code)).await;
        // A panic's own words may quote what was worked on: they go nowhere.
        let fault = match sealed.unwrap_or(Err(Fault::Unredacted)) {
            Ok(()) => {
                on.metrics.count(TOTAL, 1, &[("result", on.form.as_str())]);
                return Recorded { outcome: outcome.with_capture(id), refused: None };
            }
            Err(fault) => fault,
        };
        on.metrics.count(TOTAL, 1, &[("result", fault.as_str())]);
        let tenant = on.captures.tenant();
        tracing::error!(%tenant, error = &fault as &dyn std::error::Error, "there is no capture of a request");
        let mut outcome = outcome.with_count(fault.count(), 1);
        if !on.required {
            return Recorded { outcome, refused: None };
        }
        (outcome.kind, outcome.code) = (OutcomeKind::Failed, Some("capture_required"));
        let what = "the capture that this site keeps of each answer".to_owned();
        let refused =
            Failure::Unavailable { what, mend: "no answer is given without one: tell the operator".to_owned() };
        Recorded { outcome, refused: Some(refused.into()) }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Recorder").field(&self.0.as_ref().map(|on| on.form)).finish()
    }
}

impl On {
    fn seal(
        &self,
        id: CaptureId,
        exchange: Exchange,
        outcome: OutcomeKind,
        code: Option<&'static str>,
    ) -> Result<(), Fault> {
        let Exchange { session, request, action, content } = exchange;
        let content = match self.form {
            Form::Raw => content,
            Form::Redacted => (self.redact)(content, session, self.random.as_ref()).ok_or(Fault::Unredacted)?,
        };
        let code = code.map(str::to_owned);
        let label = CaptureLabel { id, at: self.clock.now(), session, request, action, form: self.form, outcome, code };
        Ok(self.captures.put(&Capture { label, content })?)
    }
}

#[cfg(test)]
mod tests;
