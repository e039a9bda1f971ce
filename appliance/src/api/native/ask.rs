//! `POST /api/ask`.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use cloister_terms::{Action, CollectionId, Phi, RequestId, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    api::{
        body::Body,
        call, session,
        stream::{self, Feed, Item},
        tenant,
    },
    edge::problem::Face,
    governed::{self, End as _, Refusal},
    identity::Caller,
    pipeline::{self, Answer, Citation, Claim, Lane, Passed, Priority, Question, Scores, Silent, Sink, Stop, Withheld},
    session::Session,
    wiring::App,
};

/// A question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// The question, up to 4000 characters unless the site says otherwise.
    pub question: String,
    /// Where to look; wherever the caller may read if absent.
    #[schema(value_type = Option<Vec<String>>)]
    pub collections: Option<Vec<CollectionId>>,
    /// The session to go on with, as the header `Cloister-Session` names it too; a new one if absent.
    #[schema(value_type = Option<String>)]
    pub session: Option<SessionId>,
    /// Sends each part of the answer as soon as it has passed its checks, as events `unit`, then the whole as `answer`.
    #[serde(default)]
    pub stream: bool,
    /// `interactive`, or `batch` for one of many questions that a program works through: it stands behind those that somebody waits for.
    #[serde(default)]
    pub priority: Priority,
}

/// An answer and what it rests on.
#[derive(Serialize, ToSchema)]
pub struct AskReply<'a> {
    /// The answer.
    answer: &'a str,
    /// How it came about.
    lane: Lane,
    /// The places it rests on.
    citations: &'a [Citation],
    /// Its parts and what bears each.
    claims: &'a [Claim],
    /// The claim at which a draft was cut, without its text; absent where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<&'a Withheld>,
    /// How it measures.
    scores: Scores,
    /// Whether nothing was found.
    abstained: bool,
    /// Whether a draft was cut at a part that did not pass.
    cut: bool,
    /// Ties every record of the interaction together.
    #[schema(value_type = String)]
    session: SessionId,
    /// This request, in logs and in the audit log.
    #[schema(value_type = String)]
    request: RequestId,
    /// Milliseconds that it took.
    ms: u64,
}

/// The answer as both faces show it.
pub(in crate::api) fn shown(answer: &Answer, request: RequestId, started: Instant) -> Value {
    json!(AskReply {
        answer: answer.text(),
        lane: answer.lane(),
        citations: answer.citations(),
        claims: answer.claims(),
        withheld: answer.withheld(),
        scores: answer.scores(),
        abstained: answer.lane() == Lane::Abstain,
        cut: answer.cut(),
        session: answer.session().id(),
        request,
        ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Ask
#[utoipa::path(post, path = "/api/ask", tag = "native", request_body = AskRequest,
    responses((status = 200, description = "An answer with its citations, or an honest `abstain`", body = AskReply<'static>),
        (status = 400, description = "The question cannot be read"), (status = 403, description = "Denied by policy"),
        (status = 404, description = "A collection that the caller may not read"),
        (status = 422, description = "The question was refused by a guardrail: `code` is `content_filter`")))]
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<AskRequest>,
) -> Result<Response, Stop> {
    let started = Instant::now();
    let session = session(&app, &caller, request.session)?;
    let call = call(&caller, Action::Ask).within(session.id());
    let (text, collections, priority) = (Phi::new(request.question), request.collections, request.priority);
    let question = Question { text, collections, priority };
    if request.stream {
        return streamed(&app, &caller, session, question).await;
    }
    let interaction = (session, caller.request_id());
    let answered = governed::governed(&app.gate, &caller, call, async |permit| {
        let ports = app.ports(tenant(&caller)?)?;
        Ok::<_, Stop>(pipeline::answer(&ports, permit, interaction, question, &mut Silent).await.into_parts())
    })
    .await?;
    Ok(Json(shown(&answered?, caller.request_id(), started)).into_response())
}

async fn streamed(app: &App, caller: &Caller, session: Session, question: Question) -> Result<Response, Stop> {
    let started = Instant::now();
    let (permit, entry) = governed::open(&app.gate, caller, call(caller, Action::Ask).within(session.id())).await?;
    let ports = tenant(caller).and_then(|tenant| app.ports(tenant));
    let request = caller.request_id();
    stream::begin(Face::Native, request, move |feed| async move {
        let mut units = Units(feed.clone());
        let (answered, outcome) = match ports {
            Ok(ports) => pipeline::answer(&ports, permit, (session, request), question, &mut units).await.into_parts(),
            Err(stop) => {
                let outcome = stop.outcome();
                (Err(stop), outcome)
            }
        };
        // INVARIANT (nothing unrecorded): the outcome is on the disk before the last byte leaves.
        feed.put(match (entry.complete(outcome).await, answered) {
            (Ok(()), Ok(answer)) => Item::Named("answer", shown(&answer, request, started)),
            (Ok(()), Err(stop)) => Item::Failed(stop),
            (Err(error), _) => Item::Failed(Refusal::from(error).into()),
        });
    })
    .await
}

/// Sends units as events.
struct Units(Feed);

impl Sink for Units {
    fn pass(&mut self, lane: Lane, unit: &Passed) {
        let text = format!("{}{}", unit.separator(), unit.text());
        self.0.put(Item::Named("unit", json!({"lane": lane, "text": text, "citation": unit.citation()})));
    }
}
