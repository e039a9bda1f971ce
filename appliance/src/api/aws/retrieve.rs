//! `POST /knowledgebases/{id}/retrieve`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_knowledge::Mode;
use cloister_terms::Action;
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    api::{
        aws::converse::applies,
        body::read,
        native::{collections::on_collection, search},
    },
    governed::{End as _, governed},
    identity::Signed,
    pipeline::{
        Stop,
        search::{Searched, Shown},
    },
    wiring::App,
};

/// A retrieval, in AWS's words. A knowledge base is a collection, named by its id.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetrieveRequest {
    /// What is looked for.
    retrieval_query: RetrievalQuery,
    /// How.
    retrieval_configuration: Option<RetrievalConfiguration>,
    /// The guardrail to apply: the one in force, which is applied anyway.
    guardrail_configuration: Option<GuardrailConfiguration>,
    /// Not taken: every result fits one reply.
    #[schema(value_type = Option<String>)]
    next_token: Option<IgnoredAny>,
    /// Not taken: who the caller is decides what they see.
    #[schema(value_type = Option<Object>)]
    user_context: Option<IgnoredAny>,
}

/// A guardrail, in AWS's words.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailConfiguration {
    /// The tenant's name.
    guardrail_id: String,
    /// A published version's number, or `DRAFT`.
    guardrail_version: String,
}

/// What is looked for.
#[derive(Deserialize, ToSchema)]
pub struct RetrievalQuery {
    /// The question.
    text: String,
}

/// How.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetrievalConfiguration {
    /// The one kind there is.
    vector_search_configuration: Option<VectorSearchConfiguration>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    managed_search_configuration: Option<IgnoredAny>,
}

/// How many, and by what.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VectorSearchConfiguration {
    /// At most so many results: 1 to 100, 5 by default.
    number_of_results: Option<usize>,
    /// `HYBRID` (the default) or `SEMANTIC`.
    override_search_type: Option<String>,
    /// Metadata that the document must carry: `equals`, or an `andAll` of them, on texts.
    #[schema(value_type = Option<Object>)]
    filter: Option<Map<String, Value>>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    implicit_filter_configuration: Option<IgnoredAny>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    reranking_configuration: Option<IgnoredAny>,
}

/// What was found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetrieveReply {
    /// Best first.
    retrieval_results: Vec<RetrievalResult>,
    /// `INTERVENED` where the guardrail refused the query or kept something back, else `NONE`.
    guardrail_action: &'static str,
}

/// A passage.
#[derive(Serialize, ToSchema)]
pub struct RetrievalResult {
    /// Its text.
    #[schema(value_type = Object)]
    content: Value,
    /// Its document.
    #[schema(value_type = Object)]
    location: Value,
    /// Where in the document it stands, and which version of it.
    #[schema(value_type = Object)]
    metadata: Value,
    /// Fused score; comparable within one reply only.
    score: f32,
}

/// Results if the request does not say, as at AWS.
const RESULTS: usize = 5;

/// Retrieve
#[utoipa::path(post, path = "/knowledgebases/{id}/retrieve", tag = "aws", request_body = RetrieveRequest,
    params(("id" = String, Path, description = "The collection")),
    responses((status = 200, description = "Passages, best first, in AWS's shape", body = RetrieveReply),
        (status = 400, description = "`ValidationException`"), (status = 403, description = "`AccessDeniedException`, or a signature that does not match"),
        (status = 404, description = "`ResourceNotFoundException`")))]
pub(crate) async fn retrieve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Signed(caller, body): Signed,
) -> Result<impl IntoResponse, Stop> {
    let (call, collection) = on_collection(&caller, Action::Search, &id)?;
    governed(&app.gate, &caller, call, async |permit| {
        let request = read::<RetrieveRequest>(&body)?;
        if let Some(GuardrailConfiguration { guardrail_id, guardrail_version }) = &request.guardrail_configuration {
            applies(&app, &caller, ("guardrailConfiguration", guardrail_id, guardrail_version))?;
        }
        match search::searched(&app, &caller, &permit, collection, request.wanted()?).await {
            Ok(searched) => Ok((Json(RetrieveReply::from_searched(&searched)), searched.outcome())),
            // As the cloud says it: a refusal is a reply.
            Err(stop @ Stop::Blocked { .. }) => Ok((Json(RetrieveReply::refused()), stop.outcome())),
            Err(stop) => Err(stop),
        }
    })
    .await
}

impl RetrieveReply {
    fn from_searched(searched: &Searched) -> Self {
        let guardrail_action = if searched.is_intervened() { "INTERVENED" } else { "NONE" };
        Self { retrieval_results: searched.passages.iter().map(RetrievalResult::from).collect(), guardrail_action }
    }

    const fn refused() -> Self {
        Self { retrieval_results: Vec::new(), guardrail_action: "INTERVENED" }
    }
}

