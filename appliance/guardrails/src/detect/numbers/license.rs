//! Numbers of those who prescribe, by their check digits.

use super::{
    super::{finding::Finding, kind::Kind, token::Tokens},
    checksum,
    run::Chunk,
};

/// A national provider identifier without a label. One in ten numbers passes the check, telephone numbers among them;
/// those never begin with 1.
pub(super) fn npi(tokens: &Tokens<'_>, chunk: &Chunk) -> Option<(Finding, usize)> {
    let text = tokens.text.get(chunk.start..chunk.end)?;
    let confidence = if text.starts_with('1') { 0.8 } else { 0.55 };
    checksum::npi(text).then(|| (Finding::new(Kind::Npi, chunk.start, chunk.end, confidence, "npi"), chunk.last))
}

/// A registration with the Drug Enforcement Administration.
pub(super) fn dea(text: &str, chunk: &Chunk) -> Option<(Finding, usize)> {
    (text.len() == 9 && checksum::dea(text))
        .then(|| (Finding::new(Kind::Dea, chunk.start, chunk.end, 0.9, "dea"), chunk.last))
}
