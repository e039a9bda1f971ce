//! How well a text bears each claim of an answer, as the learned scorer of entailment sees it.
//!
//! **What it is not:** the verdict. Exact facts, polarity and wording are for [`ground`], which is given these scores.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cloister_guardrails::{
    drug::Lexicon,
    ground::{self, Entailment, beside_scorer},
    split::{self, Span},
    words,
};
use cloister_knowledge::{Embed, EmbedError};

use super::{
    cross::together_each,
    knowledge::blocking,
    stop::Stop,
    windows::{seen_whole, unjudged},
};

/// Tokens of a stretch: about the 140 words that the scorer was trained on, and less than its model sees whole.
const STRETCH: usize = 192;

/// Stretches that are read for one answer. Those of a context of 100,000 characters would take 150 MB and seconds.
const MOST: usize = 24;

/// Claims that are read at a time.
const TOGETHER: usize = 64;

/// Pieces of evidence that are read together with a claim.
const READ_TOGETHER: usize = 3;

/// Tokens of a piece of evidence, and of a claim: together less than the reader takes, so that nothing of them goes unread.
const PIECE: usize = 144;
const FIRST: usize = 96;

/// Pairs that are read for one answer; the claims that come after them are left to the scorer.
const MOST_READ: usize = 144;

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
    for claims in claims.chunks(TOGETHER) {
        // A claim that is too long to be seen whole is borne as its worst part is.
        let parts: Vec<Vec<String>> = claims.iter().map(|claim| seen_whole(embed, STRETCH, claim.of(answer))).collect();
        let texts: Vec<String> = parts.iter().flatten().cloned().collect();
        let mut found = vectors(&texts)?.into_iter();
        for parts in parts {
            let worst = found.by_ref().take(parts.len()).map(|part| scorer.score(&part, &evidence));
            scores.push(worst.fold(1.0, f32::min));
        }
    }
    if embed.reads_pairs() {
        let read = read_beside(embed, &claims.iter().map(|claim| claim.of(answer)).collect::<Vec<_>>(), &stretches)?;
        scores.iter_mut().zip(read).for_each(|(score, borne)| *score = beside_scorer(*score, borne));
    }
    Ok(Some(scores))
}

/// What reading each of the first claims together with evidence tells, of the piece of evidence that bears it best: the logarithm of the odds. Of a
/// claim that is too long to be read beside evidence, that of its worst part.
fn read_beside(embed: &dyn Embed, claims: &[&str], stretches: &[String]) -> Result<Vec<f32>, EmbedError> {
    let pieces = stretches.iter().flat_map(|stretch| seen_whole(embed, PIECE, stretch));
    let pieces: Vec<_> = pieces.map(|piece| (piece.clone(), words::stems(&piece))).collect();
    let (mut pairs, mut of) = (Vec::new(), Vec::new());
    for (at, claim) in claims.iter().enumerate() {
        let parts = seen_whole(embed, FIRST, claim);
        if pairs.len() + parts.len() * READ_TOGETHER > MOST_READ {
            break;
        }
        for (part, text) in parts.into_iter().enumerate() {
            let near = likest(&pieces, &text);
            of.extend(std::iter::repeat_n((at, part), near.len()));
            pairs.extend(near.into_iter().map(|piece| (text.clone(), piece)));
        }
    }
    let mut best: BTreeMap<(usize, usize), f32> = BTreeMap::new();
    for (of, pairs) in of.chunks(TOGETHER).zip(pairs.chunks(TOGETHER)) {
        for (part, read) in of.iter().zip(together_each(embed, pairs)?) {
            let known = best.entry(*part).or_insert(f32::NEG_INFINITY);
            *known = known.max(read.borne);
        }
    }
    let worst = |claim: usize| best.range((claim, 0)..=(claim, usize::MAX)).map(|(_, borne)| *borne).reduce(f32::min);
    Ok((0..claims.len()).map_while(worst).collect())
}

/// The pieces that hold most of a claim's words.
fn likest(pieces: &[(String, BTreeSet<String>)], claim: &str) -> Vec<String> {
    let said = words::stems(claim);
    let mut order: Vec<(usize, &String)> =
        pieces.iter().map(|(piece, held)| (held.intersection(&said).count(), piece)).collect();
    order.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    order.into_iter().take(READ_TOGETHER).map(|(_, piece)| piece.clone()).collect()
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

    /// Bears a claim that holds a word of the evidence.
    struct Bearing;

    impl Embed for Bearing {
        fn identity(&self) -> EmbedIdentity {
            Words.identity()
        }

        fn count_tokens(&self, text: &str) -> usize {
            Words.count_tokens(text)
        }

        fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
            Words.embed(texts)
        }

        fn reads_pairs(&self) -> bool {
            true
        }

        fn read_pairs(&self, pairs: &[(String, String)]) -> Result<Vec<Vec<f32>>, EmbedError> {
            assert!(pairs.len() <= TOGETHER);
            let bears = |(claim, piece): &(String, String)| if piece.contains(claim.as_str()) { 9.0 } else { -9.0 };
            Ok(pairs.iter().map(|pair| vec![0.0, 0.0, bears(pair), 0.0]).collect())
        }
    }

    #[test]
    fn each_of_many_claims_has_its_own_reading_and_those_after_the_most_have_none() {
        let evidence: Vec<String> =
            (0..READ_TOGETHER).map(|n| format!("{}shelf-{n}", "so it is said of ".repeat(28))).collect();
        let claims: Vec<String> = (0..60).map(|n| format!("shelf-{n}")).collect();
        let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
        let read = read_beside(&Bearing, &claims, &evidence).unwrap();
        assert_eq!(read.len(), MOST_READ / READ_TOGETHER);
        let borne: Vec<usize> = (0..read.len()).filter(|at| read[*at] > 0.0).collect();
        assert_eq!(borne, [0, 1, 2]);
        let late: Vec<&str> = std::iter::repeat_n("nothing", 30).chain(["shelf-2", "nothing else"]).collect();
        let read = read_beside(&Bearing, &late, &evidence).unwrap();
        assert_eq!(read.iter().position(|borne| *borne > 0.0), Some(30));
        assert!(read[31] < 0.0);
        assert_eq!(read_beside(&Bearing, &late, &[]).unwrap(), Vec::<f32>::new());
    }

    #[test]
    fn a_model_whose_vectors_nobody_understands_leaves_the_rules() {
        assert_eq!(entailed(&Words, "A.", "B is C.", Lexicon::built_in()).unwrap(), None);
    }
}
