//! Question and sentence, read together by the adapted embedding model as a cross-encoder does.

use std::sync::Arc;

use cloister_guardrails::cross::Read;
use cloister_knowledge::{Embed, EmbedError};

use super::{knowledge::blocking, stop::Stop, windows::unjudged};

/// By sentence, the logarithm of the odds that it answers the question; none beside an embedding model that no adapter belongs to. A busy model
/// leaves the request unanswered: it is to be sent again.
pub(super) async fn read(
    embed: &Arc<dyn Embed>,
    question: &str,
    sentences: Vec<String>,
) -> Result<Option<Vec<f32>>, Stop> {
    if !embed.reads_pairs() {
        return Ok(None);
    }
    let (embed, question) = (Arc::clone(embed), question.to_owned());
    blocking(move || {
        let read =
            together(embed.as_ref(), &question, sentences).map_err(|fault| unjudged("reading sentences", fault))?;
        Ok(Some(read.into_iter().map(|read| read.answers).collect()))
    })
    .await
}

/// What comes of reading a text together with each of some others. Blocks.
///
/// # Errors
/// The embedding model's; [`EmbedError::Failed`] too where an output is missing or is no number.
pub(crate) fn together(embed: &dyn Embed, first: &str, others: Vec<String>) -> Result<Vec<Read>, EmbedError> {
    let pairs: Vec<(String, String)> = others.into_iter().map(|other| (first.to_owned(), other)).collect();
    let read: Option<Vec<Read>> = embed.read_pairs(&pairs)?.iter().map(|outputs| Read::of(outputs)).collect();
    let missing = || EmbedError::Failed("what was read of two texts is missing or is no number".to_owned());
    read.filter(|read| read.len() == pairs.len()).ok_or_else(missing)
}

/// Whether the model reads all of a text that stands first: of a longer one it would judge the beginning.
pub(super) fn reads_whole(embed: &dyn Embed, first: &str) -> bool {
    embed.count_tokens(first) <= embed.identity().max_tokens / 2
}
