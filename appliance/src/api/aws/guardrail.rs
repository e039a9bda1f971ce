//! `POST /guardrail/{id}/version/{version}/apply`: a guardrail held against texts, without a model.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use cloister_governance::policy::Resource;
use cloister_guardrails::redact::{Action as Done, Intervention, Side};
use cloister_terms::{Action, Phi};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    api::{body::read, call, tenant},
    governed::{Call, governed},
    identity::Signed,
    pipeline::{
        Stop,
        apply::{Against, Assessment, Guarding, outcome},
        knowledge::blocking,
    },
    wiring::App,
};

/// Texts, in AWS's words.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyGuardrailRequest {
    /// `INPUT` for what a caller says, `OUTPUT` for what is said to one.
    source: String,
    /// The texts.
    content: Vec<Block>,
    /// `INTERVENTIONS` (the default) or `FULL`, which also tells what was looked at and let through.
    output_scope: Option<String>,
}

/// One of them.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// A text.
    text: Option<Text>,
    /// Not taken.
    #[schema(value_type = Option<Object>)]
    image: Option<IgnoredAny>,
}

/// A text, and what it is.
#[derive(Deserialize, ToSchema)]
pub struct Text {
    /// The text.
    text: String,
    /// `grounding_source`, `query` or `guard_content`; what has none is guarded.
    #[serde(default)]
    qualifiers: Vec<String>,
}

/// Most texts in one request, and most characters in all of them.
const MOST_TEXTS: usize = 100;
const MOST_CHARACTERS: usize = 200_000;

/// Apply a guardrail
#[utoipa::path(post, path = "/guardrail/{id}/version/{version}/apply", tag = "aws", request_body = ApplyGuardrailRequest,
    params(("id" = String, Path, description = "The tenant's name"),
        ("version" = String, Path, description = "A published version's number, or `DRAFT` for the configuration's own file")),
    responses((status = 200, description = "What was found and what becomes of the texts, in AWS's shape; `match` is the kind of an identifier and never its text"),
        (status = 400, description = "`ValidationException`: what cannot be honoured, by name"), (status = 403, description = "`AccessDeniedException`"),
        (status = 404, description = "`ResourceNotFoundException`: no such guardrail or version")))]
pub(crate) async fn apply(
    State(app): State<Arc<App>>,
    Path((id, version)): Path<(String, String)>,
    Signed(caller, body): Signed,
) -> Result<impl IntoResponse, Stop> {
    // Whoever names another tenant's asks for that, and policy answers.
    let call = match id.parse() {
        Ok(named) if caller.principal().tenant.is_some() => Call::new(Action::ApplyGuardrail, Resource::Tenant(named)),
        _ => call(&caller, Action::ApplyGuardrail),
    };
    governed(&app.gate, &caller, call, async |_permit| {
        let began = Instant::now();
        let own = tenant(&caller)?.clone();
        let request: ApplyGuardrailRequest = read(&body)?;
        let asked = request.asked()?;
        if id != own.as_str() {
            return Err(Stop::not_found("the guardrail"));
        }
        let (parts, tenant) = (Arc::clone(&app), own.clone());
        let guarding = blocking(move || parts.guarding(&tenant, Some(&version))).await?;
        let mut recorded = outcome(&guarding.guardrail);
        let mut assessed = Vec::with_capacity(asked.guarded.len());
        for text in &asked.guarded {
            let found = guarding.assess(text.expose(), asked.side, &asked.against, app.random.as_ref()).await?;
            recorded = found.count(recorded);
            assessed.push(found);
        }
        Ok((Json(shown(&guarding, &asked, &assessed, began)), recorded))
    })
    .await
}

/// A request that can be honoured.
struct Asked {
    side: Side,
    guarded: Vec<Phi<String>>,
    against: Against,
    /// Characters of all texts, those that are not guarded included.
    total: usize,
    full: bool,
}

