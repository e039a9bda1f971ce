//! A learned scorer of entailment: whether evidence bears a claim, told from what an embedding model makes of each of their tokens.
//!
//! Decomposable attention (Parikh et al. 2016, arXiv:1606.01933) over vectors that were not trained for it: every token of the claim
//! looks for its like in the evidence, is compared with what it finds, and all of them together are judged.
//! `models/training/entailment` says how the weights came about and how far they carry.
//!
//! **What it is not:** a reader of exact facts. One number for another, or one drug for another, it hardly sees: those are for the checks
//! that come before it, and no score of its own lets through what they refuse. It says nothing of vectors of another model than the
//! one it was trained on.
//!
//! # Why
//! - **One trunk pass.** The embedding model reads the evidence once, whatever the number of claims.
//! - **Two depths of the model.** The last layer knows what a token is about and hardly which word it was: "rises" and "falls" lie
//!   together there. Half way up they lie apart.
//! - **Little evidence at a time.** A claim is judged by the stretches whose mean is likest to its own, as many as it was trained on: likeness
//!   chooses, and never judges.

use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;

use crate::vectors::{dot, inside};

/// Tokens of evidence from which on no further stretch is read for a claim. In training it was cut there.
const MOST: usize = 448;

/// What the logarithm of the odds is divided by: on text unlike that of its training the scorer is surer than it is right.
const TEMPER: f32 = 2.0;

/// The built-in scorer.
pub struct Entailment {
    about: About,
    heads: Vec<Head>,
}

/// The first line of the weights.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    /// SHA-256 of the embedding model that it reads, as its manifest makes it.
    trunk: String,
    /// Numbers of one vector; a token has two.
    vector: usize,
    /// Numbers that a token is compared by.
    inner: usize,
    hidden: usize,
    /// Scorers that were trained apart and are asked together.
    heads: usize,
}

/// The weights of one scorer, matrices input by input.
struct Head {
    /// What tokens look for each other by.
    look: Vec<f32>,
    /// What they are compared by.
    read: Vec<f32>,
    /// How sharply they look: by likeness at either depth, and by `look`.
    sharp: [f32; 3],
    compare: Vec<f32>,
    compare_bias: Vec<f32>,
    judge: Vec<f32>,
    judge_bias: Vec<f32>,
    score: Vec<f32>,
    score_bias: f32,
}

/// Evidence, read once for all claims.
pub struct Evidence {
    stretches: Vec<Stretch>,
}

struct Stretch {
    /// Its tokens, two vectors each.
    tokens: Vec<f32>,
    /// The mean of their upper vectors.
    mean: Vec<f32>,
    /// What the scorers make of them, one after the other, once a claim is judged by them.
    seen: OnceLock<Vec<Seen>>,
}

/// What one scorer makes of tokens.
struct Seen {
    look: Vec<f32>,
    read: Vec<f32>,
}

/// What the tokens of a claim find in one token of evidence: how like they are at either depth, claim token by claim token.
type Likeness = [Vec<f32>; 2];

const WEIGHTS: &[u8] = include_bytes!("entailment.bin");

impl Entailment {
    /// The embedding model whose vectors it reads.
    pub const TRUNK: &'static str = "all-MiniLM-L6-v2";

