//! `POST /v1/embeddings`.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cloister_governance::audit::{Model, Outcome};
use cloister_knowledge::{Embed, EmbedError, EmbedIdentity};
use cloister_terms::Action;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    api::{body::Body, call, salt},
    governed::governed,
    identity::Caller,
    pipeline::{Failure, Priority, Stop, knowledge::blocking},
    wiring::App,
};

/// Texts to embed.
#[derive(Debug, Deserialize, ToSchema)]
pub struct EmbeddingRequest {
    /// The embedding model; see `/v1/models`.
    pub model: String,
    /// One text, or up to 2048 of them.
    #[schema(value_type = Value)]
    pub input: Value,
    /// `float` (the default) or `base64`: little-endian 32-bit floats.
    pub encoding_format: Option<String>,
    /// Only the model's own number is taken.
    pub dimensions: Option<usize>,
}

/// Most texts in one request, as OpenAI has it.
const MOST_TEXTS: usize = 2048;

/// Embeddings
#[utoipa::path(post, path = "/v1/embeddings", tag = "openai", request_body = EmbeddingRequest,
    responses((status = 200, description = "One embedding of unit length per text"),
        (status = 400, description = "What cannot be honoured, by name; a text that is too long, with the limit"),
        (status = 429, description = "Queue full; see Retry-After")))]
pub(crate) async fn embed(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<EmbeddingRequest>,
) -> Result<impl IntoResponse, Stop> {
    // One text is a question; many take longer, and stand behind questions.
    let many = request.input.as_array().is_some_and(|texts| texts.len() > 1);
    let priority = if many { Priority::Batch } else { Priority::Interactive };
    embedded(&app, &caller, request, priority).await
}

/// The same behind, or before, what others wait for.
pub(super) async fn embedded(
    app: &App,
    caller: &Caller,
    request: EmbeddingRequest,
    priority: Priority,
) -> Result<Json<Value>, Stop> {
    let call = call(caller, Action::Embed);
    governed(&app.gate, caller, call, async |_permit| {
        let identity = app.embed.identity();
        let base64 = check(&request, &identity)?;
        let texts = texts(&request.input)?;
        let count = texts.len();
        let (vectors, tokens) = vectors(app.embed_for(salt(caller), priority), texts).await?;
        let data: Vec<Value> = vectors
            .iter()
            .enumerate()
            .map(|(index, vector)| {
                let embedding = if base64 { json!(encoded(vector)) } else { json!(vector) };
                json!({"object": "embedding", "index": index, "embedding": embedding})
            })
            .collect();
        let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
        let reply = json!({"object": "list", "data": data, "model": identity.name, "usage": usage});
        let model = Model { name: identity.name, sha256: identity.sha256 };
        Ok((Json(reply), outcome(model, count, tokens)))
    })
    .await
}

/// Whether base64 is wanted.
fn check(request: &EmbeddingRequest, identity: &EmbedIdentity) -> Result<bool, Stop> {
    known(&request.model, &identity.name)?;
    if request.dimensions.is_some_and(|dimensions| dimensions != identity.dimensions) {
        let message = format!("`dimensions` takes only {} with this model", identity.dimensions);
        return Err(Stop::invalid("dimensions", message));
    }
    match request.encoding_format.as_deref() {
        None | Some("float") => Ok(false),
        Some("base64") => Ok(true),
        Some(_) => Err(Stop::invalid("encoding_format", "`encoding_format` takes `float` or `base64`")),
    }
}

/// Refuses any model but the one of that name.
pub(super) fn known(model: &str, name: &str) -> Result<(), Stop> {
    if model == name { Ok(()) } else { Err(Failure::NoModel.into()) }
}

fn texts(input: &Value) -> Result<Vec<String>, Stop> {
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        Value::Number(_) | Value::Array(_) => Err(Stop::invalid("input", "`input` takes texts, not token arrays")),
        _ => Err(Stop::invalid("input", "`input` takes texts that are not empty")),
    };
    match input {
        Value::Array(many) if many.is_empty() || many.len() > MOST_TEXTS => {
            Err(Stop::invalid("input", format!("`input` takes 1 to {MOST_TEXTS} texts")))
        }
        Value::Array(many) => many.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

/// Longest text that is read at all, in bytes. The models take a few hundred to a few thousand tokens; a text this long
/// has more than that unless it is no text, and to count its tokens would cost more than to embed a fitting one.
const MOST_TEXT_BYTES: usize = 64 * 1024;

/// Most bytes of all texts of one request.
const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Refuses more text than is read at once, naming the field that it came in.
pub(super) fn bounded<'a>(texts: impl Iterator<Item = &'a String>, field: &'static str) -> Result<(), Stop> {
    let (longest, all) = texts.map(String::len).fold((0, 0), |(longest, all), bytes| (longest.max(bytes), all + bytes));
    if longest <= MOST_TEXT_BYTES && all <= MOST_BYTES {
        return Ok(());
    }
    let message = format!("a text may have {MOST_TEXT_BYTES} bytes and all of them {MOST_BYTES}: send less at once");
    Err(Stop::invalid(field, message))
}

/// Embeds, refusing what the model would not see whole. Returns the vectors and the tokens read.
pub(super) async fn vectors(embed: Arc<dyn Embed>, texts: Vec<String>) -> Result<(Vec<Vec<f32>>, usize), Stop> {
    bounded(texts.iter(), "input")?;
    blocking(move || {
        let identity = embed.identity();
        let mut sum = 0;
        for text in &texts {
            let tokens = embed.count_tokens(text);
            if tokens > identity.max_tokens {
                return Err(Failure::TooLong { model: identity.name, tokens, limit: identity.max_tokens }.into());
            }
            sum += tokens;
        }
        match embed.embed(&texts) {
            Ok(vectors) => Ok((vectors, sum)),
            Err(EmbedError::Busy { retry_after }) => Err(Stop::busy("embedding", retry_after)),
            Err(fault @ EmbedError::Failed(_)) => Err(Stop::internal("embedding", fault)),
        }
    })
    .await
}

pub(super) fn outcome(model: Model, texts: usize, tokens: usize) -> Outcome {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Outcome::done().with_count("texts", count(texts)).with_count("tokens", count(tokens)).with_model(model)
}

fn encoded(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
