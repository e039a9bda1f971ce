//! Text that must be JSON as a schema describes it, or copied from texts that are given: before a token is chosen, those that cannot lead there
//! are taken away.
//!
//! Why llguidance: which of tens of thousands of tokens keep a text within a grammar is a problem of its own, which others have solved in well under
//! a millisecond a token (<https://github.com/guidance-ai/llguidance>); it is pure computation and opens nothing. It is asked for the strict form
//! only: one space after a comma and a colon and none elsewhere, since a small model that may write white space can go on doing so until it is cut.

use std::sync::{Arc, OnceLock};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Map, Value, json};

use crate::tokenizer::Tokens;

/// What a text must be, unless it is cut by `max_tokens` or a stop string.
#[derive(Clone, Debug, PartialEq)]
pub enum Constraint {
    /// JSON that this schema describes.
    JsonSchema(Value),
    /// Some of these texts, at least one, word for word, each at most once and in this order, with a space between two.
    Copied(Vec<String>),
}

/// Longest schema, in bytes as it is written without white space, and most bytes that may be copied from.
const LONGEST: usize = 64 * 1024;
/// Most texts that may be copied from.
const MOST_TEXTS: usize = 64;
/// Longest reason that is passed on.
const REASON: usize = 200;

/// What a model's vocabulary is made of, prepared when the first request needs it.
#[derive(Default)]
pub(crate) struct Constraints {
    factory: OnceLock<Option<ParserFactory>>,
}

/// The tokens that may come next in one text.
pub(crate) struct Mask {
    matcher: Matcher,
    /// All tokens that end a text; the grammar knows the first.
    ends: Vec<u32>,
}

/// The text left what it must be, or following it took more than is allowed. Neither says what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the text must be cannot be followed any further; simplify the JSON schema")]
pub(crate) struct MaskError;

impl Constraints {
    /// The mask of a text that begins.
    ///
    /// # Errors
    /// What is wrong with the constraint. A reason never repeats what is to be copied.
    pub(crate) fn begin(&self, tokens: &Tokens, constraint: &Constraint) -> Result<Mask, String> {
        let grammar = match constraint {
            Constraint::JsonSchema(schema) => following(schema)?,
            Constraint::Copied(texts) => copying(texts)?,
        };
        let factory = self.factory.get_or_init(|| factory(tokens)).as_ref();
        let factory = factory.ok_or("this model's vocabulary cannot be held to a constraint")?;
        let parser = factory.create_parser(grammar).map_err(|error| match constraint {
            Constraint::JsonSchema(_) => {
                let reason: String = error.to_string().chars().take(REASON).collect();
                format!("the JSON schema cannot be used: {reason}")
            }
            Constraint::Copied(_) => "the texts cannot be copied from".to_owned(),
        })?;
        Ok(Mask { matcher: Matcher::new(Ok(parser)), ends: tokens.all_ends().collect() })
    }
}

fn following(schema: &Value) -> Result<TopLevelGrammar, String> {
    let Value::Object(fields) = schema else {
        return Err("the JSON schema must be an object".to_owned());
    };
    if schema.to_string().len() > LONGEST {
        return Err(format!("the JSON schema is longer than {LONGEST} bytes"));
    }
    Ok(TopLevelGrammar::from_json_schema(Value::Object(strict(fields))))
}

/// A rule for each text: the text, then nothing or a space and the rule of a later text.
fn copying(texts: &[String]) -> Result<TopLevelGrammar, String> {
    let bytes: usize = texts.iter().map(String::len).sum();
    let empty = texts.is_empty() || texts.iter().any(String::is_empty);
    if empty || texts.len() > MOST_TEXTS || bytes > LONGEST {
        return Err(format!("what is copied from holds 1 to {MOST_TEXTS} texts of {LONGEST} bytes together"));
    }
    let from = |first: usize| {
        let rules: Vec<String> = (first..texts.len()).map(|at| format!("copy_{at}")).collect();
        rules.join(" | ")
    };
    let mut grammar = format!("start: {}\n", from(0));
    for (at, text) in texts.iter().enumerate() {
        let more = if at + 1 < texts.len() { format!(" (\" \" ({}))?", from(at + 1)) } else { String::new() };
        // A text as JSON writes it is a text as the grammar does.
        grammar.push_str(&format!("copy_{at}: {}{more}\n", Value::from(text.as_str())));
    }
    Ok(TopLevelGrammar::from_lark(grammar))
}

/// The schema with how its texts are spaced.
fn strict(fields: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = fields.clone();
    let spacing = json!({"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "});
    fields.insert("x-guidance".to_owned(), spacing);
    fields
}

fn factory(tokens: &Tokens) -> Option<ParserFactory> {
    let end = tokens.all_ends().next()?;
    let mut words: Vec<Vec<u8>> = tokens.all_bytes().map(<[u8]>::to_vec).collect();
    // What begins with a byte that no text holds is no text.
    *words.get_mut(end as usize)? = b"\xff<end>".to_vec();
    let info = TokRxInfo::new(u32::try_from(words.len()).ok()?, end);
    let vocabulary = Arc::new(ApproximateTokEnv::new(TokTrie::from(&info, &words)));
    let mut factory = ParserFactory::new_simple(&(vocabulary as _)).ok()?;
    factory.quiet();
    // Errors would quote the text.
    factory.limits_mut().verbose_errors = false;
    Some(factory)
}

impl Mask {
    /// Takes away what cannot come next.
    pub(crate) fn apply(&mut self, logits: &mut [f32]) -> Result<(), MaskError> {
        let allowed = self.matcher.compute_mask_or_eos().map_err(|_| MaskError)?;
        // Where the text may end, the model may end it in whichever way it likes best: that counts for the one that the grammar knows.
        if let Some((first, others)) = self.ends.split_first() {
            let best =
                others.iter().filter_map(|end| logits.get(*end as usize).copied()).fold(f32::NEG_INFINITY, f32::max);
            if let Some(logit) = logits.get_mut(*first as usize) {
                *logit = logit.max(best);
            }
        }
        for (token, logit) in logits.iter_mut().enumerate() {
            if token >= allowed.len() || !allowed.get(token) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Takes the token that was chosen; true where nothing can follow it.
    pub(crate) fn push(&mut self, token: u32) -> Result<bool, MaskError> {
        self.matcher.consume_token(token).map_err(|_| MaskError)?;
        Ok(self.matcher.is_stopped())
    }
}
