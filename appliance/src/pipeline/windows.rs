//! A text as an embedding model sees it: stretch by stretch, without its disguises, and sentence by sentence where that counts.
//!
//! **What it is not:** a judgement. What the vectors mean is for the guardrail that asked for them.

use std::sync::Arc;

use cloister_guardrails::{
    attack,
    content::{Content, Heads},
    document::FilterKind,
    split,
};
use cloister_knowledge::{Embed, EmbedError};

use super::{
    knowledge::blocking,
    stop::{Failure, Stop},
};

/// The vectors of a text.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Windows {
    /// Of all of it, stretch by stretch where the model does not see it at once.
    pub(crate) whole: Vec<Vec<f32>>,
    /// Of what it becomes when disguises are taken off.
    readings: Vec<Vec<f32>>,
    /// Of each sentence by itself, so that a topic is not drowned by what stands around it.
    sentences: Vec<Vec<f32>>,
}

impl Windows {
    /// Of a text that the model sees at once and that wears no disguise.
    #[cfg(test)]
    pub(super) fn of(whole: Vec<Vec<f32>>) -> Self {
        Self { whole, ..Self::default() }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Vec<f32>> {
        self.whole.iter().chain(&self.readings).chain(&self.sentences)
    }

    /// What a text holds of one kind, whatever it is dressed up as.
    pub(crate) fn judged(&self, heads: &Heads, kind: FilterKind) -> Content {
        let (plain, read) = (heads.judge(kind, &self.whole), heads.judge(kind, &self.readings));
        if read.score > plain.score { read } else { plain }
    }
}

/// Which parts of a text are embedded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// All of it.
    Whole,
    /// Each sentence too.
    Sentences,
}

/// The vectors of a text that is to be judged. A busy model leaves it unjudged: the request is to be sent again.
pub(crate) async fn vectors(embed: &Arc<dyn Embed>, text: &str, parts: Parts) -> Result<Windows, Stop> {
    Ok(embedded(embed, vec![text.to_owned()], parts).await?.pop().unwrap_or_default())
}

/// The same of several texts.
pub(super) async fn embedded(embed: &Arc<dyn Embed>, texts: Vec<String>, parts: Parts) -> Result<Vec<Windows>, Stop> {
    let embed = Arc::clone(embed);
    blocking(move || match windowed(embed.as_ref(), &texts, parts) {
        Ok(vectors) => Ok(vectors),
        Err(fault) => Err(unjudged("judging a text", fault)),
    })
    .await
}

/// What becomes of a request while `doing` something that the embedding model did not do. A busy one is to be asked again.
pub(super) fn unjudged(doing: &'static str, fault: EmbedError) -> Stop {
    match fault {
        EmbedError::Busy { retry_after } => Failure::Busy { what: "the embedding model", retry_after }.into(),
        fault @ EmbedError::Failed(_) => Stop::internal(doing, fault),
    }
}

/// The vectors of some texts. Blocks.
///
/// # Errors
/// The embedding model's.
pub(crate) fn windowed(embed: &dyn Embed, texts: &[String], parts: Parts) -> Result<Vec<Windows>, EmbedError> {
    let most = embed.identity().max_tokens;
    let stretches =
        |texts: &[&str]| texts.iter().flat_map(|text| seen_whole(embed, most, text)).collect::<Vec<String>>();
    let windows = |text: &String| {
        let readings = attack::readings(text);
        let sentences = split::sentences(text);
        let apart = parts == Parts::Sentences && sentences.len() > 1;
        let apart: Vec<&str> = sentences.iter().filter(|_| apart).map(|sentence| sentence.of(text)).collect();
        let readings: Vec<&str> = readings.iter().map(String::as_str).collect();
        [stretches(&[text]), stretches(&readings), stretches(&apart)]
    };
    let windows: Vec<[Vec<String>; 3]> = texts.iter().map(windows).collect();
    let all: Vec<String> = windows.iter().flatten().flatten().cloned().collect();
    let vectors = embed.embed(&all)?;
    if vectors.len() != all.len() {
        return Err(EmbedError::Failed("there is a vector too few".to_owned()));
    }
    let mut vectors = vectors.into_iter();
    let mut next = |texts: &Vec<String>| vectors.by_ref().take(texts.len()).collect();
    let windows = windows.iter().map(|[whole, readings, sentences]| Windows {
        whole: next(whole),
        readings: next(readings),
        sentences: next(sentences),
    });
    Ok(windows.collect())
}

/// A text in stretches of which the model sees the end too: what lies past `most` tokens would not be judged.
pub(super) fn seen_whole(embed: &dyn Embed, most: usize, text: &str) -> Vec<String> {
    let half = text.floor_char_boundary(text.len() / 2);
    if half == 0 || embed.count_tokens(text) <= most {
        return vec![text.to_owned()];
    }
    let (first, last) = text.split_at(half);
    let mut parts = seen_whole(embed, most, first);
    parts.extend(seen_whole(embed, most, last));
    parts
}
