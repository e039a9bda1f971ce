//! Initials at the end of a note: `- JM`, `/s/ J. M.`

use super::{
    super::token::{Shape, Tokens},
    Name,
};

/// Two or three capitals after a dash or a stroke at the end of a line.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let token = tokens.at(index);
    let dash = matches!(tokens.lower_before(index, 1), "-" | "~" | "--") && tokens.before(index, 1).apart;
    if !dash || tokens.at(index + 1).lines == 0 && index + 1 < tokens.len() {
        return initials_with_points(tokens, index);
    }
    let initials = token.shape == Shape::Capitals && matches!(token.end - token.start, 2 | 3);
    let name = token.shape == Shape::Title && super::likely(tokens, index);
    let line = tokens.before(index, 1).lines > 0 || tokens.lower_before(index, 2) == ".";
    (line && (initials || name)).then(|| Name::new(index, index + 1, 0.65, "signature"))
}

/// `- J.M.` or `- J. M.` at the end of a line.
fn initials_with_points(tokens: &Tokens<'_>, index: usize) -> Option<Name> {
    let dash = tokens.lower_before(index, 1) == "-"
        && (tokens.before(index, 1).lines > 0 || tokens.lower_before(index, 2) == ".");
    let letters = tokens.at(index).shape == Shape::Letter
        && tokens.mark(index + 1, ".")
        && tokens.at(index + 2).shape == Shape::Letter;
    let last = index + 3;
    let end = last + usize::from(tokens.mark(last, "."));
    (dash && letters && (tokens.at(end).lines > 0 || end >= tokens.len()))
        .then(|| Name::new(index, last, 0.65, "signature"))
}
