//! Tokenizers from `tokenizer.json`, for embedding models.

use std::collections::BTreeSet;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::{HIDDEN, Pair, SPACE_MARK, Spaces, Tokens, charsmap};
use crate::error::LoadError;

/// Builds the tokenizer without control tokens, padding and truncation: the pool decides about those. The tokens around a
/// text are found by cutting the empty text with the file as it is.
pub(crate) fn from_json(bytes: &[u8]) -> Result<Tokens, LoadError> {
    let refused = |what: &str| LoadError::Tokenizer(format!("tokenizer.json {what}"));
    let mut file: Value = serde_json::from_slice(bytes).map_err(|_| refused("is not JSON"))?;
    let fields = file.as_object_mut().ok_or_else(|| refused("is not an object"))?;
    fields.insert("truncation".to_owned(), Value::Null);
    fields.insert("padding".to_owned(), Value::Null);
    charsmap::check(fields.get("normalizer").unwrap_or(&Value::Null))?;
    let whole = build(fields)?;
    let framed = whole.encode_fast("", true).map_err(|_| refused("cannot frame a text"))?.get_ids().to_vec();
    let (begin, end) = match framed.as_slice() {
        [] => (Vec::new(), Vec::new()),
        [begin] => (vec![*begin], Vec::new()),
        [begin, end] => (vec![*begin], vec![*end]),
        _ => return Err(refused("puts more than two tokens around a text, which is not supported")),
    };
    let pair = pair(&whole);
    // WordPiece names the token for what it does not know, Unigram numbers it.
    let model = |key: &str| fields.get("model").and_then(|model| model.get(key));
    let named = model("unk_token").and_then(Value::as_str).and_then(|text| whole.token_to_id(text));
    let unknown = named.or_else(|| u32::try_from(model("unk_id")?.as_u64()?).ok());
    let added = fields.get_mut("added_tokens").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let text_of = |token: &Value| token.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
    // Words that a model was taught besides are text, and so are runs of spaces.
    let special = |token: &Value| token.get("special").and_then(Value::as_bool).unwrap_or(true);
    let (words, control): (Vec<Value>, Vec<Value>) = added
        .into_iter()
        .partition(|token| !special(token) || text_of(token).replace(SPACE_MARK, " ").trim().is_empty());
    let forbidden: BTreeSet<u32> = control
        .iter()
        .filter_map(|token| u32::try_from(token.get("id")?.as_u64()?).ok())
        .filter(|token| Some(*token) != unknown)
        .collect();
    fields.insert("added_tokens".to_owned(), Value::Array(words));
    fields.insert("post_processor".to_owned(), Value::Null);
    hide(fields, &forbidden);
    let plain = build(fields)?;
    // A normaliser may shorten text (accents are dropped, white space is folded), so a token has no longest length in
    // bytes of the input; a word this long is no word.
    let longest = 512;
    Ok(Tokens {
        plain,
        spaces: Spaces::Plain,
        control: Vec::new(),
        forbidden,
        begin,
        end,
        pair,
        ends: BTreeSet::new(),
        bytes: Vec::new(),
        longest,
    })
}

/// How two texts stand together, found by cutting two of one letter each: what that becomes does not matter. `None` where the
/// file has nothing for two.
fn pair(whole: &Tokenizer) -> Option<Pair> {
    let framed = whole.encode_fast(("a", "b"), true).ok()?;
    let of = framed.get_sequence_ids();
    let places =
        |text| (of.iter().position(|found| *found == Some(text)), of.iter().rposition(|found| *found == Some(text)));
    let ((Some(first), Some(first_end)), (Some(second), Some(second_end))) = (places(0), places(1)) else {
        return None;
    };
    let tokens = framed.get_ids();
    let part = |from: usize, to: usize| Some(tokens.get(from..to)?.to_vec());
    Some(Pair {
        begin: part(0, first)?,
        middle: part(first_end + 1, second)?,
        end: part(second_end + 1, tokens.len())?,
        marked: framed.get_type_ids().get(second).is_some_and(|kind| *kind > 0),
    })
}

/// Unigram would find a control token in a text that spells it, as it finds any other piece. No text spells these names: their first
/// character is taken out of texts.
fn hide(fields: &mut serde_json::Map<String, Value>, control: &BTreeSet<u32>) {
    let Some(model) = fields.get_mut("model").filter(|model| model.get("type") == Some(&Value::from("Unigram"))) else {
        return;
    };
    let Some(pieces) = model.get_mut("vocab").and_then(Value::as_array_mut) else { return };
    for token in control {
        if let Some(text) = pieces.get_mut(*token as usize).and_then(|piece| piece.get_mut(0)) {
            *text = Value::from(format!("{HIDDEN}{token}"));
        }
    }
}

fn build(fields: &serde_json::Map<String, Value>) -> Result<Tokenizer, LoadError> {
    let refused = |_| LoadError::Tokenizer("tokenizer.json cannot be read by this build".to_owned());
    serde_json::from_value(Value::Object(fields.clone())).map_err(refused)
}
