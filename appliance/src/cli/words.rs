//! Words of policy on the command line.

use std::collections::BTreeSet;

use cloister_terms::Action;

/// Reads an action.
///
/// # Errors
/// With every action there is, for a word that is none.
pub(super) fn action(word: &str) -> Result<Action, String> {
    let known = Action::ALL.iter().copied().find(|action| action.as_str() == word);
    let words = || Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ");
    known.ok_or_else(|| format!("no such action; there are {}", words()))
}

/// Actions as one word of a table.
pub(super) fn joined(actions: &BTreeSet<Action>) -> String {
    actions.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(",")
}
