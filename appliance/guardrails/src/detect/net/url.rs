//! Web addresses and bare domains.

use super::{
    super::{finding::Finding, kind::Kind, token::Tokens},
    is_top, left, right,
};

const TAIL: &str = "-._~:/?#[]@!$&'()*+,;=%";

/// The address that begins at `index`.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<Finding> {
    let token = tokens.at(index);
    if tokens.mark(index, ".") {
        return domain(tokens, index);
    }
    let scheme = matches!(tokens.lower(index), "http" | "https" | "ftp" | "sftp" | "hxxp" | "hxxps");
    if scheme && tokens.text.get(token.end..)?.starts_with("://") {
        return Some(found(tokens, token.start, token.end + 3, 0.97));
    }
    let www = tokens.lower(index) == "www" && tokens.mark(index + 1, ".") && tokens.joined(index + 2);
    www.then(|| found(tokens, token.start, token.end, 0.95))
}

fn found(tokens: &Tokens<'_>, start: usize, after: usize, confidence: f32) -> Finding {
    let tail = right(tokens.text, after, TAIL).trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'', '(']);
    Finding::new(Kind::Url, start, after + tail.len(), confidence, "url")
}

/// A domain whose last point stands at `index`: letters before it, a top-level domain in small letters after it.
fn domain(tokens: &Tokens<'_>, index: usize) -> Option<Finding> {
    let (mark, top) = (tokens.at(index), tokens.at(index + 1));
    if mark.apart || top.apart || tokens.text(index + 1) != tokens.lower(index + 1) || !is_top(tokens.lower(index + 1))
    {
        return None;
    }
    let goes_on = tokens.joined(index + 2)
        && (tokens.at(index + 2).word()
            || matches!(tokens.text(index + 2), "@" | "-")
            || (tokens.mark(index + 2, ".") && tokens.joined(index + 3) && tokens.at(index + 3).word()));
    let name = left(tokens.text, mark.start, ".-").trim_start_matches(['.', '-']);
    let last = name.rsplit('.').next().unwrap_or_default();
    let second_level = matches!(name, "co" | "com" | "org" | "ac");
    let short = second_level
        || matches!(
            tokens.lower(index + 1),
            "in" | "it"
                | "no"
                | "at"
                | "me"
                | "us"
                | "be"
                | "is"
                | "co"
                | "care"
                | "test"
                | "health"
                | "clinic"
                | "local"
                | "int"
                | "se"
                | "de"
                | "si"
                | "es"
                | "ca"
                | "example"
        ) && !name.contains('.');
    let mailbox = tokens.text.get(..mark.start - name.len())?.ends_with('@');
    let letters = last.chars().any(char::is_alphabetic) && last.len() >= 2;
    if goes_on || mailbox || !letters || short && !tokens.text.get(top.end..)?.starts_with('/') {
        return None;
    }
    let path = tokens.text.get(top.end..)?.starts_with('/');
    // A government's site by its bare domain is nobody's page.
    if tokens.lower(index + 1) == "gov" && !path {
        return None;
    }
    let end = if path { found(tokens, mark.start, top.end, 0.0).end } else { top.end };
    Some(Finding::new(Kind::Url, mark.start - name.len(), end, 0.8, "domain"))
}
