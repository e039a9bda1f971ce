//! The figures of a ranking: nDCG at 10 (exponential gain), recall at 1, 5 and 10, mean reciprocal rank.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

/// What answers a question.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Gold {
    id: String,
    gold: Grades,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Grades {
    /// Each as good as the others.
    Alike(Vec<String>),
    /// Each with its grade; 0 is no answer.
    Graded(BTreeMap<String, f64>),
}

impl Grades {
    fn of(&self, document: &str) -> f64 {
        match self {
            Self::Alike(ids) => f64::from(u8::from(ids.iter().any(|id| id == document))),
            Self::Graded(grades) => grades.get(document).copied().unwrap_or_default(),
        }
    }

    fn all(&self) -> Vec<f64> {
        match self {
            Self::Alike(ids) => ids.iter().collect::<HashSet<_>>().into_iter().map(|_| 1.0).collect(),
            Self::Graded(grades) => grades.values().copied().collect(),
        }
    }
}

/// Means over the questions that have an answer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    pub(super) ndcg: f64,
    pub(super) recall_1: f64,
    pub(super) recall_5: f64,
    pub(super) recall_10: f64,
    pub(super) mrr: f64,
    /// Questions that have an answer.
    pub(super) answerable_items: usize,
    /// Share of them that was declined, wrongly.
    pub(super) answerable: Option<f64>,
    /// Share of the questions without an answer that was declined, rightly.
    pub(super) unanswerable: Option<f64>,
}

impl Figures {
    /// Compares `gold` with what `ranked` says of each question: documents, best first, and whether it was declined.
    pub(super) fn of<'a>(gold: &[Gold], ranked: impl Fn(&str) -> Option<(&'a [String], bool)>) -> Self {
        let mut sum = Self::default();
        let (mut declined, mut declined_rightly, mut without) = (0.0, 0.0, 0.0);
        for question in gold {
            let (documents, abstained) = ranked(&question.id).unwrap_or_default();
            let abstained = f64::from(u8::from(abstained));
            let grades = question.gold.all();
            if grades.is_empty() {
                without += 1.0;
                declined_rightly += abstained;
                continue;
            }
            declined += abstained;
            let mut seen = HashSet::new();
            let found: Vec<f64> =
                documents.iter().filter(|id| seen.insert(id.as_str())).map(|id| question.gold.of(id)).collect();
            sum.add(&found, grades);
        }
        let n = sum.answerable_items as f64;
        let mean = |value: f64| if n > 0.0 { value / n } else { 0.0 };
        Self {
            ndcg: mean(sum.ndcg),
            recall_1: mean(sum.recall_1),
            recall_5: mean(sum.recall_5),
            recall_10: mean(sum.recall_10),
            mrr: mean(sum.mrr),
            answerable_items: sum.answerable_items,
            answerable: (n > 0.0).then_some(declined / n),
            unanswerable: (without > 0.0).then_some(declined_rightly / without),
        }
    }

    /// Adds one question: the grades of what was found, best first, and all grades that there are.
    fn add(&mut self, found: &[f64], mut grades: Vec<f64>) {
        self.answerable_items += 1;
        grades.sort_by(|a, b| b.total_cmp(a));
        let ideal = gain(&grades);
        self.ndcg += if ideal > 0.0 { gain(found) / ideal } else { 0.0 };
        let relevant = grades.iter().filter(|grade| **grade > 0.0).count() as f64;
        let recall = |k: usize| match relevant {
            0.0 => 0.0,
            relevant => found.iter().take(k).filter(|grade| **grade > 0.0).count() as f64 / relevant,
        };
        self.recall_1 += recall(1);
        self.recall_5 += recall(5);
        self.recall_10 += recall(10);
        let first = found.iter().position(|grade| *grade > 0.0);
        self.mrr += first.map_or(0.0, |rank| 1.0 / (rank + 1) as f64);
    }
}

/// Discounted gain of the first ten.
fn gain(grades: &[f64]) -> f64 {
    grades.iter().take(10).enumerate().map(|(rank, grade)| (grade.exp2() - 1.0) / ((rank + 2) as f64).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(gold: &str, ranked: &[(&str, &[&str], bool)]) -> Figures {
        let gold: Vec<Gold> = gold.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ranked: BTreeMap<&str, (Vec<String>, bool)> = ranked
            .iter()
            .map(|(id, documents, abstained)| (*id, (documents.iter().map(ToString::to_string).collect(), *abstained)))
            .collect();
        Figures::of(&gold, |id| ranked.get(id).map(|(documents, abstained)| (documents.as_slice(), *abstained)))
    }

    #[test]
    fn figures_follow_their_definitions() {
        let gold = "{\"id\":\"a\",\"gold\":[\"x\",\"y\"]}\n{\"id\":\"b\",\"gold\":{\"z\":2,\"w\":0}}\n{\"id\":\"c\",\"gold\":[]}";
        let found = figures(gold, &[("a", &["n", "x", "x", "y"], true), ("b", &["z"], false), ("c", &["x"], true)]);
        // a: gains at ranks 2 and 3 (the repeated x counts once) over 1 and 2; b is ideal.
        let a = (1.0 / 3_f64.log2() + 0.5) / (1.0 + 1.0 / 3_f64.log2());
        assert!((found.ndcg - f64::midpoint(a, 1.0)).abs() < 1e-9, "{found:?}");
        assert!((found.mrr - 0.75).abs() < 1e-9);
        assert_eq!((found.recall_1, found.recall_5, found.answerable_items), (0.5, 1.0, 2));
        assert_eq!((found.answerable, found.unanswerable), (Some(0.5), Some(1.0)));
    }
}
