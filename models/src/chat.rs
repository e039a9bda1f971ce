//! Chat messages and the template that turns them into a prompt.

mod template;

pub(crate) use template::{ChatTemplate, Piece};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatRole {
    /// Instructions.
    System,
    /// The person, or whatever stands for one.
    User,
    /// The model.
    Assistant,
}

impl ChatRole {
    /// The word that templates expect.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ChatRole::System => "system",
            ChatRole::User => "user",
            ChatRole::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: ChatRole,
    /// What is said. Never read as control tokens, whatever it holds.
    pub content: String,
}

impl ChatMessage {
    /// A message.
    #[must_use]
    pub fn new(role: ChatRole, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// Why a conversation cannot be turned into a prompt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The model has none.
    #[error("the model carries no chat template; send plain text, or choose an instruction model")]
    NoTemplate,
    /// The template is not one that can be read.
    #[error(
        "the model's chat template cannot be read (line {line}: {what}); add a file of kind `template` to the model"
    )]
    Template {
        /// Line in the template.
        line: usize,
        /// The engine's kind of error.
        what: String,
    },
    /// The template refuses these messages, or takes too many steps.
    #[error("the model's chat template refuses the conversation: {what}")]
    Refused {
        /// What it says; messages are not part of it.
        what: String,
    },
    /// The template leaves a message out, so the prompt would not be what was asked.
    #[error("the model's chat template leaves out message {index} ({role}); give it in another role")]
    Dropped {
        /// Which message, from 0.
        index: usize,
        /// Its role.
        role: &'static str,
    },
}
