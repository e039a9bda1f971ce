//! Text from a raw model, outside the answer pipeline: for programs that measure or build on it, under its own action.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use cloister_governance::audit::{Model, Outcome};
use cloister_terms::Action;
use futures_util::StreamExt;

use super::chunk::{Frame, reason};
use crate::{
    api::{
        call, salt,
        stream::{self, Item, NO_RETRY},
    },
    edge::problem::Face,
    governed::{self, End as _, Refusal},
    identity::Caller,
    pipeline::{
        Failure, Generate, GenerateRequest, Priority, Stop,
        model::{Event, Events, FinishReason, PromptText, Sampling, Usage},
    },
    wiring::App,
};

/// How long a raw generation may take: what the OpenAI SDKs wait by default.
const PATIENCE: Duration = Duration::from_secs(600);

/// One raw generation that was asked for.
pub(super) struct Wish {
    pub(super) model: Arc<dyn Generate>,
    pub(super) prompt: PromptText,
    pub(super) sampling: Sampling,
    pub(super) priority: Priority,
    pub(super) frame: Frame,
    pub(super) streams: bool,
}

/// Generates, whole or as a stream.
pub(super) async fn reply(app: &App, caller: &Caller, wish: Wish) -> Result<Response, Stop> {
    let name = wish.model.identity().name;
    let Wish { model, prompt, sampling, priority, frame, streams } = wish;
    let deadline = Instant::now() + PATIENCE;
    let request = GenerateRequest { prompt, sampling, deadline, salt: salt(caller), priority };
    let record = |usage: Usage| {
        let identity = model.identity();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Outcome::done()
            .with_code("raw")
            .with_count("prompt_tokens", count(usage.prompt_tokens))
            .with_count("completion_tokens", count(usage.completion_tokens))
            .with_model(Model { name: identity.name, sha256: identity.sha256 })
    };
    let admit = || model.generate(request).map_err(|refused| refused.into_stop(&name));
    if !streams {
        let written = governed::governed(&app.gate, caller, call(caller, Action::Generate), async |_permit| {
            let written = whole(admit()?, &name).await;
            // Once admitted, a failure must not make the client try again: the outcome of the try is returned as it is.
            Ok::<_, Stop>(match written {
                Ok(written) => {
                    let outcome = record(written.usage);
                    (Ok(written), outcome)
                }
                Err(stop) => {
                    let outcome = stop.outcome();
                    (Err(stop), outcome)
                }
            })
        })
        .await?;
        return Ok(match written {
            Ok(written) => Json(frame.whole(&written.text, written.reason, written.usage)).into_response(),
            Err(stop) => ([NO_RETRY], stop).into_response(),
        });
    }
    let (_permit, entry) = governed::open(&app.gate, caller, call(caller, Action::Generate)).await?;
    let events = match admit() {
        Ok(events) => events,
        Err(stop) => {
            entry.complete(stop.outcome()).await.map_err(Refusal::from)?;
            return Err(stop);
        }
    };
    let record = record(Usage::default());
    stream::begin(Face::OpenAi, caller.request_id(), |feed| async move {
        let ended = pour(events, &frame, &name, &feed).await;
        let outcome = match &ended {
            Ok((_, usage)) => counted(record, *usage),
            Err(stop) => stop.outcome(),
        };
        // INVARIANT (nothing unrecorded): the outcome is on the disk before the last byte leaves.
        match (entry.complete(outcome).await, ended) {
            (Ok(()), Ok((reason, usage))) => {
                feed.put(Item::Chunk(frame.closing(reason)));
                frame.usage(usage).into_iter().for_each(|chunk| feed.put(Item::Chunk(chunk)));
                feed.put(Item::Done);
            }
            (Ok(()), Err(stop)) => feed.put(Item::Failed(stop)),
            (Err(error), _) => feed.put(Item::Failed(Refusal::from(error).into())),
        }
    })
    .await
    .or_else(|stop| Ok(([NO_RETRY], stop).into_response()))
}

fn counted(outcome: Outcome, usage: Usage) -> Outcome {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    outcome
        .with_count("prompt_tokens", count(usage.prompt_tokens))
        .with_count("completion_tokens", count(usage.completion_tokens))
}

/// A text that was written to its end.
struct Written {
    text: String,
    reason: &'static str,
    usage: Usage,
}

async fn whole(mut events: Events, model: &str) -> Result<Written, Stop> {
    let mut text = String::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Started { .. } => {}
            Event::Text(more) => text.push_str(&more),
            Event::Finished { reason, usage } => {
                return ended(reason).map(|reason| Written { text, reason, usage });
            }
            Event::Failed(fault) => return Err(fault.into_stop(model)),
        }
    }
    Err(Stop::internal("generating", "the generation ended without a last event"))
}

async fn pour(
    mut events: Events,
    frame: &Frame,
    model: &str,
    feed: &stream::Feed,
) -> Result<(&'static str, Usage), Stop> {
    frame.opening().into_iter().for_each(|chunk| feed.put(Item::Chunk(chunk)));
    while let Some(event) = events.next().await {
        match event {
            Event::Started { .. } => {}
            Event::Text(text) => feed.put(Item::Chunk(frame.text(&text))),
            Event::Finished { reason, usage } => return ended(reason).map(|reason| (reason, usage)),
            Event::Failed(fault) => return Err(fault.into_stop(model)),
        }
    }
    Err(Stop::internal("generating", "the generation ended without a last event"))
}

fn ended(finish: FinishReason) -> Result<&'static str, Stop> {
    reason(finish).ok_or_else(|| Failure::Deadline.into())
}
