//! The description of the API: OpenAPI generated from the handlers' own types, and the same as a page that needs
//! neither a script nor anything from elsewhere.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Json,
    response::{Html, IntoResponse},
};
use serde_json::Value;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::{aws, native, openai};
use crate::pipeline::Stop;

/// Every operation of the faces.
#[derive(OpenApi)]
#[openapi(
    info(title = "Cloister", description = "Cited answers from a site's own documents, on the site's own network."),
    paths(
        openai::models::list,
        openai::models::show,
        openai::chat::chat,
        openai::completions::complete,
        openai::embeddings::embed,
        openai::files::create,
        openai::files::list,
        openai::files::show,
        openai::files::content,
        openai::files::delete,
        openai::batches::create,
        openai::batches::list,
        openai::batches::show,
        openai::batches::cancel,
        openai::rerank::rerank,
        openai::moderations::moderate,
        native::ask::ask,
        native::collections::list,
        native::collections::documents,
        native::document::read,
        native::search::search,
        native::records::list,
        native::captures::list,
        native::captures::read,
        native::guardrails::list,
        native::guardrails::show,
        native::session::end,
        native::reidentify::reidentify,
        native::break_glass::open,
        native::break_glass::show,
        native::break_glass::end,
        native::reviews::list,
        native::reviews::show,
        native::reviews::review,
        native::sign_in::sign_in,
        native::sign_in::show,
        native::sign_in::sign_out,
        aws::retrieve::retrieve,
        aws::generate::generate,
        aws::generate::generate_stream,
        aws::converse::converse,
        aws::converse::converse_stream,
        aws::guardrail::apply,
        json,
        page,
    ),
    modifiers(&Keys),
    tags((name = "native", description = "Our own face"), (name = "openai", description = "For clients of OpenAI's API"),
        (name = "aws", description = "For clients of AWS's API, signed with an access key"))
)]
pub struct Description;

/// Callers show an API key.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key: `clk_...`")).build();
        document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(bearer));
        document.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
    }
}

/// This description
#[utoipa::path(get, path = "/api/openapi.json", tag = "native", security(()),
    responses((status = 200, description = "OpenAPI 3.1")))]
pub(crate) async fn json() -> impl IntoResponse {
    Json(Description::openapi())
}

/// This description as a page
#[utoipa::path(get, path = "/api/docs", tag = "native", security(()),
    responses((status = 200, description = "HTML without scripts")))]
pub(crate) async fn page() -> Result<impl IntoResponse, Stop> {
    rendered().map(Html)
}

/// The page.
#[derive(Template)]
#[template(path = "description.html")]
struct Page {
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    path: String,
    summary: String,
    schema: Option<String>,
    fields: Vec<Field>,
    responses: BTreeMap<String, String>,
}

struct Field {
    name: String,
    kind: String,
    required: bool,
    description: String,
}

fn rendered() -> Result<String, Stop> {
    let fault = |source: Box<dyn std::error::Error + Send + Sync>| Stop::internal("describing the API", source);
    let document = serde_json::to_value(Description::openapi()).map_err(|error| fault(error.into()))?;
    Page { operations: operations(&document) }.render().map_err(|error| fault(error.into()))
}

fn operations(document: &Value) -> Vec<Operation> {
    let paths = document.get("paths").and_then(Value::as_object);
    let each = paths.into_iter().flatten().flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation))
    });
    each.map(|(path, method, operation)| {
        let schema = operation.pointer("/requestBody/content/application~1json/schema/$ref").and_then(Value::as_str);
        let schema = schema.and_then(|reference| reference.rsplit('/').next()).map(str::to_owned);
        let body = schema.as_deref().and_then(|name| document.pointer(&format!("/components/schemas/{name}")));
        let responses = operation.get("responses").and_then(Value::as_object).into_iter().flatten();
        Operation {
            method: method.to_uppercase(),
            path: path.clone(),
            summary: text(operation, "summary"),
            fields: body.map(|body| fields(document, body)).unwrap_or_default(),
            schema,
            responses: responses.map(|(status, response)| (status.clone(), text(response, "description"))).collect(),
        }
    })
    .collect()
}

/// The fields of a schema; those of its flattened parts too.
fn fields(document: &Value, schema: &Value) -> Vec<Field> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, field)| Field {
        name: name.clone(),
        kind: kind(field),
        required: required.contains(&name.as_str()),
        description: text(field, "description"),
    });
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let parts = parts.flat_map(|part| {
        let name = part.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        fields(document, name.and_then(|place| document.pointer(place)).unwrap_or(part))
    });
    own.chain(parts.collect::<Vec<_>>()).collect()
}

fn kind(field: &Value) -> String {
    let named = |value: &Value| value.get("$ref").and_then(Value::as_str)?.rsplit('/').next().map(str::to_owned);
    let typed = |value: &Value| match value.get("type") {
        Some(Value::String(one)) => Some(one.clone()),
        Some(Value::Array(many)) => {
            many.iter().filter_map(Value::as_str).find(|word| *word != "null").map(str::to_owned)
        }
        _ => None,
    };
    let any = || {
        let parts = field.get("oneOf").and_then(Value::as_array)?;
        parts.iter().find_map(|part| named(part).or_else(|| typed(part).filter(|word| word != "null")))
    };
    named(field).or_else(|| typed(field)).or_else(any).unwrap_or_else(|| "any".to_owned())
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let document = serde_json::to_value(Description::openapi()).unwrap();
        let aliases = ["/rerank", "/api/rerank"]; // of /v1/rerank
        for route in crate::api::routes().list() {
            let method = serde_json::to_value(route.method).unwrap().as_str().unwrap().to_lowercase();
            let described = document["paths"][route.path][&method]["responses"].is_object();
            assert!(described || aliases.contains(&route.path), "{method} {}", route.path);
        }
        assert_eq!(document["security"][0]["key"], serde_json::json!([]));
    }

    #[test]
    fn the_page_needs_no_script_and_nothing_from_elsewhere() {
        let page = rendered().unwrap();
        for forbidden in ["<script", "http://", "https://", " src=", "<link", "@import", "url("] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for route in ["/api/ask", "/v1/chat/completions", "max_completion_tokens", "stream_options", "question"] {
            assert!(page.contains(route), "{route}");
        }
    }
}