    /// The scorer for the embedding model whose manifest has that SHA-256; none for another.
    pub fn of(trunk: &str) -> Option<&'static Self> {
        static BUILT_IN: LazyLock<Option<Entailment>> = LazyLock::new(|| Entailment::read(WEIGHTS));
        BUILT_IN.as_ref().filter(|scorer| scorer.about.trunk == trunk)
    }

    /// Weights as `train.py` writes them: a line of JSON, then 16-bit floats. `None` where they are not that.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, numbers) = bytes.split_at_checked(end + 1)?;
        let about: About = serde_json::from_slice(line).ok()?;
        let (numbers, rest) = numbers.as_chunks::<2>();
        let mut numbers = numbers.iter().map(|bytes| float(u16::from_le_bytes(*bytes)));
        let mut take = |count: usize| -> Option<Vec<f32>> {
            let taken: Vec<f32> = numbers.by_ref().take(count).collect();
            (taken.len() == count && taken.iter().all(|number| number.is_finite())).then_some(taken)
        };
        let About { vector, inner, hidden, heads, .. } = about;
        if [vector, inner, hidden, heads].into_iter().any(|size| size == 0 || size > 1 << 12) {
            return None;
        }
        let heads = (0..heads).map(|_| {
            Some(Head {
                look: take(2 * vector * inner)?,
                read: take(2 * vector * inner)?,
                sharp: <[f32; 3]>::try_from(take(3)?).ok()?,
                compare: take((4 * inner + 4) * hidden)?,
                compare_bias: take(hidden)?,
                judge: take((2 * hidden + 6) * hidden)?,
                judge_bias: take(hidden)?,
                score: take(hidden)?,
                score_bias: take(1)?.first().copied()?,
            })
        });
        let heads: Vec<Head> = heads.collect::<Option<_>>()?;
        (rest.is_empty() && numbers.next().is_none()).then_some(Self { about, heads })
    }

    /// Evidence stretch by stretch, each as the embedding model's tokens have it: two vectors for each, those included that the model
    /// adds at either end.
    pub fn evidence(&self, stretches: impl IntoIterator<Item = Vec<f32>>) -> Evidence {
        let stretches = stretches.into_iter().map(|stretch| {
            let tokens = inside(&stretch, self.about.vector).to_vec();
            Stretch { mean: self.mean(self.tokens(&tokens)), tokens, seen: OnceLock::new() }
        });
        Evidence { stretches: stretches.filter(|stretch| !stretch.tokens.is_empty()).collect() }
    }

    /// How well evidence bears a claim whose tokens have these vectors, 0 to 1; 0.5 lies half way between claims that are borne and
    /// those that are not, where as many are. 0 where there is no evidence, no claim, or what is no number.
    pub fn score(&self, claim: &[f32], evidence: &Evidence) -> f32 {
        let claim: Vec<&[f32]> = self.tokens(inside(claim, self.about.vector)).collect();
        let (stretches, likeness) = self.likest(&claim, evidence);
        // What is no number would be lost on the way: of it and 0 the greater is 0.
        let judged = claim.iter().copied().chain(stretches.iter().map(|stretch| stretch.tokens.as_slice()));
        let mut numbers = judged.flatten();
        if claim.is_empty() || likeness.is_empty() || numbers.any(|number| !number.is_finite()) {
            return 0.0;
        }
        let seen: Vec<&[Seen]> = stretches.iter().map(|stretch| self.seen(stretch)).collect();
        let logits = self.heads.iter().enumerate().map(|(at, head)| {
            let of_head: Vec<&Seen> = seen.iter().filter_map(|seen| seen.get(at)).collect();
            self.logit(head, &claim, &of_head, &likeness)
        });
        let sum: f32 = logits.sum();
        let score = 1.0 / (1.0 + (-sum / (TEMPER * self.heads.len() as f32)).exp());
        if score.is_nan() { 0.0 } else { score }
    }

    fn tokens<'a>(&self, rows: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        rows.chunks_exact(2 * self.about.vector)
    }

    fn seen<'a>(&self, stretch: &'a Stretch) -> &'a [Seen] {
        stretch.seen.get_or_init(|| {
            let by = |weights: &[f32]| {
                let rows =
                    self.tokens(&stretch.tokens).flat_map(|token| product(token, weights, vec![0.0; self.about.inner]));
                rows.collect::<Vec<f32>>()
            };
            self.heads.iter().map(|head| Seen { look: by(&head.look), read: by(&head.read) }).collect()
        })
    }

    /// The mean of tokens' upper vectors, of length one.
    fn mean<'a>(&self, tokens: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
        let mut mean = vec![0.0; self.about.vector];
        for token in tokens {
            mean.iter_mut().zip(token).for_each(|(sum, number)| *sum += number);
        }
        let length = dot(&mean, &mean).sqrt().max(1e-12);
        mean.iter_mut().for_each(|number| *number /= length);
        mean
    }

    /// The stretches that are likest to a claim, in their order, and how like its tokens each of theirs is.
    fn likest<'a>(&self, claim: &[&[f32]], evidence: &'a Evidence) -> (Vec<&'a Stretch>, Vec<Likeness>) {
        let mean = self.mean(claim.iter().copied());
        let mut order: Vec<usize> = (0..evidence.stretches.len()).collect();
        let near = |at: &usize| evidence.stretches.get(*at).map_or(f32::NAN, |stretch| dot(&stretch.mean, &mean));
        order.sort_by(|a, b| near(b).total_cmp(&near(a)));
        let (mut room, mut chosen) = (MOST, Vec::new());
        for at in order {
            let Some(stretch) = evidence.stretches.get(at).filter(|_| room > 0) else { break };
            room = room.saturating_sub(self.tokens(&stretch.tokens).count());
            chosen.push((at, stretch));
        }
        chosen.sort_by_key(|(at, _)| *at);
        let stretches: Vec<&Stretch> = chosen.into_iter().map(|(_, stretch)| stretch).collect();
        let tokens = stretches.iter().flat_map(|stretch| self.tokens(&stretch.tokens));
        (stretches.clone(), tokens.map(|token| self.like(claim, token)).collect())
    }

    fn like(&self, claim: &[&[f32]], token: &[f32]) -> Likeness {
        let (upper, lower) = token.split_at(self.about.vector);
        let of = |from: usize, other: &[f32]| {
            claim.iter().map(|own| dot(own.get(from..).unwrap_or_default(), other)).collect::<Vec<f32>>()
        };
        [of(0, upper), of(self.about.vector, lower)]
    }

    /// The logarithm of the odds that the evidence bears the claim, as one scorer sees it.
    fn logit(&self, head: &Head, claim: &[&[f32]], seen: &[&Seen], likeness: &[Likeness]) -> f32 {
        let About { inner, hidden, .. } = self.about;
        let looked = || seen.iter().flat_map(|seen| seen.look.chunks_exact(inner));
        let count = claim.len() as f32;
        let mut average = vec![0.0; hidden];
        let mut most = vec![0.0f32; hidden];
        let mut best: [Vec<f32>; 2] = Default::default();
        for (at, token) in claim.iter().enumerate() {
            let likes = [0, 1].map(|depth| -> Vec<f32> {
                likeness.iter().filter_map(|found| found.get(depth)?.get(at).copied()).collect()
            });
            let look = product(token, &head.look, vec![0.0; inner]);
            let ([upper, lower, own], [first, second]) = (head.sharp, &likes);
            let pulls = first
                .iter()
                .zip(second)
                .zip(looked())
                .map(|((first, second), other)| upper * first + lower * second + own * dot(&look, other));
            let shares = softmax(pulls.collect());
            let mut other = vec![0.0; inner];
            for (share, row) in shares.iter().zip(seen.iter().flat_map(|seen| seen.read.chunks_exact(inner))) {
                other.iter_mut().zip(row).for_each(|(to, number)| *to += share * number);
            }
            let own = product(token, &head.read, vec![0.0; inner]);
            let mut felt = own.clone();
            felt.extend(&other);
            felt.extend(own.iter().zip(&other).map(|(own, other)| (own - other).abs()));
            felt.extend(own.iter().zip(&other).map(|(own, other)| own * other));
            for (likes, best) in likes.iter().zip(&mut best) {
                let highest = likes.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                best.push(highest);
                felt.push(highest);
            }
            felt.extend(likes.iter().map(|likes| dot(&shares, likes)));
            let felt = product(&felt, &head.compare, head.compare_bias.clone());
            for ((felt, average), most) in felt.iter().zip(&mut average).zip(&mut most) {
                *average += felt.max(0.0) / count;
                *most = most.max(*felt);
            }
        }
        let mut whole = average;
        whole.extend(most);
        for best in best {
            let mean = best.iter().sum::<f32>() / count;
            let least = best.iter().copied().fold(f32::INFINITY, f32::min);
            let spread = best.iter().map(|one| (one - mean).powi(2)).sum::<f32>() / count;
            whole.extend([mean, least, (spread + 1e-6).sqrt()]);
        }
        let judged = product(&whole, &head.judge, head.judge_bias.clone());
        dot(&judged.iter().map(|number| number.max(0.0)).collect::<Vec<f32>>(), &head.score) + head.score_bias
    }
}

