//! International bank account numbers, in one piece or in groups of four.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        token::{Shape, Tokens},
    },
    checksum,
    run::{self, Chunk},
};

/// The account number that begins with `chunk`, if its check digits are right.
pub(super) fn iban(tokens: &Tokens<'_>, chunk: &Chunk) -> Option<(Finding, usize)> {
    if tokens.at(chunk.first).shape != Shape::Capitals || chunk.digits < 2 {
        return None;
    }
    let mut written = String::new();
    let mut found = None;
    let mut piece = Some(*chunk);
    while let Some(group) = piece {
        written.extend(tokens.text.get(group.start..group.end)?.chars().filter(char::is_ascii_alphanumeric));
        if written.len() > 34 {
            break;
        }
        let last = group.last;
        if checksum::iban(&written) {
            found = Some((group.end, last));
        }
        piece = run::chunk(tokens, last).filter(|next| next.end - next.start <= 4 && tokens.at(last).lines == 0);
    }
    found.map(|(end, last)| (Finding::new(Kind::Iban, chunk.start, end, 0.97, "iban"), last))
}
