//! Text to tokens and back.
//!
//! Control tokens are read as such only in text that the model's own template wrote. Everywhere else `<|im_end|>` is
//! ten characters: the tokenizer proper is built without control tokens, and a result that contains one all the same is an
//! error, never a prompt.

mod charsmap;
mod encoder;
mod json;
mod metadata;
mod stream;

use std::collections::BTreeSet;

use tokenizers::Tokenizer;

use crate::chat::Piece;
use crate::task::embed::Sequence;

pub(crate) use encoder::encoder_from_gguf;
pub(crate) use json::from_json;
pub(crate) use metadata::{from_gguf, token_text};
pub(crate) use stream::TextStream;

/// The tokenizer failed on a text. The text is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenizeError {
    #[error("the tokenizer cannot cut this text into tokens")]
    Failed,
    #[error("the text would become a control token; it is refused")]
    Control,
}

/// What begins the name that a control token is hidden under. It is no character and says nothing in a text.
const HIDDEN: char = '\u{10fffe}';

/// Spaces as SentencePiece writes them.
const SPACE_MARK: char = '\u{2581}';

/// How spaces are written before a text is cut into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spaces {
    /// As they are.
    Plain,
    /// As [`SPACE_MARK`], with one more at the start where `prefix` is set.
    Marked { prefix: bool },
}

/// How two texts stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    begin: Vec<u32>,
    middle: Vec<u32>,
    end: Vec<u32>,
    /// Whether the second text's tokens are marked as such.
    marked: bool,
}

/// The tokenizer of one model.
pub(crate) struct Tokens {
    /// Knows no control token.
    plain: Tokenizer,
    spaces: Spaces,
    /// Control tokens by their text, the longest first.
    control: Vec<(String, u32)>,
    /// What no text may become.
    forbidden: BTreeSet<u32>,
    begin: Vec<u32>,
    end: Vec<u32>,
    /// `None` where the model reads one text only.
    pair: Option<Pair>,
    /// Tokens that say that the model has finished.
    ends: BTreeSet<u32>,
    /// The bytes that each token stands for; empty where the model only reads.
    bytes: Vec<Box<[u8]>>,
    /// Bytes of the longest token.
    longest: usize,
}

impl Tokens {
    /// The tokens of a text alone.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        let cleaned;
        let text = if text.contains(HIDDEN) {
            cleaned = text.replace(HIDDEN, "");
            &cleaned
        } else {
            text
        };
        let marked;
        let text = match self.spaces {
            Spaces::Plain => text,
            Spaces::Marked { .. } if text.is_empty() => text,
            Spaces::Marked { prefix } => {
                let start = if prefix { "\u{2581}" } else { "" };
                marked = format!("{start}{}", text.replace(' ', "\u{2581}"));
                &marked
            }
        };
        let tokens = self.plain.encode_fast(text, false).map_err(|_| TokenizeError::Failed)?.get_ids().to_vec();
        if tokens.iter().any(|token| self.forbidden.contains(token)) {
            return Err(TokenizeError::Control);
        }
        Ok(tokens)
    }

    /// The tokens of a text between those that the model expects around it.
    pub(crate) fn encode_framed(&self, text: &str) -> Result<Vec<u32>, TokenizeError> {
        let text = self.encode(text)?;
        Ok(self.begin.iter().chain(&text).chain(&self.end).copied().collect())
    }

    /// Two texts as one sequence of at most `limit` tokens, the end of the second cut off where they are too long. `None` where
    /// the model does not read two.
    pub(crate) fn pair(&self, first: &[u32], second: &[u32], limit: usize) -> Option<Sequence> {
        let Pair { begin, middle, end, marked } = self.pair.as_ref()?;
        let around = begin.len() + first.len() + middle.len() + end.len();
        let second = second.get(..limit.saturating_sub(around)).unwrap_or(second);
        let tokens: Vec<u32> = [begin, first, middle, second, end].into_iter().flatten().copied().collect();
        let marked = if *marked { around - end.len() } else { tokens.len() };
        Some(Sequence { second: marked, ..Sequence::one(tokens) })
    }

    /// The tokens of a prompt: control tokens where the template wrote them, plain text everywhere else. Text on both sides
    /// of a border between template and message is cut into tokens as one, as in training.
    pub(crate) fn encode_pieces(&self, pieces: &[Piece]) -> Result<Vec<u32>, TokenizeError> {
        let mut tokens = Vec::new();
        let mut text = String::new();
        for piece in pieces {
            let mut rest = match piece {
                Piece::Content(content) => {
                    text.push_str(content);
                    continue;
                }
                Piece::Template(written) => written.as_str(),
            };
            while let Some((at, control, token)) = self.first_control(rest) {
                text.push_str(rest.get(..at).unwrap_or_default());
                tokens.extend(self.encode(&std::mem::take(&mut text))?);
                tokens.push(token);
                rest = rest.get(at + control.len()..).unwrap_or_default();
            }
            text.push_str(rest);
        }
        tokens.extend(self.encode(&text)?);
        // Some templates write the opening token themselves, some leave it to the tokenizer.
        if let Some(begin) = self.begin.first()
            && tokens.first() != Some(begin)
        {
            tokens.insert(0, *begin);
        }
        Ok(tokens)
    }

    fn first_control<'a>(&'a self, text: &str) -> Option<(usize, &'a str, u32)> {
        let found = self.control.iter().filter_map(|(control, token)| Some((text.find(control)?, control, *token)));
        // Where two begin at the same place the longer one is meant; the list has it first.
        found.min_by_key(|(at, _, _)| *at).map(|(at, control, token)| (at, control.as_str(), token))
    }

    /// A lower bound for the tokens of a text, without cutting it.
    pub(crate) fn at_least(&self, text: &str) -> usize {
        self.at_least_for(text.len())
    }

    /// The same for text of that many bytes.
    pub(crate) fn at_least_for(&self, bytes: usize) -> usize {
        bytes / self.longest.max(1)
    }

    /// The start of a text, long enough for `limit` tokens whatever it holds, so that no time is spent on the rest.
    pub(crate) fn head<'a>(&self, text: &'a str, limit: usize) -> &'a str {
        let most = self.longest.saturating_mul(limit.saturating_add(1));
        text.get(..text.floor_char_boundary(most)).unwrap_or(text)
    }

    /// Cuts framed tokens to `limit`, the closing ones kept.
    pub(crate) fn cut_framed(&self, mut tokens: Vec<u32>, limit: usize) -> Vec<u32> {
        tokens.truncate(limit.saturating_sub(self.end.len()));
        tokens.extend(&self.end);
        tokens
    }

    /// The highest token that a text can become: the model must have a vector for it.
    pub(crate) fn highest(&self) -> u32 {
        self.plain.get_vocab(true).into_values().chain(self.begin.iter().chain(&self.end).copied()).max().unwrap_or(0)
    }

    /// Whether the token says that the model has finished.
    pub(crate) fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// Every token that says so.
    pub(crate) fn all_ends(&self) -> impl Iterator<Item = u32> {
        self.ends.iter().copied()
    }

    /// The bytes of every token, in the order of the tokens: none for a control token.
    pub(crate) fn all_bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.iter().map(|bytes| &**bytes)
    }

    /// Turns tokens into text as they come.
    pub(crate) fn stream(&self) -> TextStream {
        TextStream::new(self.spaces != Spaces::Plain)
    }

    /// The bytes that a token stands for: none for a control token.
    fn bytes_of(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], |bytes| bytes)
    }
}

#[cfg(test)]
pub(crate) mod tests;
