//! Whether an answer rests on its context, claim by claim.
//!
//! The answer comes apart into claims; for each the best evidence is found; its exact facts (drug, salt, release, amount,
//! unit, route, frequency, duration, bound, group of patients, day, hour, date, telephone number, money), its polarity,
//! its exceptions and its roles are checked against that evidence; and last, how many of its words stand there and how well a
//! learned scorer of [`entailment`](Entailment) finds it borne.
//!
//! **What it is not:** it knows no medicine, so that a true statement which the context does not hold is unsupported; and
//! its learned scorer is a small one: of two free paraphrases that use the same words it often cannot tell the faithful one.
//!
//! # Why
//! - **Facts outrank words.** A claim whose every word but one number stands in the evidence is the most dangerous kind,
//!   so that a discrepancy caps the claim's score whatever the words say, and the worst claim caps the answer's.
//! - **The scorer has nine tenths of a voice, and whatever it says, a claim that a fact stands against scores 0.34 at most.** It knows
//!   paraphrases that share few words, and it doubts claims whose words all stand there in another sense. Where the embedding model is
//!   not its own, words decide alone.
//! - **A claim that refers back is read with the one before it.** "These fell" says nothing by itself. Its facts, its words and its evidence are its
//!   own; and no other claim is read so, since a true one before an invented one speaks for it.
//! - **What is left out counts too.** A dose without its age limit, a rule without its "unless", and a dose whose
//!   neighbouring warning is missing are found by looking from the evidence to the claim.
//! - **Not sure is a verdict.** Between borne and not borne lies a band in which deterministic means do not know; it is
//!   below the blocking threshold, and it is reported as what it is.

mod claim;
mod compare;
mod condition;
mod entailment;
mod evidence;
mod frequency;
mod group;
mod heading;
mod population;
mod range;
pub(crate) mod reading;
mod role;
mod route;
mod synonym;
#[cfg(test)]
mod tests;
pub mod warning;
mod weekday;

use std::collections::BTreeSet;

use crate::{
    drug::Lexicon,
    fact::FactKind,
    score,
    split::{self, Span},
};
use evidence::Sentence;
use reading::Reading;

pub use claim::refers_back;
pub(crate) use compare::{Comparison, compare as compare_readings};
pub use compare::{Discrepancy, Relation};
pub use entailment::{Entailment, Evidence};
pub(crate) use group::named_last;
pub use group::{doses_another, headings_above};

/// What the evidence says of a claim or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// The evidence says it.
    Supported,
    /// The checks cannot tell.
    NotSure,
    /// The evidence does not say it.
    Unsupported,
    /// The evidence says otherwise.
    Contradicted,
}

impl Verdict {
    /// The word in reports: `supported`, `not_sure`, `unsupported`, `contradicted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::NotSure => "not_sure",
            Self::Unsupported => "unsupported",
            Self::Contradicted => "contradicted",
        }
    }
}

/// One claim and what became of it. Places are bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Where it stands in the answer.
    pub span: Span,
    /// What the evidence says of it.
    pub verdict: Verdict,
    /// How well the evidence bears it, 0 to 1; below [`BLOCK`] it is not borne.
    pub score: f32,
    /// The sentence or two of the context that were held against it; none where they share no word with it, which does not keep the scorer
    /// from finding it borne.
    pub evidence: Option<Span>,
    /// The facts that do not stand, places within the claim.
    pub discrepancies: Vec<Discrepancy>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// How well the context bears the answer, 0 to 1: the mean of its claims, and no more than the worst of those that
    /// fail a check. 0 for an answer that claims nothing.
    pub score: f32,
    /// How far the answer speaks about what was asked, 0 to 1.
    pub relevance: f32,
    /// The worst verdict among the claims; [`Verdict::Unsupported`] for an answer that claims nothing.
    pub verdict: Verdict,
    /// Its claims, in order.
    pub claims: Vec<Claim>,
    /// Warnings of the context right beside a dose that the answer gives, and missing from it. Places in the context.
    pub omitted: Vec<Span>,
}

/// The threshold below which an answer is blocked unless a tenant sets another: the lower end of
/// [`Verdict::Supported`].
pub const BLOCK: f32 = 0.5;

/// Below this, a claim without any discrepancy is unsupported and not merely unsure.
const UNSURE: f32 = 0.35;

/// The claims of `answer`, in order, as [`judge`] takes them. Places are bytes.
pub fn claims(answer: &str, lexicon: &Lexicon) -> Vec<Span> {
    claim::claims(answer, lexicon)
}