impl ApplyGuardrailRequest {
    fn asked(self) -> Result<Asked, Stop> {
        let side = match self.source.as_str() {
            "INPUT" => Side::Input,
            "OUTPUT" => Side::Output,
            _ => return Err(Stop::invalid("source", "`source` takes INPUT or OUTPUT")),
        };
        let full = match self.output_scope.as_deref() {
            None | Some("INTERVENTIONS") => false,
            Some("FULL") => true,
            Some(_) => return Err(Stop::invalid("outputScope", "`outputScope` takes INTERVENTIONS or FULL")),
        };
        if self.content.is_empty() || self.content.len() > MOST_TEXTS {
            return Err(Stop::invalid("content", format!("`content` takes 1 to {MOST_TEXTS} texts")));
        }
        let (mut guarded, mut source, mut query) = (Vec::new(), Vec::new(), Vec::new());
        let mut characters = 0;
        for block in self.content {
            let (Some(Text { text, qualifiers }), None) = (block.text, block.image) else {
                return Err(Stop::invalid("content", "`content` takes blocks of `text`; images are not supported"));
            };
            characters += text.chars().count();
            let known = ["grounding_source", "query", "guard_content"];
            if qualifiers.iter().any(|qualifier| !known.contains(&qualifier.as_str())) {
                return Err(Stop::invalid("qualifiers", format!("`qualifiers` takes {}", known.join(", "))));
            }
            let is = |name: &str| qualifiers.iter().any(|qualifier| qualifier == name);
            let is_guarded = is("guard_content") || qualifiers.is_empty();
            if is("grounding_source") {
                source.push(text.clone());
            }
            if is("query") {
                query.push(text.clone());
            }
            // What a caller says is guarded whatever else it is.
            if is_guarded || side == Side::Input {
                guarded.push(Phi::new(text));
            }
        }
        if characters > MOST_CHARACTERS {
            let told =
                format!("`content` has {characters} characters, more than the {MOST_CHARACTERS} allowed: send less");
            return Err(Stop::invalid("content", told));
        }
        if guarded.is_empty() {
            return Err(Stop::invalid(
                "content",
                "`content` holds nothing to be guarded: add a text of `guard_content`",
            ));
        }
        let against = Against { source: Phi::new(source.join("\n")), query: Phi::new(query.join("\n")) };
        Ok(Asked { side, guarded, against, total: characters, full })
    }
}

/// The reply. Where one text is refused, all are: what is said in their place is one message.
fn shown(guarding: &Guarding, asked: &Asked, assessed: &[Assessment], began: Instant) -> Value {
    let document = guarding.guardrail.document();
    let blocked = assessed.iter().any(Assessment::is_blocked);
    let intervened = blocked || assessed.iter().any(|assessment| assessment.masked);
    let message = match asked.side {
        Side::Input => document.blocked_input_message.as_deref().unwrap_or("This cannot be asked here."),
        Side::Evidence | Side::Output => {
            document.blocked_output_message.as_deref().unwrap_or("This cannot be said here.")
        }
    };
    let outputs: Vec<Value> = match (intervened, blocked) {
        (false, _) => Vec::new(),
        (true, true) => vec![json!({ "text": message })],
        (true, false) => {
            let texts = assessed.iter().filter_map(|assessment| assessment.text.as_ref());
            texts.map(|text| json!({ "text": text.expose() })).collect()
        }
    };
    let characters: usize = asked.guarded.iter().map(|text| text.expose().chars().count()).sum();
    let units = characters.div_ceil(1000);
    let usage = json!({
        "topicPolicyUnits": if document.topics.is_empty() { 0 } else { units },
        "contentPolicyUnits": units,
        "wordPolicyUnits": if document.words.is_empty() { 0 } else { units },
        "sensitiveInformationPolicyUnits": units,
        "sensitiveInformationPolicyFreeUnits": 0,
        "contextualGroundingPolicyUnits": if asked.against.source.expose().is_empty() { 0 } else { units },
    });
    let coverage = json!({"textCharacters": {"guarded": characters, "total": asked.total}});
    let told = |assessment: &Assessment| {
        let mut shown = policies(guarding, asked.full, assessment);
        let metrics = json!({
            "guardrailProcessingLatency": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "usage": usage, "guardrailCoverage": coverage,
        });
        if let Value::Object(fields) = &mut shown {
            fields.insert("invocationMetrics".to_owned(), metrics);
        }
        shown
    };
    json!({
        "action": if intervened { "GUARDRAIL_INTERVENED" } else { "NONE" },
        "actionReason": match (blocked, intervened) { (true, _) => "Guardrail blocked.", (_, true) => "Guardrail masked.", _ => "No action." },
        "outputs": outputs,
        "assessments": assessed.iter().map(told).collect::<Vec<_>>(),
        "usage": usage,
        "guardrailCoverage": coverage,
    })
}

