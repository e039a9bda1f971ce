//! `POST /model/{modelId}/converse` and `/converse-stream`: a conversation, in the words of AWS's `bedrock-runtime`.
//!
//! The model is the tenant's assistant, which answers the last user message through the whole pipeline, or a raw model for
//! roles that may generate without it.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use cloister_terms::Action;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    api::{
        assistant::{self, Asked},
        body::read,
        call,
        completion::{Ending, Reply, Written},
        native,
        openai::{Target, target},
        raw::{self, Wish},
        stream::Item,
    },
    edge::problem::Face,
    governed,
    identity::{Caller, Signed},
    pipeline::{
        Priority, Stop,
        model::{ChatMessage, ChatRole, PromptText, Sampling, Usage},
    },
    wiring::App,
};

/// A conversation.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConverseRequest {
    /// The turns. An assistant answers the last user message; earlier turns and `system` are not heeded, and named in
    /// `additionalModelResponseFields`.
    messages: Vec<Message>,
    /// What a raw model is told before.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    system: Vec<Block>,
    /// How a raw model chooses tokens; an assistant answers greedily and whole.
    inference_config: Option<InferenceConfig>,
    /// The guardrail in force, by its name and version: it is applied to every question and answer whether it is named or not,
    /// and another is refused.
    guardrail_config: Option<GuardrailConfig>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    tool_config: Option<IgnoredAny>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    prompt_variables: Option<IgnoredAny>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    output_config: Option<IgnoredAny>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    additional_model_request_fields: Option<IgnoredAny>,
    /// `{"type": "flex"}` stands behind what others wait for; any other goes first.
    #[schema(value_type = Option<Object>)]
    service_tier: Option<ServiceTier>,
}

/// A guardrail, in AWS's words.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailConfig {
    /// The tenant's name.
    guardrail_identifier: String,
    /// A published version's number, or `DRAFT`.
    guardrail_version: String,
    /// `disabled` alone is taken: what was found is in the audit log and goes to no caller.
    trace: Option<String>,
    /// `sync` alone is taken: text comes only after its checks.
    stream_processing_mode: Option<String>,
}

impl GuardrailConfig {
    /// That it names what is applied anyway.
    fn check(&self, app: &App, caller: &Caller) -> Result<(), Stop> {
        applies(app, caller, ("guardrailConfig", &self.guardrail_identifier, &self.guardrail_version))?;
        if self.trace.as_deref().is_some_and(|trace| trace != "disabled") {
            return Err(Stop::invalid("trace", "`trace` takes disabled: what was found is in the audit log"));
        }
        if self.stream_processing_mode.as_deref().is_some_and(|mode| mode != "sync") {
            let told = "`streamProcessingMode` takes sync: text comes only after its checks";
            return Err(Stop::invalid("streamProcessingMode", told));
        }
        Ok(())
    }
}

/// That a guardrail which `field` names, by name and version, is the one that is applied anyway.
pub(super) fn applies(
    app: &App,
    caller: &Caller,
    (field, name, version): (&'static str, &str, &str),
) -> Result<(), Stop> {
    let tenant = caller.principal().tenant.as_ref().and_then(|tenant| app.tenants.get(tenant));
    let in_force = tenant.map(|tenant| tenant.in_force.now().guardrail);
    if in_force.is_some_and(|guardrail| guardrail.name() == name && guardrail.is_version(version)) {
        return Ok(());
    }
    let told =
        format!("`{field}` names another guardrail than the one in force, which alone is applied: see /api/guardrails");
    Err(Stop::invalid(field, told))
}

#[derive(Deserialize)]
struct ServiceTier {
    r#type: String,
}

/// A turn.
#[derive(Deserialize, ToSchema)]
pub struct Message {
    /// `user` or `assistant`.
    role: String,
    /// Blocks of text.
    #[schema(value_type = Vec<Object>)]
    content: Vec<Block>,
}

/// A block of content; only text is taken.
#[derive(Deserialize)]
struct Block {
    text: Option<String>,
}

/// How tokens are chosen.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InferenceConfig {
    /// Most tokens written.
    max_tokens: Option<usize>,
    /// 0 is greedy. 1 by default.
    temperature: Option<f32>,
    /// Share of probability kept. 1 by default.
    top_p: Option<f32>,
    /// Up to 16 strings that end the text.
    #[serde(default)]
    stop_sequences: Vec<String>,
}