/// Judges `answer` against `context`. `entailed` is how well the scorer finds each of the answer's [`claims`] borne, where there are
/// vectors that it understands.
pub fn judge(context: &str, question: &str, answer: &str, entailed: Option<&[f32]>, lexicon: &Lexicon) -> Judgement {
    let sentences = evidence::sentences(context, lexicon);
    let everything = Reading::of(context, lexicon);
    let spans = claim::claims(answer, lexicon);
    let verbatim = verbatim(answer, context, &sentences);
    let judged = |(at, span): (usize, &Span)| {
        let before = answer.get(..span.start).unwrap_or_default();
        let said = split::sentences(before).into_iter().map(|said| said.of(before));
        let asked = named_last(std::iter::once(question).chain(said));
        match verbatim.iter().find(|(said, _)| said.start <= span.start && span.end <= said.end) {
            Some((_, sentence)) => borne(*span, sentence, &asked),
            None => {
                let held = Held { sentences: &sentences, everything: &everything, asked: &asked };
                // A claim whose score is missing is not borne by it.
                let entailed = entailed.map(|scores| scores.get(at).copied().unwrap_or(0.0));
                judge_claim(*span, answer, context, held, entailed, lexicon)
            }
        }
    };
    let claims: Vec<Claim> = spans.iter().enumerate().map(judged).collect();
    let omitted = omitted(&claims, answer, context, lexicon);
    let relevance = score::relevance(question, answer, None);
    let worst = claims.iter().map(|claim| claim.verdict).max().unwrap_or(Verdict::Unsupported);
    let mean = claims.iter().map(|claim| claim.score).sum::<f32>() / claims.len().max(1) as f32;
    let failed = claims.iter().filter(|claim| claim.verdict != Verdict::Supported).map(|claim| claim.score);
    Judgement { score: failed.fold(mean, f32::min), relevance, verdict: worst, claims, omitted }
}

/// The sentences of the answer that stand in the context word for word, and where. A part of one is borne with the whole:
/// by itself "all others take 4 mg" leaves out whom the others are beside.
fn verbatim<'a>(answer: &str, context: &str, sentences: &'a [Sentence]) -> Vec<(Span, &'a Sentence)> {
    let held = |said: Span| sentences.iter().find(|held| same_wording(said.of(answer), held.span.of(context)));
    split::sentences(answer).into_iter().filter_map(|said| Some((said, held(said)?))).collect()
}

/// A claim that stands in the context word for word. A dose that stands there under a group's heading is borne only where
/// that group is what was `asked` about.
fn borne(span: Span, sentence: &Sentence, asked: &BTreeSet<String>) -> Claim {
    let evidence = Some(sentence.span);
    if !group::dropped(&sentence.reading, &sentence.reading, &sentence.context, asked) {
        return Claim { span, verdict: Verdict::Supported, score: 1.0, evidence, discrepancies: Vec::new() };
    }
    let (kind, relation) = (FactKind::Population, Relation::Dropped);
    let discrepancies = vec![Discrepancy { kind, relation, start: 0, end: span.end - span.start }];
    Claim { span, verdict: Verdict::NotSure, score: UNDECIDED, evidence, discrepancies }
}

/// The most that a claim scores which a limit of the evidence is missing from.
const UNDECIDED: f32 = 0.49;

/// What a claim is held against.
#[derive(Clone, Copy)]
struct Held<'a> {
    sentences: &'a [Sentence],
    everything: &'a Reading,
    /// The groups of patients that are asked about.
    asked: &'a BTreeSet<String>,
}

fn judge_claim(
    span: Span,
    answer: &str,
    context: &str,
    Held { sentences, everything, asked }: Held<'_>,
    entailed: Option<f32>,
    lexicon: &Lexicon,
) -> Claim {
    let text = span.of(answer);
    if let Some(sentence) = sentences.iter().find(|sentence| same_wording(text, sentence.span.of(context))) {
        return borne(span, sentence, asked);
    }
    let reading = Reading::of(text, lexicon);
    let best = sentences
        .iter()
        .map(|sentence| (sentence, compare::compare(&reading, &sentence.reading, &sentence.context, asked, lexicon)))
        .fold(None, |best: Option<(&Sentence, Comparison)>, next| match best {
            Some(best) if weigh(&best.1, best.0) >= weigh(&next.1, next.0) => Some(best),
            _ => Some(next),
        });
    let Some((sentence, comparison)) = best else {
        return Claim { span, verdict: Verdict::Unsupported, score: 0.0, evidence: None, discrepancies: Vec::new() };
    };
    let around = share_of_words(&reading, everything);
    let words = NEAR.mul_add(comparison.share, (1.0 - NEAR) * around);
    let (verdict, score) =
        verdict(&comparison, entailed.map_or(words, |entailed| LEARNED.mul_add(entailed, (1.0 - LEARNED) * words)));
    let evidence = (comparison.share > 0.0).then_some(sentence.span);
    Claim { span, verdict, score, evidence, discrepancies: comparison.discrepancies }
}

