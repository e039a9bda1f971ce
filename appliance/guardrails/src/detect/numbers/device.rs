//! Numbers of devices: equipment identities of mobile devices, unique device identifiers.

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        token::{Shape, Tokens},
    },
    checksum,
    run::Run,
};

/// An equipment identity (3GPP TS 23.003): 15 digits, in one piece or as 2, 6, 6 and 1, with Luhn's check digit.
pub(super) fn imei(tokens: &Tokens<'_>, index: usize) -> Option<(Finding, usize)> {
    let run = Run::head(tokens, index, 4)
        .filter(|run| run.groups == [2, 6, 6, 1])
        .or_else(|| Run::head(tokens, index, 1).filter(|run| run.groups == [15]))?;
    if !checksum::luhn(&run.digits) {
        return None;
    }
    let end = tokens.at(run.last.checked_sub(1)?).end;
    Some((Finding::new(Kind::Imei, tokens.at(index).start, end, 0.8, "imei"), run.last))
}

/// A unique device identifier as GS1 writes it: `(01)` and 14 digits with their check digit, then further bracketed
/// parts (21 CFR 801.40; GS1 General Specifications 3.3).
pub(super) fn udi(tokens: &Tokens<'_>, index: usize) -> Option<(Finding, usize)> {
    let opens = tokens.mark(index, "(") && tokens.text(index + 1) == "01" && tokens.mark(index + 2, ")");
    let item = tokens.text(index + 3);
    if !opens || item.len() != 14 || !item.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let weighted: u32 =
        item.bytes().enumerate().map(|(at, b)| u32::from(b - b'0') * if at % 2 == 0 { 3 } else { 1 }).sum();
    let mut last = index + 4;
    while tokens.joined(last) && (tokens.at(last).shape != Shape::Mark || matches!(tokens.text(last), "(" | ")" | "-"))
    {
        last += 1;
    }
    let end = tokens.at(last - 1).end;
    let confidence = if weighted.is_multiple_of(10) { 0.97 } else { 0.8 };
    Some((Finding::new(Kind::Device, tokens.at(index).start, end, confidence, "udi"), last))
}
