//! `POST /v1/rerank`, and `/rerank` and `/api/rerank`, where clients look for it too. As Jina and Cohere shape it.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use cloister_terms::Action;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::embeddings::{known, outcome, vectors};
use crate::{
    api::{body::Body, call, salt},
    governed::governed,
    identity::Caller,
    pipeline::{Priority, Stop, cosine},
    wiring::App,
};

/// Documents to be ordered.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RerankRequest {
    /// The embedding model, or nothing.
    pub model: Option<String>,
    /// What they are measured against.
    pub query: String,
    /// Texts, or objects with a `text`; up to 1000.
    #[schema(value_type = Vec<Value>)]
    pub documents: Vec<Value>,
    /// Only so many of the best.
    pub top_n: Option<usize>,
    /// Repeats each document's text in its result.
    pub return_documents: Option<bool>,
}

/// Most documents in one request.
const MOST_DOCUMENTS: usize = 1000;

/// Rerank
#[utoipa::path(post, path = "/v1/rerank", tag = "openai", request_body = RerankRequest,
    responses((status = 200, description = "Results, best first; `relevance_score` is the cosine of the embeddings, 0 to 1"),
        (status = 400, description = "What cannot be honoured, by name"), (status = 429, description = "Queue full; see Retry-After")))]
pub(crate) async fn rerank(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<RerankRequest>,
) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::Rerank);
    governed(&app.gate, &caller, call, async |_permit| {
        let identity = app.embed.identity();
        if let Some(model) = &request.model {
            known(model, &identity)?;
        }
        let documents = texts(&request)?;
        let told: Vec<String> = std::iter::once(request.query.clone()).chain(documents.iter().cloned()).collect();
        let (vectors, tokens) = vectors(app.embed_for(salt(&caller), Priority::Batch), told).await?;
        let Some((query, vectors)) = vectors.split_first() else {
            return Err(Stop::internal("reranking", "the embedding model returned nothing"));
        };
        let mut scored: Vec<(usize, f32)> =
            vectors.iter().map(|vector| cosine(query, vector).clamp(0.0, 1.0)).enumerate().collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scored.truncate(request.top_n.unwrap_or(usize::MAX));
        let results: Vec<Value> = scored
            .into_iter()
            .map(|(index, score)| match documents.get(index).filter(|_| request.return_documents == Some(true)) {
                Some(text) => json!({"index": index, "relevance_score": score, "document": {"text": text}}),
                None => json!({"index": index, "relevance_score": score}),
            })
            .collect();
        let reply = json!({"id": caller.request_id().to_string(), "model": identity.name, "results": results,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}});
        Ok((Json(reply), outcome(identity, documents.len(), tokens)))
    })
    .await
}

fn texts(request: &RerankRequest) -> Result<Vec<String>, Stop> {
    if request.query.is_empty() {
        return Err(Stop::invalid("query", "`query` is empty"));
    }
    if request.documents.is_empty() || request.documents.len() > MOST_DOCUMENTS {
        return Err(Stop::invalid("documents", format!("`documents` takes 1 to {MOST_DOCUMENTS} texts")));
    }
    let text = |document: &Value| document.as_str().or_else(|| document.get("text")?.as_str()).map(str::to_owned);
    let refused = || Stop::invalid("documents", "`documents` takes texts, or objects with a `text`");
    request.documents.iter().map(|document| text(document).ok_or_else(refused)).collect()
}
