//! Running a model's chat template, with the messages' text kept apart from the template's.
//!
//! The template never sees a message. It lays out marks, one per message, and the text is put where the marks came out. So
//! no message can close its own turn, whatever the template does with it: a control token is read as one only where the
//! template itself wrote it.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};

use super::{ChatError, ChatMessage};

/// Steps a template may take; Llama 3's takes some hundreds per message.
const FUEL: u64 = 2_000_000;
/// Longest template.
const MAX_TEMPLATE: usize = 256 * 1024;
/// Characters of a private use area around a mark. A template that contains one is refused.
const OPEN: char = '\u{f8f0}';
const CLOSE: char = '\u{f8f1}';
/// White space around a mark: gone where the template trims, and then the text is trimmed as well.
const EDGE: char = '\u{2003}';

/// A stretch of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Written by the template: control tokens are read as such.
    Template(String),
    /// Taken from a message: nothing in it is a control token.
    Content(String),
}

impl Piece {
    pub(crate) fn into_text(self) -> String {
        match self {
            Piece::Template(text) | Piece::Content(text) => text,
        }
    }
}

/// A chat template that has been parsed.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

impl ChatTemplate {
    /// Parses a template with the settings that Hugging Face's tokenizers render with. `begin` and `end` are the texts of
    /// the tokens that open and close a sequence.
    pub(crate) fn parse(source: String, begin: String, end: String) -> Result<Self, ChatError> {
        let refused = |line, what: &str| ChatError::Template { line, what: what.to_owned() };
        if source.len() > MAX_TEMPLATE || source.contains([OPEN, CLOSE]) {
            return Err(refused(0, "too long, or with characters of the private use area"));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| refused(0, &error.kind().to_string()))?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |what: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, what))
        });
        environment
            .add_template_owned("chat", source)
            .map_err(|error| refused(error.line().unwrap_or(0), &error.kind().to_string()))?;
        Ok(Self { environment, begin, end })
    }

    /// Lays out a conversation and opens the model's turn.
    pub(crate) fn render(&self, messages: &[ChatMessage]) -> Result<Vec<Piece>, ChatError> {
        let marked: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                let mark = format!("{EDGE}{OPEN}{index}{CLOSE}{EDGE}");
                let content = if message.content.is_empty() { String::new() } else { mark };
                context! { role => message.role.as_str(), content => content }
            })
            .collect();
        let refused = |error: minijinja::Error| ChatError::Refused {
            what: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        };
        let template = self.environment.get_template("chat").map_err(refused)?;
        let laid_out = template
            .render(context! {
                messages => marked,
                bos_token => self.begin.as_str(),
                eos_token => self.end.as_str(),
                add_generation_prompt => true,
            })
            .map_err(refused)?;
        fill(&laid_out, messages)
    }
}

/// Puts the messages where their marks came out.
fn fill(laid_out: &str, messages: &[ChatMessage]) -> Result<Vec<Piece>, ChatError> {
    let altered = || ChatError::Refused { what: "it takes messages apart".to_owned() };
    let mut pieces = Vec::new();
    let mut seen = vec![false; messages.len()];
    let mut rest = laid_out;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (index, after) = after.split_once(CLOSE).ok_or_else(altered)?;
        let index: usize = index.parse().map_err(|_| altered())?;
        let message = messages.get(index).ok_or_else(altered)?;
        if let Some(seen) = seen.get_mut(index) {
            *seen = true;
        }
        let (before, kept_start) = before.strip_suffix(EDGE).map_or((before, false), |before| (before, true));
        let (after, kept_end) = after.strip_prefix(EDGE).map_or((after, false), |after| (after, true));
        let mut content = message.content.as_str();
        if !kept_start {
            content = content.trim_start();
        }
        if !kept_end {
            content = content.trim_end();
        }
        pieces.push(Piece::Template(before.to_owned()));
        pieces.push(Piece::Content(content.to_owned()));
        rest = after;
    }
    pieces.push(Piece::Template(rest.to_owned()));
    pieces.retain(|piece| !matches!(piece, Piece::Template(text) | Piece::Content(text) if text.is_empty()));
    for (index, message) in messages.iter().enumerate() {
        if !message.content.is_empty() && !seen.get(index).copied().unwrap_or(false) {
            return Err(ChatError::Dropped { index, role: message.role.as_str() });
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
