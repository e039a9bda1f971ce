//! Lanes: the answer to a question, what it rests on, and whether there should be one. And how long it takes.

use cloister_guardrails::{
    drug::Lexicon,
    ground::{self, Verdict},
};

use super::searching::{expected, place};
use crate::{
    evaluation::{
        item::{Question, Source},
        record::{Cited, Record, Shown, truth},
        site::{Asked, Ended, Site},
    },
    pipeline::{Answer, Citation, Lane, Priority},
};

pub(super) async fn measure(site: &Site, part: &str, item: &Question) -> anyhow::Result<Record> {
    let asked = site.ask(&item.question, Priority::Batch).await?;
    let mut record = Record::of(part, &item.id, None);
    record.lane = Some(asked.word().to_owned());
    let answerable = !item.sources.is_empty();
    if let Ended::Failed(how) = asked.ended {
        record.wrong(1.0, || shown(item, &asked, &format!("No answer came: {how}.")));
    }
    let abstained = matches!(&asked.ended, Ended::Answered(answer) if answer.lane() == Lane::Abstain);
    if answerable {
        record.share("false_abstention", asked.answer().is_none());
        facts(&mut record, item, &asked);
    } else {
        // A refusal says nothing either; a failure is no decision.
        let declined = abstained || matches!(asked.ended, Ended::Refused(..));
        record.share("abstention", declined);
        if asked.answer().is_some() {
            record.wrong(0.95, || shown(item, &asked, "It was answered, though the documents hold no answer."));
        }
    }
    curated(&mut record, item, &asked);
    if let Some(answer) = asked.answer() {
        claims(site, &mut record, item, &asked, answer).await?;
        quotations(site, &mut record, item, &asked, answer).await?;
    }
    Ok(record)
}

/// Whether the answer holds what it must hold, and cites where that stands.
fn facts(record: &mut Record, item: &Question, asked: &Asked) {
    let Some(answer) = asked.answer() else {
        record.share("string_presence", false);
        let wrong = if matches!(asked.ended, Ended::Refused(..)) { "It was refused." } else { "It was declined." };
        return record.wrong(0.4, || shown(item, asked, wrong));
    };
    let said = plain(answer.text());
    let missing: Vec<&str> =
        item.expect.iter().map(String::as_str).filter(|fact| !said.contains(&plain(fact))).collect();
    record.share("string_presence", missing.is_empty());
    let right = answer.citations().iter().filter(|citation| is_expected(citation, &item.sources)).count();
    record.point("citation_precision", right as f64, answer.citations().len() as f64);
    if !missing.is_empty() {
        record.wrong(0.8, || shown(item, asked, &format!("The answer lacks: {}.", missing.join(", "))));
    } else if right == 0 {
        record.wrong(0.7, || shown(item, asked, "The answer cites none of the right places."));
    } else if right < answer.citations().len() {
        record.wrong(0.3, || shown(item, asked, "The answer cites other places too."));
    }
}

/// Whether an approved answer was given to the question that it was approved for.
fn curated(record: &mut Record, item: &Question, asked: &Asked) {
    let verified = asked.answer().filter(|answer| answer.lane() == Lane::Verified);
    let right = verified.is_some_and(|answer| answer.citations().iter().any(|c| is_expected(c, &item.sources)));
    if verified.is_some() {
        record.share("same_question_precision", right);
    }
    if item.curated == Some(true) {
        record.share("same_question_coverage", right);
    }
    if verified.is_some() && !right {
        record.wrong(1.0, || shown(item, asked, "It was given an answer that was approved for another question."));
    }
}

/// Whether each statement is borne by what it cites, as the grounding check reads it.
async fn claims(
    site: &Site,
    record: &mut Record,
    item: &Question,
    asked: &Asked,
    answer: &Answer,
) -> anyhow::Result<()> {
    let all = answer.claims().len() as f64;
    record.point(
        "citation_coverage",
        answer.claims().iter().filter(|claim| claim.citation.is_some()).count() as f64,
        all,
    );
    let said: Vec<char> = answer.text().chars().collect();
    for claim in answer.claims() {
        let text: String = said.get(claim.start..claim.end).unwrap_or_default().iter().collect();
        let citation = claim.citation.and_then(|at| answer.citations().get(at));
        let context = citation.map(in_context).unwrap_or_default();
        let entailed = site.entailed(&context, &text).await?;
        let judged = ground::judge(&context, &item.question, &text, entailed.as_deref(), Lexicon::built_in());
        let borne = judged.claims.iter().filter(|claim| claim.verdict == Verdict::Supported).count();
        record.point("faithfulness", borne as f64, judged.claims.len().max(1) as f64);
        if borne < judged.claims.len().max(1) {
            record.wrong(0.9, || shown(item, asked, "A statement is not borne by what it cites."));
        }
    }
    Ok(())
}

/// What a citation says, under the headings that it stands under.
fn in_context(citation: &Citation) -> String {
    let above = std::iter::once(citation.title.as_str()).chain(citation.headings.iter().map(String::as_str));
    above.chain([citation.text.as_str()]).collect::<Vec<_>>().join("\n")
}

/// Whether what is quoted stands in its document letter for letter, and in the answer.
async fn quotations(
    site: &Site,
    record: &mut Record,
    item: &Question,
    asked: &Asked,
    answer: &Answer,
) -> anyhow::Result<()> {
    if !matches!(answer.lane(), Lane::Quoted | Lane::Verified) {
        return Ok(());
    }
    for citation in answer.citations() {
        let exact = answer.text().contains(&citation.text) && site.stands(citation).await?;
        record.share("quote_fidelity", exact);
        if !exact {
            record.wrong(1.0, || shown(item, asked, "A quotation is not what stands in the document."));
        }
    }
    Ok(())
}

fn is_expected(citation: &Citation, sources: &[Source]) -> bool {
    sources.iter().any(|source| source.is(&citation.name, &citation.headings, &citation.text))
}

/// Text as facts are looked for in it: one space between words, no capitals.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn shown(item: &Question, asked: &Asked, wrong: &str) -> Shown {
    let answer = asked.answer();
    let cited = answer.map(Answer::citations).unwrap_or_default().iter().map(|citation| Cited {
        place: place(&citation.name, &citation.headings),
        text: citation.text.clone(),
        expected: is_expected(citation, &item.sources),
    });
    let facts = if item.expect.is_empty() { String::new() } else { format!("{}. ", item.expect.join("; ")) };
    let expected = if item.sources.is_empty() {
        "No answer: the documents hold none.".to_owned()
    } else {
        format!("{facts}Stands in {}", expected(&item.sources))
    };
    Shown {
        wrong: wrong.to_owned(),
        asked: item.question.clone(),
        answer: answer.map(|answer| answer.text().to_owned()),
        cited: cited.collect(),
        expected,
    }
}

/// How long an answer takes, with nothing else under way.
pub(super) async fn time(site: &Site, part: &str, item: &Question) -> anyhow::Result<Record> {
    let asked = site.ask(&item.question, Priority::Interactive).await?;
    let mut record = Record::of(part, &item.id, None);
    record.lane = Some(asked.word().to_owned());
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    record.point("p50", milliseconds(asked.time), 1.0);
    record.point("p95", milliseconds(asked.time), 1.0);
    record.point("first_p95", milliseconds(asked.first.unwrap_or(asked.time)), 1.0);
    let failed = matches!(asked.ended, Ended::Failed(_));
    record.wrong(truth(failed), || shown(item, &asked, "No answer came."));
    Ok(record)
}
