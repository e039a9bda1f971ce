//! Text from a raw model, outside the answer pipeline: for programs that measure or build on it, under its own action.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use cloister_governance::{
    audit::{Model, Outcome},
    captures::{Content, Turn},
};
use cloister_terms::{Action, Phi, RequestId, SessionId};
use futures_util::StreamExt;

use super::{
    call,
    completion::{Ending, Reply, Written},
    salt,
    stream::{self, Item, NO_RETRY},
};
use crate::{
    capture::{Exchange, Recorded, Recorder},
    edge::context::Context,
    governed::{self, End as _, Refusal},
    identity::Caller,
    pipeline::{
        Failure, Generate, GenerateRequest, Priority, Stop,
        model::{Event, Events, ModelName, PromptText, Sampling, Usage},
    },
    wiring::App,
};

/// How long a raw generation may take: what the OpenAI SDKs wait by default.
const PATIENCE: Duration = Duration::from_secs(600);

/// One raw generation that was asked for.
pub(super) struct Wish<R> {
    pub(super) model: Arc<dyn Generate>,
    pub(super) prompt: PromptText,
    pub(super) sampling: Sampling,
    pub(super) priority: Priority,
    pub(super) reply: R,
    pub(super) streams: bool,
}

/// Generates, whole or as a stream.
pub(super) async fn reply<R: Reply>(app: &App, caller: &Caller, wish: Wish<R>) -> Result<Response, Stop> {
    let started = Instant::now();
    let Wish { model, prompt, sampling, priority, reply, streams } = wish;
    let kept = Kept::of(app, caller, &prompt);
    let deadline = Instant::now() + PATIENCE;
    let request = GenerateRequest { prompt, sampling, deadline, salt: salt(caller), priority };
    let admit = || model.generate(request).map_err(|refused| refused.into_stop(&model.identity().name));
    let identity = model.identity();
    if streams {
        return streamed(app, caller, (identity, reply, kept), admit).await;
    }
    let written = governed::governed(&app.gate, caller, call(caller, Action::Generate), async |_permit| {
        let ended = match admit() {
            Ok(events) => drain(events, &identity.name, |_| {}).await,
            Err(stop) => Ended::refused(stop),
        };
        let outcome = ended.outcome(&identity);
        Ok::<_, Stop>(kept.seal(ended, outcome).await)
    })
    .await?;
    match written {
        Ended { text, how: Ok((ending, usage)), .. } => {
            let written = Written { text: &text, ending, usage, took: started.elapsed(), answered: None };
            Ok(Json(reply.whole(&written)).into_response())
        }
        // Once admitted, a failure must not make the client try again: the outcome of the try is returned as it is.
        Ended { how: Err(stop), ran: true, .. } => Ok(([NO_RETRY], stop).into_response()),
        Ended { how: Err(stop), .. } => Err(stop),
    }
}

async fn streamed<R: Reply>(
    app: &App,
    caller: &Caller,
    (identity, reply, kept): (ModelName, R, Kept),
    admit: impl FnOnce() -> Result<Events, Stop>,
) -> Result<Response, Stop> {
    let started = Instant::now();
    let (_permit, entry) = governed::open(&app.gate, caller, call(caller, Action::Generate)).await?;
    let events = match admit() {
        Ok(events) => events,
        Err(stop) => {
            let outcome = stop.outcome();
            let (refused, outcome) = kept.seal(Ended::refused(stop), outcome).await;
            entry.complete(outcome).await.map_err(Refusal::from)?;
            return Err(refused.how.err().unwrap_or_else(|| Failure::Deadline.into()));
        }
    };
    stream::begin(R::FACE, caller.request_id(), move |feed| async move {
        reply.opening().into_iter().for_each(|item| feed.put(item));
        let ended = drain(events, &identity.name, |text| feed.put(reply.text(text))).await;
        let outcome = ended.outcome(&identity);
        let (ended, outcome) = kept.seal(ended, outcome).await;
        // INVARIANT (nothing unrecorded): the outcome is on the disk before the last byte leaves.
        match (entry.complete(outcome).await, ended.how) {
            (Ok(()), Ok((ending, usage))) => {
                let took = started.elapsed();
                let written = Written { text: &ended.text, ending, usage, took, answered: None };
                reply.closing(&written).into_iter().for_each(|item| feed.put(item));
            }
            (Ok(()), Err(stop)) => feed.put(Item::Failed(stop)),
            (Err(error), _) => feed.put(Item::Failed(Refusal::from(error).into())),
        }
    })
    .await
    .or_else(|stop| Ok(([NO_RETRY], stop).into_response()))
}

