//! Tokenizers from the header of a GGUF file, for models that read. Names of keys are llama.cpp's, spelling included.

use std::collections::BTreeSet;

use tokenizers::Tokenizer;
use tokenizers::models::bpe::Vocab;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::whitespace::WhitespaceSplit;

use super::metadata::{Vocabulary, byte_level, refused};
use super::{HIDDEN, Pair, SPACE_MARK, Spaces, Tokens, charsmap};
use crate::error::LoadError;
use crate::weights::gguf::{Header, Value};

/// A word this long is no word; as for `tokenizer.json`.
const LONGEST: usize = 512;

/// Builds the tokenizer of an encoder: one token before a text and one behind it, and two between two texts where the vocabulary is
/// SentencePiece's, as XLM-RoBERTa has it.
pub(crate) fn encoder_from_gguf(header: &Header) -> Result<Tokens, LoadError> {
    let vocabulary = Vocabulary::read(header)?;
    let number = |key: &str| {
        let id =
            header.unsigned(&format!("tokenizer.ggml.{key}_token_id")).filter(|id| *id < vocabulary.texts.len())?;
        u32::try_from(id).ok()
    };
    let spelled = |text: &str| vocabulary.numbered().find(|(_, found)| *found == text).map(|(token, _)| token);
    let first = |keys: &[&str], text: &str| keys.iter().find_map(|key| number(key)).or_else(|| spelled(text));
    let (plain, begin, end, unknown, pieces) = match header.text("tokenizer.ggml.model") {
        Some("bert") => {
            let unknown = first(&["unknown"], "[UNK]").ok_or_else(|| refused("it names no unknown token"))?;
            let begin = first(&["cls", "bos"], "[CLS]");
            let end = first(&["seperator", "separator", "eos"], "[SEP]");
            (word_piece(header, &vocabulary, unknown)?, begin, end, Some(unknown), false)
        }
        Some("t5") => {
            let unknown = first(&["unknown"], "<unk>");
            let plain = unigram(header, &vocabulary, unknown)?;
            (plain, first(&["bos", "cls"], "<s>"), first(&["eos", "seperator"], "</s>"), unknown, true)
        }
        Some("gpt2") => {
            let (plain, _, _) = byte_level(header, &vocabulary)?;
            let begin = first(&["cls", "bos"], "[CLS]");
            (plain, begin, first(&["seperator", "separator", "eos"], "[SEP]"), None, false)
        }
        other => {
            let name = other.unwrap_or("(none)");
            return Err(refused(format!(
                "vocabulary `{name}` is not supported for encoders yet; bert, t5 and gpt2 are"
            )));
        }
    };
    let (Some(begin), Some(end)) = (begin, end) else {
        return Err(refused("it names no token that stands before a text, or none behind it"));
    };
    let control = vocabulary.numbered().filter(|(token, _)| vocabulary.is_control(*token as usize));
    let forbidden = control.map(|(token, _)| token).filter(|token| Some(*token) != unknown).collect();
    let middle = if pieces { vec![end, end] } else { vec![end] };
    let pair = Pair { begin: vec![begin], middle, end: vec![end], marked: !pieces };
    Ok(Tokens {
        plain,
        spaces: Spaces::Plain,
        control: Vec::new(),
        forbidden,
        begin: vec![begin],
        end: vec![end],
        pair: Some(pair),
        ends: BTreeSet::new(),
        bytes: Vec::new(),
        longest: LONGEST,
    })
}

/// WordPiece. Files mark the beginnings of words instead of the parts that continue one.
fn word_piece(header: &Header, vocabulary: &Vocabulary<'_>, unknown: u32) -> Result<Tokenizer, LoadError> {
    let word = |(token, text): (u32, &String)| {
        let text = match text.strip_prefix(SPACE_MARK) {
            Some(word) => word.to_owned(),
            None if vocabulary.is_control(token as usize) => return None,
            None => format!("##{text}"),
        };
        Some((text, token))
    };
    let words: Vec<(String, u32)> = vocabulary.numbered().filter_map(word).collect();
    if words.iter().all(|(text, _)| text.starts_with("##")) {
        return Err(refused("its words are not marked; convert the model with a newer converter"));
    }
    let flag = |name: &str| header.flag(&format!("tokenizer.ggml.normalizer.{name}"));
    let lowercase = flag("lowercase").unwrap_or_else(|| !words.iter().any(|(text, _)| has_case(text)));
    let name = "[UNK]";
    let words = words.into_iter().chain([(name.to_owned(), unknown)]).collect::<Vocab>();
    let model = WordPiece::builder().vocab(words).unk_token(name.to_owned()).build();
    let mut plain = Tokenizer::new(model.map_err(|_| refused("its words do not fit together"))?);
    let normalizer = BertNormalizer::new(true, true, flag("strip_accents"), lowercase);
    plain.with_normalizer(Some(normalizer)).map_err(|_| refused("its normaliser cannot be set"))?;
    plain.with_pre_tokenizer(Some(BertPreTokenizer));
    Ok(plain)
}

/// Whether a word has a letter that lower case would change: where no word has, the vocabulary is of lower case. A letter such as
/// the double-struck R is upper case and has no other.
fn has_case(word: &str) -> bool {
    let word = word.trim_start_matches("##");
    !word.starts_with('[') && word.chars().any(|c| c.to_lowercase().ne(std::iter::once(c)))
}

/// SentencePiece's unigram model, as XLM-RoBERTa has it.
fn unigram(header: &Header, vocabulary: &Vocabulary<'_>, unknown: Option<u32>) -> Result<Tokenizer, LoadError> {
    let scores = match header.value("tokenizer.ggml.scores") {
        Some(Value::Floats(scores)) if scores.len() == vocabulary.texts.len() => scores,
        _ => return Err(refused("the file holds no score for each token")),
    };
    // What is never used has a score far below, which would be the measure of what is unknown.
    let used = vocabulary.numbered().zip(scores).filter(|((token, _), _)| !vocabulary.is_unused(*token as usize));
    let least = used.map(|(_, score)| *score).fold(f32::MAX, f32::min);
    let piece = |((token, text), score): ((u32, &String), &f32)| {
        // The model would find a control token in a text that spells it. No text spells these names.
        let control = vocabulary.is_control(token as usize) && Some(token) != unknown;
        let text = if control { format!("{HIDDEN}{token}") } else { text.clone() };
        (text, f64::from(score.max(least)))
    };
    let pieces = vocabulary.numbered().zip(scores).map(piece).collect();
    let model = Unigram::from(pieces, unknown.map(|token| token as usize), false);
    let mut plain = Tokenizer::new(model.map_err(|_| refused("its pieces do not fit together"))?);
    match header.value("tokenizer.ggml.precompiled_charsmap") {
        None => {}
        Some(Value::Bytes(map)) => {
            let map = charsmap::read(map)?;
            plain.with_normalizer(Some(map)).map_err(|_| refused("its normaliser cannot be set"))?;
        }
        Some(_) => return Err(refused("its map of characters is no row of bytes; convert the model again")),
    }
    let spaces = Metaspace::new(SPACE_MARK, PrependScheme::Always, true);
    let steps: Vec<PreTokenizerWrapper> = vec![WhitespaceSplit.into(), spaces.into()];
    plain.with_pre_tokenizer(Some(Sequence::new(steps)));
    Ok(plain)
}

#[cfg(test)]
mod tests;
