//! `cloister guardrail ground`: whether answers rest on their contexts, claim by claim. By facts and words, and where the configured
//! embedding model is the one whose vectors are understood, by the learned scorer too.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use cloister_guardrails::{
    drug::Lexicon,
    ground::{self, Claim, Judgement},
    split::Span,
};
use serde::{Deserialize, Serialize};

use super::likeness;
use crate::{cli::site, pipeline::entail::entailed};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    site: site::Arguments,
    /// Answers, one {"id", "context", "question", "answer"} a line; `claim` does for `answer`; other keys are passed over
    #[arg(long = "in", value_name = "FILE")]
    items: PathBuf,
    /// Where the verdicts go, one {"id", "score", "relevance", "verdict", "blocked", "claims", "omitted"} a line
    #[arg(long = "out", value_name = "FILE")]
    scored: PathBuf,
    /// Least score of an answer that is not blocked
    #[arg(long, value_name = "0..1", default_value_t = ground::BLOCK)]
    threshold: f32,
    /// The site's formulary: one drug a line, `generic` or `brand = generic`
    #[arg(long, value_name = "FILE")]
    formulary: Option<PathBuf>,
}

/// An answer to judge. It does not print.
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
    /// How well the context bears the answer, 0 to 1.
    score: f32,
    /// How far the answer speaks about what was asked, 0 to 1.
    relevance: f32,
    verdict: &'static str,
    blocked: bool,
    claims: Vec<JudgedClaim>,
    /// Warnings beside a dose that the answer gives, and missing from it.
    omitted: Vec<Place>,
}

#[derive(Serialize)]
struct JudgedClaim {
    /// Where it stands in the answer.
    start: usize,
    end: usize,
    verdict: &'static str,
    score: f32,
    /// What was held against it, in the context.
    evidence: Option<Place>,
    /// Facts that do not stand.
    discrepancies: Vec<Discrepancy>,
}

/// A place in code points.
#[derive(Serialize)]
struct Place {
    start: usize,
    end: usize,
}

#[derive(Serialize)]
struct Discrepancy {
    kind: &'static str,
    relation: &'static str,
    /// Where in the answer.
    start: usize,
    end: usize,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let inputs = [("--in", Some(arguments.items.as_path())), ("--formulary", arguments.formulary.as_deref())];
    super::apart(inputs, ("--out", &arguments.scored))?;
    if !(0.0..=1.0).contains(&arguments.threshold) {
        bail!("--threshold must lie between 0 and 1");
    }
    let site = match &arguments.formulary {
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let unfit = || format!("{} is not as it must be", path.display());
            Some(Lexicon::built_in().with_formulary(&text).with_context(unfit)?)
        }
        None => None,
    };
    let lexicon = match &site {
        Some(site) => site,
        None => Lexicon::built_in(),
    };
    let items: Vec<Item> = super::items(&arguments.items)?;
    let embed = likeness::model_if_there(&arguments.site)?;
    let scored = items.into_iter().map(|item| {
        let entailed = match &embed {
            Some(embed) => entailed(embed, &item.context, &item.answer, lexicon)?,
            None => None,
        };
        Ok(judge(item, arguments.threshold, entailed.as_deref(), lexicon))
    });
    super::write(&arguments.scored, &scored.collect::<anyhow::Result<Vec<Scored>>>()?)?;
    Ok(ExitCode::SUCCESS)
}

fn judge(item: Item, threshold: f32, entailed: Option<&[f32]>, lexicon: &Lexicon) -> Scored {
    let Judgement { score, relevance, verdict, claims, omitted } =
        ground::judge(&item.context, &item.question, &item.answer, entailed, lexicon);
    Scored {
        score,
        relevance,
        verdict: verdict.as_str(),
        blocked: score < threshold,
        claims: claims.into_iter().map(|claim| judged(claim, &item)).collect(),
        omitted: omitted.into_iter().map(|span| place(&item.context, span)).collect(),
        id: item.id,
    }
}

