//! How an answer measures, and whether that is enough.

use cloister_guardrails::score;

use super::Passed;
use crate::pipeline::{
    citation::{Lane, Scores},
    retrieve::Evidence,
    settings::Threshold,
};

/// The scores of an answer made of `units`. `cut` says that one more claim was judged and failed.
pub(super) fn scores(evidence: &Evidence, lane: Lane, units: &[Passed], cut: bool) -> Scores {
    // A warning that the server added is no claim of the draft's.
    let passed = units.iter().filter(|unit| !unit.is_warning()).count() as f32;
    let judged = passed + if cut { 1.0 } else { 0.0 };
    let near = units.iter().map(|unit| unit.citation().score).fold(0.0, f32::max);
    let relevance = match lane {
        Lane::Verified => near,
        _ => {
            let text: String = units.iter().flat_map(|unit| [unit.separator(), unit.text()]).collect();
            score::relevance(evidence.screened().sought(), &text, Some(near))
        }
    };
    let grounding = if judged > 0.0 { passed / judged } else { 0.0 };
    Scores { grounding, relevance, ..abstained(evidence) }
}

/// The scores of what was found, where nothing is said.
pub(super) fn abstained(evidence: &Evidence) -> Scores {
    let (similarity, coverage) = evidence.best();
    let (similarity, coverage) = (similarity.clamp(0.0, 1.0), coverage.clamp(0.0, 1.0));
    Scores { grounding: 0.0, relevance: 0.0, similarity, coverage }
}

/// Which threshold the scores miss.
pub(super) fn below(scores: Scores, threshold: Threshold) -> Option<&'static str> {
    if scores.grounding < threshold.grounding {
        Some("below_grounding")
    } else if scores.relevance < threshold.relevance {
        Some("below_relevance")
    } else {
        None
    }
}
