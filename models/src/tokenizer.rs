//! Text to tokens and back.
use crate::chat::Piece;
use crate::error::LoadError;

#[derive(Debug, thiserror::Error)]
#[error("the tokenizer failed")]
pub(crate) struct TokenizeError;

pub(crate) struct Tokens;
pub(crate) struct TextStream;
impl Tokens {
    pub(crate) fn encode(&self, _text: &str) -> Result<Vec<u32>, TokenizeError> {
        Err(TokenizeError)
    }
    pub(crate) fn encode_framed(&self, _text: &str) -> Result<Vec<u32>, TokenizeError> {
        Err(TokenizeError)
    }
    pub(crate) fn encode_pieces(&self, _pieces: &[Piece]) -> Result<Vec<u32>, TokenizeError> {
        Err(TokenizeError)
    }
    pub(crate) fn at_least(&self, text: &str) -> usize {
        self.at_least_for(text.len())
    }
    pub(crate) fn at_least_for(&self, _bytes: usize) -> usize {
        0
    }
    pub(crate) fn head<'a>(&self, text: &'a str, _limit: usize) -> &'a str {
        text
    }
    pub(crate) fn cut_framed(&self, t: Vec<u32>, _limit: usize) -> Vec<u32> {
        t
    }
    pub(crate) fn ends(&self, _t: u32) -> bool {
        false
    }
    pub(crate) fn stream(&self) -> TextStream {
        TextStream
    }
}
impl TextStream {
    pub(crate) fn push(&mut self, _tokens: &Tokens, _t: u32) -> String {
        String::new()
    }
    pub(crate) fn finish(&mut self) -> String {
        String::new()
    }
}