/// Weight of the best sentence beside the whole context in a claim's share of words.
const NEAR: f32 = 0.8;

/// Weight of the learned scorer beside the words. On claims that it was not trained on, in `models/training/entailment`, the more the words weigh the worse
/// borne claims are told from others (AUROC 0.70 at a third, 0.724 at a tenth, 0.723 without; where the claims that are not borne share as many words, 0.58,
/// 0.71 and 0.76); a tenth keeps what is nearly word for word above what is not.
const LEARNED: f32 = 0.9;

/// The most that a claim scores which the evidence contradicts.
const CONTRADICTED: f32 = 0.15;

/// The most that a claim scores a fact of which the evidence lacks or has otherwise: as much as any that is unsupported can, since of the claims in
/// `models/training/entailment` those that are borne lack a drug or a group by name as often as those that are not.
const LACKING: f32 = 0.34;

/// Which evidence decides: the fullest, and of equals the one with fewest discrepancies and fewest sentences; what asks, last.
fn weigh(comparison: &Comparison, sentence: &Sentence) -> f32 {
    let found = |relation| comparison.count(relation) as f32;
    let two = if sentence.pair { 0.03 } else { 0.0 };
    let asks = if sentence.reading.asks { 0.12 } else { 0.0 };
    let against = 0.12f32.mul_add(found(Relation::Differs), 0.12 * found(Relation::Absent));
    0.05f32.mul_add(-found(Relation::Dropped), comparison.share - against - two - asks)
}

/// The verdict, and the score that goes with it: how well the claim is borne by its words and as the scorer finds it, and no more than
/// the verdict lets it have.
fn verdict(comparison: &Comparison, borne: f32) -> (Verdict, f32) {
    let differs = comparison.count(Relation::Differs) > 0;
    let absent = comparison.count(Relation::Absent) > 0;
    let dropped = comparison.count(Relation::Dropped) > 0;
    if differs && comparison.share >= UNSURE {
        (Verdict::Contradicted, borne.min(CONTRADICTED))
    } else if differs || absent {
        (Verdict::Unsupported, borne.min(LACKING))
    } else if borne < UNSURE {
        (Verdict::Unsupported, borne)
    } else if dropped || borne < BLOCK {
        (Verdict::NotSure, borne.min(UNDECIDED))
    } else {
        (Verdict::Supported, borne)
    }
}

fn share_of_words(claim: &Reading, everything: &Reading) -> f32 {
    let (asked, held) = (claim.forms(), everything.forms());
    if asked.is_empty() {
        return 1.0;
    }
    asked.intersection(&held).count() as f32 / asked.len() as f32
}

/// Whether two texts are the same but for white space, marks at their ends and the case of the first letter.
fn same_wording(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim_matches(|c: char| !c.is_alphanumeric() && c != '$' && c != '%');
        text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
    };
    let one = plain(one);
    !one.is_empty() && one == plain(other)
}

/// Whether a text says how much of a medicine.
pub fn states_dose(text: &str, lexicon: &Lexicon) -> bool {
    Reading::of(text, lexicon).has_dose()
}

/// Warnings beside the evidence of a dose that no part of the answer repeats.
fn omitted(claims: &[Claim], answer: &str, context: &str, lexicon: &Lexicon) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for claim in claims.iter().filter(|claim| claim.verdict == Verdict::Supported) {
        let Some(evidence) = claim.evidence.filter(|_| states_dose(claim.span.of(answer), lexicon)) else { continue };
        for warning in warning::left_out(context, evidence, answer, &|_| false) {
            let cited = claims.iter().any(|claim| claim.evidence == Some(warning));
            if !cited && !found.contains(&warning) {
                found.push(warning);
            }
        }
    }
    found
}
