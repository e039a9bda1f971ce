//! Social security numbers by their form, three, two and four digits.

use super::{
    super::{finding::Finding, kind::Kind, token::Tokens},
    run::Run,
};

/// Three, two and four digits with hyphens, points or blanks. Areas 000, 666 and 900 to 999, group 00 and serial 0000
/// were never given out (Social Security Administration, randomisation of 2011); with hyphens such a number is still
/// taken for one, less surely: it is an example, a slip or a taxpayer's number.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<(Finding, usize)> {
    let run = Run::head(tokens, index, 3).filter(|run| run.groups == [3, 2, 4] && !run.plus && !run.bracket)?;
    let hyphens = run.all_gaps('-');
    if !(hyphens || run.all_gaps(' ') || run.all_gaps('.')) || longer(tokens, run.last) {
        return None;
    }
    let valid = given_out(&run.digits);
    let confidence = match (hyphens, valid) {
        (true, true) => 0.85,
        (true, false) => 0.65,
        (false, true) => 0.55,
        (false, false) => return None,
    };
    let end = tokens.at(run.last.checked_sub(1)?).end;
    Some((Finding::new(Kind::Ssn, tokens.at(index).start, end, confidence, "ssn"), run.last))
}

fn longer(tokens: &Tokens<'_>, last: usize) -> bool {
    tokens.mark(last, "-") && tokens.joined(last) && tokens.joined(last + 1)
}

fn given_out(digits: &str) -> bool {
    let part = |range| digits.get(range).unwrap_or_default();
    !matches!(part(0..3), "000" | "666") && !digits.starts_with('9') && part(3..5) != "00" && part(5..9) != "0000"
}