impl std::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evidence").field("stretches", &self.stretches.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Entailment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entailment").field("about", &self.about).finish_non_exhaustive()
    }
}

/// Adds to `out` what a row becomes by `weights`, which lie input by input.
fn product(row: &[f32], weights: &[f32], mut out: Vec<f32>) -> Vec<f32> {
    for (number, weights) in row.iter().zip(weights.chunks_exact(out.len().max(1))) {
        out.iter_mut().zip(weights).for_each(|(to, weight)| *to += number * weight);
    }
    out
}

fn softmax(mut pulls: Vec<f32>) -> Vec<f32> {
    let highest = pulls.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    pulls.iter_mut().for_each(|pull| *pull = (*pull - highest).exp());
    let sum: f32 = pulls.iter().sum();
    pulls.iter_mut().for_each(|pull| *pull /= sum);
    pulls
}

/// A 16-bit float (IEEE 754 binary16).
fn float(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 31, f32::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2f32.powi(i32::from(exponent) - 25),
    };
    if sign == 1 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRUNK: &str = "0bc312444ef45971c199eb8d59ef2ff96e2f970524bb299dfa2e1dbfec6a5ef3";

    /// Vectors of `count` tokens that both this test and `train.py` can make.
    fn tokens(count: usize, seed: f64) -> Vec<f32> {
        let vector = |token: usize, depth: usize| {
            let number = |at: usize| (seed + (token * 31 + depth * 17 + at) as f64 * 0.7).sin();
            let length = (0..384).map(|at| number(at).powi(2)).sum::<f64>().sqrt();
            (0..384).map(|at| (number(at) / length) as f32).collect::<Vec<f32>>()
        };
        (0..count).flat_map(|token| [vector(token, 0), vector(token, 1)]).flatten().collect()
    }

    fn built_in() -> &'static Entailment {
        Entailment::of(TRUNK).unwrap()
    }

    /// As `train.py` prints them, the seed and the logarithm of the odds before it is tempered.
    const EXPECTED: [(f64, f32); 3] = [(0.6, 4.2536), (7.0, 4.0651), (20.0, 4.2122)];

    #[test]
    fn scores_are_those_that_training_computes() {
        let evidence = built_in().evidence([tokens(9, 0.5), tokens(6, 2.0)]);
        for (seed, expected) in EXPECTED {
            let found = built_in().score(&tokens(7, seed), &evidence);
            let found = TEMPER * (found / (1.0 - found)).ln();
            assert!((found - expected).abs() < 2e-2, "{seed}: {found} is not {expected}");
        }
    }

    #[test]
    fn it_belongs_to_one_model_and_weights_that_are_cut_or_longer_are_refused() {
        assert!(Entailment::of("another").is_none());
        assert!(Entailment::read(WEIGHTS).is_some());
        assert!(Entailment::read(&WEIGHTS[..WEIGHTS.len() - 2]).is_none());
        assert!(Entailment::read(&[WEIGHTS, &[0, 0]].concat()).is_none());
        assert!(Entailment::read(&[WEIGHTS, &[0]].concat()).is_none());
        assert!(Entailment::read(b"{}\n").is_none());
        assert!(Entailment::read(b"").is_none());
    }

    #[test]
    fn what_cannot_be_judged_is_not_borne() {
        let nothing = built_in().evidence([]);
        assert_eq!(built_in().score(&tokens(7, 1.0), &nothing), 0.0);
        let evidence = built_in().evidence([tokens(9, 0.5)]);
        assert_eq!(built_in().score(&[], &evidence), 0.0);
        assert_eq!(built_in().score(&vec![f32::NAN; 5 * 768], &evidence), 0.0);
        let spoilt = built_in().evidence([vec![f32::NAN; 5 * 768]]);
        assert_eq!(built_in().score(&tokens(7, 1.0), &spoilt), 0.0);
    }

    #[test]
    fn a_claim_is_judged_by_the_stretches_that_are_likest_to_it_wherever_they_stand() {
        let alike = |count: usize, seed: f64| tokens(1, seed).repeat(count);
        let claim = alike(7, 1.0);
        let near = [alike(300, 1.0), alike(300, 1.05)];
        let far = || (0..20).map(|at| alike(100, 1.0 + std::f64::consts::PI + f64::from(at) * 0.01));
        let alone = built_in().score(&claim, &built_in().evidence(near.clone()));
        let among = built_in().score(&claim, &built_in().evidence(far().chain(near)));
        assert_eq!(alone, among);
    }

    #[test]
    fn sixteen_bits_are_read_as_they_are_meant() {
        for (bits, number) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8), (0, 0.0)]
        {
            assert_eq!(float(bits), number);
        }
        assert!(float(0x7c00).is_nan());
    }

    proptest! {
        #[test]
        fn a_score_is_a_share_whatever_the_numbers(
            claim in prop::collection::vec(-1e6f32..1e6, 0..4000),
            evidence in prop::collection::vec(prop::collection::vec(-1e6f32..1e6, 0..4000), 0..3),
        ) {
            let score = built_in().score(&claim, &built_in().evidence(evidence));
            prop_assert!((0.0..=1.0).contains(&score));
        }
    }
}
