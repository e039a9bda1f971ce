//! A question to the tenant's assistant, through the whole pipeline, in the words of whichever face asked.

use std::time::Instant;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use cloister_terms::{Action, CollectionId, Phi, SessionId};

use super::{
    call,
    completion::{self, Ending, Reply, Written},
    session,
    stream::{self, Feed, Item},
    tenant,
};
use crate::{
    governed::{self, End as _, Refusal},
    identity::Caller,
    pipeline::{self, Answer, Lane, Passed, Ports, Priority, Question, Silent, Sink, Stop, model::Usage},
    session::Session,
    wiring::App,
};

/// What is asked.
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) collections: Option<Vec<CollectionId>>,
    pub(super) session: Option<SessionId>,
    pub(super) priority: Priority,
    /// What of the request is not heeded, by name.
    pub(super) ignored: Vec<&'static str>,
    pub(super) streams: bool,
}

/// An answer, and the session that it belongs to.
pub(super) async fn answer<R: Reply>(
    app: &App,
    caller: &Caller,
    asked: Asked,
    reply: R,
) -> Result<(Session, Response), Stop> {
    let started = Instant::now();
    let Asked { text, collections, session: named, priority, ignored, streams } = asked;
    let session = session(app, caller, named)?;
    let question = Question { text: Phi::new(text), collections, priority };
    let of = Interaction { session, question, ignored, started };
    let response =
        if streams { streamed(app, caller, of, reply).await? } else { whole(app, caller, of, reply).await? };
    Ok((session, response))
}

/// One question on its way.
struct Interaction {
    session: Session,
    question: Question,
    ignored: Vec<&'static str>,
    started: Instant,
}

async fn whole<R: Reply>(app: &App, caller: &Caller, of: Interaction, reply: R) -> Result<Response, Stop> {
    let Interaction { session, question, ignored, started } = of;
    let (request, text) = (caller.request_id(), question.text.clone());
    let call = call(caller, Action::Ask).within(session.id());
    let ports = tenant(caller).and_then(|tenant| app.ports(tenant));
    let answered = governed::governed(&app.gate, caller, call, async |permit| {
        let ports = ports?;
        let answered = pipeline::answer(&ports, permit, (session, request), question, &mut Silent).await;
        let (answered, outcome) = answered.into_parts();
        Ok::<_, Stop>((answered.map(|answer| (answer, ports)), outcome))
    })
    .await?;
    let (answer, ports) = match answered {
        Ok(answered) => answered,
        Err(stop) => {
            let told = completion::intervened::<R>(&stop, started.elapsed()).ok_or(stop)?;
            return Ok(Json(reply.whole(&completion::refusal(&told))).into_response());
        }
    };
    // Counted only now: what was answered is known to be short.
    let usage = usage(&ports, text.expose(), answer.text());
    let told = completion::Answered { answer: &answer, request, started, ignored: &ignored };
    Ok(Json(reply.whole(&written(&answer, usage, told))).into_response())
}

async fn streamed<R: Reply>(app: &App, caller: &Caller, of: Interaction, reply: R) -> Result<Response, Stop> {
    let Interaction { session, question, ignored, started } = of;
    let request = caller.request_id();
    let call = call(caller, Action::Ask).within(session.id());
    let ports = tenant(caller).and_then(|tenant| app.ports(tenant));
    let (permit, entry) = governed::open(&app.gate, caller, call).await?;
    stream::begin(R::FACE, request, move |feed| async move {
        let mut units = Units { feed: feed.clone(), reply: reply.clone(), begun: false };
        let (answered, outcome) = match ports {
            Ok(ports) => {
                let text = question.text.clone();
                let answered = pipeline::answer(&ports, permit, (session, request), question, &mut units).await;
                let (answered, outcome) = answered.into_parts();
                let with_usage = |answer: Answer| {
                    let usage = usage(&ports, text.expose(), answer.text());
                    (answer, usage)
                };
                (answered.map(with_usage), outcome)
            }
            Err(stop) => {
                let outcome = stop.outcome();
                (Err(stop), outcome)
            }
        };
        // INVARIANT (nothing unrecorded): the outcome is on the disk before the last byte leaves.
        match (entry.complete(outcome).await, answered) {
            (Ok(()), Ok((answer, usage))) => {
                if answer.lane() == Lane::Abstain {
                    units.put(answer.text());
                }
                let told = completion::Answered { answer: &answer, request, started, ignored: &ignored };
                units.close(&written(&answer, usage, told));
            }
            (Ok(()), Err(stop)) => match completion::intervened::<R>(&stop, started.elapsed()) {
                Some(told) => {
                    units.put(&told.0);
                    units.close(&completion::refusal(&told));
                }
                None => feed.put(Item::Failed(stop)),
            },
            (Err(error), _) => feed.put(Item::Failed(Refusal::from(error).into())),
        }
    })
    .await
}

fn written<'a>(answer: &'a Answer, usage: Usage, told: completion::Answered<'a>) -> Written<'a> {
    let took = told.started.elapsed();
    Written { text: answer.text(), ending: Ending::Stop, usage, took, answered: Some(told) }
}

/// Tokens of question and answer as the embedding model counts them: every site has one, and a curated answer was
/// written by no model.
fn usage(ports: &Ports, question: &str, answer: &str) -> Usage {
    Usage { prompt_tokens: ports.embed.count_tokens(question), completion_tokens: ports.embed.count_tokens(answer) }
}

/// Sends units as chunks.
struct Units<R> {
    feed: Feed,
    reply: R,
    begun: bool,
}

impl<R: Reply> Units<R> {
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.reply.opening().into_iter().for_each(|item| self.feed.put(item));
        }
    }

    fn put(&mut self, text: &str) {
        self.begin();
        self.feed.put(self.reply.text(text));
    }

    fn close(&mut self, written: &Written<'_>) {
        self.begin();
        self.reply.closing(written).into_iter().for_each(|item| self.feed.put(item));
    }
}

impl<R: Reply> Sink for Units<R> {
    fn pass(&mut self, _: Lane, unit: &Passed) {
        self.put(&format!("{}{}", unit.separator(), unit.text()));
    }
}