/// What was found in one text, policy by policy; a policy that found nothing is left out.
fn policies(guarding: &Guarding, full: bool, found: &Assessment) -> Value {
    let document = guarding.guardrail.document();
    let mut shown = serde_json::Map::new();
    let mut add = |policy: &str, list: &str, items: Vec<Value>| {
        if !items.is_empty() {
            let fields = shown.entry(policy).or_insert_with(|| json!({}));
            fields[list] = Value::Array(items);
        }
    };
    let topics = found.topics.iter().filter_map(|about| document.topics.get(about.topic));
    let topic = |name: &str| json!({"name": name, "type": "DENY", "action": "BLOCKED", "detected": true});
    add("topicPolicy", "topics", topics.map(|named| topic(&named.name)).collect());
    let word = |word: &String| json!({"match": word, "action": "BLOCKED", "detected": true});
    add("wordPolicy", "customWords", found.words.iter().map(word).collect());
    let managed = found
        .managed
        .iter()
        .map(|(list, word)| json!({"match": word, "type": list.as_str(), "action": "BLOCKED", "detected": true}));
    add("wordPolicy", "managedWordLists", managed.collect());
    let filters = found.content.iter().filter(|found| found.blocked || full).map(|found| {
        json!({
            "type": found.kind.as_str(), "confidence": found.confidence.as_str(), "filterStrength": found.strength,
            "action": if found.blocked { "BLOCKED" } else { "NONE" }, "detected": found.blocked,
        })
    });
    add("contentPolicy", "filters", filters.collect());
    let (known, own): (Vec<&Intervention>, Vec<&Intervention>) =
        found.identifiers.iter().partition(|found| BEDROCK.contains(&found.kind.word()));
    let done = |action: Done| match action {
        Done::Block => "BLOCKED",
        Done::Anonymize => "ANONYMIZED",
        Done::None => "NONE",
    };
    let entity = |found: &&Intervention| {
        let kind = found.kind.word();
        json!({"type": kind, "match": format!("{{{kind}}}"), "action": done(found.action), "detected": true})
    };
    // Kinds that the cloud has no name for come as patterns, which name themselves.
    let pattern = |found: &&Intervention| {
        let kind = found.kind.word();
        json!({"name": kind, "match": format!("{{{kind}}}"), "action": done(found.action), "detected": true})
    };
    add("sensitiveInformationPolicy", "piiEntities", known.iter().map(entity).collect());
    add("sensitiveInformationPolicy", "regexes", own.iter().map(pattern).collect());
    if let Some(Value::Object(fields)) = shown.get_mut("sensitiveInformationPolicy") {
        for list in ["piiEntities", "regexes"] {
            fields.entry(list).or_insert_with(|| json!([]));
        }
    }
    let mut add = |policy: &str, list: &str, items: Vec<Value>| {
        if !items.is_empty() {
            shown.insert(policy.to_owned(), json!({ list: items }));
        }
    };
    let measured = found.grounding.iter().map(|measured| {
        json!({
            "type": measured.kind, "threshold": measured.threshold, "score": measured.score,
            "action": if measured.is_below() { "BLOCKED" } else { "NONE" }, "detected": measured.is_below(),
        })
    });
    add("contextualGroundingPolicy", "filters", measured.collect());
    if let Some(Value::Object(words)) = shown.get_mut("wordPolicy") {
        for list in ["customWords", "managedWordLists"] {
            words.entry(list).or_insert_with(|| json!([]));
        }
    }
    Value::Object(shown)
}

/// Kinds of identifier that Bedrock names as we do.
const BEDROCK: &[&str] = &[
    "ADDRESS",
    "AGE",
    "CREDIT_DEBIT_CARD_NUMBER",
    "DRIVER_ID",
    "EMAIL",
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER",
    "IP_ADDRESS",
    "LICENSE_PLATE",
    "NAME",
    "PHONE",
    "URL",
    "US_SOCIAL_SECURITY_NUMBER",
    "VEHICLE_IDENTIFICATION_NUMBER",
];
