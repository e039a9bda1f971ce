//! `POST /retrieveAndGenerate` and `/retrieveAndGenerateStream`: an answer from a collection, with its citations, in the words
//! of AWS's `bedrock-agent-runtime`.
//!
//! # Why
//! - **`modelArn` is read and not heeded.** Which model writes is the site's decision, and a prototype written for the cloud
//!   names one of the cloud's.
//! - **A span ends at its last character**, and not after it, as AWS's own clients take it. Counted are code points.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use cloister_terms::{CollectionId, SessionId};
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    api::{
        assistant::{self, Asked},
        body::read,
        completion::{Ending, Reply, Written},
        stream::Item,
    },
    edge::problem::Face,
    identity::{Caller, Signed},
    pipeline::{Citation, Claim, Priority, Stop},
    wiring::App,
};

/// Where a streamed reply names its session.
const SESSION: HeaderName = HeaderName::from_static("x-amzn-bedrock-knowledge-base-session-id");

/// A question to a collection.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetrieveAndGenerateRequest {
    /// The question.
    input: Input,
    /// The session to go on with; a new one if absent.
    session_id: Option<String>,
    /// Where to look.
    retrieve_and_generate_configuration: Option<Configuration>,
    /// Not taken: sessions are kept under the site's own keys.
    #[schema(value_type = Option<Object>)]
    session_configuration: Option<IgnoredAny>,
    /// Not taken: who the caller is decides what they see.
    #[schema(value_type = Option<Object>)]
    user_context: Option<IgnoredAny>,
}

/// The question.
#[derive(Deserialize, ToSchema)]
pub struct Input {
    /// In words.
    text: String,
}

/// Where to look.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// `KNOWLEDGE_BASE`, the one kind there is.
    r#type: String,
    /// Which.
    knowledge_base_configuration: Option<KnowledgeBase>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    external_sources_configuration: Option<IgnoredAny>,
}

/// Which collection.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KnowledgeBase {
    /// The collection.
    knowledge_base_id: String,
    /// Read and not heeded: which model writes is the site's decision.
    #[serde(rename = "modelArn")]
    #[schema(value_type = Option<String>)]
    _model_arn: Option<IgnoredAny>,
    /// Not taken: how the assistant searches is the site's decision.
    #[schema(value_type = Option<Object>)]
    retrieval_configuration: Option<IgnoredAny>,
    /// Not taken: how the assistant writes is the site's decision.
    #[schema(value_type = Option<Object>)]
    generation_configuration: Option<IgnoredAny>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    orchestration_configuration: Option<IgnoredAny>,
}

/// Retrieve and generate
#[utoipa::path(post, path = "/retrieveAndGenerate", tag = "aws", request_body = RetrieveAndGenerateRequest,
    responses((status = 200, description = "An answer with its citations in AWS's shape; `guardrailAction` is `INTERVENED` where a guardrail refused the question"),
        (status = 400, description = "`ValidationException`: what cannot be honoured, by name"), (status = 403, description = "`AccessDeniedException`"),
        (status = 404, description = "`ResourceNotFoundException`: no such collection, or no such session")))]
pub(crate) async fn generate(State(app): State<Arc<App>>, Signed(caller, body): Signed) -> Result<Response, Stop> {
    Ok(reply(&app, &caller, &body, false).await?.1)
}

/// Retrieve and generate, streamed
#[utoipa::path(post, path = "/retrieveAndGenerateStream", tag = "aws", request_body = RetrieveAndGenerateRequest,
    responses((status = 200, description = "The same as events of `application/vnd.amazon.eventstream`; text comes only after its checks"),
        (status = 400, description = "`ValidationException`: what cannot be honoured, by name"), (status = 403, description = "`AccessDeniedException`"),
        (status = 404, description = "`ResourceNotFoundException`: no such collection, or no such session")))]
pub(crate) async fn generate_stream(
    State(app): State<Arc<App>>,
    Signed(caller, body): Signed,
) -> Result<Response, Stop> {
    let (session, mut response) = reply(&app, &caller, &body, true).await?;
    let named = HeaderValue::try_from(session.to_string());
    response.headers_mut().insert(SESSION, named.map_err(|error| Stop::internal("naming the session", error))?);
    Ok(response)
}

async fn reply(app: &App, caller: &Caller, body: &[u8], streams: bool) -> Result<(SessionId, Response), Stop> {
    let asked = read::<RetrieveAndGenerateRequest>(body)?.asked(streams)?;
    // The reply names the session, so it is begun before.
    let session = crate::api::session(app, caller, asked.session)?.id();
    let asked = Asked { session: Some(session), ..asked };
    let (_, response) = assistant::answer(app, caller, asked, Cited { session }).await?;
    Ok((session, response.into_response()))
}

