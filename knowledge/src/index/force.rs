//! Which versions are in force on a day, and which of their passages a scope may see.
//!
//! INVARIANT (in force): of a document at most one version is seen, and it is the newest that has taken effect. When
//! that one has expired or is superseded, nothing of the document is seen: an older version never comes back.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::civil::Date;

use super::version::{PairRule, Version};
use crate::Scope;

/// What a scope may see of a collection.
pub(crate) struct Visible<'a> {
    versions: HashMap<i64, &'a Version>,
    scope: &'a Scope,
    day: Date,
}

impl<'a> Visible<'a> {
    /// The versions in force on `day` whose label the scope holds.
    pub(crate) fn new(versions: &'a HashMap<i64, Arc<Version>>, scope: &'a Scope, day: Date) -> Self {
        let versions = in_force(versions.values().map(Arc::as_ref), day)
            .filter(|version| scope.labels().contains(&version.label))
            .map(|version| (version.key, version))
            .collect();
        Self { versions, scope, day }
    }

    /// The version, if anything of it may be seen.
    pub(crate) fn version(&self, key: i64) -> Option<&'a Version> {
        self.versions.get(&key).copied()
    }

    /// Whether a passage of a visible version may be seen, by the version's metadata or its pair's own.
    pub(crate) fn shows(&self, version: &Version, pair: Option<i64>) -> bool {
        let rule = pair.and_then(|pair| version.pairs.get(&pair));
        let holds = rule.is_none_or(|rule| self.rule_holds(rule));
        let matches = |key: &String, value: &String| {
            version.metadata.get(key) == Some(value) || rule.is_some_and(|rule| rule.metadata.get(key) == Some(value))
        };
        holds && self.scope.filters().iter().all(|(key, value)| matches(key, value))
    }

    /// Whether the whole text of a version may be read: its metadata matches, and no pair in it carries a label that
    /// the reader lacks.
    pub(crate) fn shows_whole(&self, version: &Version) -> bool {
        let labels = version.pairs.values().filter_map(|rule| rule.label.as_ref());
        self.shows(version, None) && labels.into_iter().all(|label| self.scope.labels().contains(label))
    }

    fn rule_holds(&self, rule: &PairRule) -> bool {
        rule.effective.is_none_or(|first| first <= self.day)
            && rule.expires.is_none_or(|end| self.day < end)
            && rule.label.as_ref().is_none_or(|label| self.scope.labels().contains(label))
    }
}

/// The versions in force on `day`. A version holds from its effective date on (always, where it has none) until the
/// day before it expires.
pub(crate) fn in_force<'a>(
    versions: impl Iterator<Item = &'a Version>,
    day: Date,
) -> impl Iterator<Item = &'a Version> {
    let mut newest: HashMap<i64, &Version> = HashMap::new();
    let mut superseded: HashSet<(Option<i64>, &str)> = HashSet::new();
    for version in versions.filter(|version| version.effective.is_none_or(|first| first <= day)) {
        if let Some(other) = version.supersedes.as_deref() {
            superseded.insert((None, other));
            superseded.insert((Some(version.document), other));
        }
        let held = newest.entry(version.document).or_insert(version);
        if order(held, version) == Ordering::Less {
            *held = version;
        }
    }
    newest.into_values().filter(move |version| {
        let own_name = version.handle.split_once(':').map_or("", |(_, name)| name);
        // A document is superseded by its name from anywhere, one of its versions as `NAME/VERSION` from anywhere and by
        // its number within its document. One that names itself has superseded nothing.
        let by_itself = version.supersedes.as_deref();
        let gone = |key: Option<i64>, name: &str| superseded.contains(&(key, name)) && by_itself != Some(name);
        version.expires.is_none_or(|end| day < end)
            && !gone(None, own_name)
            && !gone(None, &format!("{own_name}/{}", version.version))
            && !gone(Some(version.document), &version.version)
    })
}

/// Whether `version` is what `given`, the `supersedes` of a version of `document`, names.
pub(crate) fn is_named(given: &str, document: i64, version: &Version) -> bool {
    let own_name = version.handle.split_once(':').map_or("", |(_, name)| name);
    let by_number = given.strip_prefix(own_name).and_then(|rest| rest.strip_prefix('/'));
    given == own_name
        || by_number == Some(version.version.as_str())
        || (document == version.document && given == version.version)
}

/// Which of two versions of a document is the newer: by effective date, then by number, then by when it came.
fn order(left: &Version, right: &Version) -> Ordering {
    left.effective
        .cmp(&right.effective)
        .then_with(|| natural(&left.version, &right.version))
        .then(left.key.cmp(&right.key))
}

/// Compares version numbers the way people do: 1.10 comes after 1.9.
pub(crate) fn natural(left: &str, right: &str) -> Ordering {
    runs(left).cmp(runs(right))
}

/// Runs of digits by value, other characters one by one.
fn runs(text: &str) -> impl Iterator<Item = (u128, char)> {
    let mut rest = text.chars().peekable();
    std::iter::from_fn(move || {
        let first = rest.next()?;
        let Some(digit) = first.to_digit(10) else { return Some((u128::MAX, first)) };
        let mut value = u128::from(digit);
        while let Some(digit) = rest.peek().and_then(|next| next.to_digit(10)) {
            rest.next();
            value = value.saturating_mul(10).saturating_add(u128::from(digit));
        }
        Some((value, '0'))
    })
}

#[cfg(test)]
mod tests;