/// Most strings that end a text.
const MOST_STOPS: usize = 16;

/// Converse
#[utoipa::path(post, path = "/model/{model}/converse", tag = "aws", request_body = ConverseRequest,
    params(("model" = String, Path, description = "The tenant's assistant, or a raw model where the role allows it")),
    responses((status = 200, description = "A message in AWS's shape; `stopReason` is `guardrail_intervened` where a guardrail refused the question, and `additionalModelResponseFields` holds lane, citations, claims and scores"),
        (status = 400, description = "`ValidationException`: what cannot be honoured, by name"), (status = 403, description = "`AccessDeniedException`"),
        (status = 404, description = "`ResourceNotFoundException`: no such model"), (status = 429, description = "`ThrottlingException`")))]
pub(crate) async fn converse(
    State(app): State<Arc<App>>,
    Path(model): Path<String>,
    Signed(caller, body): Signed,
) -> Result<Response, Stop> {
    reply(&app, &caller, &model, &body, false).await
}

/// Converse, streamed
#[utoipa::path(post, path = "/model/{model}/converse-stream", tag = "aws", request_body = ConverseRequest,
    params(("model" = String, Path, description = "The tenant's assistant, or a raw model where the role allows it")),
    responses((status = 200, description = "The same as events of `application/vnd.amazon.eventstream`; text comes only after its checks"),
        (status = 400, description = "`ValidationException`: what cannot be honoured, by name"), (status = 403, description = "`AccessDeniedException`"),
        (status = 404, description = "`ResourceNotFoundException`: no such model"), (status = 429, description = "`ThrottlingException`")))]
pub(crate) async fn converse_stream(
    State(app): State<Arc<App>>,
    Path(model): Path<String>,
    Signed(caller, body): Signed,
) -> Result<Response, Stop> {
    reply(&app, &caller, &model, &body, true).await
}

async fn reply(app: &App, caller: &Caller, model: &str, body: &[u8], streams: bool) -> Result<Response, Stop> {
    let request: ConverseRequest = read(body)?;
    request.check()?;
    match target(app, caller, model) {
        // A model that is not there is recorded as asked for, and whoever may ask nothing learns only that.
        Err(stop) => governed::governed(&app.gate, caller, call(caller, Action::Ask), async |_| Err(stop)).await,
        Ok(Target::Assistant) if request.guardrail_config.is_some() => {
            // Checked where a refusal is recorded, before anything is asked.
            let config = request.guardrail_config.as_ref().map_or(Ok(()), |config| config.check(app, caller));
            if let Err(stop) = config {
                return governed::governed(&app.gate, caller, call(caller, Action::Ask), async |_| Err(stop)).await;
            }
            Ok(assistant::answer(app, caller, request.asked(streams)?, Turn).await?.1)
        }
        Ok(Target::Raw(_)) if request.guardrail_config.is_some() => {
            let told = "`guardrailConfig` is not taken for a raw model, which no guardrail acts on: leave it out";
            Err(Stop::invalid("guardrailConfig", told))
        }
        Ok(Target::Assistant) => Ok(assistant::answer(app, caller, request.asked(streams)?, Turn).await?.1),
        Ok(Target::Raw(model)) => {
            let sampling = request.sampling(model.context_tokens())?;
            let priority = request.priority();
            let prompt = PromptText::Chat(request.turns()?);
            raw::reply(app, caller, Wish { model, prompt, sampling, priority, reply: Turn, streams }).await
        }
    }
}

