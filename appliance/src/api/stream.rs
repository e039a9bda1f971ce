//! Server-sent events whose work is polled by the body that carries them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use cloister_terms::RequestId;

use super::aws::eventstream;
use crate::{
    edge::problem::{self, Face, Problem},
    pipeline::Stop,
};

/// One event of a stream.
pub(super) enum Item {
    /// A chunk without a name, as the OpenAI face sends them.
    Chunk(Value),
    /// An event with a name, as the native face and AWS's send them.
    Named(&'static str, Value),
    /// The end of an OpenAI stream. It comes only after the outcome is on the disk.
    Done,
    /// An early end after the beginning. Nothing follows.
    Failed(Stop),
}

/// Where the work puts its events. They are taken one by one, and the work goes on only when none is left: a client
/// that reads slowly slows it down.
#[derive(Clone)]
pub(super) struct Feed(mpsc::UnboundedSender<Item>);

impl Feed {
    /// Puts one event. After the client has left, nobody is there to put it: the work is being dropped.
    pub(super) fn put(&self, item: Item) {
        let _gone = self.0.send(item);
    }
}

/// Tells clients of the OpenAI SDK not to send the request again: a generation has run.
pub(super) const NO_RETRY: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));

/// Begins a stream. Waits for the first event, so that a failure before it has the status of a failure.
///
/// # Errors
/// The early end, if that is the first event.
pub(super) async fn begin<F>(face: Face, request: RequestId, work: impl FnOnce(Feed) -> F) -> Result<Response, Stop>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, items) = mpsc::unbounded_channel();
    // The body polls the work after the handler has returned: what is logged there still belongs to the request.
    let work = work(Feed(sender)).instrument(tracing::Span::current());
    let mut walk = Walk { work: Some(Box::pin(work)), items };
    let first = match walk.next().await {
        Some(Item::Failed(stop)) => return Err(stop),
        first => first,
    };
    let bytes = stream::iter(first).chain(walk).map(move |item| Ok::<_, Infallible>(written(item, face, request)));
    let kind = match face {
        Face::OpenAi | Face::Native => "text/event-stream; charset=utf-8",
        Face::Aws => eventstream::CONTENT_TYPE,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        NO_RETRY,
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

fn written(item: Item, face: Face, request: RequestId) -> Bytes {
    let text = match item {
        Item::Named(name, value) if face == Face::Aws => return Bytes::from(eventstream::event(name, &value)),
        Item::Chunk(value) => format!("data: {value}\n\n"),
        Item::Named(name, value) => format!("event: {name}\ndata: {value}\n\n"),
        Item::Done => "data: [DONE]\n\n".to_owned(),
        Item::Failed(stop) => {
            tracing::warn!(kind = stop.kind(), %request, "a stream ended early");
            let problem = tracing::error_span!("request", request_id = %request).in_scope(|| Problem::from(stop));
            match face {
                Face::OpenAi => format!("data: {}\n\n", problem::openai(&problem)),
                Face::Native => format!("event: error\ndata: {}\n\n", problem::native(&problem, request)),
                Face::Aws => {
                    return Bytes::from(eventstream::exception(problem::aws_event(&problem), &problem.detail));
                }
            }
        }
    };
    Bytes::from(text)
}

/// The work and its events as one stream. Dropping it drops the work.
struct Walk {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    items: mpsc::UnboundedReceiver<Item>,
}

impl Stream for Walk {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        loop {
            if let Poll::Ready(item) = self.items.poll_recv(context) {
                return Poll::Ready(item);
            }
            let Some(work) = self.work.as_mut() else { return Poll::Ready(None) };
            match work.as_mut().poll(context) {
                // What the work put last is taken in the next turn; its sender is gone, so the channel then ends.
                Poll::Ready(()) => self.work = None,
                Poll::Pending => {
                    return match self.items.poll_recv(context) {
                        Poll::Ready(item) => Poll::Ready(item),
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }
}
