//! Question and sentence, read together by the adapted embedding model as a cross-encoder does.

use std::sync::Arc;

use cloister_guardrails::cross;
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
    let together: Vec<(String, String)> =
        sentences.into_iter().map(|sentence| (question.to_owned(), sentence)).collect();
    let embed = Arc::clone(embed);
    blocking(move || {
        let outputs = embed.read_pairs(&together).and_then(|outputs| {
            let read: Option<Vec<f32>> = outputs.iter().map(|outputs| cross::answers(outputs)).collect();
            let missing = || EmbedError::Failed("what was read of two texts is missing or is no number".to_owned());
            read.filter(|read| read.len() == together.len()).ok_or_else(missing)
        });
        outputs.map(Some).map_err(|fault| unjudged("reading sentences", fault))
    })
    .await
}

/// Whether the model reads all of a text that stands first: of a longer one it would judge the beginning.
pub(super) fn reads_whole(embed: &dyn Embed, first: &str) -> bool {
    embed.count_tokens(first) <= embed.identity().max_tokens / 2
}
