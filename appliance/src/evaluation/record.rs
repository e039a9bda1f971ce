//! What came of one item: points for metrics, and for one that went wrong, what a reader has to see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::statistics::Point;

/// What came of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The part that it belongs to.
    pub part: String,
    /// The item's id.
    pub id: String,
    /// What it was made from, or its id: items of one group are alike.
    pub group: String,
    /// Its points.
    pub points: Vec<Observation>,
    /// By which lane it was answered, where it was a question.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lane: Option<String>,
    /// How bad it is: 0 as it should be, 1 as bad as can be.
    pub loss: f64,
    /// What a reader has to see. Only where it went wrong.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown: Option<Shown>,
}

/// One point of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The metric's name.
    pub metric: String,
    /// A sort of which it is one: a type of error, a kind of identifier.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub category: Option<String>,
    /// The point.
    pub point: Point,
}

/// An item that went wrong, for a reader.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// In a few words, what is wrong.
    pub wrong: String,
    /// What was asked or looked at.
    pub asked: String,
    /// What was answered or found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<String>,
    /// What the answer cites.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub cited: Vec<Cited>,
    /// What was expected.
    pub expected: String,
}

/// A place that an answer cites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cited {
    /// The document and the heading.
    pub place: String,
    /// The words.
    pub text: String,
    /// Whether it is one of the places expected.
    pub expected: bool,
}

impl Record {
    /// Nothing known yet of an item.
    pub(super) fn of(part: &str, id: &str, group: Option<&str>) -> Self {
        Self {
            part: part.to_owned(),
            id: id.to_owned(),
            group: group.unwrap_or(id).to_owned(),
            points: Vec::new(),
            lane: None,
            loss: 0.0,
            shown: None,
        }
    }

    /// Adds a point of a part and a weight.
    pub(super) fn point(&mut self, metric: &str, part: f64, weight: f64) {
        self.sorted(metric, None, part, weight);
    }

    /// Adds whether something is so, as a point of a share.
    pub(super) fn share(&mut self, metric: &str, so: bool) {
        self.point(metric, truth(so), 1.0);
    }

    /// The same under a sort.
    pub(super) fn sorted(&mut self, metric: &str, category: Option<&str>, part: f64, weight: f64) {
        let (metric, category) = (metric.to_owned(), category.map(str::to_owned));
        self.points.push(Observation { metric, category, point: Point(part, weight) });
    }

    /// Says that it went wrong, how badly, and what a reader has to see. The worst word counts.
    pub(super) fn wrong(&mut self, loss: f64, shown: impl FnOnce() -> Shown) {
        if loss > self.loss {
            self.loss = loss;
            self.shown = Some(shown());
        }
    }
}

/// 1 where something is so, else 0.
pub(super) const fn truth(so: bool) -> f64 {
    if so { 1.0 } else { 0.0 }
}

/// The points of a metric, grouped: all of them, or those of one sort.
pub(super) fn groups(records: &[&Record], metric: &str, category: Option<&str>) -> BTreeMap<String, Vec<Point>> {
    let mut groups: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for record in records {
        let of = record.points.iter().filter(|seen| seen.metric == metric);
        let of = of.filter(|seen| category.is_none() || seen.category.as_deref() == category);
        let points: Vec<Point> = of.map(|seen| seen.point).collect();
        if !points.is_empty() {
            groups.entry(record.group.clone()).or_default().extend(points);
        }
    }
    groups
}
