//! How well a text bears each claim of an answer, as the learned scorer of entailment sees it.
//!
//! **What it is not:** the verdict. Exact facts, polarity and wording are for [`ground`], which is given these scores.

use std::{collections::BTreeSet, sync::Arc};

use cloister_guardrails::{
    drug::Lexicon,
    ground::{self, Entailment},
    split::{self, Span},
    words,
};
use cloister_knowledge::{Embed, EmbedError};

use super::{
    knowledge::blocking,
    stop::Stop,
    windows::{seen_whole, unjudged},
};

/// Tokens of a stretch: about the 140 words that the scorer was trained on, and less than its model sees whole.
const STRETCH: usize = 192;

/// Stretches that are read for one answer. Those of a context of 100,000 characters would take 150 MB and seconds.
const MOST: usize = 24;

/// Tokens of a claim with the one before it: as many as the scorer was trained on.
const LED_IN: usize = 72;

/// Claims that are read at a time.
const TOGETHER: usize = 64;

/// One score for each of [`ground::claims`] of `answer`; none where nobody understands the embedding model's vectors. Blocks.
///
/// # Errors
/// The embedding model's.
pub(crate) fn entailed(
    embed: &dyn Embed,
    context: &str,
    answer: &str,
    lexicon: &Lexicon,
) -> Result<Option<Vec<f32>>, EmbedError> {
    let Some(scorer) = Entailment::of(&embed.identity().sha256) else { return Ok(None) };
    let claims = ground::claims(answer, lexicon);
    if claims.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let vectors = |texts: &[String]| match embed.embed_tokens(texts)? {
        vectors if vectors.len() == texts.len() => Ok(vectors),
        _ => Err(EmbedError::Failed("the vectors of a text are missing".to_owned())),
    };
    let stretches = nearest(stretches(embed, context), answer);
    let evidence = scorer.evidence(vectors(&stretches)?);
    let mut scores = Vec::with_capacity(claims.len());
    for claims in led_in(embed, answer, &claims).chunks(TOGETHER) {
        // A claim that is too long to be seen whole is borne as its worst part is.
        let parts: Vec<Vec<String>> = claims.iter().map(|claim| seen_whole(embed, STRETCH, claim.of(answer))).collect();
        let mut found = vectors(&parts.concat())?.into_iter();
        for parts in parts {
            let worst = found.by_ref().take(parts.len()).map(|part| scorer.score(&part, &evidence));
            scores.push(worst.fold(1.0, f32::min));
        }
    }
    Ok(Some(scores))
}

/// What is read of each claim: one that refers back with the claim before it, since "these" and "it" are told by that. No other, since what goes before
/// a claim speaks for it.
fn led_in(embed: &dyn Embed, answer: &str, claims: &[Span]) -> Vec<Span> {
    let read = |(at, claim): (usize, &Span)| {
        let before = at.checked_sub(1).and_then(|at| claims.get(at)).filter(|_| ground::refers_back(claim.of(answer)));
        let both = before.map(|before| Span { start: before.start, end: claim.end });
        let near = |span: &Span| !span.of(answer).contains('\n') && embed.count_tokens(span.of(answer)) <= LED_IN;
        both.filter(near).unwrap_or(*claim)
    };
    claims.iter().enumerate().map(read).collect()
}

/// Of a long text the stretches that share most words with an answer, in their order.
fn nearest(mut stretches: Vec<String>, answer: &str) -> Vec<String> {
    if stretches.len() > MOST {
        let said = words::stems(answer);
        let shared = |stretch: &String| words::stems(stretch).intersection(&said).count();
        let mut order: Vec<(usize, usize)> = stretches.iter().map(shared).zip(0..).collect();
        order.sort_by_key(|(shared, at)| (std::cmp::Reverse(*shared), *at));
        let kept: BTreeSet<usize> = order.into_iter().take(MOST).map(|(_, at)| at).collect();
        let mut at = 0..;
        stretches.retain(|_| at.next().is_some_and(|at| kept.contains(&at)));
    }
    stretches
}