impl ConverseRequest {
    /// Refuses by name what cannot be honoured.
    fn check(&self) -> Result<(), Stop> {
        let refused = [
            (self.tool_config.is_some(), "toolConfig"),
            (self.prompt_variables.is_some(), "promptVariables"),
            (self.output_config.is_some(), "outputConfig"),
            (self.additional_model_request_fields.is_some(), "additionalModelRequestFields"),
        ];
        if let Some((_, field)) = refused.into_iter().find(|(given, _)| *given) {
            return Err(Stop::invalid(field, format!("`{field}` is not taken here: leave it out")));
        }
        let Some(config) = &self.inference_config else { return Ok(()) };
        let outside = |value: Option<f32>| value.is_some_and(|value| !(0.0..=1.0).contains(&value));
        if outside(config.temperature) {
            return Err(Stop::invalid("temperature", "`temperature` takes a number from 0 to 1"));
        }
        if outside(config.top_p) {
            return Err(Stop::invalid("topP", "`topP` takes a number from 0 to 1"));
        }
        if config.max_tokens == Some(0) {
            return Err(Stop::invalid("maxTokens", "`maxTokens` is 0: use 1 or more"));
        }
        if config.stop_sequences.len() > MOST_STOPS || config.stop_sequences.iter().any(String::is_empty) {
            let told = format!("`stopSequences` takes up to {MOST_STOPS} strings, none of them empty");
            return Err(Stop::invalid("stopSequences", told));
        }
        Ok(())
    }

    fn priority(&self) -> Priority {
        match &self.service_tier {
            Some(tier) if tier.r#type == "flex" => Priority::Batch,
            _ => Priority::Interactive,
        }
    }

    /// All turns, what a raw model is told before them first.
    fn turns(&self) -> Result<Vec<ChatMessage>, Stop> {
        let mut turns = Vec::new();
        if !self.system.is_empty() {
            turns.push(ChatMessage { role: ChatRole::System, content: text(&self.system, "system")? });
        }
        for message in &self.messages {
            let role = match message.role.as_str() {
                "user" => ChatRole::User,
                "assistant" => ChatRole::Assistant,
                _ => return Err(Stop::invalid("messages", "`role` takes user or assistant")),
            };
            turns.push(ChatMessage { role, content: text(&message.content, "messages")? });
        }
        if self.messages.is_empty() {
            return Err(Stop::invalid("messages", "`messages` is empty"));
        }
        Ok(turns)
    }

    /// The last user message, for an assistant.
    fn asked(self, streams: bool) -> Result<Asked, Stop> {
        let turns = self.turns()?;
        let last = turns.iter().rev().find(|turn| turn.role == ChatRole::User);
        let text = last.ok_or_else(|| Stop::invalid("messages", "`messages` holds no user message"))?.content.clone();
        let ignored = [
            (self.inference_config.is_some(), "inferenceConfig"),
            (!self.system.is_empty(), "system"),
            (self.messages.len() > 1, "earlier messages"),
        ];
        let ignored = ignored.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
        Ok(Asked { text, collections: None, session: None, priority: self.priority(), ignored, streams })
    }

    fn sampling(&self, most: usize) -> Result<Sampling, Stop> {
        let plain = Sampling { temperature: 1.0, ..Sampling::greedy(most) };
        Ok(match &self.inference_config {
            None => plain,
            Some(config) => Sampling {
                temperature: config.temperature.unwrap_or(1.0),
                top_p: config.top_p.unwrap_or(1.0),
                max_tokens: config.max_tokens.unwrap_or(most),
                stop: config.stop_sequences.clone(),
                ..plain
            },
        })
    }
}

/// The text of blocks, which are nothing but text.
fn text(blocks: &[Block], field: &'static str) -> Result<String, Stop> {
    let told = "`content` takes blocks of `text`; images, documents, tools and cache points are not supported";
    let texts = blocks.iter().map(|block| block.text.as_deref().ok_or_else(|| Stop::invalid(field, told)));
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
}

