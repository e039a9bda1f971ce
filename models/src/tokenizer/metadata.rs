//! Tokenizers from the header of a GGUF file, for generation models, and the vocabulary that those of encoders share.

use std::collections::{BTreeSet, HashMap};

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, Tokenizer};

use super::{SPACE_MARK, Spaces, Tokens};
use crate::error::LoadError;
use crate::weights::gguf::{Header, Value};

/// Kinds of tokens, from `llama_token_type` in llama.h.
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// Texts of control tokens that end a turn, whatever the file names as its end; as in llama.cpp's vocabulary.
const TURN_ENDS: [&str; 8] =
    ["<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|endoftext|>", "<end_of_turn>", "<|end_of_text|>", "</s>"];

/// How Qwen 2 cuts text before merging; from its tokenizer.json.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How Llama 3 cuts text before merging; from its tokenizer.json.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

pub(super) fn refused(what: impl Into<String>) -> LoadError {
    LoadError::Tokenizer(what.into())
}

/// The vocabulary as the header states it.
pub(super) struct Vocabulary<'a> {
    pub(super) texts: &'a [String],
    kinds: Vec<i32>,
}

impl<'a> Vocabulary<'a> {
    pub(super) fn read(header: &'a Header) -> Result<Self, LoadError> {
        let texts = header.texts("tokenizer.ggml.tokens").ok_or_else(|| refused("the file holds no vocabulary"))?;
        let kinds = match header.value("tokenizer.ggml.token_type") {
            Some(Value::Integers(kinds)) if kinds.len() == texts.len() => kinds.clone(),
            None => Vec::new(),
            Some(_) => return Err(refused("the kinds of its tokens do not match its vocabulary")),
        };
        Ok(Self { texts, kinds })
    }

    fn kind(&self, token: usize) -> i32 {
        self.kinds.get(token).copied().unwrap_or(1)
    }

    /// Tokens that only the template may write.
    pub(super) fn is_control(&self, token: usize) -> bool {
        let text = self.texts.get(token).map_or("", String::as_str);
        // User-defined tokens are markup (`<tool_call>`), except for runs of white space, which are text.
        matches!(self.kind(token), UNKNOWN | CONTROL)
            || (self.kind(token) == USER_DEFINED && !text.replace(SPACE_MARK, " ").trim().is_empty())
    }

    pub(super) fn is_unused(&self, token: usize) -> bool {
        matches!(self.kind(token), UNUSED | CONTROL | UNKNOWN)
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (u32, &String)> {
        (0u32..).zip(self.texts)
    }
}

/// Builds the tokenizer of a GGUF file.
pub(crate) fn from_gguf(header: &Header) -> Result<Tokens, LoadError> {
    let vocabulary = Vocabulary::read(header)?;
    let number = |key: &str| header.unsigned(key).and_then(|id| u32::try_from(id).ok());
    let named = |key: &str| number(key).filter(|id| (*id as usize) < vocabulary.texts.len());
    let (plain, spaces, bytes) = match header.text("tokenizer.ggml.model") {
        Some("gpt2") => byte_level(header, &vocabulary)?,
        Some("llama") => sentence_piece(header, &vocabulary)?,
        other => {
            let name = other.unwrap_or("(none)");
            return Err(refused(format!("vocabulary `{name}` is not supported yet; gpt2 and llama are")));
        }
    };
    let mut control: Vec<(String, u32)> = vocabulary
        .numbered()
        .filter(|(token, text)| vocabulary.is_control(*token as usize) && !text.is_empty())
        .map(|(token, text)| (text.clone(), token))
        .collect();
    control.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
    let mut ends: BTreeSet<u32> =
        control.iter().filter(|(text, _)| TURN_ENDS.contains(&text.as_str())).map(|(_, token)| *token).collect();
    ends.extend(["eos", "eot", "eom"].iter().filter_map(|name| named(&format!("tokenizer.ggml.{name}_token_id"))));
    // SentencePiece models open every text with their first token unless the file says otherwise.
    let opens = header.flag("tokenizer.ggml.add_bos_token").unwrap_or(spaces != Spaces::Plain);
    let begin = named("tokenizer.ggml.bos_token_id").filter(|_| opens);
    let unknown = named("tokenizer.ggml.unknown_token_id").filter(|_| spaces != Spaces::Plain);
    let forbidden = control.iter().map(|(_, token)| *token).filter(|token| Some(*token) != unknown).collect();
    let longest = bytes.iter().map(|bytes| bytes.len()).max().unwrap_or(1).max(1);
    let begin = begin.into_iter().collect();
    Ok(Tokens { plain, spaces, control, forbidden, begin, end: Vec::new(), pair: None, ends, bytes, longest })
}

/// The text of a named token, for the template.
pub(crate) fn token_text(header: &Header, key: &str) -> String {
    let texts = header.texts("tokenizer.ggml.tokens").unwrap_or_default();
    header.unsigned(key).and_then(|id| texts.get(id)).cloned().unwrap_or_default()
}

pub(super) type Built = (Tokenizer, Spaces, Vec<Box<[u8]>>);

/// Byte-level BPE as GPT-2 has it.
pub(super) fn byte_level(header: &Header, vocabulary: &Vocabulary<'_>) -> Result<Built, LoadError> {
    let merges = header.texts("tokenizer.ggml.merges").ok_or_else(|| refused("the file holds no merges"))?;
    let merges = merges
        .iter()
        .map(|merge| merge.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| refused("one of its merges is not two tokens"))?;
    let pre = header.text("tokenizer.ggml.pre").unwrap_or("default");
    let whole_words = matches!(pre, "llama-bpe" | "llama3" | "llama-v3");
    let words = plain_words(vocabulary);
    let model = BPE::builder().vocab_and_merges(words, merges).ignore_merges(whole_words).build();
    let mut plain = Tokenizer::new(model.map_err(|_| refused("a merge names a token that is not in the vocabulary"))?);
    plain.with_pre_tokenizer(Some(pre_tokenizer(pre)?));
    if matches!(pre, "qwen2" | "modern-bert") {
        plain.with_normalizer(Some(NFC)).map_err(|_| refused("its normaliser cannot be set"))?;
    }
    add_spaces(&mut plain, vocabulary)?;
    let alphabet = alphabet();
    let bytes = vocabulary
        .numbered()
        .map(|(token, text)| match vocabulary.kind(token as usize) {
            _ if vocabulary.is_control(token as usize) => Box::default(),
            USER_DEFINED => text.as_bytes().into(),
            // A character outside the alphabet stands for itself; only broken vocabularies have one.
            _ => text
                .chars()
                .flat_map(|c| alphabet.get(&c).map_or_else(|| c.to_string().into_bytes(), |b| vec![*b]))
                .collect(),
        })
        .collect();
    Ok((plain, Spaces::Plain, bytes))
}

/// The vocabulary without control tokens.
fn plain_words(vocabulary: &Vocabulary<'_>) -> Vocab {
    vocabulary
        .numbered()
        .filter(|(token, _)| !vocabulary.is_control(*token as usize))
        .map(|(token, text)| (text.clone(), token))
        .collect()
}

/// Runs of white space that the vocabulary defines as tokens are cut out before merging, as in training.
fn add_spaces(plain: &mut Tokenizer, vocabulary: &Vocabulary<'_>) -> Result<(), LoadError> {
    let runs = vocabulary
        .numbered()
        .filter(|(token, _)| {
            vocabulary.kind(*token as usize) == USER_DEFINED && !vocabulary.is_control(*token as usize)
        })
        .map(|(_, text)| AddedToken::from(text.clone(), false).normalized(false));
    plain.add_tokens(runs).map_err(|_| refused("its runs of white space cannot be added"))?;
    Ok(())
}

fn pre_tokenizer(pre: &str) -> Result<PreTokenizerWrapper, LoadError> {
    let split = |pattern: &str| {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false);
        let split = split.map_err(|_| refused("its pattern cannot be compiled"))?;
        Ok(Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into())
    };
    match pre {
        "default" | "gpt-2" | "gpt2" | "modern-bert" => Ok(ByteLevel::new(false, true, true).into()),
        "smollm" => Ok(Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]).into()),
        "qwen2" => split(QWEN2),
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" => split(LLAMA3),
        other => Err(refused(format!(
            "the way `{other}` cuts text is not supported yet; default, gpt-2, smollm, qwen2, llama-bpe and modern-bert are"
        ))),
    }
}

