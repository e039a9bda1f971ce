//! What the tests of the recognisers share.

use super::{finding::Finding, kind::Kind, token::Tokens};

/// What a recogniser finds in `text`, with the words that it found.
pub(super) fn found(text: &str, scan: impl Fn(&Tokens<'_>, &mut Vec<Finding>)) -> Vec<(Kind, &str)> {
    found_by_structure(text, |text, found| scan(&Tokens::of(text), found))
}

/// The same for one that reads the text itself.
pub(super) fn found_by_structure(text: &str, scan: impl Fn(&str, &mut Vec<Finding>)) -> Vec<(Kind, &str)> {
    let mut found = Vec::new();
    scan(text, &mut found);
    found.iter().map(|f| (f.kind, &text[f.start..f.end])).collect()
}
