//! Payment card numbers: 13 to 19 digits, an issuer's first digit, Luhn's formula.

use super::{
    super::{finding::Finding, kind::Kind, token::Tokens},
    checksum,
    run::Run,
};

/// The card number at `index`. In groups of four it is taken for one even if the check fails, less surely.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<(Finding, usize)> {
    let run = (1..=5).rev().find_map(|count| {
        Run::head(tokens, index, count).filter(|run| (13..=19).contains(&run.digits.len()) && !run.plus && !run.bracket)
    })?;
    if !run.digits.starts_with(['2', '3', '4', '5', '6']) || tokens.joined(run.last) && tokens.at(run.last).word() {
        return None;
    }
    let grouped = matches!(run.groups.as_slice(), [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4]);
    let whole = run.groups.len() == 1;
    let equipment = whole && run.digits.len() == 15 && !run.digits.starts_with("34") && !run.digits.starts_with("37");
    let confidence = match (grouped || whole, checksum::luhn(&run.digits)) {
        (true, true) if !equipment => 0.95,
        (false, true) if !equipment => 0.6,
        _ if grouped => 0.6,
        _ => return None,
    };
    let end = tokens.at(run.last.checked_sub(1)?).end;
    Some((Finding::new(Kind::Card, tokens.at(index).start, end, confidence, "card"), run.last))
}
