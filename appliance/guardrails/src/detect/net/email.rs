//! E-mail addresses, also spelled out: `q.hill at corvid dot org`.

use super::{
    super::{finding::Finding, kind::Kind, token::Tokens},
    is_top, left, right,
};

/// The address whose `@`, or whose spelled-out `at`, stands at `index`.
pub(super) fn read(tokens: &Tokens<'_>, index: usize) -> Option<Finding> {
    if tokens.mark(index, "@") {
        let at = tokens.at(index);
        let (name, domain) = (left(tokens.text, at.start, "._%+-'"), right(tokens.text, at.end, ".-"));
        let domain = domain.trim_end_matches(['.', '-']);
        let name = name.trim_start_matches(['.', '-', '\'']);
        let known = domain.contains('.') || is_top(domain);
        let lettered = domain.rsplit('.').next().is_some_and(|last| last.chars().any(char::is_alphabetic));
        if !name.is_empty() && domain.len() > 2 && lettered {
            let confidence = if known { 0.97 } else { 0.6 };
            return Some(Finding::new(Kind::Email, at.start - name.len(), at.end + domain.len(), confidence, "email"));
        }
        let handle = right(tokens.text, at.end, "._");
        let alone = name.is_empty()
            && at.apart
            && handle.trim_end_matches('.').len() >= 3
            && handle.starts_with(char::is_alphabetic);
        return alone.then(|| {
            Finding::new(Kind::Username, at.start, at.end + handle.trim_end_matches('.').len(), 0.7, "handle")
        });
    }
    spelled(tokens, index)
}

/// A word and whether it is in brackets: the token after it.
fn bracketed(tokens: &Tokens<'_>, index: usize, word: &str) -> Option<usize> {
    if tokens.lower(index) == word {
        return Some(index + 1);
    }
    let open = tokens.mark(index, "(") || tokens.mark(index, "[");
    (open && tokens.lower(index + 1) == word).then_some(index + 3)
}

fn spelled(tokens: &Tokens<'_>, index: usize) -> Option<Finding> {
    let open = tokens.mark(index, "(") || tokens.mark(index, "[");
    if tokens.lower(index + usize::from(open)) != "at" {
        return None;
    }
    let before = index.checked_sub(1)?;
    let mut at = bracketed(tokens, index, "at")?;
    let mut dots = 0;
    let mut top = "";
    for _ in 0..4 {
        if !(tokens.at(at).word() || tokens.at(at).end - tokens.at(at).start > 1) {
            return None;
        }
        at += 1;
        while tokens.mark(at, "-") || (tokens.mark(at, ".") && tokens.joined(at + 1)) {
            dots += usize::from(tokens.mark(at, "."));
            top = tokens.lower(at + 1);
            at += 2;
        }
        match bracketed(tokens, at, "dot") {
            Some(next) => {
                dots += 1;
                top = tokens.lower(next);
                at = next;
            }
            None => break,
        }
    }
    let spelled_dot = dots > 0
        && is_top(top)
        && (open || tokens.text.get(tokens.at(index).start..tokens.at(at - 1).end)?.contains("dot"));
    if !spelled_dot || !(tokens.at(before).word() || tokens.at(before).shape == super::super::token::Shape::Digits) {
        return None;
    }
    let mut first = before;
    loop {
        if first > 0 && tokens.joined(first) {
            first -= 1;
        } else if first > 1 && tokens.lower(first - 1) == "dot" {
            first -= 2;
        } else {
            break;
        }
    }
    Some(Finding::new(Kind::Email, tokens.at(first).start, tokens.at(at - 1).end, 0.85, "email-spelled"))
}