impl RetrieveAndGenerateRequest {
    /// The question that it is. What cannot be honoured is refused by name.
    fn asked(self, streams: bool) -> Result<Asked, Stop> {
        let needed = |field: &'static str| Stop::invalid(field, format!("`{field}` is missing"));
        let configuration =
            self.retrieve_and_generate_configuration.ok_or_else(|| needed("retrieveAndGenerateConfiguration"))?;
        if configuration.r#type != "KNOWLEDGE_BASE" {
            return Err(Stop::invalid("type", "`type` takes KNOWLEDGE_BASE"));
        }
        let base = configuration.knowledge_base_configuration;
        let base = base.ok_or_else(|| needed("knowledgeBaseConfiguration"))?;
        let refused = [
            (self.session_configuration.is_some(), "sessionConfiguration"),
            (self.user_context.is_some(), "userContext"),
            (configuration.external_sources_configuration.is_some(), "externalSourcesConfiguration"),
            (base.retrieval_configuration.is_some(), "retrievalConfiguration"),
            (base.generation_configuration.is_some(), "generationConfiguration"),
            (base.orchestration_configuration.is_some(), "orchestrationConfiguration"),
        ];
        if let Some((_, field)) = refused.into_iter().find(|(given, _)| *given) {
            return Err(Stop::invalid(field, format!("`{field}` is not taken here: leave it out")));
        }
        let collection = base.knowledge_base_id.parse::<CollectionId>();
        let collection = collection.map_err(|_| Stop::not_found("the knowledge base"))?;
        let session = self.session_id.map(|id| id.parse().map_err(|_| Stop::not_found("the session"))).transpose()?;
        Ok(Asked {
            text: self.input.text,
            collections: Some(vec![collection]),
            session,
            priority: Priority::Interactive,
            ignored: Vec::new(),
            streams,
        })
    }
}

/// An answer with its citations, in AWS's words.
#[derive(Debug, Clone, Copy)]
struct Cited {
    session: SessionId,
}

/// Each claim with what bears it.
fn citations(written: &Written<'_>) -> Vec<Value> {
    let Some(told) = &written.answered else { return Vec::new() };
    let cited = told.answer.claims().iter().filter_map(|claim| {
        let citation = told.answer.citations().get(claim.citation?)?;
        Some(json!({
            "generatedResponsePart": {"textResponsePart": part(told.answer.text(), claim)},
            "retrievedReferences": [reference(citation)],
        }))
    });
    cited.collect()
}

fn part(answer: &str, claim: &Claim) -> Value {
    let text: String = answer.chars().skip(claim.start).take(claim.end.saturating_sub(claim.start)).collect();
    json!({"text": text, "span": {"start": claim.start, "end": claim.end.saturating_sub(1)}})
}

fn reference(citation: &Citation) -> Value {
    json!({
        "content": {"type": "TEXT", "text": citation.text},
        "location": {"type": "CUSTOM", "customDocumentLocation": {"id": citation.document}},
        "metadata": {
            "collection": citation.collection,
            "document": citation.document,
            "version": citation.version,
            "name": citation.name,
            "title": citation.title,
            "headings": citation.headings,
            "question": citation.question,
            "page": citation.page,
            "start": citation.start,
            "end": citation.end,
            "score": citation.score,
        },
    })
}

fn action(written: &Written<'_>) -> &'static str {
    if written.ending == Ending::Intervened { "INTERVENED" } else { "NONE" }
}

impl Reply for Cited {
    const FACE: Face = Face::Aws;
    const INTERVENES: bool = true;

    fn whole(&self, written: &Written<'_>) -> Value {
        json!({
            "sessionId": self.session,
            "output": {"text": written.text},
            "citations": citations(written),
            "guardrailAction": action(written),
        })
    }

    fn opening(&self) -> Vec<Item> {
        Vec::new()
    }

    fn text(&self, text: &str) -> Item {
        Item::Named("output", json!({ "text": text }))
    }

    fn closing(&self, written: &Written<'_>) -> Vec<Item> {
        let cited = citations(written).into_iter().map(|citation| Item::Named("citation", citation));
        cited.chain([Item::Named("guardrail", json!({"action": action(written)}))]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(base: &str, more: &str) -> Result<Asked, String> {
        let body = format!(
            r#"{{"input": {{"text": "x"}}{more}, "retrieveAndGenerateConfiguration": {{"type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": {{"knowledgeBaseId": "procedures", "modelArn": "arn:aws:bedrock:x"{base}}}}}}}"#
        );
        read::<RetrieveAndGenerateRequest>(body.as_bytes())
            .and_then(|request| request.asked(false))
            .map_err(|stop| stop.to_string())
    }

    #[test]
    fn a_request_in_awss_words_is_a_question_to_one_collection() {
        let asked = asked("", r#", "sessionId": "00000000000000000000000000000007""#).unwrap();
        assert_eq!(asked.collections.unwrap(), ["procedures".parse().unwrap()]);
        assert_eq!(asked.session.unwrap().to_string(), "00000000000000000000000000000007");
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for field in ["retrievalConfiguration", "generationConfiguration", "orchestrationConfiguration"] {
            assert!(asked(&format!(r#", "{field}": {{}}"#), "").err().unwrap().contains(field), "{field}");
        }
        for field in ["sessionConfiguration", "userContext"] {
            assert!(asked("", &format!(r#", "{field}": {{}}"#)).err().unwrap().contains(field), "{field}");
        }
        assert!(asked("", r#", "sessionId": "Ana Cruz""#).err().unwrap().contains("session"));
    }
}
