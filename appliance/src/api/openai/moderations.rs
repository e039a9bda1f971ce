//! `POST /v1/moderations`: texts held against the guardrail in force, in OpenAI's shape.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse};
use cloister_guardrails::redact::Side;
use cloister_terms::Action;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    api::{body::Body, call, tenant},
    governed::governed,
    identity::Caller,
    pipeline::{
        Stop,
        apply::{Against, Assessment, outcome},
        knowledge::blocking,
    },
    wiring::App,
};

/// Texts to be judged.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ModerationRequest {
    /// A text, or up to 100 of them.
    #[schema(value_type = Value)]
    pub input: Value,
    /// Not used: the guardrail in force judges, whatever the model is called.
    pub model: Option<String>,
}

/// Most texts in one request, and most characters of all of them: each is read by the embedding model.
const MOST_TEXTS: usize = 100;
const MOST_CHARACTERS: usize = 200_000;

/// Moderate
#[utoipa::path(post, path = "/v1/moderations", tag = "openai", request_body = ModerationRequest,
    responses((status = 200, description = "A result a text. The categories are those that this site's guardrail judges: `prompt_attack`, `identifiers`, `words`, `topics`, and of `hate`, `insults`, `sexual`, `violence` and `misconduct` those that it filters"),
        (status = 400, description = "What cannot be honoured, by name")))]
pub(crate) async fn moderate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(request): Body<ModerationRequest>,
) -> Result<impl IntoResponse, Stop> {
    let call = call(&caller, Action::ApplyGuardrail);
    governed(&app.gate, &caller, call, async |_permit| {
        let texts = texts(&request.input)?;
        let (parts, own) = (Arc::clone(&app), tenant(&caller)?.clone());
        let guarding = blocking(move || parts.guarding(&own, None)).await?;
        let mut recorded = outcome(&guarding.guardrail);
        let mut results = Vec::with_capacity(texts.len());
        for text in texts {
            let found = guarding.assess(text, Side::Input, &Against::default(), app.random.as_ref()).await?;
            recorded = found.count(recorded);
            results.push(result(&found));
        }
        let model = format!("{}:{}", guarding.guardrail.name(), guarding.guardrail.version());
        let id = format!("modr-{}", caller.request_id());
        Ok((Json(json!({"id": id, "model": model, "results": results})), recorded))
    })
    .await
}

fn texts(input: &Value) -> Result<Vec<&str>, Stop> {
    let refused = || {
        Stop::invalid("input", format!("`input` takes a text, or 1 to {MOST_TEXTS} of them; images are not supported"))
    };
    let texts = match input {
        Value::String(text) => vec![text.as_str()],
        Value::Array(items) => items.iter().map(Value::as_str).collect::<Option<Vec<_>>>().ok_or_else(refused)?,
        _ => return Err(refused()),
    };
    if texts.is_empty() || texts.len() > MOST_TEXTS {
        return Err(refused());
    }
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    if characters > MOST_CHARACTERS {
        let told = format!("`input` has {characters} characters, more than the {MOST_CHARACTERS} allowed: send less");
        return Err(Stop::invalid("input", told));
    }
    Ok(texts)
}

/// How one text was judged.
fn result(found: &Assessment) -> Value {
    let of = |scores: &mut dyn Iterator<Item = f32>| scores.fold(0.0, f32::max);
    let identifiers = of(&mut found.identifiers.iter().map(|found| found.confidence));
    let topics = of(&mut found.topics.iter().map(|about| about.likeness));
    let has_word = !found.words.is_empty() || !found.managed.is_empty();
    let words = if has_word { 1.0 } else { 0.0 };
    let mut judged = vec![
        ("prompt_attack".to_owned(), false, 0.0),
        ("identifiers".to_owned(), !found.identifiers.is_empty(), identifiers),
        ("words".to_owned(), has_word, words),
        ("topics".to_owned(), !found.topics.is_empty(), topics),
    ];
    judged.extend(found.content.iter().map(|found| (found.kind.as_str().to_lowercase(), found.blocked, found.score)));
    // A kind that was judged later stands in place of the one before.
    let categories: Map<String, Value> =
        judged.iter().map(|(name, flagged, _)| (name.clone(), Value::from(*flagged))).collect();
    let scores: Map<String, Value> = judged.into_iter().map(|(name, _, score)| (name, Value::from(score))).collect();
    let flagged = found.is_blocked() || found.masked;
    json!({"flagged": flagged, "categories": categories, "category_scores": scores})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_is_no_text_is_refused_by_name() {
        for odd in [json!(7), json!([]), json!(["a", 7]), json!([{"type": "image_url"}]), json!(vec!["a"; 101])] {
            assert!(texts(&odd).unwrap_err().to_string().contains("input"), "{odd}");
        }
        let long = json!(["a".repeat(150_000), "a".repeat(50_001)]);
        assert!(texts(&long).unwrap_err().to_string().contains("200001 characters"));
        assert_eq!(texts(&json!("a")).unwrap(), ["a"]);
        assert_eq!(texts(&json!(["a", "b"])).unwrap(), ["a", "b"]);
    }
}
