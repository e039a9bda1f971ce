//! Two figures for a whole answer.

use crate::{support::Verdict, words};

/// Share of claims that the evidence supports, 0 to 1. An answer without claims scores 0: nothing holds it up.
pub fn grounding(verdicts: &[Verdict]) -> f32 {
    if verdicts.is_empty() {
        return 0.0;
    }
    verdicts.iter().filter(|verdict| **verdict == Verdict::Supported).count() as f32 / verdicts.len() as f32
}

/// How far `answer` speaks about what `question` asks, 0 to 1: the mean of the share of the question's meaningful
/// words that the answer holds and of `cosine`, the likeness of meaning, where the caller has one.
pub fn relevance(question: &str, answer: &str, cosine: Option<f32>) -> f32 {
    let shared = words::share(&words::stems(question), &words::stems(answer));
    cosine.map_or(shared, |cosine| f32::midpoint(shared, cosine.clamp(0.0, 1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grounding_is_the_share_of_supported_claims() {
        assert_eq!(grounding(&[]), 0.0);
        assert_eq!(grounding(&[Verdict::Supported, Verdict::Unsupported]), 0.5);
    }

    #[test]
    fn an_answer_about_something_else_is_less_relevant() {
        let question = "How long does opened insulin keep?";
        let to_the_point = relevance(question, "Opened insulin keeps for 28 days.", Some(0.8));
        let beside_it = relevance(question, "The pharmacy opens at nine.", Some(0.1));
        assert!(to_the_point > 0.8 && beside_it < 0.3, "{to_the_point} {beside_it}");
    }
}
