//! What chat and completion requests have in common, and what is refused by name.

use cloister_terms::{CollectionId, SessionId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::pipeline::{
    Priority, Stop,
    model::{Constraint, Sampling},
};

/// How tokens are chosen and what comes with a stream. Fields that are not listed are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Common {
    /// Send the text as it comes.
    pub stream: Option<bool>,
    /// What comes with a stream.
    pub stream_options: Option<StreamOptions>,
    /// 0 is greedy. 1 by default.
    pub temperature: Option<f32>,
    /// Share of probability kept. 1 by default.
    pub top_p: Option<f32>,
    /// Least probability kept, relative to the best token. 0 by default.
    pub min_p: Option<f32>,
    /// Above 1 discourages repetition.
    pub repetition_penalty: Option<f32>,
    /// Same seed, same request, same text.
    #[schema(value_type = Option<i64>)]
    pub seed: Option<i64>,
    /// Up to 16 strings that end the text.
    pub stop: Option<OneOrMany>,
    /// Most tokens written.
    pub max_tokens: Option<usize>,
    /// Goes on past the model's own end, for measuring.
    pub ignore_eos: Option<bool>,
    /// `flex` stands behind what others wait for, as one of many questions that a program works through; any other goes first.
    pub service_tier: Option<String>,
    /// What a raw model's text must be: `{"type": "json_object"}`, or `{"type": "json_schema", "json_schema": {"schema": ...}}`.
    #[schema(value_type = Option<Object>)]
    pub response_format: Option<Value>,
    /// Whatever else was sent.
    #[serde(flatten)]
    #[schema(ignore)]
    pub rest: Map<String, Value>,
}

/// What comes with a stream.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct StreamOptions {
    /// Ends the stream with a chunk that holds the usage.
    pub include_usage: bool,
}

/// One string or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    pub(super) fn to_vec(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// Our own additions to a chat request, in the one field `cloister`.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(default)]
pub struct Extension {
    /// The session to go on with.
    #[schema(value_type = Option<String>)]
    pub session: Option<SessionId>,
    /// Where to look; wherever the caller may read if absent.
    #[schema(value_type = Option<Vec<String>>)]
    pub collections: Option<Vec<CollectionId>>,
}

/// Whether a value asks for nothing.
type Harmless = fn(&Value) -> bool;

/// Fields that would change the reply and cannot be honoured, with the value that asks for nothing.
const REFUSED: &[(&str, Harmless)] = &[
    ("n", |value| value == 1),
    ("best_of", |value| value == 1),
    ("logprobs", |value| value == false),
    ("top_logprobs", |value| value == 0),
    ("tools", |value| value.as_array().is_some_and(Vec::is_empty)),
    ("tool_choice", |value| value == "none" || value == "auto"),
    ("functions", |value| value.as_array().is_some_and(Vec::is_empty)),
    ("function_call", |value| value == "none" || value == "auto"),
    ("logit_bias", |value| value.as_object().is_some_and(Map::is_empty)),
    ("presence_penalty", |value| value.as_f64() == Some(0.0)),
    ("frequency_penalty", |value| value.as_f64() == Some(0.0)),
    ("modalities", |value| value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"))),
    ("audio", |_| false),
    ("web_search_options", |_| false),
    ("suffix", |value| value == ""),
    ("echo", |value| value == false),
];

/// Most strings that end a text.
const MOST_STOPS: usize = 16;

impl Common {
    /// Whether the text is sent as it comes.
    pub(super) fn streams(&self) -> bool {
        self.stream.unwrap_or(false)
    }

    /// How urgent it is.
    pub(super) fn priority(&self) -> Priority {
        match self.service_tier.as_deref() {
            Some("flex") => Priority::Batch,
            _ => Priority::Interactive,
        }
    }

    /// Whether a stream ends with the usage.
    pub(super) fn tells_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// Refuses by name what cannot be honoured.
    pub(super) fn check(&self) -> Result<(), Stop> {
        for (name, harmless) in REFUSED {
            if self.rest.get(*name).is_some_and(|value| !value.is_null() && !harmless(value)) {
                return Err(Stop::invalid(*name, format!("`{name}` with this value is not supported: leave it out")));
            }
        }
        self.json_schema()?;
        within("temperature", self.temperature, 0.0, 2.0)?;
        within("top_p", self.top_p, 0.0, 1.0)?;
        within("min_p", self.min_p, 0.0, 1.0)?;
        within("repetition_penalty", self.repetition_penalty, 0.1, 10.0)?;
        let stops = self.stop.as_ref().map(OneOrMany::to_vec).unwrap_or_default();
        if stops.len() > MOST_STOPS || stops.iter().any(String::is_empty) {
            return Err(Stop::invalid("stop", format!("`stop` takes up to {MOST_STOPS} strings, none of them empty")));
        }
        Ok(())
    }

    /// The schema that the text must follow, where the request asks for JSON.
    pub(super) fn json_schema(&self) -> Result<Option<Value>, Stop> {
        let Some(format) = self.response_format.as_ref().filter(|format| !format.is_null()) else { return Ok(None) };
        match format.get("type").and_then(Value::as_str) {
            Some("text") => Ok(None),
            Some("json_object") => Ok(Some(json!({"type": "object"}))),
            Some("json_schema") => match format.pointer("/json_schema/schema") {
                Some(schema @ Value::Object(_)) => Ok(Some(schema.clone())),
                _ => Err(Stop::invalid("response_format", "`response_format.json_schema.schema` must be an object")),
            },
            _ => Err(Stop::invalid("response_format", "`response_format.type` takes text, json_object or json_schema")),
        }
    }

    /// As the model's port takes it; `most` tokens unless the request says otherwise.
    pub(super) fn sampling(&self, max_tokens: Option<usize>, most: usize) -> Result<Sampling, Stop> {
        let max_tokens = max_tokens.unwrap_or(most);
        if max_tokens == 0 {
            return Err(Stop::invalid("max_tokens", "`max_tokens` is 0: use 1 or more"));
        }
        Ok(Sampling {
            temperature: self.temperature.unwrap_or(1.0),
            top_p: self.top_p.unwrap_or(1.0),
            min_p: self.min_p.unwrap_or(0.0),
            repetition_penalty: self.repetition_penalty.unwrap_or(1.0),
            seed: self.seed.map(i64::cast_unsigned),
            stop: self.stop.as_ref().map(OneOrMany::to_vec).unwrap_or_default(),
            max_tokens,
            ignore_eos: self.ignore_eos.unwrap_or(false),
            constraint: self.json_schema()?.map(Constraint::JsonSchema),
        })
    }

    /// Names of the fields that were given and that an assistant does not heed: it answers greedily and whole.
    pub(super) fn unheeded(&self) -> Vec<&'static str> {
        let given = [
            ("temperature", self.temperature.is_some()),
            ("top_p", self.top_p.is_some()),
            ("min_p", self.min_p.is_some()),
            ("repetition_penalty", self.repetition_penalty.is_some()),
            ("seed", self.seed.is_some()),
            ("stop", self.stop.is_some()),
            ("max_tokens", self.max_tokens.is_some()),
            ("ignore_eos", self.ignore_eos.is_some()),
        ];
        given.into_iter().filter_map(|(name, given)| given.then_some(name)).collect()
    }
}

fn within(name: &'static str, value: Option<f32>, least: f32, most: f32) -> Result<(), Stop> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(Stop::invalid(name, format!("`{name}` takes a number from {least} to {most}")))
        }
        _ => Ok(()),
    }
}
