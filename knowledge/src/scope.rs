//! What a search may see.

use std::collections::BTreeMap;

use cloister_terms::{AccessLabel, CollectionId};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// What a search may see: collections, access labels, a moment, and metadata that must hold.
///
/// There is no default and no "all": whoever searches says what for, from a permit.
///
/// ```
/// use cloister_knowledge::Scope;
/// let scope = Scope::new(vec!["procedures".parse()?], vec!["staff".parse()?], "2026-03-01T00:00:00Z".parse()?)
///     .filter("topic", "refills");
/// assert_eq!(scope.collections().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    collections: Vec<CollectionId>,
    labels: Vec<AccessLabel>,
    as_of: Timestamp,
    filters: BTreeMap<String, String>,
}

impl Scope {
    /// Passages of `collections` whose access label is one of `labels` and that are in force at `as_of`.
    /// No collection or no label: nothing is seen.
    #[must_use]
    pub fn new(mut collections: Vec<CollectionId>, labels: Vec<AccessLabel>, as_of: Timestamp) -> Self {
        collections.sort();
        collections.dedup();
        Self { collections, labels, as_of, filters: BTreeMap::new() }
    }

    /// Only passages whose document (or pair) carries this metadata, letter for letter. Filters add up.
    #[must_use]
    pub fn filter(mut self, key: &str, value: &str) -> Self {
        self.filters.insert(key.to_lowercase(), value.to_owned());
        self
    }

    /// The collections, in order of name, each once.
    #[must_use]
    pub fn collections(&self) -> &[CollectionId] {
        &self.collections
    }

    /// The labels that the reader holds.
    #[must_use]
    pub fn labels(&self) -> &[AccessLabel] {
        &self.labels
    }

    /// The day on which a passage must be in force, at a site in `zone`. The library knows its zone, so that no caller
    /// can forget it.
    pub(crate) fn day(&self, zone: &TimeZone) -> Date {
        zone.to_datetime(self.as_of).date()
    }

    /// Metadata that must hold.
    #[must_use]
    pub fn filters(&self) -> &BTreeMap<String, String> {
        &self.filters
    }
}