impl RetrieveRequest {
    /// The search that is wanted. What cannot be honoured is refused by name.
    fn wanted(self) -> Result<search::Wanted, Stop> {
        let refused = [(self.next_token.is_some(), "nextToken"), (self.user_context.is_some(), "userContext")];
        let configuration = self.retrieval_configuration;
        let managed = configuration.as_ref().is_some_and(|given| given.managed_search_configuration.is_some());
        let vector = configuration.and_then(|given| given.vector_search_configuration).unwrap_or_default();
        let also = [
            (managed, "managedSearchConfiguration"),
            (vector.implicit_filter_configuration.is_some(), "implicitFilterConfiguration"),
            (vector.reranking_configuration.is_some(), "rerankingConfiguration"),
        ];
        if let Some((_, field)) = refused.into_iter().chain(also).find(|(given, _)| *given) {
            return Err(Stop::invalid(field, format!("`{field}` is not taken here: leave it out")));
        }
        let mode = match vector.override_search_type.as_deref() {
            None | Some("HYBRID") => Mode::Hybrid,
            Some("SEMANTIC") => Mode::Meaning,
            Some(_) => {
                return Err(Stop::invalid("overrideSearchType", "`overrideSearchType` takes HYBRID or SEMANTIC"));
            }
        };
        Ok(search::Wanted {
            query: self.retrieval_query.text,
            top: vector.number_of_results.unwrap_or(RESULTS),
            top_field: "numberOfResults",
            mode,
            filter: vector.filter.map(filter).transpose()?.unwrap_or_default(),
        })
    }
}

/// `equals`, or an `andAll` of them.
fn filter(given: Map<String, Value>) -> Result<BTreeMap<String, String>, Stop> {
    let refuse = || Stop::invalid("filter", "`filter` takes `equals` on a text, or an `andAll` of such");
    let mut wanted = BTreeMap::new();
    for (operator, value) in given {
        match operator.as_str() {
            "equals" => {
                let Equals { key, value } = as_type(value).ok_or_else(refuse)?;
                if wanted.insert(key, value).is_some() {
                    return Err(refuse());
                }
            }
            "andAll" => {
                for each in as_type::<Vec<Map<String, Value>>>(value).ok_or_else(refuse)? {
                    for (key, value) in filter(each)? {
                        if wanted.insert(key, value.clone()).is_some_and(|before| before != value) {
                            return Err(refuse());
                        }
                    }
                }
            }
            _ => return Err(refuse()),
        }
    }
    if wanted.is_empty() { Err(refuse()) } else { Ok(wanted) }
}

#[derive(Deserialize)]
struct Equals {
    key: String,
    value: String,
}

fn as_type<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

impl From<&Shown> for RetrievalResult {
    fn from(Shown { passage, withheld }: &Shown) -> Self {
        Self {
            content: json!({"type": "TEXT", "text": passage.text}),
            location: json!({"type": "CUSTOM", "customDocumentLocation": {"id": passage.document}}),
            metadata: json!({
                "collection": passage.collection,
                "document": passage.document,
                "version": passage.version,
                "name": passage.name,
                "title": passage.title,
                "headings": passage.headings,
                "page": passage.page,
                "start": passage.start,
                "end": passage.end,
                "withheld": withheld,
            }),
            score: passage.score,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(body: &str) -> Result<search::Wanted, String> {
        read::<RetrieveRequest>(body.as_bytes()).and_then(RetrieveRequest::wanted).map_err(|stop| stop.to_string())
    }

    #[test]
    fn a_request_in_awss_words_is_a_search() {
        let plain = wanted(r#"{"retrievalQuery": {"text": "x", "type": "TEXT"}}"#).unwrap();
        assert_eq!((plain.query.as_str(), plain.top, plain.mode), ("x", 5, Mode::Hybrid));
        let full = r#"{"retrievalQuery": {"text": "x"}, "retrievalConfiguration": {"vectorSearchConfiguration":
            {"numberOfResults": 3, "overrideSearchType": "SEMANTIC", "filter": {"andAll": [
                {"equals": {"key": "topic", "value": "refill"}}, {"equals": {"key": "site", "value": "main"}}]}}}}"#;
        let full = wanted(full).unwrap();
        assert_eq!((full.top, full.mode, full.filter.len()), (3, Mode::Meaning, 2));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for field in ["nextToken", "userContext"] {
            let told = wanted(&format!(r#"{{"retrievalQuery": {{"text": "x"}}, "{field}": {{}}}}"#)).err().unwrap();
            assert!(told.contains(field), "{told}");
        }
        for (field, value) in [
            ("filter", r#"{"greaterThan": {"key": "year", "value": 1}}"#),
            ("filter", r#"{"equals": {"key": "year", "value": 1}}"#),
            ("filter", "{}"),
            ("overrideSearchType", r#""OTHER""#),
            ("rerankingConfiguration", "{}"),
            ("implicitFilterConfiguration", "{}"),
        ] {
            let body = format!(
                r#"{{"retrievalQuery": {{"text": "x"}}, "retrievalConfiguration":
                    {{"vectorSearchConfiguration": {{"{field}": {value}}}}}}}"#
            );
            assert!(wanted(&body).err().unwrap().contains(field), "{field}");
        }
    }
}
