//! `POST /v1/rerank`, and `/rerank` and `/api/rerank`, where clients look for it too. As Jina and Cohere shape it.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use cloister_governance::audit::Model;
use cloister_terms::Action;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::embeddings::{bounded, known, outcome, vectors};
use crate::{
    api::{body::Body, call, salt},
    governed::governed,
    identity::Caller,
    pipeline::{
        Failure, Priority, Rerank, Stop, cosine,
        rerank::{Asking, RerankError},
    },
    wiring::App,
};

/// Documents to be ordered.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RerankRequest {
    /// The cross-encoder where one is configured, else the embedding model; or nothing.
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
    responses((status = 200, description = "Results, best first; `relevance_score` is the cross-encoder's, or else the cosine of the embeddings, 0 to 1"),
        (status = 400, description = "What cannot be honoured, by name"), (status = 429, description = "Queue full; see Retry-After")))]
pub(crate) async fn rerank(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<RerankRequest>,
) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::Rerank);
    governed(&app.gate, &caller, call, async |_permit| {
        let documents = texts(&request)?;
        let who = Asking { salt: salt(&caller), priority: Priority::Batch };
        let told = (request.model.as_deref(), request.query.clone(), documents.clone());
        let (read_by, scores, tokens) = match &app.rerank {
            Some(model) => judged(Arc::clone(model), told, who).await?,
            None => likened(&app, told, who).await?,
        };
        let mut scored: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
        scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scored.truncate(request.top_n.unwrap_or(usize::MAX));
        let results: Vec<Value> = scored
            .into_iter()
            .map(|(index, score)| match documents.get(index).filter(|_| request.return_documents == Some(true)) {
                Some(text) => json!({"index": index, "relevance_score": score, "document": {"text": text}}),
                None => json!({"index": index, "relevance_score": score}),
            })
            .collect();
        let reply = json!({"id": caller.request_id().to_string(), "model": read_by.name, "results": results,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens}});
        Ok((Json(reply), outcome(read_by, documents.len(), tokens)))
    })
    .await
}

/// Which model, what it says by document, and the tokens that it read.
type Scored = (Model, Vec<f32>, usize);

/// What is asked: the model by name, the query, the documents.
type Told<'a> = (Option<&'a str>, String, Vec<String>);

/// By a cross-encoder.
async fn judged(model: Arc<dyn Rerank>, (named, query, documents): Told<'_>, who: Asking) -> Result<Scored, Stop> {
    let name = model.identity();
    let read_by = Model { name: name.name, sha256: name.sha256 };
    named.map_or(Ok(()), |named| known(named, &read_by.name))?;
    // The query is read with each document.
    bounded(documents.iter().flat_map(|document| [&query, document]), "documents")?;
    let count = documents.len();
    match model.rerank(query, documents, who).await {
        Ok(found) if found.scores.len() == count => Ok((read_by, found.scores, found.tokens)),
        Ok(_) => Err(Stop::internal("reranking", "the reranking model returned too little")),
        Err(RerankError::Busy { retry_after }) => Err(Stop::busy("reranking", retry_after)),
        Err(RerankError::TooLong { tokens, limit }) => {
            Err(Failure::TooLong { model: read_by.name, tokens, limit }.into())
        }
        Err(fault) => Err(Stop::internal("reranking", fault)),
    }
}

/// By the likeness of embeddings.
async fn likened(app: &App, (named, query, documents): Told<'_>, who: Asking) -> Result<Scored, Stop> {
    let identity = app.embed.identity();
    named.map_or(Ok(()), |named| known(named, &identity.name))?;
    let told: Vec<String> = std::iter::once(query).chain(documents).collect();
    let (vectors, tokens) = vectors(app.embed_for(who.salt, who.priority), told).await?;
    let Some((query, vectors)) = vectors.split_first() else {
        return Err(Stop::internal("reranking", "the embedding model returned nothing"));
    };
    let scores = vectors.iter().map(|vector| cosine(query, vector).clamp(0.0, 1.0)).collect();
    Ok((Model { name: identity.name, sha256: identity.sha256 }, scores, tokens))
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