/// What is remembered of a request for its capture.
struct Kept {
    recorder: Recorder,
    session: Option<SessionId>,
    request: RequestId,
    asked: Vec<Turn>,
}

impl Kept {
    fn of(app: &App, caller: &Caller, prompt: &PromptText) -> Self {
        let recorder = app.recorder(caller.principal().tenant.as_ref());
        let turn = |role: &str, text: &str| Turn { role: role.to_owned(), text: Phi::new(text.to_owned()) };
        let asked = match prompt {
            _ if !recorder.is_on() => Vec::new(),
            PromptText::Chat(messages) => {
                messages.iter().map(|message| turn(message.role.as_str(), &message.content)).collect()
            }
            PromptText::Plain(text) => vec![turn("prompt", text)],
        };
        let session = caller.context().and_then(Context::session);
        Self { recorder, session, request: caller.request_id(), asked }
    }

    /// Seals what was asked with how it ended. What the tenant requires and cannot be sealed is withheld.
    async fn seal(self, ended: Ended, outcome: Outcome) -> (Ended, Outcome) {
        let Self { recorder, session, request, asked } = self;
        if !recorder.is_on() {
            return (ended, outcome);
        }
        let answered = Some(Phi::new(ended.text.clone())).filter(|_| ended.ran);
        let content = Content { asked, evidence: Vec::new(), answered };
        let exchange = Exchange { session, request, action: Action::Generate, content };
        let Recorded { outcome, refused } = recorder.record(exchange, outcome).await;
        match refused {
            Some(stop) => (Ended { how: Err(stop), ..ended }, outcome),
            None => (ended, outcome),
        }
    }
}

/// A generation, as far as it came.
struct Ended {
    text: String,
    /// Why it ended and what it cost, or what broke it.
    how: Result<(Ending, Usage), Stop>,
    /// Whether it was admitted.
    ran: bool,
}

impl Ended {
    const fn refused(stop: Stop) -> Self {
        Self { text: String::new(), how: Err(stop), ran: false }
    }

    fn outcome(&self, model: &ModelName) -> Outcome {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        match &self.how {
            Ok((_, usage)) => Outcome::done()
                .with_code("raw")
                .with_count("prompt_tokens", count(usage.prompt_tokens))
                .with_count("completion_tokens", count(usage.completion_tokens))
                .with_model(Model { name: model.name.clone(), sha256: model.sha256.clone() }),
            Err(stop) => stop.outcome(),
        }
    }
}

/// Takes a generation's events to the last, and hands each piece of text to `each`.
async fn drain(mut events: Events, model: &str, mut each: impl FnMut(&str)) -> Ended {
    let mut text = String::new();
    let how = loop {
        match events.next().await {
            Some(Event::Started { .. }) => {}
            Some(Event::Text(more)) => {
                each(&more);
                text.push_str(&more);
            }
            Some(Event::Finished { reason, usage }) => break Ending::of(reason).map(|ending| (ending, usage)),
            Some(Event::Failed(fault)) => break Err(fault.into_stop(model)),
            None => break Err(Stop::internal("generating", "the generation ended without a last event")),
        }
    };
    Ended { text, how, ran: true }
}
