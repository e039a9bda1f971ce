//! One line of a batch, answered as its route would answer it, behind whatever people wait for.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cloister_terms::RequestId;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{chat, completions, embeddings};
use crate::{
    api::body::{self, Body},
    edge::problem::{Face, Problem, shape},
    identity::Caller,
    pipeline::{Priority, Stop},
    wiring::App,
};

/// What a line is answered with.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: StatusCode,
    /// The reply, in OpenAI's shape.
    pub(crate) body: Value,
    /// When trying again has a chance, where it was refused for now only.
    pub(crate) retry_after: Option<Duration>,
}

/// Answers `body` as `endpoint` does.
pub(crate) async fn answer(app: &Arc<App>, caller: Caller, endpoint: &str, body: &Map<String, Value>) -> Answer {
    let id = caller.request_id();
    let response = reply(app, caller, endpoint, body).await;
    read(response.unwrap_or_else(Stop::into_response), id).await
}

/// A refusal in the same shape.
pub(crate) async fn refused(stop: Stop, id: RequestId) -> Answer {
    read(stop.into_response(), id).await
}

async fn reply(app: &Arc<App>, caller: Caller, endpoint: &str, body: &Map<String, Value>) -> Result<Response, Stop> {
    let state = State(Arc::clone(app));
    let behind = || {
        let mut body = body.clone();
        body.insert("service_tier".to_owned(), Value::from("flex"));
        body
    };
    match endpoint {
        "/v1/chat/completions" => chat::chat(state, caller, Body(typed(behind())?)).await,
        "/v1/completions" => completions::complete(state, caller, Body(typed(behind())?)).await,
        "/v1/embeddings" => {
            let reply = embeddings::embedded(app, &caller, typed(body.clone())?, Priority::Batch).await?;
            Ok(reply.into_response())
        }
        _ => Err(Stop::not_found("the route")),
    }
}

fn typed<T: DeserializeOwned>(body: Map<String, Value>) -> Result<T, Stop> {
    let fault = |error: serde_json::Error| Stop::internal("writing a request again", error);
    body::read(&serde_json::to_vec(&body).map_err(fault)?)
}

async fn read(response: Response, id: RequestId) -> Answer {
    let retry_after = response.extensions().get::<Problem>().and_then(|problem| problem.retry_after);
    let response = shape(response, Face::OpenAi, id);
    let status = response.status();
    let bytes = response.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let body = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
    Answer { status, body, retry_after }
}