fn judged(claim: Claim, item: &Item) -> JudgedClaim {
    let Place { start, end } = place(&item.answer, claim.span);
    let discrepancies = claim.discrepancies.iter().map(|found| {
        let within = Span { start: claim.span.start + found.start, end: claim.span.start + found.end };
        let Place { start, end } = place(&item.answer, within);
        Discrepancy { kind: found.kind.as_str(), relation: found.relation.as_str(), start, end }
    });
    JudgedClaim {
        start,
        end,
        verdict: claim.verdict.as_str(),
        score: claim.score,
        evidence: claim.evidence.map(|span| place(&item.context, span)),
        discrepancies: discrepancies.collect(),
    }
}

fn place(text: &str, span: Span) -> Place {
    let characters = |to: usize| text.get(..to).map_or(0, |before| before.chars().count());
    Place { start: characters(span.start), end: characters(span.end) }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// Beside a folder without models: by facts and words alone.
    fn arguments(folder: &TempDir, items: PathBuf, scored: PathBuf, formulary: Option<PathBuf>) -> Arguments {
        let site = site::Arguments { config: None, sets: vec![format!("models.folder={}", folder.path().display())] };
        Arguments { site, items, scored, threshold: ground::BLOCK, formulary }
    }

    fn scored(items: &str) -> Vec<serde_json::Value> {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("items.jsonl"), folder.path().join("scored.jsonl"));
        fs::write(&input, items).unwrap();
        run(arguments(&folder, input, output.clone(), None)).unwrap();
        fs::read_to_string(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_answer_comes_back_claim_by_claim_with_places_in_code_points() {
        let context = "Caf\u{e9} rules. Opened pens keep at room temperature for 28 days. Do not freeze pens.";
        let item = |id: &str, answer: &str| serde_json::json!({ "id": id, "context": context, "question": "How long do pens keep?", "answer": answer });
        let right = item("a", "Opened pens keep at room temperature for 28 days.");
        let wrong = item("b", "D\u{e9}j\u{e0} vu: opened pens keep at room temperature for 42 days.");
        let found = scored(&format!("{right}\n{wrong}\n"));
        assert_eq!((&found[0]["verdict"], &found[0]["blocked"]), (&"supported".into(), &false.into()));
        assert_eq!((&found[1]["verdict"], &found[1]["blocked"]), (&"contradicted".into(), &true.into()));
        let place = &found[0]["claims"][0]["evidence"];
        assert_eq!((place["start"].as_u64(), place["end"].as_u64()), (Some(12), Some(61)));
        let off = &found[1]["claims"][0]["discrepancies"][0];
        let said: String = "D\u{e9}j\u{e0} vu: opened pens keep at room temperature for 42 days."
            .chars()
            .skip(off["start"].as_u64().unwrap() as usize)
            .take((off["end"].as_u64().unwrap() - off["start"].as_u64().unwrap()) as usize)
            .collect();
        assert_eq!(said, "42 days");
    }

    #[test]
    fn a_warning_that_a_dose_leaves_out_is_told() {
        let item = "{\"id\": \"a\", \"context\": \"Take one tablet of 4 mg every 6 hours. Do not take more than 16 mg in a day.\", \"claim\": \"Take one tablet of 4 mg every 6 hours.\"}\n";
        assert_eq!(scored(item)[0]["omitted"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn the_formulary_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let (items, formulary) = (folder.path().join("items"), folder.path().join("formulary"));
        fs::write(&items, "{}").unwrap();
        fs::write(&formulary, "zelvora").unwrap();
        let refused = run(arguments(&folder, items, formulary.clone(), Some(formulary.clone()))).unwrap_err();
        assert!(refused.to_string().contains("--formulary"), "{refused}");
        assert_eq!(fs::read_to_string(formulary).unwrap(), "zelvora");
    }
}
