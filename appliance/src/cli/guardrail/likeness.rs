//! The configured embedding model with the heads that understand its vectors, for the commands that judge texts by what they are like.

use anyhow::Context;
use cloister_guardrails::{content::Heads, ground::Entailment};
use cloister_knowledge::Embed;
use cloister_models::RegistryError;

use crate::{
    cli::site,
    pipeline::windows::{Parts, Windows, windowed},
    wiring::{self, PoolEmbed},
};

/// What a text is like.
pub(super) struct Likeness {
    embed: PoolEmbed,
    pub(super) heads: &'static Heads,
}

/// The configured embedding model; none, with a word to whoever called, where it is not there.
///
/// # Errors
/// When the configuration is wrong or the model is damaged.
pub(super) fn model_if_there(site: &site::Arguments) -> anyhow::Result<Option<PoolEmbed>> {
    let embed = if_there(wiring::embedding(&site.load()?.config, wiring::INGEST_PATIENCE))?;
    if embed.as_ref().is_some_and(|embed| Entailment::of(&embed.identity().sha256).is_none()) {
        advise(&format!("only rules are applied: the scorer of entailment reads {} alone", Entailment::TRUNK));
    }
    Ok(embed)
}

/// What was loaded; none where it is a model that is missing: what is damaged or misnamed is no reason to look less closely.
fn if_there<T>(loaded: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match loaded {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error) if matches!(error.root_cause().downcast_ref(), Some(RegistryError::Unknown { .. })) => {
            advise(&format!("only rules are applied: {error:#}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl Likeness {
    /// The model that the configuration names.
    ///
    /// # Errors
    /// When the configuration is wrong, or the model is missing, damaged, or one whose vectors nobody understands.
    pub(super) fn load(site: &site::Arguments) -> anyhow::Result<Self> {
        let embed = wiring::embedding(&site.load()?.config, wiring::INGEST_PATIENCE)?;
        let understood = || format!("content is told from vectors of {}: configure that embedding model", Heads::TRUNK);
        let heads = Heads::of(&embed.identity().sha256).with_context(understood)?;
        Ok(Self { embed, heads })
    }

    /// The same; none, with a word to whoever called, where the model is not there.
    ///
    /// # Errors
    /// As [`Likeness::load`], but for a model that is missing: what is damaged or misnamed is no reason to look less closely.
    pub(super) fn load_if_there(site: &site::Arguments) -> anyhow::Result<Option<Self>> {
        if_there(Self::load(site))
    }

    /// The vectors of some texts.
    ///
    /// # Errors
    /// The embedding model's.
    pub(super) fn windows(&self, texts: &[String]) -> anyhow::Result<Vec<Windows>> {
        let mut windows = Vec::with_capacity(texts.len());
        for texts in texts.chunks(super::TOGETHER) {
            windows.extend(windowed(&self.embed, texts, Parts::Whole)?);
        }
        Ok(windows)
    }
}

#[expect(clippy::print_stderr, reason = "advice goes to standard error")]
fn advise(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_is_not_there_leaves_the_rules_and_a_wrong_configuration_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let models = format!("models.folder={}", folder.path().display());
        let site =
            |sets: &[&str]| site::Arguments { config: None, sets: sets.iter().map(|&set| set.to_owned()).collect() };
        assert!(Likeness::load_if_there(&site(&[&models])).unwrap().is_none());
        assert!(Likeness::load(&site(&[&models])).is_err());
        assert!(Likeness::load_if_there(&site(&[&models, "models.embd=x"])).is_err());
        std::fs::create_dir(folder.path().join("all-minilm-l6-v2")).unwrap();
        std::fs::write(folder.path().join("all-minilm-l6-v2/model.toml"), "damaged").unwrap();
        assert!(Likeness::load_if_there(&site(&[&models])).is_err());
    }
}
