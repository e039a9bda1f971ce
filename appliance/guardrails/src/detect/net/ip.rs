//! Internet protocol addresses, versions 4 and 6, and addresses of network cards.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{
    super::{
        finding::Finding,
        kind::Kind,
        token::{Shape, Tokens},
    },
    right,
};

/// The address that begins at `index`.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<Finding> {
    let token = tokens.at(index);
    let begins = !tokens.joined(index)
        || !matches!(tokens.text(index - 1), "." | ":" | "-") && tokens.before(index, 1).shape == Shape::Mark;
    let hex = token.shape == Shape::Digits
        || token.word() && tokens.lower(index).bytes().all(|b| b.is_ascii_hexdigit())
        || tokens.mark(index, ":");
    if !hex || !begins || token.end - token.start > 4 {
        return None;
    }
    let next = tokens.text.as_bytes().get(token.end);
    if token.shape == Shape::Digits && next == Some(&b'.') {
        let written = right(tokens.text, token.start, ".").trim_end_matches('.');
        let address = written.parse::<Ipv4Addr>().ok()?;
        let version = address.octets().iter().all(|octet| *octet < 10)
            && !(1..=3).any(|back| {
                matches!(tokens.lower_before(index, back), "ip" | "address" | "host" | "server" | "from" | "dns")
            });
        return Some(Finding::new(
            Kind::Ip,
            token.start,
            token.start + written.len(),
            if version { 0.4 } else { 0.93 },
            "ip",
        ));
    }
    let written = right(tokens.text, token.start, ":-.").trim_end_matches(['.', ':', '-']);
    if is_card(written) {
        return Some(Finding::new(Kind::Mac, token.start, token.start + written.len(), 0.95, "mac"));
    }
    let six = written.matches(':').count() >= 2 && written.parse::<Ipv6Addr>().is_ok();
    six.then(|| Finding::new(Kind::Ip, token.start, token.start + written.len(), 0.93, "ip"))
}

/// Six pairs of hexadecimal digits between colons or hyphens, or three groups of four between points.
fn is_card(written: &str) -> bool {
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts = |mark: char, count: usize, length: usize| {
        written.split(mark).count() == count && written.split(mark).all(|part| hex(part, length))
    };
    parts(':', 6, 2) || parts('-', 6, 2) && written.bytes().any(|b| b.is_ascii_alphabetic()) || parts('.', 3, 4)
}