/// A turn of the assistant, in AWS's words.
#[derive(Debug, Clone, Copy)]
struct Turn;

/// What AWS has no words for: lane, citations, claims and scores.
fn additional(written: &Written<'_>) -> Option<Value> {
    let told = written.answered.as_ref()?;
    let mut shown = native::ask::shown(told.answer, told.request, told.started);
    if let Value::Object(fields) = &mut shown {
        fields.shift_remove("answer"); // it is the message
        fields.insert("ignored".to_owned(), json!(told.ignored));
    }
    Some(json!({ "cloister": shown }))
}

fn stop(written: &Written<'_>) -> Value {
    let reason = match written.ending {
        Ending::Stop => "end_turn",
        Ending::Length => "max_tokens",
        Ending::Intervened => "guardrail_intervened",
    };
    let mut told = json!({ "stopReason": reason });
    if let (Some(more), Some(fields)) = (additional(written), told.as_object_mut()) {
        fields.insert("additionalModelResponseFields".to_owned(), more);
    }
    told
}

fn spent(written: &Written<'_>) -> Value {
    let Usage { prompt_tokens, completion_tokens } = written.usage;
    let total = prompt_tokens + completion_tokens;
    let milliseconds = u64::try_from(written.took.as_millis()).unwrap_or(u64::MAX);
    json!({"usage": {"inputTokens": prompt_tokens, "outputTokens": completion_tokens, "totalTokens": total},
        "metrics": {"latencyMs": milliseconds}})
}

fn merged(parts: [Value; 3]) -> Value {
    let fields = parts.into_iter().filter_map(|part| match part {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    Value::Object(fields.flatten().collect())
}

impl Reply for Turn {
    const FACE: Face = Face::Aws;
    const INTERVENES: bool = true;

    fn whole(&self, written: &Written<'_>) -> Value {
        let message = json!({"role": "assistant", "content": [{"text": written.text}]});
        merged([json!({"output": {"message": message}}), stop(written), spent(written)])
    }

    fn opening(&self) -> Vec<Item> {
        vec![Item::Named("messageStart", json!({"role": "assistant"}))]
    }

    fn text(&self, text: &str) -> Item {
        Item::Named("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": text}}))
    }

    fn closing(&self, written: &Written<'_>) -> Vec<Item> {
        vec![
            Item::Named("contentBlockStop", json!({"contentBlockIndex": 0})),
            Item::Named("messageStop", stop(written)),
            Item::Named("metadata", spent(written)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(more: &str) -> String {
        let body = format!(r#"{{"messages": [{{"role": "user", "content": [{{"text": "x"}}]}}]{more}}}"#);
        let request: ConverseRequest = read(body.as_bytes()).unwrap();
        request
            .check()
            .and_then(|()| request.asked(false).map(drop))
            .err()
            .map(|stop| stop.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        assert_eq!(refused(""), "");
        for field in ["toolConfig", "promptVariables", "outputConfig", "additionalModelRequestFields"] {
            assert!(refused(&format!(r#", "{field}": {{}}"#)).contains(field), "{field}");
        }
        for (field, value) in [("temperature", "1.5"), ("topP", "-1"), ("maxTokens", "0"), ("stopSequences", r#"[""]"#)]
        {
            assert!(refused(&format!(r#", "inferenceConfig": {{"{field}": {value}}}"#)).contains(field), "{field}");
        }
    }

    #[test]
    fn a_block_that_is_no_text_and_a_role_that_there_is_not_are_refused() {
        for messages in [
            r#"[{"role": "user", "content": [{"image": {"format": "png"}}]}]"#,
            r#"[{"role": "system", "content": [{"text": "x"}]}]"#,
            r#"[{"role": "assistant", "content": [{"text": "x"}]}]"#,
            "[]",
        ] {
            let request: ConverseRequest = read(format!(r#"{{"messages": {messages}}}"#).as_bytes()).unwrap();
            assert!(request.asked(false).is_err(), "{messages}");
        }
    }
}
