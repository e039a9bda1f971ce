//! Terms that look like names: eponyms by the word after them.

use super::super::{
    lexicon::Senses,
    token::{Shape, Tokens},
};

/// Whether the name from `first` to `last` is a term: `Wells score`, `Crohn's disease`, `Framingham risk score`,
/// `Ehlers-Danlos syndrome`.
pub(crate) fn eponymous(tokens: &Tokens<'_>, first: usize, last: usize) -> bool {
    let listed = (first..last).any(|index| tokens.at(index).senses.has(Senses::EPONYM));
    let mut at = last;
    if tokens.mark(at, "-") && tokens.joined(at) && tokens.at(at + 1).word() {
        at += 2;
    }
    let between = tokens.at(at).word() && tokens.at(at + 1).lines == 0;
    let next = tokens.at(at);
    if next.lines > 1 || next.lines == 1 && next.shape != Shape::Lower {
        return false;
    }
    let (clinical, head) = (|at: usize| tokens.at(at).is(Senses::CLINICAL), |at: usize| tokens.at(at).is(Senses::HEAD));
    if clinical(at) || between && clinical(at + 1) && tokens.at(at).shape != Shape::Capitals {
        return true;
    }
    listed
        && (head(at)
            || between && head(at + 1)
            || tokens.at(at).shape == Shape::Digits
            || last == first + 1 && tokens.at(first).possessive
            || tokens.mark(at, "-"))
}
