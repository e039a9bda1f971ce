//! Why a model cannot be run.

use crate::chat::ChatError;
use crate::fit::FitError;
use crate::registry::RegistryError;
use crate::task::StepError;

/// Why a model cannot be loaded. Every one names the file or tensor and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file could not be read, or is no longer the one that was verified.
    #[error("a file of the model cannot be read")]
    Registry(#[from] RegistryError),
    /// No code for it in this build.
    #[error("architecture {name} is not supported yet; this build runs {known}")]
    Architecture {
        /// As the model's files name it.
        name: String,
        /// What this build runs.
        known: &'static str,
    },
    /// The model is for something else.
    #[error("the model is for `{found}`, this pool runs `{wanted}`; choose another model")]
    Task {
        /// What the model is for.
        found: crate::manifest::Task,
        /// What the pool runs.
        wanted: crate::manifest::Task,
    },
    /// The weights do not hold what the architecture needs.
    #[error("{file}: {what}; the file is damaged or of another kind, fetch or import it again")]
    Malformed {
        /// Name of the file.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The tokenizer cannot be built.
    #[error("the tokenizer cannot be built: {0}")]
    Tokenizer(String),
    /// The chat template cannot be read.
    #[error("the chat template cannot be read")]
    Template(#[from] ChatError),
    /// The machine is too small: how much is needed, and how much there is.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The device that was asked for cannot be used.
    #[error("the device `{name}` cannot be used: {what}; build with `--features {name}` on a machine that has one")]
    Device {
        /// As the configuration names it.
        name: &'static str,
        /// candle's words.
        what: String,
    },
    /// The first computation failed.
    #[error("the model does not compute")]
    Step(#[from] StepError),
    /// A thread could not be started.
    #[error("a thread for the model cannot be started; the machine is out of threads or memory")]
    Thread(#[source] std::io::Error),
}

impl LoadError {
    pub(crate) fn malformed(file: &str, what: impl Into<String>) -> Self {
        Self::Malformed { file: file.to_owned(), what: what.into() }
    }
}
