//! Tokens to text as they come, never half a character.

use super::Tokens;

/// Longest UTF-8 sequence.
const LONGEST_CHARACTER: usize = 4;

/// Text under way.
pub(crate) struct TextStream {
    pending: Vec<u8>,
    /// The next text starts with the space that SentencePiece puts before every text.
    strip_space: bool,
}

impl TextStream {
    pub(super) fn new(strip_space: bool) -> Self {
        Self { pending: Vec::new(), strip_space }
    }

    /// Adds a token and gives back the characters that are complete. Bytes that can no longer become a character
    /// come out as U+FFFD.
    pub(crate) fn push(&mut self, tokens: &Tokens, token: u32) -> String {
        let mut bytes = tokens.bytes_of(token);
        if self.strip_space && !bytes.is_empty() {
            self.strip_space = false;
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.pending.extend_from_slice(bytes);
        self.take(false)
    }

    /// What is left when no more tokens come.
    pub(crate) fn finish(&mut self) -> String {
        self.take(true)
    }

    fn take(&mut self, all: bool) -> String {
        let mut text = String::new();
        let mut done = 0;
        let chunks: Vec<_> = self.pending.utf8_chunks().map(|c| (c.valid().to_owned(), c.invalid().len())).collect();
        let last = chunks.len();
        for (at, (valid, invalid)) in chunks.into_iter().enumerate() {
            text.push_str(&valid);
            done += valid.len();
            // Only the end of what is there can still become a character.
            let open = at + 1 == last && done + invalid == self.pending.len() && !all && self.can_grow(done);
            if invalid > 0 && !open {
                text.push(char::REPLACEMENT_CHARACTER);
                done += invalid;
            }
        }
        self.pending.drain(..done.min(self.pending.len()));
        text
    }

    /// Whether the bytes from `start` on are the beginning of a character.
    fn can_grow(&self, start: usize) -> bool {
        let rest = self.pending.get(start..).unwrap_or_default();
        rest.len() < LONGEST_CHARACTER
            && std::str::from_utf8(rest).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    }
}
