//! `cloister guardrail ground`: scores how well contexts bear answers.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use cloister_guardrails::{
    ground::{self, Claim, Judgement},
    split::Span,
};
use serde::{Deserialize, Serialize};

use crate::wiring;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Answers, one {"id", "context", "question", "answer"} a line; a `claim` counts as the answer
    #[arg(long = "in", value_name = "ITEMS.jsonl")]
    from: PathBuf,
    /// Where the scores go, one {"id", "score", "relevance", "verdict", "claims", "omitted"} a line; places are code
    /// points
    #[arg(long = "out", value_name = "SCORED.jsonl")]
    to: PathBuf,
    /// The site's own drug names, one a line, or `brand = generic`
    #[arg(long, value_name = "FILE")]
    formulary: Option<PathBuf>,
}

/// An answer to score. It does not print.
#[derive(Deserialize)]
struct Item {
    id: String,
    context: String,
    #[serde(default)]
    question: String,
    #[serde(alias = "claim")]
    answer: String,
}

#[derive(Serialize)]
struct Scored {
    id: String,
    score: f32,
    relevance: f32,
    verdict: &'static str,
    claims: Vec<ScoredClaim>,
    omitted: Vec<Place>,
}

#[derive(Serialize)]
struct ScoredClaim {
    start: usize,
    end: usize,
    verdict: &'static str,
    score: f32,
    evidence: Option<Place>,
    discrepancies: Vec<ScoredDiscrepancy>,
}

#[derive(Serialize)]
struct ScoredDiscrepancy {
    kind: &'static str,
    relation: &'static str,
    start: usize,
    end: usize,
}

#[derive(Serialize)]
struct Place {
    start: usize,
    end: usize,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let lexicon = wiring::drug_names(arguments.formulary.as_deref().unwrap_or(Path::new("")))?;
    let items: Vec<Item> = super::items(&arguments.from)?;
    let scored: Vec<Scored> = items
        .iter()
        .map(|item| scored(item, &ground::judge(&item.context, &item.question, &item.answer, &lexicon)))
        .collect();
    super::write(&arguments.to, &scored)?;
    Ok(ExitCode::SUCCESS)
}

fn scored(item: &Item, found: &Judgement) -> Scored {
    Scored {
        id: item.id.clone(),
        score: found.score,
        relevance: found.relevance,
        verdict: found.verdict.as_str(),
        claims: found.claims.iter().map(|claim| scored_claim(item, claim)).collect(),
        omitted: found.omitted.iter().map(|span| place(&item.context, *span)).collect(),
    }
}

fn scored_claim(item: &Item, claim: &Claim) -> ScoredClaim {
    let Place { start, end } = place(&item.answer, claim.span);
    let discrepancies = claim.discrepancies.iter().map(|found| {
        let within = Span { start: claim.span.start + found.start, end: claim.span.start + found.end };
        let Place { start, end } = place(&item.answer, within);
        ScoredDiscrepancy { kind: found.kind.as_str(), relation: found.relation.as_str(), start, end }
    });
    ScoredClaim {
        start,
        end,
        verdict: claim.verdict.as_str(),
        score: claim.score,
        evidence: claim.evidence.map(|span| place(&item.context, span)),
        discrepancies: discrepancies.collect(),
    }
}

/// A place in bytes as code points.
fn place(text: &str, span: Span) -> Place {
    let count = |to: usize| text.get(..to).map_or(0, |before| before.chars().count());
    Place { start: count(span.start), end: count(span.end) }
}
