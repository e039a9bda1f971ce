//! Replies of chat and text completions, whole and in chunks.

use serde_json::{Value, json};

use crate::{
    api::{
        completion::{Ending, Reply, Written},
        native,
        stream::Item,
    },
    edge::problem::Face,
    pipeline::model::Usage,
};

/// Which of the two completion routes is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

/// What all chunks of one reply share.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) shape: Shape,
    pub(super) request: String,
    pub(super) created: i64,
    pub(super) model: String,
    /// Whether the stream ends with the usage; every other chunk then says `null`.
    pub(super) tells_usage: bool,
}

impl Frame {
    fn id(&self) -> String {
        match self.shape {
            Shape::Chat => format!("chatcmpl-{}", self.request),
            Shape::Text => format!("cmpl-{}", self.request),
        }
    }

    fn complete(&self, text: &str, reason: &str, usage: Usage) -> Value {
        let (object, choice) = match self.shape {
            Shape::Chat => (
                "chat.completion",
                json!({"index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                    "logprobs": null, "finish_reason": reason}),
            ),
            Shape::Text => {
                ("text_completion", json!({"index": 0, "text": text, "logprobs": null, "finish_reason": reason}))
            }
        };
        json!({"id": self.id(), "object": object, "created": self.created, "model": self.model,
            "choices": [choice], "usage": told(usage)})
    }

    /// The first chunk of a chat: who speaks.
    fn first(&self) -> Option<Value> {
        (self.shape == Shape::Chat).then(|| self.chunk(&json!({"role": "assistant", "content": ""}), None))
    }

    fn piece(&self, text: &str) -> Value {
        match self.shape {
            Shape::Chat => self.chunk(&json!({"content": text}), None),
            Shape::Text => self.chunk(&json!(text), None),
        }
    }

    /// The chunk that says why the text ends.
    fn last(&self, reason: &str) -> Value {
        match self.shape {
            Shape::Chat => self.chunk(&json!({}), Some(reason)),
            Shape::Text => self.chunk(&json!(""), Some(reason)),
        }
    }

    /// The last chunk, if the request asked for it: no choices, the usage.
    fn spent(&self, usage: Usage) -> Option<Value> {
        self.tells_usage.then(|| {
            let mut chunk = self.bare();
            if let Some(fields) = chunk.as_object_mut() {
                fields.insert("choices".to_owned(), json!([]));
                fields.insert("usage".to_owned(), told(usage));
            }
            chunk
        })
    }

    fn bare(&self) -> Value {
        let object = match self.shape {
            Shape::Chat => "chat.completion.chunk",
            Shape::Text => "text_completion",
        };
        json!({"id": self.id(), "object": object, "created": self.created, "model": self.model})
    }

    fn chunk(&self, piece: &Value, reason: Option<&str>) -> Value {
        let name = match self.shape {
            Shape::Chat => "delta",
            Shape::Text => "text",
        };
        let mut chunk = self.bare();
        if let Some(fields) = chunk.as_object_mut() {
            let choice = json!({"index": 0, name: piece, "logprobs": null, "finish_reason": reason});
            fields.insert("choices".to_owned(), json!([choice]));
            if self.tells_usage {
                fields.insert("usage".to_owned(), Value::Null);
            }
        }
        chunk
    }
}

/// Usage in OpenAI's words.
pub(super) fn told(usage: Usage) -> Value {
    json!({"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens})
}

/// Why a text ended, in OpenAI's words.
const fn reason(ending: Ending) -> &'static str {
    match ending {
        Ending::Stop => "stop",
        Ending::Length => "length",
        Ending::Intervened => "content_filter",
    }
}

/// Adds what OpenAI has no words for, in the one field `cloister`: lane, citations, claims and scores.
fn extended(mut reply: Value, written: &Written<'_>) -> Value {
    if let (Some(told), Some(fields)) = (&written.answered, reply.as_object_mut()) {
        let mut shown = native::ask::shown(told.answer, told.request, told.started);
        if let Value::Object(shown) = &mut shown {
            shown.shift_remove("answer"); // it is the message
            shown.insert("ignored".to_owned(), json!(told.ignored));
        }
        fields.insert("cloister".to_owned(), shown);
    }
    reply
}

impl Reply for Frame {
    const FACE: Face = Face::OpenAi;
    const INTERVENES: bool = false;

    fn whole(&self, written: &Written<'_>) -> Value {
        extended(self.complete(written.text, reason(written.ending), written.usage), written)
    }

    fn opening(&self) -> Vec<Item> {
        self.first().map(Item::Chunk).into_iter().collect()
    }

    fn text(&self, text: &str) -> Item {
        Item::Chunk(self.piece(text))
    }

    fn closing(&self, written: &Written<'_>) -> Vec<Item> {
        let last = Item::Chunk(extended(self.last(reason(written.ending)), written));
        let spent = self.spent(written.usage).map(Item::Chunk);
        std::iter::once(last).chain(spent).chain([Item::Done]).collect()
    }
}
