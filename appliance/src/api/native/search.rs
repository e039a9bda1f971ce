//! `POST /api/collections/{id}/search`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_governance::policy::Permit;
use cloister_knowledge::{Mode, Query, Scope};
use cloister_terms::{Action, CollectionId, DocumentId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::collections::{labels, on_collection};
use crate::{
    api::{body::Body, tenant},
    governed::governed,
    identity::Caller,
    pipeline::{
        Stop,
        search::{self, Searched, Shown},
    },
    wiring::App,
};

/// A search.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// What is looked for.
    pub query: String,
    /// At most so many passages: 1 to 100, 10 by default.
    pub top: Option<usize>,
    /// `hybrid` (the default), `words` or `meaning`.
    #[schema(value_type = Option<String>)]
    pub mode: Option<Mode>,
    /// Metadata that the document must carry, letter for letter.
    #[serde(default)]
    pub filter: BTreeMap<String, String>,
}

/// What was found.
#[derive(Serialize, ToSchema)]
pub struct SearchReply {
    /// Best first.
    passages: Vec<Passage>,
    /// Best cosine, 0 to 1.
    similarity: f32,
    /// Share of the query's words in the best passages, 0 to 1.
    coverage: f32,
    /// Passages that the guardrail keeps back.
    withheld: usize,
}

/// A stretch of a document.
#[derive(Serialize, ToSchema)]
pub struct Passage {
    /// Its collection.
    #[schema(value_type = String)]
    collection: CollectionId,
    /// Its document, across versions.
    #[schema(value_type = String)]
    document: DocumentId,
    /// The file that it came from.
    name: String,
    /// The document's title.
    title: String,
    /// The document's version.
    version: String,
    /// Headings above it, outermost first.
    headings: Vec<String>,
    /// Its page, from 1, for paged formats.
    page: Option<u32>,
    /// First character, in code points into the document's text.
    start: usize,
    /// One past the last character.
    end: usize,
    /// The text; what the guardrail keeps back is blacked out, character for character.
    text: String,
    /// How many of its characters are blacked out. Where any are, the scores are 0.
    withheld: usize,
    /// Fused score; comparable within one search only.
    score: f32,
    /// Likeness of meaning.
    cosine: f32,
    /// Score by words.
    words: f32,
    /// The curated question that it answers, if it is a pair.
    question: Option<String>,
}

/// Passages if the request does not say.
const TOP: usize = 10;
/// Passages at most.
const MOST: usize = 100;

/// Search
#[utoipa::path(post, path = "/api/collections/{id}/search", tag = "native", request_body = SearchRequest,
    params(("id" = String, Path, description = "The collection")),
    responses((status = 200, description = "Passages, best first, with spans, headings, pages and scores", body = SearchReply),
        (status = 422, description = "The guardrail refuses the query"),
        (status = 404, description = "No such collection for this caller")))]
pub(crate) async fn search(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    Body(request): Body<SearchRequest>,
) -> Result<impl IntoResponse, Stop> {
    let (call, collection) = on_collection(&caller, Action::Search, &id)?;
    governed(&app.gate, &caller, call, async |permit| {
        let SearchRequest { query, top, mode, filter } = request;
        let (top, mode) = (top.unwrap_or(TOP), mode.unwrap_or(Mode::Hybrid));
        let wanted = Wanted { query, top, top_field: "top", mode, filter };
        let searched = searched(&app, &caller, &permit, collection, wanted).await?;
        let outcome = searched.outcome();
        Ok((Json(shown(searched)), outcome))
    })
    .await
}

/// A search as either face asks for it.
pub(in crate::api) struct Wanted {
    /// What is looked for.
    pub(in crate::api) query: String,
    /// At most so many passages.
    pub(in crate::api) top: usize,
    /// What the face calls that.
    pub(in crate::api) top_field: &'static str,
    /// By what.
    pub(in crate::api) mode: Mode,
    /// Metadata that the document must carry.
    pub(in crate::api) filter: BTreeMap<String, String>,
}

/// Searches one collection under a permit and the tenant's guardrail.
pub(in crate::api) async fn searched(
    app: &App,
    caller: &Caller,
    permit: &Permit,
    collection: CollectionId,
    wanted: Wanted,
) -> Result<Searched, Stop> {
    let Wanted { query, top, top_field, mode, filter } = wanted;
    if !(1..=MOST).contains(&top) {
        return Err(Stop::invalid(top_field, format!("`{top_field}` takes 1 to {MOST}")));
    }
    let scope = Scope::new(vec![collection.clone()], labels(permit), app.clock.now());
    let scope = filter.iter().fold(scope, |scope, (key, value)| scope.filter(key, value));
    search::search(&app.ports(tenant(caller)?)?, scope, collection, Query { text: query, top, mode }).await
}

fn shown(searched: Searched) -> SearchReply {
    let Searched { passages, similarity, coverage, withheld, .. } = searched;
    let passages = passages.into_iter().map(|Shown { passage: p, withheld }| Passage {
        collection: p.collection,
        document: p.document,
        name: p.name,
        title: p.title,
        version: p.version,
        headings: p.headings,
        page: p.page,
        start: p.start,
        end: p.end,
        text: p.text,
        withheld,
        score: p.score,
        cosine: p.cosine,
        words: p.words,
        question: p.pair.map(|pair| pair.question),
    });
    SearchReply { passages: passages.collect(), similarity, coverage, withheld }
}
