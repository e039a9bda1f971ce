//! Retrieval: the passages that a question finds.

use cloister_knowledge::Passage;

use crate::evaluation::{
    item::{Question, Source},
    record::{Cited, Record, Shown},
    site::Site,
};

/// Passages that a ranking is looked at for.
const RANKED: usize = 10;

pub(super) async fn measure(site: &Site, part: &str, item: &Question) -> anyhow::Result<Record> {
    let mut record = Record::of(part, &item.id, None);
    if item.sources.is_empty() {
        return Ok(record);
    }
    let answered_from = site.settings().passages;
    let passages = site.search(&item.question, RANKED.max(answered_from)).await?;
    let ranking = Ranking::of(&passages, &item.sources);
    let (found, sources) = (ranking.within(RANKED), item.sources.len() as f64);
    record.point("recall@10", found as f64, sources);
    record.point("ndcg@10", ranking.gain(RANKED), 1.0);
    record.point("context_recall", ranking.within(answered_from) as f64, sources);
    record.point("context_precision", ranking.precision(answered_from), 1.0);
    record.point("mrr", ranking.first().map_or(0.0, |rank| 1.0 / (rank + 1) as f64), 1.0);
    let shown = |wrong: &str| Shown {
        wrong: wrong.to_owned(),
        asked: item.question.clone(),
        answer: None,
        cited: passages.iter().take(3).map(|passage| cited(passage, &item.sources)).collect(),
        expected: expected(&item.sources),
    };
    match ranking.first() {
        None => record.wrong(1.0, || shown("None of the right places is among what was found.")),
        Some(0) => {}
        Some(rank) => {
            record.wrong(0.1 + 0.05 * rank as f64, || shown(&format!("The right place comes at rank {}.", rank + 1)))
        }
    }
    Ok(record)
}

fn cited(passage: &Passage, sources: &[Source]) -> Cited {
    let place = place(&passage.name, &passage.headings);
    let text = passage.text.chars().take(400).collect();
    Cited { place, text, expected: sources.iter().any(|source| is(source, passage)) }
}

/// A document and the innermost heading.
pub(super) fn place(name: &str, headings: &[String]) -> String {
    headings.last().map_or_else(|| name.to_owned(), |heading| format!("{name} \u{203a} {heading}"))
}

/// The places expected, in words.
pub(super) fn expected(sources: &[Source]) -> String {
    let words = sources.iter().map(|source| {
        let section = source.section.as_deref().map(|section| format!(" \u{203a} {section}")).unwrap_or_default();
        let text = source.text.as_deref().map(|text| format!(": \u{201c}{text}\u{201d}")).unwrap_or_default();
        format!("{}{section}{text}", source.document)
    });
    words.collect::<Vec<_>>().join("; or ")
}

fn is(source: &Source, passage: &Passage) -> bool {
    source.is(&passage.name, &passage.headings, &passage.text)
}

/// A ranking, seen by what is right in it.
struct Ranking {
    /// Of each passage, whether it is a right one.
    right: Vec<bool>,
    /// Of each, whether it is the first of its source: several passages of one place count once.
    new: Vec<bool>,
    sources: usize,
}

impl Ranking {
    fn of(passages: &[Passage], sources: &[Source]) -> Self {
        let mut seen = vec![false; sources.len()];
        let (mut right, mut new) = (Vec::new(), Vec::new());
        for passage in passages {
            let (mut any, mut first) = (false, false);
            for (_, seen) in sources.iter().zip(&mut seen).filter(|(source, _)| is(source, passage)) {
                any = true;
                first |= !*seen;
                *seen = true;
            }
            right.push(any);
            new.push(first);
        }
        Self { right, new, sources: sources.len() }
    }

    fn first(&self) -> Option<usize> {
        self.right.iter().position(|right| *right)
    }

    /// How many sources stand among the first so many.
    fn within(&self, k: usize) -> usize {
        self.new.iter().take(k).filter(|new| **new).count()
    }

    /// Normalised discounted cumulative gain at `k` (Järvelin and Kekäläinen, 2002).
    fn gain(&self, k: usize) -> f64 {
        let discount = |rank: usize| 1.0 / ((rank + 2) as f64).log2();
        let found: f64 =
            self.new.iter().take(k).enumerate().filter(|(_, new)| **new).map(|(rank, _)| discount(rank)).sum();
        let ideal: f64 = (0..self.sources.min(k)).map(discount).sum();
        if ideal > 0.0 { found / ideal } else { 0.0 }
    }

    /// Mean over the right ones among the first `k` of the share of right ones down to each; 0 where none is right.
    fn precision(&self, k: usize) -> f64 {
        let (mut seen, mut sum) = (0.0, 0.0);
        for (rank, _) in self.right.iter().take(k).enumerate().filter(|(_, right)| **right) {
            seen += 1.0;
            sum += seen / (rank + 1) as f64;
        }
        if seen > 0.0 { sum / seen } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_are_measured_as_their_definitions_say() {
        let ranking = Ranking {
            right: vec![false, true, true, false, true],
            new: vec![false, true, false, false, true],
            sources: 2,
        };
        assert_eq!((ranking.first(), ranking.within(3), ranking.within(10)), (Some(1), 1, 2));
        // Right ones at ranks 2, 3 and 5.
        let precision = (0.5 + 2.0 / 3.0 + 0.6) / 3.0;
        assert!((ranking.precision(5) - precision).abs() < 1e-9);
        let ideal = 1.0 + 1.0 / 3_f64.log2();
        let found = 1.0 / 3_f64.log2() + 1.0 / 6_f64.log2();
        assert!((ranking.gain(10) - found / ideal).abs() < 1e-9);
        let nothing = Ranking { right: vec![false; 3], new: vec![false; 3], sources: 1 };
        assert_eq!((nothing.first(), nothing.gain(10), nothing.precision(8)), (None, 0.0, 0.0));
    }
}
