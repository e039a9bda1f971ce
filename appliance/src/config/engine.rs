//! `[models.engine]`: an engine elsewhere in the hospital's network that generates instead of a model of this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[models.engine]`: an engine that speaks OpenAI's completions (vLLM, llama-server), behind a Unix socket that the relay
/// serves. With it `models.generate` is not loaded. Its answers pass the same checks as those of a model of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// The relay's socket. This program opens no other way out.
    pub socket: PathBuf,
    /// The model, as the engine calls it.
    pub model: String,
    /// Tokens of prompt and completion together that the engine takes for one request.
    pub context_tokens: usize,
    /// Requests that may be with the engine at a time; more are answered 429 with `Retry-After`. Default: 64.
    #[serde(default = "at_once")]
    pub at_once: usize,
}

const fn at_once() -> usize {
    64
}

impl Engine {
    pub(super) fn contradiction(&self) -> Option<(&'static str, &'static str)> {
        if !self.socket.is_absolute() {
            Some(("models.engine.socket", "must be an absolute path"))
        } else if self.model.is_empty() {
            Some(("models.engine.model", "must name the model as the engine calls it"))
        } else if self.context_tokens < 256 {
            Some(("models.engine.context_tokens", "must be at least 256: no prompt fits into less"))
        } else if self.at_once == 0 {
            Some(("models.engine.at_once", "must be at least 1"))
        } else {
            None
        }
    }
}