/// The same for a task. A busy model leaves the answer unjudged: the request is to be sent again.
pub(crate) async fn entail(embed: &Arc<dyn Embed>, context: String, answer: String) -> Result<Option<Vec<f32>>, Stop> {
    let embed = Arc::clone(embed);
    blocking(move || match entailed(embed.as_ref(), &context, &answer, Lexicon::built_in()) {
        Ok(scores) => Ok(scores),
        Err(fault) => Err(unjudged("judging an answer", fault)),
    })
    .await
}

/// A text in stretches of whole sentences.
fn stretches(embed: &dyn Embed, text: &str) -> Vec<String> {
    let mut packed: Vec<Span> = Vec::new();
    let mut tokens = 0;
    for sentence in split::sentences(text) {
        let own = embed.count_tokens(sentence.of(text));
        match packed.last_mut() {
            Some(last) if tokens + own <= STRETCH => {
                last.end = sentence.end;
                tokens += own;
            }
            _ => {
                packed.push(sentence);
                tokens = own;
            }
        }
    }
    packed.into_iter().flat_map(|span| seen_whole(embed, STRETCH, span.of(text))).collect()
}

#[cfg(test)]
mod tests {
    use cloister_knowledge::EmbedIdentity;

    use super::*;

    /// A model of another name, which counts words.
    struct Words;

    impl Embed for Words {
        fn identity(&self) -> EmbedIdentity {
            let (name, sha256) = ("words".to_owned(), "00".repeat(32));
            EmbedIdentity { name, sha256, dimensions: 1, max_tokens: 256 }
        }

        fn count_tokens(&self, text: &str) -> usize {
            text.split_whitespace().count() + 2
        }

        fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
            Ok(vec![vec![1.0]; texts.len()])
        }
    }

    #[test]
    fn stretches_hold_whole_sentences_and_all_of_the_text() {
        let text = (0..60).map(|n| format!("Sentence {n} says something about a shelf. ")).collect::<String>();
        let packed = stretches(&Words, &text);
        assert!(packed.len() > 1 && packed.iter().all(|part| Words.count_tokens(part) <= STRETCH));
        assert_eq!(packed.join(" "), text.trim_end());
        let long = "word ".repeat(500);
        let halves = stretches(&Words, &long);
        assert!(halves.iter().all(|part| Words.count_tokens(part) <= STRETCH));
        assert_eq!(halves.concat().split_whitespace().count(), 500);
    }

    #[test]
    fn of_a_long_text_what_shares_most_words_with_the_answer_is_read_in_its_order() {
        let stretch = |n: usize| match n {
            40 => "The refrigerator alarm sounds.".to_owned(),
            90 => "Vaccines move to the spare refrigerator.".to_owned(),
            _ => format!("Paragraph {n} on parking."),
        };
        let kept = nearest((0..100).map(stretch).collect(), "When the refrigerator alarm sounds, move the vaccines.");
        assert_eq!(kept.len(), MOST);
        let last: Vec<&str> = kept.iter().rev().take(2).map(String::as_str).collect();
        assert_eq!(last, [stretch(90), stretch(40)]);
        let few: Vec<String> = (0..MOST).map(stretch).collect();
        assert_eq!(nearest(few.clone(), "Nothing."), few);
    }

    #[test]
    fn a_claim_that_refers_back_is_read_with_the_one_before_it_where_there_is_room() {
        let long = "word ".repeat(LED_IN);
        let answer =
            format!("Insulin is kept cold. Hello! It stays cold at night. Pens are kept dry. It {long}ends at night.");
        let claims = ground::claims(&answer, Lexicon::built_in());
        let read: Vec<&str> = led_in(&Words, &answer, &claims).into_iter().map(|span| span.of(&answer)).collect();
        let [first, second, third, fourth] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!(
            (*first, *second),
            ("Insulin is kept cold.", "Insulin is kept cold. Hello! It stays cold at night.")
        );
        assert!(*third == "Pens are kept dry." && fourth.starts_with("It word"));
    }

    #[test]
    fn a_model_whose_vectors_nobody_understands_leaves_the_rules() {
        assert_eq!(entailed(&Words, "A.", "B is C.", Lexicon::built_in()).unwrap(), None);
    }
}
