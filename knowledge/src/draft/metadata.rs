//! What a document's metadata says about its label and its validity. What cannot be read is refused: a date that is
//! guessed wrong lets a superseded procedure be cited.

use cloister_terms::AccessLabel;
use jiff::civil::Date;

/// Metadata that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Not a date that everybody reads alike.
    #[error("metadata `{key}` is not a date: write it as 2026-01-31")]
    Date {
        /// Which one.
        key: &'static str,
    },
    /// Not a label.
    #[error("metadata `access` is not an access label: use lower-case letters, digits, `-`, `_` or `.`")]
    Label,
}

/// Formats that cannot be mistaken. `01/02/2026` is two different days on two sides of an ocean, so it is not here.
const FORMATS: &[&str] = &["%Y-%m-%d", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y"];

/// A date as people write it in front matter; a moment counts as its day.
fn date(given: &str) -> Option<Date> {
    let given = given.trim();
    let day = given.split_once('T').map_or(given, |(day, _)| day);
    FORMATS
        .iter()
        .find_map(|format| Date::strptime(format, given).ok())
        .or_else(|| Date::strptime("%Y-%m-%d", day).ok())
}

pub(super) fn optional_date(key: &'static str, given: Option<&String>) -> Result<Option<Date>, MetadataError> {
    given.map(|given| date(given).ok_or(MetadataError::Date { key })).transpose()
}

pub(super) fn label(given: &str) -> Result<AccessLabel, MetadataError> {
    given.trim().parse().map_err(|_| MetadataError::Label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_that_nobody_can_mistake_are_read() {
        for given in ["2026-01-31", "January 31, 2026", "Jan 31, 2026", "31 January 2026", "2026-01-31T08:00:00Z"] {
            assert_eq!(date(given).map(|date| date.to_string()).as_deref(), Some("2026-01-31"), "{given}");
        }
    }

    #[test]
    fn a_date_that_reads_differently_abroad_is_refused() {
        for given in ["01/02/2026", "next week", "2026", "2026-02-30", ""] {
            assert_eq!(date(given), None, "{given}");
        }
    }
}