/// Which byte a character of byte-level BPE stands for: GPT-2's `bytes_to_unicode`, turned round.
fn alphabet() -> HashMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 256u32;
    (0..=u8::MAX)
        .filter_map(|byte| {
            let code = if printable(byte) {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            Some((char::from_u32(code)?, byte))
        })
        .collect()
}

/// SentencePiece's BPE: pieces with scores, and bytes for what no piece covers.
fn sentence_piece(header: &Header, vocabulary: &Vocabulary<'_>) -> Result<Built, LoadError> {
    let scores = match header.value("tokenizer.ggml.scores") {
        Some(Value::Floats(scores)) if scores.len() == vocabulary.texts.len() => scores,
        _ => return Err(refused("the file holds no score for each token")),
    };
    let words = plain_words(vocabulary);
    let merges = merges(vocabulary, &words, scores);
    let unknown = (0..vocabulary.texts.len()).find(|token| vocabulary.kind(*token) == UNKNOWN);
    let mut words = words;
    let mut builder = BPE::builder().byte_fallback(true).fuse_unk(true);
    if let Some((token, text)) = unknown.and_then(|token| Some((token, vocabulary.texts.get(token)?))) {
        words.insert(text.clone(), u32::try_from(token).unwrap_or(0));
        builder = builder.unk_token(text.clone());
    }
    let model = builder.vocab_and_merges(words, merges).build();
    let mut plain = Tokenizer::new(model.map_err(|_| refused("its pieces do not fit together"))?);
    add_spaces(&mut plain, vocabulary)?;
    let bytes = vocabulary
        .numbered()
        .map(|(token, text)| match vocabulary.kind(token as usize) {
            BYTE => byte_piece(text).map_or_else(Box::default, |byte| Box::from([byte])),
            _ if vocabulary.is_control(token as usize) => Box::default(),
            _ => text.replace(SPACE_MARK, " ").into_bytes().into_boxed_slice(),
        })
        .collect();
    let prefix = header.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    Ok((plain, Spaces::Marked { prefix }, bytes))
}

/// `<0x0A>` and its like.
fn byte_piece(text: &str) -> Option<u8> {
    u8::from_str_radix(text.strip_prefix("<0x")?.strip_suffix('>')?, 16).ok()
}

/// Every way to make a piece of two others, the piece with the best score first: merging in this order is what
/// SentencePiece does.
fn merges(vocabulary: &Vocabulary<'_>, words: &Vocab, scores: &[f32]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (token, text) in vocabulary.numbered() {
        if vocabulary.kind(token as usize) != 1 {
            continue;
        }
        let score = scores.get(token as usize).copied().unwrap_or(f32::MIN);
        for (at, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(at);
            if let (Some(a), Some(b)) = (words.get(left), words.get(right)) {
                found.push((score, (*a, *b), (left.to_owned(), right.to_owned())));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.into_iter().map(|(_, _, pair)| pair).collect()
}
